"""Measures how much memory training takes at the real size, and writes docs/memory.md.

    python Tests/Peers/checks/real_size.py [--command .build/release/cascade-adapt] [--only NAME]… [--folder .real]

The weights have the published shapes, contents are random: Stage C of 3.6B (7.2 GB) and 1B, a bigG text encoder, EffNet and
previewer, written once. No image encoder, batch 1, 768 pixels, checkpointing, one thread; each run makes a few updates and
shows no previews. Memory is the largest resident size of the process (VmHWM), mapped files included.

Every run's numbers stay in FOLDER/results.json, so runs may be made one by one, in any order and again; the page's table has
all that were made. `--cgroup GB` runs each in a cgroup of that size, where the machine lets one be made. Exits 1 where a
run fails or takes more than its bar."""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

import torch
from PIL import Image
from safetensors.torch import save_file

from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import clip_text
import effnet
import full_stage_c
import previewer
from case import state

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/memory.md"
STAGE_C_1B = {"c_cond": 1536, "c_hidden": [1536, 1536], "nhead": [24, 24], "blocks": [[4, 12], [12, 4]]}
BIG_G = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
    "projection_dim": 1280, "max_position_embeddings": 77, "vocab_size": 49408, "hidden_act": "gelu",
    "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 1,
}  # fmt: skip
LORA = {"module_filters": "['.attn']", "rank": 16, "train_tokens": "null", "dtype": "bfloat16"}
CONTROLNET = {"dtype": "bfloat16"}
WHOLE = {"weights_dtype": "bfloat16", "dtype": "bfloat16"}


@dataclass
class Run:
    """A configuration of `configs/training`, what is changed of it, and the most that it may take."""

    config: str
    model: str
    bar: float  # GB
    keys: dict[str, object] = field(default_factory=dict)

    @property
    def recipe(self) -> str:
        return (ROOT / "configs/training" / self.config).read_text().split()[2]


RUNS = {
    "LoRA, bf16": Run("finetune_c_3b_lora.yaml", "3.6B", 9.5, LORA),
    "LoRA, int8": Run("finetune_c_3b_lora.yaml", "3.6B", 5.8, LORA | {"base_dtype": "int8"}),
    "LoRA, nf4": Run("finetune_c_3b_lora.yaml", "3.6B", 3.8, LORA | {"base_dtype": "nf4"}),
    "ControlNet, bf16": Run("controlnet_c_3b_canny.yaml", "3.6B", 10.8, CONTROLNET),
    "ControlNet, nf4": Run("controlnet_c_3b_canny.yaml", "3.6B", 4.9, CONTROLNET | {"base_dtype": "nf4"}),
    "whole 1B": Run("finetune_c_1b.yaml", "1B", 8.5, WHOLE | {"optimizer": "adamw_8bit"}),
    "whole 1B, fused": Run("finetune_c_1b.yaml", "1B", 6.8, WHOLE | {"optimizer": "adamw_8bit", "fused_backward": True}),
    "whole 3.6B, fused": Run("finetune_c_3b.yaml", "3.6B", 11, WHOLE | {"optimizer": "adafactor", "fused_backward": True}),
}


def write_world(folder: pathlib.Path) -> None:
    """The networks and four described images; what is there already is left as it is."""
    folder.mkdir(exist_ok=True)
    for name, arch in (("3.6B", {}), ("1B", STAGE_C_1B)):
        path = folder / f"stage_c_{name.lower()}.safetensors"
        if not path.exists():
            full_stage_c.write(path, full_stage_c.shapes(arch))
    text = folder / "text"
    if not text.exists():
        new = folder / "text.new"
        shutil.copytree(ROOT / "models/clip-tokenizer", new, dirs_exist_ok=True)
        with torch.device("meta"):
            tower = clip_text.make(BIG_G)
        shapes = {key: list(tensor.shape) for key, tensor in tower.state_dict().items()}
        full_stage_c.write(new / "model.safetensors", shapes)
        (new / "config.json").write_text(json.dumps(BIG_G))
        new.rename(text)
    for name, make in (("effnet", lambda: effnet.EffNet(16)), ("previewer", previewer.Previewer)):
        path = folder / f"{name}.safetensors"
        if not path.exists():
            save_file({key: tensor.contiguous() for key, tensor in state(make()).items()}, path)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(1)
    for index in range(4):
        coarse = torch.randint(0, 256, (12, 12, 3), generator=generator, dtype=torch.uint8)
        image = Image.fromarray(coarse.numpy()).resize((800, 800), Image.Resampling.BICUBIC)
        image.save(data / f"{index}.png")
        (data / f"{index}.txt").write_text(f"an image of coloured squares, number {index}")


def words(run: Run, folder: pathlib.Path, files: pathlib.Path, command: str, updates: int) -> list[str]:
    keys = {
        "experiment_id": "run", "checkpoint_path": files / "runs", "output_path": files / "output",
        "webdataset_path": folder / "data", "dataset_filters": "null", "multi_aspect_ratio": "null",
        "effnet_checkpoint_path": folder / "effnet.safetensors",
        "previewer_checkpoint_path": folder / "previewer.safetensors",
        "generator_checkpoint_path": folder / f"stage_c_{run.model.lower()}.safetensors",
        "clip_text_model_name": folder / "text", "clip_image_model_name": "null", "wandb_project": "null",
        "batch_size": 1, "grad_accum_steps": 1, "image_size": 768, "preview_steps": 0, "shuffle_buffer": 1,
        "keep_last": 0, "gradient_checkpointing": True,
    }  # fmt: skip
    sets = [f"--set={key}={value}" for key, value in (keys | run.keys).items()]
    config = ROOT / "configs/training" / run.config
    return [command, run.recipe, str(config), *sets, "--threads", "1", f"--steps={updates}"]


def make_group(gigabytes: float) -> pathlib.Path:
    """A memory cgroup below this process's own."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        root = pathlib.Path("/sys/fs/cgroup/memory" if controllers == "memory" else "/sys/fs/cgroup")
        group = root / path.lstrip("/") / f"cascade-adapt-{os.getpid()}"
        limit = "memory.limit_in_bytes" if controllers == "memory" else "memory.max"
        if controllers not in ("", "memory") or not (root / path.lstrip("/") / "cgroup.procs").exists():
            continue
        try:
            group.mkdir()
            (group / limit).write_text(str(int(gigabytes * 1e9)))
            return group
        except OSError:
            if group.exists():
                group.rmdir()
    sys.exit("this machine lets no memory cgroup be made here")


def measure(call: list[str], group: pathlib.Path | None) -> tuple[float, str]:
    """The peak of one run in GB, and what it said where it failed."""
    with tempfile.TemporaryFile("w+") as errors:

        def enter() -> None:
            if group:
                (group / "cgroup.procs").write_text(str(os.getpid()))

        process = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=errors, preexec_fn=enter)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = "" if process.returncode == 0 else f"status {process.returncode}: {errors.read().strip()[-600:]}"
    return usage.ru_maxrss * 1024 / 1e9, said


def processor() -> str:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def write_page(results: dict[str, dict]) -> None:
    """Puts the table in the place of the one that the page has."""
    rows = ["| run | bar, GB | largest, GB | seconds an update | cgroup | processor | date |", "|---|---|---|---|---|---|---|"]
    for name in [name for run in RUNS for name in results if name.split(" in ")[0] == run]:
        found = results[name]
        group = f"{found['cgroup']:g} GB" if found["cgroup"] else ""
        bar = RUNS[name.split(" in ")[0]].bar
        rows.append(
            f"| {name.split(' in ')[0]} | {bar} | {found['peak']:.2f} | {found['seconds']:.0f} | {group} "
            f"| {found['processor']} | {found['date']} |"
        )
    above = PAGE.read_text().split("| run |")[0]
    PAGE.write_text(above + "\n".join(rows) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=str(ROOT / ".build/release/cascade-adapt"))
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / ".real")
    parser.add_argument("--only", action="append", choices=list(RUNS), help="a run to make; left out, all")
    parser.add_argument("--updates", type=int, default=3)
    parser.add_argument("--cgroup", type=float, help="GB that each run has at most, page cache included")
    parser.add_argument("--weights-only", action="store_true", help="write the weights and make no run")
    options = parser.parse_args()
    folder = options.folder.resolve()
    write_world(folder)
    if options.weights_only:
        return
    file = folder / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    failed = False
    for name in options.only or RUNS:
        run = RUNS[name]
        group = make_group(options.cgroup) if options.cgroup else None
        with tempfile.TemporaryDirectory(dir=folder) as files:
            try:
                call = words(run, folder, pathlib.Path(files), str(pathlib.Path(options.command).resolve()), options.updates)
                peak, said = measure(call, group)
            finally:
                if group:
                    group.rmdir()
            if said:
                failed = True
                print(f"{name}: FAILED at {peak:.2f} GB: {said}")
                continue
            lines = (pathlib.Path(files) / "output/run/metrics.jsonl").read_text().splitlines()
        # The first update compiles kernels and reads pages that the others find.
        seconds = [json.loads(line)["seconds"] for line in lines]
        results[name + (f" in {options.cgroup:g}" if group else "")] = {
            "peak": peak, "seconds": statistics.median(seconds[1:] or seconds), "cgroup": options.cgroup,
            "processor": processor(), "date": datetime.date.today().isoformat(),
        }  # fmt: skip
        file.write_text(json.dumps(results, indent=1))
        write_page(results)
        failed |= peak > run.bar
        print(f"{name}: {peak:.2f} GB of {run.bar}, updates of {', '.join(f'{second:.1f}' for second in seconds)} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
