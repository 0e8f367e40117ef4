#!/usr/bin/env bash
# Makes the miniature from nothing: `make miniature`, about 100 minutes on two cores.
#
# Everything is written below .miniature: the data, the networks as they are trained, and the state of each training. What
# was interrupted goes on where it stopped, what is finished stays. The last step puts the weights in their place here.
set -euo pipefail
cd "$(dirname "$0")/../.."

run() {
    printf '$ %s\n' "$*"
    case $1 in cascade-*) set -- ".build/release/$@" ;; esac
    "$@"
}

# Debian's Python, for it alone has Debian's python3-pil.
run /usr/bin/python3 examples/miniature/data/make.py .miniature/data
run cascade-miniature encoder --data .miniature/data -o .miniature/models
run cascade-miniature towers --data .miniature/data -o .miniature/models
run cascade-adapt finetune examples/miniature/stage_c_train.yaml
run cascade-miniature collect --models .miniature/models \
    --stage-c .miniature/runs/stage_c/generator_ema.safetensors -o examples/miniature
