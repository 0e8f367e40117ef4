"""Tiny training runs for the scripts that kill, starve and watch them: images, drawn networks and one configuration
for each recipe, all in a folder."""

import json
import subprocess
from pathlib import Path
import sys

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))

ROOT = Path(__file__).resolve().parents[3]

BASE = """
checkpoint_path: {run}/checkpoints
output_path: {run}/output
lr: 1.0e-3
batch_size: 2
image_size: 64
updates: {updates}
warmup_updates: 5
save_every: 4
backup_every: 20
webdataset_path: data.tar
shuffle_buffer: 8
data_workers: 2
validation_path: data.tar
validation_triples: 2
preview_steps: 2
effnet_checkpoint_path: models/effnet_encoder.safetensors
clip_text_model_name: models/clip-text
"""

STAGE_C = """
model_version: tiny
previewer_checkpoint_path: models/previewer.safetensors
clip_image_model_name: null
"""

# By recipe: learned tokens beside LoRA, a filter that draws for each image, adaptive loss weights
# and a running mean.
OWN = {
    "lora": f"""{STAGE_C}
module_filters: ['.attn']
rank: 2
train_tokens: [['[thing]', '^dog</w>']]
generator_checkpoint_path: base/checkpoints/base/generator.safetensors
""",
    "controlnet": f"""{STAGE_C}
controlnet_blocks: [0, 3]
controlnet_filter: QRFilter
controlnet_bottleneck_mode: simple
generator_checkpoint_path: base/checkpoints/base/generator.safetensors
""",
    "finetune": f"""{STAGE_C}
adaptive_loss_weight: true
ema_start_iters: 6
ema_iters: 2
grad_accum_steps: 2
""",
    "stage_b": """
model_version: stage_b.yaml
stage_a_checkpoint_path: models/stage_a.safetensors
adaptive_loss_weight: true
""",
}

# A base in four bits, and a stage in bfloat16 whose steps are taken within the backward pass.
OWN["lora_nf4"] = OWN["lora"] + "base_dtype: nf4\n"
OWN["finetune_fused"] = f"""{STAGE_C}
weights_dtype: bfloat16
fused_backward: true
optimizer: adafactor
"""

# Stage B's architecture: two levels, and the widths of the drawn networks.
STAGE_B = """
{stage: b, c_r: 16, c_cond: 16, c_hidden: [8, 16], nhead: [-1, 2], blocks: [[1, 2], [2, 1]],
 block_repeat: [[1, 1], [2, 1]], level_config: [CT, CTA], c_clip: 128, c_clip_seq: 1}
"""

# What starts a recipe, and what its files are called.
COMMANDS = {recipe: recipe.split("_")[0].replace("stage", "finetune") for recipe in OWN}
FILES = {recipe: command.replace("finetune", "generator") for recipe, command in COMMANDS.items()}


class Runs:
    """A folder with all that runs read, and the command that trains them there."""

    def __init__(self, command: str, folder: Path):
        self.command = str(Path(command).resolve())
        self.folder = folder
        self._images()
        tokenizer = ROOT / "models/clip-tokenizer"
        self.call("dataset", "pack", "images", "data.tar")
        self.call("models", "draw", "tiny", "-o", "models", "--data", "data.tar", "--tokenizer", str(tokenizer))
        self._stage_a()
        (self.folder / "stage_b.yaml").write_text(STAGE_B)
        self.call(*self.words("finetune", "base", updates=2, experiment="base"))

    def _images(self) -> None:
        import numpy
        from PIL import Image

        random = numpy.random.default_rng(1)
        (self.folder / "images").mkdir()
        for number in range(8):
            pixels = random.integers(0, 256, (4, 4, 3), dtype=numpy.uint8)
            Image.fromarray(pixels).resize((64, 64)).save(self.folder / f"images/{number}.png")
            (self.folder / f"images/{number}.txt").write_text(f"a dog, number {number}")

    def _stage_a(self) -> None:
        import torch
        from safetensors.torch import save_file

        import stage_a

        network = stage_a.make({"c_hidden": 16, "bottleneck_blocks": 1, "codebook_size": 16})
        tensors = stage_a.reference_state(stage_a.draw(network, torch.Generator().manual_seed(1)))
        path = self.folder / "models/stage_a.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)

    def call(self, *words: str) -> None:
        done = subprocess.run([self.command, *words, "--quiet"], cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(words)}: {done.stderr}")

    def words(self, recipe: str, run: str, updates: int, experiment: str = "run", more: str = "") -> list[str]:
        """Writes the configuration of a run, whose files go to a folder of its own, and gives the words to start it."""
        own = STAGE_C if experiment == "base" else OWN[recipe]
        text = f"experiment_id: {experiment}\n" + BASE.format(run=run, updates=updates) + own + more
        path = self.folder / f"{run.replace('/', '-')}.yaml"
        path.write_text(text)
        return [COMMANDS[recipe], path.name, "--threads", "1"]

    def start(self, words: list[str]) -> subprocess.Popen:
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([self.command, *words], cwd=self.folder, **silent)

    def finish(self, words: list[str]) -> subprocess.CompletedProcess:
        return subprocess.run([self.command, *words], cwd=self.folder, capture_output=True, text=True)

    # What a run leaves.

    def checkpoints(self, run: str) -> Path:
        return self.folder / run / "checkpoints" / "run"

    def output(self, run: str) -> Path:
        return self.folder / run / "output" / "run"

    def metrics(self, run: str) -> list[dict]:
        """The lines of metrics.jsonl without what a clock says."""
        lines = [json.loads(line) for line in (self.output(run) / "metrics.jsonl").read_text().splitlines()]
        for line in lines:
            for clock in ("seconds", "samples_per_second", "data_seconds"):
                line.pop(clock)
        return lines

    def differences(self, recipe: str, one: str, other: str) -> list[str]:
        """Which final files of two runs are not the same bytes: the checkpoint, the numbered copies, the previews, and
        metrics.jsonl but for the clock's fields."""

        def contents(run: str) -> dict[str, bytes]:
            name = FILES[recipe]
            paths = [self.checkpoints(run) / "info.json", *self.output(run).glob("*.jpg")]
            paths += [self.output(run) / "held_out.json", *self.checkpoints(run).glob(f"{name}*.safetensors")]
            return {path.name: path.read_bytes() for path in paths}

        first, second = contents(one), contents(other)
        wrong = [name for name in sorted(first.keys() | second.keys()) if first.get(name) != second.get(name)]
        if self.metrics(one) != self.metrics(other):
            wrong.append("metrics.jsonl")
        return wrong + [path.name for path in self.checkpoints(other).iterdir() if path.suffix in (".tmp", ".new")]
