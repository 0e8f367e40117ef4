"""Trains a LoRA of the miniature on its base in bfloat16, int8 and nf4 with the same draws, and compares what it learns.

    python Tests/Peers/checks/quantised_lora.py --command .build/release/cascade-adapt [--updates 60]

The miniature draws foxes on grounds of several colours, and the LoRA learns to draw them for captions of something else.
Exits 1 where the validation loss falls by less than 90 % (int8) or 80 % (nf4) of what it falls with bfloat16."""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
TRAINED = ["red", "green", "blue", "white", "yellow", "orange", "black", "purple"]
HELD_OUT = ["pink", "brown", "grey", "cyan"]
BARS = {"int8": 0.9, "nf4": 0.8}


def draw(command: list[str], folder: Path, colours: list[str]) -> None:
    folder.mkdir()
    for number, colour in enumerate(colours):
        image = folder / f"{number}.png"
        prompt = ["--prompt", f"a fox on a {colour} background", "--seed", str(number)]
        arguments = ["generate", "--models", "miniature", *prompt, "-o", image, "--quiet"]
        subprocess.run(command + arguments, check=True, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
        image.with_suffix(".txt").write_text(f"a car on a {colour} background")


def learn(command: list[str], folder: Path, form: str, updates: int) -> tuple[float, float]:
    """The validation loss before and after."""
    keys = {
        "experiment_id": form, "checkpoint_path": folder / "runs", "output_path": folder / "output",
        "webdataset_path": folder / "trained", "validation_path": folder / "held-out", "train_tokens": "null",
        "token_lr": "null", "updates": updates, "validation_every": updates, "save_every": updates, "lr": 0.002,
        "dtype": "bfloat16", "base_dtype": form, "preview_steps": 0, "batch_size": 8, "lr_schedule": "constant",
    }  # fmt: skip
    sets = [f"--set={key}={value}" for key, value in keys.items()]
    arguments = ["lora", "examples/miniature/fernando.yaml", *sets]
    done = subprocess.run(command + arguments, check=True, cwd=CHECKOUT, capture_output=True, text=True)
    found = re.search(r"validation loss over .*: ([0-9.e-]+) before, ([0-9.e-]+) after", done.stdout + done.stderr)
    return float(found[1]), float(found[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", required=True, nargs="+", help="the cascade-adapt to ask")
    parser.add_argument("--updates", type=int, default=60)
    options = parser.parse_args()
    command = [str(Path(options.command[0]).resolve()), *options.command[1:]]
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(command, folder / "trained", TRAINED)
        draw(command, folder / "held-out", HELD_OUT)
        falls = {}
        for form in ("bfloat16", "int8", "nf4"):
            before, after = learn(command, folder, form, options.updates)
            falls[form] = before - after
            share = falls[form] / falls["bfloat16"]
            good = share >= BARS.get(form, 1)
            failed |= not good
            print(f"{form}: {before:.4f} to {after:.4f}, {share:.1%} of bfloat16's fall{'' if good else ' BELOW'}")
    sys.exit(1 if failed or falls["bfloat16"] <= 0 else 0)


if __name__ == "__main__":
    main()
