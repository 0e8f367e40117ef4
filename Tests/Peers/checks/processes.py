"""Trains the same runs by one, two and four processes, on the miniature, and holds them against each other: `make processes`.

    python Tests/Peers/checks/processes.py [--command .build/release/cascade-adapt] [--kills 10] [--pairs 5] [--large]

Losses and weights of 20 updates, with dropout, adaptive loss weights and a running mean, beside one process that takes all
samples at once, and beside one that goes through the same parts of a batch one after another (`grad_accum_steps`). Two processes
have to come to the very losses of the latter, for both add up the same two numbers; of four the order of the sum is another. The
former rounds otherwise. The learning rate is that of the official files; the miniature's own are ten to two hundred times as
high, and then any rounding makes more of a difference. Then one of four processes is killed at random moments of a LoRA run,
which goes on with three. Last the price of working together: a LoRA run of two processes beside two runs side by side, each with
the half of its samples. `--large` measures that alone, of a LoRA on Stage C of 94 million parameters with latents of 24 x 24.
Needs the images that `make demo` draws."""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[3]
MINIATURE = ROOT / "examples/miniature"
UPDATES = 20
COMMON = {
    "lr": 1e-4, "updates": UPDATES, "save_every": 5, "loss_weight": "adaptive", "ema_start_iters": 2, "ema_iters": 2,
    "preview_steps": 0,
}  # fmt: skip
# Command, configuration, name, and what is otherwise in float32 and bfloat16.
RUNS = {
    "LoRA and token": ("lora", "fernando.yaml", "lora", {"token_lr": 1e-4, "dropout": 0.1}, "dtype"),
    "ControlNet": ("controlnet", "canny.yaml", "controlnet", {"batch_size": 8, "validation_path": "null"}, "dtype"),
    "Stage C whole": (
        "finetune", "stage_c_train.yaml", "generator",
        {
            "batch_size": 8, "dropout": 0.1, "webdataset_path": "file:.demo/data/train-{00..01}.tar", "cache_dir": "null",
            "effnet_checkpoint_path": MINIATURE / "effnet.safetensors",
            "previewer_checkpoint_path": MINIATURE / "previewer.safetensors",
            "clip_text_model_name": MINIATURE / "clip-text", "clip_image_model_name": MINIATURE / "clip-image",
        },
        "compute_dtype",
    ),
}  # fmt: skip
STAGE_B = """
experiment_id: run
checkpoint_path: {folder}/runs
output_path: {folder}/output
model_version: {folder}/stage_b.yaml
effnet_checkpoint_path: {folder}/models/effnet_encoder.safetensors
stage_a_checkpoint_path: {folder}/stage_a
clip_text_model_name: {folder}/models/clip-text
webdataset_path: file:.demo/data/train-00.tar
image_size: 96
lr: 1.0e-3
backup_every: 100000
"""
STAGE_B_ARCHITECTURE = """
{c_r: 32, c_cond: 96, c_hidden: [64, 96], nhead: [-1, 6], blocks: [[1, 2], [2, 1]], block_repeat: [[1, 1], [2, 1]],
 level_config: [CT, CTA], c_clip: WIDTH, c_clip_seq: 2}
"""
DTYPES = ("float32", "bfloat16")


def stage_b(command: pathlib.Path, folder: pathlib.Path) -> tuple:
    """A run of a small Stage B, which the miniature lacks, with all that it needs: networks that have learned nothing."""
    draw = [command, "models", "draw", "tiny", "-o", folder / "models", "--data", ".demo/data/train-00.tar", "--quiet"]
    subprocess.run(draw, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    torch.manual_seed(0)
    PaellaVQModel(bottleneck_blocks=1, embed_dim=16, num_vq_embeddings=64).save_pretrained(folder / "stage_a")
    width = json.loads((folder / "models/clip-text/config.json").read_text())["projection_dim"]
    (folder / "stage_b.yaml").write_text(STAGE_B_ARCHITECTURE.replace("WIDTH", str(width)))
    (folder / "run.yaml").write_text(STAGE_B.format(folder=folder))
    return "finetune", str(folder / "run.yaml"), "generator", {"batch_size": 8, "dropout": 0.1}, "compute_dtype"


LARGE = """
experiment_id: run
checkpoint_path: {folder}/runs
output_path: {folder}/output
model_version: {folder}/stage_c.yaml
generator_checkpoint_path: {folder}/stage_c.safetensors
effnet_checkpoint_path: {folder}/models/effnet_encoder.safetensors
previewer_checkpoint_path: {folder}/models/previewer.safetensors
clip_text_model_name: {folder}/clip-text
clip_image_model_name: null
module_filters: ['.attn']
rank: 4
webdataset_path: file:.demo/data/concepts/tiger.tar
image_size: 768
lr: 1.0e-4
backup_every: 100000
"""


def large(command: pathlib.Path, folder: pathlib.Path) -> tuple:
    """A LoRA on random weights of 94 million parameters, eight images of which each latent is encoded once."""
    draw = [command, "models", "draw", "tiny", "-o", folder / "models", "--data", ".demo/data/train-00.tar", "--quiet"]
    subprocess.run(draw, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    bench = ROOT / "Tests/Peers/benches/bench_generate.py"
    subprocess.run([sys.executable, bench, "--command", command, "--draw", folder], cwd=ROOT, check=True)
    (folder / "run.yaml").write_text(LARGE.format(folder=folder))
    return "lora", str(folder / "run.yaml"), "lora", {"updates": 8, "cache_dir": folder / "cache"}, "dtype"


class Run:
    """One run in a folder of its own."""

    def __init__(self, command: pathlib.Path, folder: pathlib.Path, what: str, dtype: str, settings: dict | None = None):
        self.command, self.folder = command, folder
        recipe, file, self.name, own, key = RUNS[what]
        settings = COMMON | own | {key: dtype} | (settings or {})
        settings |= {"experiment_id": "run", "checkpoint_path": folder, "output_path": folder / "output"}
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        self.words = [str(command), recipe, str(MINIATURE / file), "--threads", "1", *map(str, sets)]

    def start(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*self.words, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __call__(self, *words: str) -> "Run":
        return self.finish(self.start(*words))

    def finish(self, process: subprocess.Popen) -> "Run":
        said, _ = process.communicate()
        if process.returncode != 0:
            sys.exit(f"{' '.join(self.words)} ended with {process.returncode}:\n{said}")
        return self

    def updates(self) -> list[dict]:
        lines = (self.folder / "output/run/metrics.jsonl").read_text().splitlines()
        return [line for line in map(json.loads, lines) if "raw_loss" in line]

    def done(self) -> int:
        """Updates so far; the last line may not be whole yet."""
        metrics = self.folder / "output/run/metrics.jsonl"
        return metrics.read_text().count('"raw_loss"') if metrics.exists() else 0

    def losses(self) -> list[float]:
        return [update["raw_loss"] for update in self.updates()]

    def weights(self) -> torch.Tensor:
        tensors = load_file(self.folder / f"run/{self.name}.safetensors")
        return torch.cat([tensors[key].double().flatten() for key in sorted(tensors)])


def worst(ours: Run, theirs: Run) -> float:
    return max(abs(a - b) / b for a, b in zip(ours.losses(), theirs.losses(), strict=True))


def efficiency(command: pathlib.Path, folder: pathlib.Path, what: str, share: int, pairs: int) -> None:
    """A run of two processes beside two runs that take `share` samples an update each."""
    efficiencies = []
    for pair in range(pairs):
        place = folder / f"pair-{pair}"
        runs = [Run(command, place / part, what, "bfloat16", {"batch_size": share}) for part in ("a", "b")]
        for run, process in [(run, run.start()) for run in runs]:
            run.finish(process)
        apart = statistics.mean(statistics.median(u["seconds"] for u in run.updates()) for run in runs)
        both = Run(command, place / "both", what, "bfloat16", {"batch_size": 2 * share})("--processes", "2")
        together = statistics.median(update["seconds"] for update in both.updates())
        efficiencies.append(apart / together)
        print(f"pair {pair + 1}: {apart:.3f} s an update apart, {together:.3f} s together: {apart / together:.2f}", flush=True)
    if efficiencies:
        print(f"efficiency of two processes, {what}: {statistics.median(efficiencies):.2f}")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--command", type=pathlib.Path, default=ROOT / ".build/release/cascade-adapt")
    words.add_argument("--kills", type=int, default=10)
    words.add_argument("--pairs", type=int, default=5)
    words.add_argument("--large", action="store_true", help="the price of working together at 94 million alone")
    options = words.parse_args()
    command, missed = options.command.resolve(), []

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if options.large:
            RUNS["LoRA on 94 M"] = large(command, folder)
            return efficiency(command, folder, "LoRA on 94 M", 4, options.pairs)
        RUNS["Stage B whole"] = stage_b(command, folder)
        print("| run | numbers | processes | losses | weights | losses, same parts | weights, same parts |\n|---|---|---|---|---|---|---|")
        for what in RUNS:
            for dtype in DTYPES:
                place = folder / f"{what.replace(' ', '-')}-{dtype}"
                alone = Run(command, place / "1", what, dtype)("--steps", "1")
                start = alone.weights()
                alone()
                way = (alone.weights() - start).norm()
                for count in (2, 4):
                    run = Run(command, place / str(count), what, dtype)("--processes", str(count))
                    parts = Run(command, place / f"parts-{count}", what, dtype, {"grad_accum_steps": count})()
                    columns = [
                        f"{worst(run, other):.1e} | {(run.weights() - other.weights()).norm() / way:.1e}" for other in (alone, parts)
                    ]
                    print(f"| {what} | {dtype} | {count} | {' | '.join(columns)} |", flush=True)
                    if count == 2 and parts.losses() != run.losses():
                        missed.append(f"{what}, {dtype}: two processes are {worst(run, parts):.1e} from two parts")

        alone = Run(command, folder / "LoRA-and-token-float32/1", "LoRA and token", "float32")
        chance, slowest = random.Random(1), 0.0
        for kill in range(options.kills):
            run = Run(command, folder / f"kill-{kill}", "LoRA and token", "float32")
            launcher = run.start("--processes", "4", "--restarts", "1")
            after = chance.randrange(1, UPDATES - 2)
            while launcher.poll() is None and run.done() < after:
                time.sleep(0.005)
            children = subprocess.run(["pgrep", "-P", str(launcher.pid)], capture_output=True, text=True).stdout.split()
            killed, began = chance.choice(children), time.monotonic()
            subprocess.run(["kill", "-9", killed], check=True)
            said, _ = launcher.communicate()
            slowest = max(slowest, time.monotonic() - began)
            if launcher.returncode != 0 or "with 3 of 4 processes" not in said:
                sys.exit(f"killed after update {after}:\n{said}")
            print(f"killed after update {after}: losses within {worst(run, alone):.1e} of one process's", flush=True)
        if options.kills > 0:
            print(f"one of four killed, {options.kills} times: all ended, at most {slowest:.0f} s later with the rest of the run")

        efficiency(command, folder, "LoRA and token", 8, options.pairs)
    if missed:
        sys.exit("\n".join(missed))


if __name__ == "__main__":
    main()
