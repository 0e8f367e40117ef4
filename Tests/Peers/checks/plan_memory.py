"""Holds what `plan` says of memory against what a run takes: cases from the tiny sizes to 3.6B, and of the miniature those
where a preview or the validation loss takes the most, each within 10 %.

    python Tests/Peers/checks/plan_memory.py --command .build/release/cascade-adapt [--only NAME]... [--real FOLDER]

Measured is VmHWM, the most that was resident at once, pages of mapped files and libraries among them; planned is
`memory.bytes` of `plan --json`. FOLDER has weights of the real layout: stage_c_3.6b.safetensors, effnet.safetensors,
previewer.safetensors, and text, a folder with a bigG text encoder; without it the cases of the real size are left out. Those take minutes and up to 12 GB."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import full_stage_c
from runs import ROOT, Runs

WITHIN = 10

# Stage C of 94 million parameters beside the drawn networks, and Stage B of 13 million.
MIDDLE = {
    "c_r": 64, "c_cond": 512, "c_hidden": [512, 512], "nhead": [8, 8], "blocks": [[4, 8], [8, 4]],
    "c_clip_text": 128, "c_clip_text_pooled": 128, "c_clip_img": 64,
}  # fmt: skip
STAGE_B = {
    "stage": "b", "c_r": 16, "c_cond": 128, "c_hidden": [64, 128, 256, 256], "nhead": [-1, -1, 4, 4],
    "blocks": [[1, 2, 4, 2], [2, 4, 2, 1]], "block_repeat": [[1, 1, 1, 1], [2, 2, 1, 1]],
    "level_config": ["CT", "CT", "CTA", "CTA"], "c_clip": 128, "c_clip_seq": 1,
}  # fmt: skip

ADAPTED = "module_filters: ['.attn']\nrank: 16\n"
CONTROLLED = "controlnet_blocks: [0, 3]\ncontrolnet_filter: CannyFilter\n"
MIDDLE_BASE = "model_version: middle.json\ngenerator_checkpoint_path: middle.safetensors\n"
BFLOAT16 = "dtype: bfloat16\n"
TINY_BASE = "model_version: tiny\ngenerator_checkpoint_path: base/checkpoints/base/generator.safetensors\n"
REAL_BASE = "model_version: 3.6B\ngenerator_checkpoint_path: {real}/stage_c_3.6b.safetensors\n"
CHECKPOINTING = "gradient_checkpointing: true\n"

MINIATURE = ROOT / "examples/miniature"
# One sample an update, and four that are shown, or sixteen that are measured.
LOOKING = (
    f"model_version: miniature\ngenerator_checkpoint_path: {MINIATURE}/stage_c.safetensors\n"
    f"effnet_checkpoint_path: {MINIATURE}/effnet.safetensors\n"
    f"previewer_checkpoint_path: {MINIATURE}/previewer.safetensors\nclip_text_model_name: {MINIATURE}/clip-text\n"
    "batch_size: 1\nupdates: 1\nsave_every: 1\n" + CHECKPOINTING
)
SHOWN = LOOKING + "image_size: 768\npreview_steps: 2\n"
MEASURED = LOOKING + "image_size: 512\nvalidation_path: data.tar\nvalidation_triples: 16\n"
EDGES = "controlnet_blocks: [0, 1, 4, 5]\ncontrolnet_filter: CannyFilter\n"

# By name: the command and the keys that differ.
CASES = {
    "tiny-lora": ("lora", TINY_BASE + ADAPTED + "image_size: 256\nbatch_size: 4\n"),
    "tiny-controlnet": ("controlnet", TINY_BASE + CONTROLLED + "image_size: 256\n"),
    "tiny-finetune": ("finetune", "model_version: tiny\nimage_size: 512\nbatch_size: 8\nema_start_iters: 0\nema_iters: 1\n"),
    "stage-b": ("finetune", "model_version: stage_b_middle.json\nimage_size: 256\nbatch_size: 1\n"),
    "middle-lora": ("lora", MIDDLE_BASE + ADAPTED + BFLOAT16 + "image_size: 512\nbatch_size: 4\n"),
    "middle-finetune": (
        "finetune",
        MIDDLE_BASE + CHECKPOINTING
        + "image_size: 512\nbatch_size: 4\noptimizer: adafactor\nweights_dtype: bfloat16\nfused_backward: true\n",
    ),
    "preview-lora": ("lora", SHOWN + ADAPTED),
    "preview-size": ("lora", SHOWN + ADAPTED + "preview_prompts: [{prompt: a dog, size: [1024, 1024]}]\n"),
    "preview-controlnet": ("controlnet", SHOWN + EDGES),
    "preview-finetune": ("finetune", SHOWN),
    "preview-stage-b": (
        "finetune",
        "model_version: stage_b_middle.json\nimage_size: 256\nbatch_size: 1\nsave_every: 3\npreview_steps: 2\n",
    ),
    "validation-lora": ("lora", MEASURED + ADAPTED),
    "validation-controlnet": ("controlnet", MEASURED + EDGES),
    "real-lora-nf4": (
        "lora", REAL_BASE + ADAPTED + BFLOAT16 + CHECKPOINTING + "base_dtype: nf4\nimage_size: 768\nbatch_size: 1\n",
    ),
    "real-controlnet": (
        "controlnet",
        REAL_BASE + BFLOAT16 + CHECKPOINTING + "controlnet_blocks: [0, 4, 8, 12, 51, 55, 59, 63]\n"
        "controlnet_filter: CannyFilter\nimage_size: 768\nbatch_size: 1\n",
    ),
}  # fmt: skip

COMMON = """
experiment_id: run
checkpoint_path: {run}/checkpoints
output_path: {run}/output
lr: 1.0e-4
batch_size: 2
updates: 3
warmup_updates: 1
save_every: 100
backup_every: 100
webdataset_path: data.tar
shuffle_buffer: 8
data_workers: 1
preview_steps: 0
clip_image_model_name: null
effnet_checkpoint_path: models/effnet_encoder.safetensors
previewer_checkpoint_path: models/previewer.safetensors
clip_text_model_name: models/clip-text
"""

REAL = {
    "effnet_checkpoint_path": "effnet.safetensors", "previewer_checkpoint_path": "previewer.safetensors",
    "clip_text_model_name": "text",
}  # fmt: skip


def peak(process: subprocess.Popen) -> int:
    """Bytes that a process had resident at once, at most; looked at until it ends."""
    status, seen = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                seen = 1024 * int(line.split()[1])
        time.sleep(0.05)
    return seen


def configuration(name: str, keys: str, runs: Runs, real: Path | None) -> str:
    """Writes the configuration of a case, its own keys in the place of the common ones."""
    lines = dict(line.split(": ", 1) for line in COMMON.format(run=name).strip().splitlines())
    if "stage_b" in keys:
        del lines["previewer_checkpoint_path"], lines["clip_image_model_name"]
        lines["stage_a_checkpoint_path"] = "models/stage_a.safetensors"
    if "{real}" in keys:
        lines |= {key: f"{real}/{file}" for key, file in REAL.items()}
    lines |= dict(line.split(": ", 1) for line in keys.replace("{real}", str(real)).strip().splitlines())
    path = f"{name}.yaml"
    (runs.folder / path).write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
    return path


def compared(name: str, runs: Runs, real: Path | None, more: list[str]) -> tuple[int, int, dict]:
    """Planned and measured bytes of a case, and what the plan is made of."""
    command, keys = CASES[name]
    path = configuration(name, keys, runs, real)
    words = [runs.command, "plan", path, "--json", "--quiet", *more]
    done = subprocess.run(words, cwd=runs.folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name}: plan: {done.stderr}")
    memory = json.loads(done.stdout)["memory"]
    process = subprocess.Popen(
        [runs.command, command, path, "--quiet", "--threads", "1", *more], cwd=runs.folder, stdout=subprocess.DEVNULL
    )
    measured = peak(process)
    if process.returncode != 0:
        sys.exit(f"{name}: status {process.returncode}")
    return memory["bytes"], measured, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=".build/release/cascade-adapt")
    parser.add_argument("--only", choices=list(CASES), action="append")
    parser.add_argument("--real", type=Path, help="a folder with weights of the real layout")
    parser.add_argument("--parts", action="store_true", help="say what each plan is made of")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, for all cases")
    arguments = parser.parse_args()
    real = arguments.real and arguments.real.resolve()
    more = [word for change in arguments.set for word in ("--set", change)]
    far = []
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(arguments.command, Path(folder))
        (runs.folder / "middle.json").write_text(json.dumps(MIDDLE))
        (runs.folder / "stage_b_middle.json").write_text(json.dumps(STAGE_B))
        full_stage_c.write(runs.folder / "middle.safetensors", full_stage_c.shapes(MIDDLE))
        for name in arguments.only or CASES:
            if "{real}" in CASES[name][1] and real is None:
                continue
            planned, measured, memory = compared(name, runs, real, more)
            off = 100 * (planned / measured - 1)
            print(f"{name}: planned {planned / 1e6:.0f} MB, measured {measured / 1e6:.0f} MB, {off:+.1f} %", flush=True)
            if arguments.parts:
                for part in memory["parts"]:
                    print(f"    {part['name']}: {part['bytes'] / 1e6:.1f}{' mapped' if part['mapped'] else ''}")
            if abs(off) > WITHIN:
                far.append(name)
    if far:
        sys.exit(f"more than {WITHIN} % off: {', '.join(far)}")


if __name__ == "__main__":
    main()
