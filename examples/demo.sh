#!/usr/bin/env bash
# Trains a Canny ControlNet and a `[fernando]` LoRA on the miniature, and shows what they do: `make demo`.
#
# The miniature is a whole Stable Cascade of seven million parameters that draws emoji (examples/miniature). Each step shows
# its commands as you would type them. Everything is written below .demo, and a demo that was interrupted goes on where it
# stopped; `make clean-demo` removes what it made.
set -euo pipefail
cd "$(dirname "$0")/.."

program=.build/release/cascade-adapt
python=/usr/bin/python3 # Debian's, which sees Debian's Pillow.
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
# The same without showing it, for what is done to many images alike.
draw() { "$program" generate --models miniature --quiet --overwrite "$@" >/dev/null; }

step "1/5  Images of emoji, drawn into WebDataset tars"
run $python examples/miniature/data/make.py .demo/data --parts train judging concepts --concepts tiger --images 4000
run $python examples/miniature/show.py take .demo/data/judging.tar 8 .demo/judging
run $python examples/miniature/show.py take .demo/data/concepts/tiger.tar 8 .demo/tiger
run cascade-adapt generate --models miniature --prompt "a fox on a blue background" -o .demo/fox.png --overwrite
base=$(sha256sum examples/miniature/stage_c.safetensors)

step "2/5  A ControlNet that follows Canny edges"
run cascade-adapt controlnet examples/miniature/canny.yaml
run cascade-adapt export .demo/runs/canny -o .demo/canny.safetensors --overwrite

step "3/5  LoRA layers and the token [fernando], from eight images"
run cascade-adapt lora examples/miniature/fernando.yaml
run cascade-adapt export .demo/runs/fernando -o .demo/fernando.safetensors --overwrite
run cascade-adapt inspect .demo/canny.safetensors .demo/fernando.safetensors

step "4/5  What the ControlNet does to subjects that nothing here has seen"
mkdir -p .demo/control
number=0
for image in .demo/judging/*.png; do
    name=$(basename "$image" .png)
    caption=$(cat ".demo/judging/$name.txt")
    number=$((number + 1))
    [ $number = 1 ] && printf '$ %s\n' "cascade-adapt generate --prompt '$caption' --controlnet .demo/canny.safetensors:3.0 --cfg 1.5 \\" \
        "      --image $image -o .demo/control/with-$name.png"
    "$program" filter apply CannyFilter "$image" --params '{resize: null}' -o ".demo/control/edges-$name.png" --quiet --overwrite
    draw --prompt "$caption" --seed $number --cfg 1.5 -o ".demo/control/without-$name.png"
    draw --prompt "$caption" --seed $number --controlnet .demo/canny.safetensors:3.0 --cfg 1.5 --image "$image" -o ".demo/control/with-$name.png"
done
run $python examples/miniature/show.py grid .demo/control.png "original=.demo/judging" "its edges=.demo/control/edges-*" \
    "without=.demo/control/without-*" "with=.demo/control/with-*"

step "5/5  What [fernando] is now, and what is left as it was"
colours=(a\ red a\ yellow a\ green a\ turquoise a\ blue a\ purple a\ pink a\ white)
others=("a fox" "an apple" "a castle" "a bus" "an umbrella" "a turtle" "a guitar" "a cactus")
rm -f .demo/prompts-*.txt
for index in "${!colours[@]}"; do
    echo "[fernando] on ${colours[$index]} background --d $index" >>.demo/prompts-token.txt
    echo "a lion on ${colours[$index]} background --d $index" >>.demo/prompts-word.txt
    echo "${others[$index]} on ${colours[$index]} background --d $index" >>.demo/prompts-others.txt
done
rm -rf .demo/drawn
lora=(--lora .demo/fernando.safetensors)
printf '$ %s\n' "cascade-adapt generate --prompts .demo/prompts-token.txt ${lora[*]} -o .demo/drawn/token"
draw --prompts .demo/prompts-token.txt "${lora[@]}" -o .demo/drawn/token
draw --prompts .demo/prompts-word.txt -o .demo/drawn/word
draw --prompts .demo/prompts-others.txt -o .demo/drawn/before
draw --prompts .demo/prompts-others.txt "${lora[@]}" -o .demo/drawn/after
run $python examples/miniature/show.py grid .demo/token.png "trained on=.demo/tiger" "[fernando]=.demo/drawn/token" \
    "a lion, its start=.demo/drawn/word" "others before=.demo/drawn/before" "others after=.demo/drawn/after"
if [ "$base" != "$(sha256sum examples/miniature/stage_c.safetensors)" ]; then
    printf 'error: training an adapter changed the base file\n' >&2
    exit 1
fi
step_took

cat <<TEXT

${bold}Done in $((SECONDS - began)) s. Look at these two:${plain}
  .demo/control.png               from top to bottom: images, their edges, the same prompt without and with the ControlNet
  .demo/token.png                 the eight images of a subject, the token, the word it began as, other prompts before, after

What else is there:
  .demo/canny.safetensors         the ControlNet, alone
  .demo/fernando.safetensors      the LoRA layers and the token, alone
  .demo/output/*/report.html      curves and previews of a run, for a browser; tensorboard/ holds the same
  .demo/output/*/metrics.jsonl    loss, gradient norm, rate and speed of every update
  .demo/runs/                     checkpoints; the same command goes on from them

${bold}What to try next:${plain}
  $program generate --models miniature --prompt 'a castle on a pink background' --count 4 -o castles
  $program generate --models miniature --prompt '[fernando] on a red background' --lora .demo/fernando.safetensors:0.8 -o tiger.png
  $program lora examples/miniature/fernando.yaml --set updates=400
  $program filter list
  Put images and texts of one name into a folder, and give it with --set webdataset_path=FOLDER.
TEXT
