"""Trains every configuration of `configs/training` for three updates, with small random networks of the published layout.

    python Tests/Peers/checks/train_configs.py [--command .build/release/cascade-adapt] [--only PART]

The networks are the peers' own: diffusers' Stage C with as many residual blocks as the published one has, its Stage B
and Stage A, torchvision's EfficientNet, transformers' CLIP tower. For each configuration: `--dry-run`, two updates,
then the same command again until the third; a checkpoint, its resumption and two grids must be there, and nothing may
be unknown. The filters' networks are the small ones of Tests/Goldens. Exits 1 where anything fails."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import clip_text
import effnet
import previewer
import stage_a
import stage_b
import stage_c
from case import redraw, state

ROOT = pathlib.Path(__file__).resolve().parents[3]
STAGE_C = {
    "c_r": 16, "c_cond": 16, "c_hidden": [8, 8], "nhead": [1, 1], "c_clip_text": 16, "c_clip_text_pooled": 16,
    "c_clip_img": 8, "c_clip_seq": 1,
}  # fmt: skip
STAGE_B = {
    "stage": "b", "c_r": 16, "c_cond": 16, "c_hidden": [8, 16], "nhead": [-1, 2], "blocks": [[1, 2], [2, 1]],
    "block_repeat": [[1, 1], [2, 1]], "level_config": ["CT", "CTA"], "c_clip": 16, "c_clip_seq": 1,
}  # fmt: skip
WORDS = [*"abcdefghijklmnopqrstuvwxyz", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz")]
WORDS += ["do", "dog</w>", "<|startoftext|>", "<|endoftext|>"]
CLIP_TEXT = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "projection_dim": 16,
    "vocab_size": len(WORDS), "eos_token_id": len(WORDS) - 1, "bos_token_id": len(WORDS) - 2, "pad_token_id": 0,
}  # fmt: skip


def write_world(folder: pathlib.Path) -> None:
    """The networks and a dozen described images."""
    generator = torch.Generator().manual_seed(1)

    def save(name: str, tensors: dict[str, torch.Tensor]) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / name)

    save("stage_c.safetensors", stage_c.reference_state(redraw(stage_c.make(STAGE_C), generator).state_dict()))
    save("stage_b.safetensors", stage_b.reference_state(redraw(stage_b.make(STAGE_B), generator).state_dict()))
    small = stage_a.make({"c_hidden": 16, "bottleneck_blocks": 1, "codebook_size": 16})
    save("stage_a.safetensors", stage_a.reference_state(stage_a.draw(small, generator)))
    save("effnet.safetensors", state(effnet.EffNet(16).eval()))
    save("previewer.safetensors", state(previewer.Previewer(16, 16, 3).eval()))
    save("text/model.safetensors", state(clip_text.make(CLIP_TEXT)))
    (folder / "text/config.json").write_text(json.dumps(CLIP_TEXT))
    (folder / "text/vocab.json").write_text(json.dumps({word: index for index, word in enumerate(WORDS)}))
    (folder / "text/merges.txt").write_text("#version: 0.2\nd o\ndo g</w>\n")
    for name, architecture in (("stage_c", STAGE_C), ("stage_b", STAGE_B)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(architecture))
    for part, count in (("train", 12), ("held-out", 4)):
        (folder / part).mkdir()
        for index in range(count):
            coarse = torch.randint(0, 256, (8, 8, 3), generator=generator, dtype=torch.uint8)
            image = Image.fromarray(coarse.numpy()).resize((64, 64), Image.Resampling.BICUBIC)
            image.save(folder / part / f"{index:03}.png")
            (folder / part / f"{index:03}.txt").write_text("a dog")
            (folder / part / f"{index:03}.json").write_text(json.dumps({"width": 800, "height": 800}))


def changes(config: dict, world: pathlib.Path, run: pathlib.Path) -> dict[str, object]:
    """What `--set` puts in the place of published networks."""
    values: dict[str, object] = {
        "checkpoint_path": run / "runs", "output_path": run / "output", "webdataset_path": world / "train",
        "effnet_checkpoint_path": world / "effnet.safetensors", "clip_text_model_name": world / "text",
        "image_size": 96, "batch_size": 4, "shuffle_buffer": 8, "validation_path": world / "held-out",
        "validation_triples": 2, "updates": 3, "save_every": 2,
    }  # fmt: skip
    stage = "stage_b" if "stage_a_checkpoint_path" in config else "stage_c"
    values["model_version"] = world / f"{stage}.yaml"
    values["generator_checkpoint_path"] = world / f"{stage}.safetensors"
    decoder = "stage_a" if stage == "stage_b" else "previewer"
    if stage == "stage_c":
        values["clip_image_model_name"] = "null"
    values[f"{decoder}_checkpoint_path"] = world / f"{decoder}.safetensors"
    parameters = "controlnet_filter_params"
    match config.get("controlnet_filter"):
        case "SREffnetFilter":
            values[f"{parameters}.effnet_checkpoint_path"] = world / "effnet.safetensors"
        case "PoseFilter":
            values[f"{parameters}.weights"] = ROOT / "Tests/Goldens/pose_corners.caffemodel"
            values[f"{parameters}.description"] = ROOT / "Tests/Goldens/pose_corners.prototxt"
        case "IdentityFilter":
            values[f"{parameters}.detector"] = ROOT / "Tests/Goldens/faces.onnx"
            values[f"{parameters}.recognizer"] = ROOT / "Tests/Goldens/identities.onnx"
    return values


def train(command: str, path: pathlib.Path, world: pathlib.Path) -> str:
    """What went wrong with one configuration; empty where nothing did."""
    config = yaml.safe_load(path.read_text())
    recipe = path.read_text().split()[2]
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder)
        values = changes(config, world, run)
        call = [command, recipe, str(path)] + [f"--set={key}={value}" for key, value in values.items()]
        for more, said in ((["--dry-run"], "12 of 12 samples"), (["--steps=2"], ""), ([], "resumed at update 2")):
            done = subprocess.run(call + more, capture_output=True, text=True)
            if done.returncode != 0 or said not in done.stderr:
                return f"FAILED: {' '.join(more)}: status {done.returncode}: {done.stderr.strip()[-600:]}"
        for grid in ("000002.jpg", "000003.jpg"):
            if not (run / "output" / config["experiment_id"] / grid).is_file():
                return f"FAILED: there is no {grid}"
        if not list((run / "runs" / config["experiment_id"]).glob("*_optim.safetensors")):
            return "FAILED: there is no checkpoint"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=str(ROOT / ".build/release/cascade-adapt"))
    parser.add_argument("--only", default="", help="configurations whose name holds this")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        world = pathlib.Path(folder)
        write_world(world)
        for path in sorted((ROOT / "configs/training").glob("*.yaml")):
            if "_tiny" in path.stem or options.only not in path.stem:
                continue
            began = time.monotonic()
            problem = train(options.command, path, world)
            failed += problem.startswith("FAILED")
            print(f"{path.stem}: {problem or 'trained, saved, resumed, shown'}, {time.monotonic() - began:.1f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
