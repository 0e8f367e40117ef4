#!/usr/bin/env bash
# Trains a Canny ControlNet and a `[fernando]` LoRA on real photographs, from nothing: `make demo`.
#
# Each step shows its commands as you would type them. Everything is written below .demo, and a demo that was
# interrupted goes on where it stopped; `make clean-demo` removes what it made.
set -euo pipefail
cd "$(dirname "$0")/.."

program=.build/release/cascade-adapt
if [ ! -x "$program" ]; then
    printf 'error: %s is missing\nrun: make demo\n' "$program" >&2
    exit 1
fi

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold= plain=; fi
began=$SECONDS
step_began=
step() { # HEADING
    step_took
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
    step_began=$SECONDS
}
step_took() { [ -z "$step_began" ] || printf '(%d s)\n' $((SECONDS - step_began)); }
# Shows a command and runs it; `cascade-adapt` stands for the one just built.
run() {
    printf '$ %s\n' "$*"
    if [ "$1" = cascade-adapt ]; then shift; set -- "$program" "$@"; fi
    "$@"
}

cat <<'TEXT'
This demo shows the machinery, not art. Its base model is tiny and is trained here, in a minute or two; its encoders
are drawn from a seed and have learned nothing. The pictures it shows are therefore blurs: look at the losses, and at
what the files hold.
TEXT

step "1/5  Photographs, packed into WebDataset tars"
run python3 examples/photographs/gather.py .demo
run cascade-adapt dataset pack .demo/photographs .demo/photographs.tar
run cascade-adapt dataset pack .demo/dog .demo/dog.tar
run cascade-adapt dataset pack .demo/held-out .demo/held-out.tar
run cascade-adapt dataset pack .demo/dog-held-out .demo/dog-held-out.tar

step "2/5  A tiny Stage C, trained from scratch"
if [ ! -e .demo/models/previewer.safetensors ]; then
    run cascade-adapt models draw tiny -o .demo/models --seed 1 --data .demo/photographs.tar
fi
run cascade-adapt finetune configs/training/finetune_c_tiny.yaml
base=$(sha256sum .demo/runs/base/generator.safetensors)

step "3/5  A ControlNet that follows Canny edges, on that base"
picture=$(find .demo/held-out -name '*.webp' | sort | head -n 1)
run cascade-adapt filter apply CannyFilter "$picture" -o .demo/edges.png
run cascade-adapt controlnet configs/training/controlnet_c_tiny_canny.yaml

step "4/5  LoRA layers and the token [fernando], on pictures of one dog"
run cascade-adapt lora configs/training/lora_c_tiny.yaml

step "5/5  Both adapters alone, and what they say of themselves"
run cascade-adapt export .demo/runs/canny -o .demo/canny.safetensors
run cascade-adapt export .demo/runs/fernando -o .demo/fernando.safetensors
run cascade-adapt inspect .demo/canny.safetensors .demo/fernando.safetensors
if [ "$base" != "$(sha256sum .demo/runs/base/generator.safetensors)" ]; then
    printf 'error: training an adapter changed the base file\n' >&2
    exit 1
fi
echo "The base's file is byte for byte what it was before the adapters were trained."
step_took

cat <<TEXT

${bold}Done in $((SECONDS - began)) s. What lies where:${plain}
  .demo/canny.safetensors         the ControlNet, alone
  .demo/fernando.safetensors      the LoRA layers and the token, alone
  .demo/output/*/*.jpg            grids: pictures, condition, noised, predicted, sampled
  .demo/output/*/report.html      curves and previews of a run, for a browser; tensorboard/ holds the same
  .demo/output/*/metrics.jsonl    loss, gradient norm, rate and speed of every update
  .demo/edges.png                 what the ControlNet sees of a photograph
  .demo/runs/                     checkpoints; the same command goes on from them
  .demo/photographs, .demo/dog    the pictures and their captions; .demo/CREDITS.md says whose they are

${bold}What to try next:${plain}
  $program lora configs/training/lora_c_tiny.yaml --set updates=200
  $program filter list
  $program tokenize 'a photo of [fernando]' --tokenizer models/clip-tokenizer
  Put pictures and texts of one name into a folder, and give it with --set webdataset_path=FOLDER.
TEXT
