"""Lets the disk fill while a training run saves: the last checkpoint has to stay whole, the error has to say what
happened, the status has to be 1, and with room again the run has to end as one that always had it.

    sudo python Tests/Peers/checks/full_disk.py --command .build/release/cascade-adapt

It mounts a small tmpfs, so only root can run it; anybody else is told so."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from runs import OWN, Runs


def mounted(folder: Path, size: str) -> bool:
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(words, capture_output=True).returncode == 0


def remount(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def used(folder: Path) -> int:
    facts = os.statvfs(folder)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def starve(runs: Runs, recipe: str, updates: int) -> list[str]:
    """Trains half, takes the room for another checkpoint away, and gives it back. Gives what went wrong."""
    run = f"{recipe}/starved"
    disk = runs.folder / run / "checkpoints"
    disk.mkdir(parents=True)
    if not mounted(disk, "1g"):
        raise PermissionError
    try:
        words = runs.words(recipe, run, updates)
        half = runs.finish([*words, "--steps", str(updates // 2)])
        before = content(runs.checkpoints(run))
        # Half of what a checkpoint takes is left.
        weights = sum(len(data) for name, data in before.items() if name.endswith(".safetensors"))
        remount(disk, used(disk) + weights // 2)
        failed = runs.finish(words)
        after = content(runs.checkpoints(run))
        wrong = [] if half.returncode == 0 else [half.stderr]
        if failed.returncode != 1 or failed.stderr.count("error:") != 1 or "No space left" not in failed.stderr:
            wrong.append(f"status {failed.returncode}: {failed.stderr}")
        if "is as it was" not in failed.stderr:
            wrong.append("the error does not say that a checkpoint stands")
        if after != before:
            wrong.append(f"the checkpoints changed: {sorted(before)} to {sorted(after)}")
        remount(disk, 1 << 30)
        again = runs.finish(words)
        if again.returncode != 0 or f"resumed at update {updates // 2}" not in again.stderr:
            wrong.append(f"status {again.returncode}: {again.stderr}")
        print(f"{recipe}: {failed.stderr.splitlines()[-2]}")
        return wrong + runs.differences(recipe, f"{recipe}/whole", run)
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=".build/release/cascade-adapt")
    arguments = parser.parse_args()
    updates = 16
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(arguments.command, Path(folder))
        for recipe in OWN:
            done = runs.finish(runs.words(recipe, f"{recipe}/whole", updates))
            if done.returncode != 0:
                sys.exit(done.stderr)
            try:
                wrong += starve(runs, recipe, updates)
            except PermissionError:
                print("left out: only root can mount a small disk")
                return
    if wrong:
        sys.exit("\n".join(["not as it should be:", *wrong]))
    print("each run kept its last checkpoint and went on from it")


if __name__ == "__main__":
    main()
