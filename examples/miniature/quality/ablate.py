"""Trains Stage C for a short while in several ways, and tells how many of its subjects the judge knows.

    python examples/miniature/quality/ablate.py [--updates 1000] [--models examples/miniature] [--data .miniature/data]
        [--folder .miniature/ablations] [--command .build/release/cascade-adapt]

Each run has the same updates of the same samples, and rates that fall to nothing by their end. Needs what `make quality`
keeps of its judge, or trains it. FOLDER keeps the runs: what is there is not trained again."""

import argparse
import json
import pathlib
import shutil
import statistics

import judge
import numpy as np
import yaml
from base import prompts
from PIL import Image
from program import SIDE, Program
from samples import read

CONFIGURATION = pathlib.Path(__file__).parents[1] / "stage_c_train.yaml"
GUIDANCE = 5
# What each run has otherwise than the configuration, and than the architecture.
WAYS = {
    "as stage_c_train.yaml has it": ({}, {}),
    "times drawn evenly (time_power 1)": ({"time_power": 1}, {}),
    "images of 64 pixels": ({"image_size": 64}, {}),
    "patch_size 1": ({}, {"patch_size": 1}),
}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--updates", type=int, default=1000)
    words.add_argument("--models", type=pathlib.Path, default="examples/miniature")
    words.add_argument("--data", type=pathlib.Path, default=".miniature/data")
    words.add_argument("--folder", type=pathlib.Path, default=".miniature/ablations")
    words.add_argument("--command", default=".build/release/cascade-adapt")
    options = words.parse_args()
    own, _ = judge.ready(Program(options.command, options.models), options.data, options.folder.parent / "quality/judge")
    seen = read(options.data / "seen.tar")
    subjects = sorted(set(seen.values("subject")))
    seen = seen.first_of_each(1)
    print("| way | seconds an update | loss at the end | right subjects |\n|---|---|---|---|")
    for place, (name, (settings, architecture)) in enumerate(WAYS.items()):
        folder = options.folder / str(place)
        models, seconds, loss = trained(options, folder, settings, architecture)
        side = settings.get("image_size", SIDE)
        images = drawn(Program(options.command, models, threads=2), prompts(seen, 1000), folder, side)
        right = np.mean(own.right_subjects(images, seen.values("subject"), subjects))
        print(f"| {name} | {seconds:.2f} | {loss:.3f} | {right:.2f} |", flush=True)


def trained(
    options: argparse.Namespace, folder: pathlib.Path, settings: dict, architecture: dict
) -> tuple[pathlib.Path, float, float]:
    """A folder of models with the Stage C of this way, the median seconds of an update, and the mean loss at the end."""
    models = folder / "models"
    if not models.exists():
        models.mkdir(parents=True)
        for part in ("effnet.safetensors", "previewer.safetensors", "clip-text", "clip-image"):
            (models / part).symlink_to((options.models / part).resolve())
        whole = yaml.safe_load((options.models / "stage_c.yaml").read_text()) | architecture
        (models / "stage_c.yaml").write_text(json.dumps(whole))
    weights = folder / "runs/way/generator_ema.safetensors"
    settings = settings | {
        "experiment_id": "way",
        "checkpoint_path": str(folder / "runs"),
        "output_path": str(folder / "output"),
        "cache_dir": str(folder / "cache"),
        "model_version": str(models / "stage_c.yaml"),
        "effnet_checkpoint_path": str(models / "effnet.safetensors"),
        "previewer_checkpoint_path": str(models / "previewer.safetensors"),
        "clip_text_model_name": str(models / "clip-text"),
        "clip_image_model_name": str(models / "clip-image"),
        "webdataset_path": f"file:{options.data}/train-{{00..13}}.tar",
        "updates": options.updates,
        "preview_steps": 0,
    }
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    if not (models / "stage_c.safetensors").exists():
        Program(options.command, models)("finetune", CONFIGURATION, *sets, "--quiet")
        shutil.copyfile(weights, models / "stage_c.safetensors")
    lines = [json.loads(line) for line in (folder / "output/way/metrics.jsonl").read_text().splitlines()]
    updates = [line for line in lines if "raw_loss" in line]
    return (
        models,
        statistics.median(line["seconds"] for line in updates),
        statistics.mean(line["raw_loss"] for line in updates[-200:]),
    )


def drawn(program: Program, wanted: list, folder: pathlib.Path, side: int) -> np.ndarray:
    """An image of every prompt, [N, SIDE, SIDE, 3] bytes, made with `side` pixels."""
    listed, images = folder / "prompts.txt", folder / "images"
    listed.write_text("".join(f"{prompt.text} --d {prompt.seed}\n" for prompt in wanted))
    said = program(
        "generate", "--models", program.models, "--prompts", listed, "--decoder", "previewer", "--size",
        f"{side}x{side}", "--cfg", GUIDANCE, "--batch", 32, "--threads", program.threads, "--quiet", "--json",
        "--overwrite", "-o", images,
    )  # fmt: skip
    files = json.loads(said)["files"]
    opened = [Image.open(file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC) for file in files]
    return np.stack([np.asarray(image) for image in opened])


if __name__ == "__main__":
    main()
