"""Watches the memory of a long tiny run: what it has after its first hundred updates is what it has to have at the end.

    python Tests/Peers/memory.py --command .build/release/cascade-adapt"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from runs import OWN, Runs


def resident(process: int) -> float:
    """MB in memory, without what is mapped from files."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def watch(runs: Runs, recipe: str, updates: int) -> list[tuple[int, float]]:
    """Memory by updates done, about every hundred."""
    run = f"{recipe}/long"
    more = "save_every: 500\nvalidation_every: 250\ncache_in_memory: true\n"
    words = runs.words(recipe, run, updates)
    path = runs.folder / words[1]
    path.write_text(path.read_text().replace("save_every: 4\n", more))
    process = runs.start(words)
    metrics = runs.output(run) / "metrics.jsonl"
    seen: list[tuple[int, float]] = []
    while process.poll() is None:
        done = metrics.read_bytes().count(b"\n") if metrics.exists() else 0
        if done >= (seen[-1][0] if seen else 0) + 100:
            try:
                seen.append((done, resident(process.pid)))
            except (FileNotFoundError, ProcessLookupError):
                break
        time.sleep(0.02)
    if process.wait() != 0:
        sys.exit(f"{recipe}: status {process.returncode}")
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=".build/release/cascade-adapt")
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--recipe", choices=list(OWN), action="append")
    parser.add_argument("--growth", type=float, default=8, help="MB that the end may have more than a hundredth update")
    arguments = parser.parse_args()
    grown = []
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(arguments.command, Path(folder))
        for recipe in arguments.recipe or OWN:
            seen = watch(runs, recipe, arguments.updates)
            (first, early), (last, late) = seen[0], seen[-1]
            line = ", ".join(f"{done}: {size:.1f}" for done, size in seen[:: max(1, len(seen) // 8)])
            print(f"{recipe}: {early:.1f} MB at {first}, {late:.1f} MB at {last} ({line})")
            if late > early + arguments.growth:
                grown.append(recipe)
    if grown:
        sys.exit(f"memory grows: {', '.join(grown)}")
    print("memory stays as it is")


if __name__ == "__main__":
    main()
