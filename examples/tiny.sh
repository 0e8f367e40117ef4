#!/usr/bin/env bash
# Prepares and runs the three tiny configurations, on photographs and encoders that have learned nothing: `make tiny`.
#
# They try the machinery in two minutes and show blurs; `make demo` shows
# adapters that learn. Everything is written below .tiny, and what was interrupted goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")/.."

run() {
    printf '$ %s\n' "$*"
    if [ "$1" = cascade-adapt ]; then shift; set -- .build/release/cascade-adapt "$@"; fi
    "$@"
}

run python3 examples/photographs/gather.py .tiny
for folder in photographs dog held-out dog-held-out; do
    run cascade-adapt dataset pack .tiny/$folder .tiny/$folder.tar
done
if [ ! -e .tiny/models/previewer.safetensors ]; then
    run cascade-adapt models draw tiny -o .tiny/models --seed 1 --data .tiny/photographs.tar
fi
run cascade-adapt finetune configs/training/finetune_c_tiny.yaml
run cascade-adapt controlnet configs/training/controlnet_c_tiny_canny.yaml
run cascade-adapt lora configs/training/lora_c_tiny.yaml
