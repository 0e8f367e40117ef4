"""Kills training runs with SIGKILL at random moments, several times each, and resumes them: the files they end with
have to be those of a run that nobody killed, byte for byte.

    python Tests/Peers/checks/kills.py --command .build/release/cascade-adapt

Every moment counts, that of loading and that of a save too: the moments are drawn evenly from the time that a whole run
takes, so the same script run with another --seed kills elsewhere."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from runs import OWN, Runs


def kill_and_resume(runs: Runs, words: list[str], kills: int, seconds: float, draw: random.Random) -> list[int]:
    """Starts a run, kills it so many times, then lets it end. Gives how many updates were logged at each kill."""
    metrics = runs.output(Path(words[1]).stem.replace("-", "/")) / "metrics.jsonl"
    logged = []
    for _ in range(kills):
        process = runs.start(words)
        time.sleep(draw.uniform(0, seconds))
        process.kill()
        process.wait()
        logged.append(metrics.read_bytes().count(b"\n") if metrics.exists() else 0)
    done = runs.finish(words)
    if done.returncode != 0:
        sys.exit(f"{words}: {done.stderr}")
    if "passed over" in done.stderr:
        sys.exit(f"{words}: a checkpoint was damaged: {done.stderr}")
    return logged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=".build/release/cascade-adapt")
    parser.add_argument("--runs", type=int, default=30, help="runs that are killed, of all recipes together")
    parser.add_argument("--kills", type=int, default=4, help="kills of each run at most, at least two")
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    wrong = total = 0
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(arguments.command, Path(folder))
        seconds = {}
        for recipe in OWN:
            began = time.monotonic()
            done = runs.finish(runs.words(recipe, f"{recipe}/whole", arguments.updates))
            if done.returncode != 0:
                sys.exit(f"{recipe}: {done.stderr}")
            seconds[recipe] = time.monotonic() - began
            print(f"{recipe}: {arguments.updates} updates in {seconds[recipe]:.1f} s")
        for number in range(arguments.runs):
            recipe = list(OWN)[number % len(OWN)]
            run = f"{recipe}/killed{number}"
            kills = draw.randint(2, max(2, arguments.kills))
            words = runs.words(recipe, run, arguments.updates)
            logged = kill_and_resume(runs, words, kills, seconds[recipe], draw)
            differences = runs.differences(recipe, f"{recipe}/whole", run)
            total += kills
            wrong += bool(differences)
            print(f"{run}: killed after {logged} updates: {'WRONG: ' + ', '.join(differences) if differences else 'same'}")
    if wrong:
        sys.exit(f"{wrong} of {arguments.runs} runs ended with other files")
    print(f"{arguments.runs} runs, {total} kills: all as if nobody had killed them")


if __name__ == "__main__":
    main()
