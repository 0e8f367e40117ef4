"""Measures how well the miniature draws and how well adapters learn on it: `make quality`.

    python examples/miniature/quality/measure.py [--models examples/miniature] [--data .miniature/data]
        [--folder .miniature/quality] [--report docs/quality.md] [--command .build/release/cascade-adapt]

FOLDER keeps what is made: a measurement that was interrupted goes on. Where the weights are others than those that it
was made with, all is made again. Its report.html shows grids and numbers; docs/quality.md gets the numbers."""

import argparse
import concurrent.futures
import hashlib
import pathlib
import shutil
import subprocess
import time

import base
import concepts
import control
import encoder
import judge
import page
import table
from program import Program

# So many programs run side by side, each on one thread.
WORKERS = 2
DRAWING = pathlib.Path(__file__).parents[1] / "data" / "make.py"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--models", type=pathlib.Path, default="examples/miniature")
    words.add_argument("--data", type=pathlib.Path, default=".miniature/data")
    words.add_argument("--folder", type=pathlib.Path, default=".miniature/quality")
    words.add_argument("--report", type=pathlib.Path, default="docs/quality.md")
    words.add_argument("--command", default=".build/release/cascade-adapt")
    options = words.parse_args()
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {text}", flush=True)

    is_resumed = not start_anew_for_other_weights(options.models, options.folder)
    parts = ("train", "tuning", "judging", "pairs", "seen", "concepts", "judge")
    images = ("--images", str(control.IMAGES))
    subprocess.run(["/usr/bin/python3", DRAWING, options.data, "--parts", *parts, *images], check=True)
    program, folder = Program(options.command, options.models), options.folder
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        # It takes longest and needs no judge.
        adapter = pool.submit(control.trained, program, options.data, folder / "control")
        own, accuracy = judge.ready(program, options.data, folder / "judge")
        tell(f"the judge knows {accuracy:.2f} of held-out reconstructions")
        figures = {"judge": accuracy, "encoder": encoder.measure(program, options.data, folder / "encoder")}
        figures["base"] = base.measure(program, options.data, own, folder / "base")
        guidance = figures["base"]["guidance"]
        tell(f"the base is measured, guidance {guidance}")
        figures["concepts"] = concepts.measure(program, options.data, own, guidance, folder / "concepts", pool)
        tell("tokens are measured")
        figures["control"] = control.measure(program, options.data, adapter.result(), folder / "control", pool)
    page.write(folder / "report.html", figures)
    table.write(options.report, figures, processor(), time.monotonic() - began, is_resumed)
    tell(f"done: {folder / 'report.html'} and {options.report}")
    for row in table.rows(figures):
        print("  ".join(row))


def start_anew_for_other_weights(models: pathlib.Path, folder: pathlib.Path) -> bool:
    """Removes what was made with other weights than those that are there; tells whether that leaves nothing."""
    is_new = True
    images = [models / "effnet.safetensors", models / "previewer.safetensors"]
    for part, files in (
        ("judge", images),
        ("encoder", images),
        *((part, sorted(models.rglob("*.safetensors"))) for part in ("base", "concepts", "control")),
    ):
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
        kept = folder / part / "weights.sha256"
        if not kept.exists() or kept.read_text() != digest:
            shutil.rmtree(folder / part, ignore_errors=True)
            (folder / part).mkdir(parents=True)
            kept.write_text(digest)
        else:
            is_new = False
    return is_new


def processor() -> str:
    """Cores and name of the processor."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return f"{len(names)} cores of {names[0]}" if names else "an unknown processor"


if __name__ == "__main__":
    main()
