"""Watches the memory of long tiny runs of every recipe: once a run has done its first hundred updates, the last quarter
of the others has to do with what the first quarter had.

    python Tests/Peers/checks/memory.py --command .build/release/cascade-adapt

A hundred's memory is the median over its updates, so what a preview takes for a moment does not count, but what stays
of it does. Validation losses, previews, reports and checkpoints all come within the first hundred, for what a thing costs
once is no growth: libtorch keeps what it compiled for shapes that it meets. Quarters and not single hundreds are
compared because holes between blocks move memory up and down by some percent from hundred to hundred."""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from runs import OWN, Runs

OFTEN = """
save_every: 50
validation_every: 25
cache_in_memory: true
"""


def resident(process: int) -> float:
    """MB in memory, without what is mapped from files; 0 of a process that has ended."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def watch(runs: Runs, recipe: str, updates: int) -> list[float]:
    """MB in memory, by hundreds of updates."""
    run = f"{recipe}/long"
    words = runs.words(recipe, run, updates)
    path = runs.folder / words[1]
    path.write_text(path.read_text().replace("save_every: 4\n", OFTEN))
    process = runs.start(words)
    metrics = runs.output(run) / "metrics.jsonl"
    seen: list[list[float]] = [[] for _ in range(updates // 100)]
    lines, done = None, 0
    while process.poll() is None:
        if lines is None and metrics.exists():
            lines = metrics.open("rb")
        if lines is not None:
            done += lines.read().count(b"\n")
        size = resident(process.pid)
        if size > 0 and 0 < done < 100 * len(seen):
            seen[done // 100].append(size)
        time.sleep(0.02)
    if process.returncode != 0:
        sys.exit(f"{recipe}: status {process.returncode}")
    return [statistics.median(sizes) for sizes in seen]


def growth(sizes: list[float]) -> float:
    """Percent that the last quarter has more than the first, the first hundred left out."""
    rest = sizes[1:]
    quarter = max(1, len(rest) // 4)
    return 100 * (statistics.median(rest[-quarter:]) / statistics.median(rest[:quarter]) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=".build/release/cascade-adapt")
    parser.add_argument("--updates", type=int, default=2000, help="at least 300")
    parser.add_argument("--recipe", choices=list(OWN), action="append")
    parser.add_argument("--growth", type=float, default=2, help="percent that the last quarter may have more")
    arguments = parser.parse_args()
    if arguments.updates < 300:
        parser.error("nothing can grow in fewer than 300 updates")
    grown = []
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(arguments.command, Path(folder))
        for recipe in arguments.recipe or OWN:
            sizes = watch(runs, recipe, arguments.updates)
            more = growth(sizes)
            print(f"{recipe}: {more:+.2f} %, MB by hundreds of updates: {' '.join(f'{size:.1f}' for size in sizes)}")
            if more > arguments.growth:
                grown.append(recipe)
    if grown:
        sys.exit(f"memory grows: {', '.join(grown)}")
    print("memory stays as it is")


if __name__ == "__main__":
    main()
