"""Trains each recipe with one batch size, cut into 1, 2, 4 and 8 parts, and compares the losses update by update.

    python Tests/Peers/checks/parts.py --command .build/release/cascade-adapt

In float32, with dropout, learned loss weights and aspect buckets on: losses have to agree within 1e-5."""

import argparse
import sys
import tempfile
from pathlib import Path

from runs import Runs

UPDATES, PARTS, TOLERANCE = 20, (1, 2, 4, 8), 1e-5
CHANCES = {
    "batch_size": 8, "dropout": 0.1, "caption_dropout": 0.2, "adaptive_loss_weight": "true", "offset_noise": 0.1,
    "multi_aspect_ratio": "[1/1,1/2,2/1]", "bucketeer_random_ratio": 0.3, "dtype": "float32", "validation_path": "null",
    "preview_steps": 0,
}  # fmt: skip
OWN = {"lora": {"lora_dropout": 0.2}}


def losses(runs: Runs, recipe: str, parts: int) -> list[float]:
    name = f"{recipe}-{parts}"
    settings = CHANCES | OWN.get(recipe, {}) | {"grad_accum_steps": parts}
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    runs.call(*runs.words(recipe, name, updates=UPDATES), *options)
    return [line["raw_loss"] for line in runs.metrics(name)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", required=True)
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(arguments.command, Path(folder))
        for recipe in ("lora", "controlnet", "finetune", "stage_b"):
            whole, *cut = (losses(runs, recipe, parts) for parts in PARTS)
            if len(whole) != UPDATES or len(set(whole)) != UPDATES:
                raise SystemExit(f"{recipe}: {len(set(whole))} different losses in {UPDATES} updates")
            for parts, others in zip(PARTS[1:], cut):
                worst = max(abs(a - b) / a for a, b in zip(whole, others, strict=True))
                failed += worst > TOLERANCE
                print(f"{recipe} in {parts} parts: losses of {UPDATES} updates differ by {worst:.1e} at most", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
