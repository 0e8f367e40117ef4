"""Times our LoRA update and the peer's in alternation, and prints the ratios pair by pair: `make bench-lora`.

    python Tests/Peers/benches/bench_pairs.py --command .build/release/cascade-bench [--pairs 10] [--updates 1] [--threads 2]

Each program runs in a process of its own and reports seconds per update and its peak of RssAnon + RssShmem. The
peer's dtype is the faster of float32 and bfloat16 on this processor, found once. A speed above 1 means ours is faster; a
memory below 1 means ours is leaner."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

PEER = pathlib.Path(__file__).parent / "bench_lora.py"


def report(command: list[str]) -> dict:
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {run.returncode}: {run.stderr[-800:]}")
    return json.loads(run.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--command", default=".build/release/cascade-bench")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--updates", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="auto", help="of the peer: auto, float32 or bfloat16")
    options = parser.parse_args()

    common = ["--updates", str(options.updates), "--threads", str(options.threads)]
    ours = [options.command, "lora", *common]
    theirs = [sys.executable, str(PEER), *common]
    dtype = options.dtype
    if dtype == "auto":
        dtype = report([*theirs, "--dtype", "auto"])["dtype"]
    speeds, memories = [], []
    for number in range(options.pairs):
        a, b = report(ours), report([*theirs, "--dtype", dtype])
        speeds.append(b["seconds"] / a["seconds"])
        memories.append(a["peak_bytes"] / b["peak_bytes"])
        print(
            f"pair {number + 1}: ours {a['seconds']:.2f} s {a['peak_bytes'] / 1e9:.2f} GB, "
            f"peer ({dtype}) {b['seconds']:.2f} s {b['peak_bytes'] / 1e9:.2f} GB, "
            f"speed {speeds[-1]:.2f}, memory {memories[-1]:.2f}", flush=True)
    print(
        f"median of {options.pairs} pairs: speed {statistics.median(speeds):.2f} of the peer's, "
        f"memory {statistics.median(memories):.2f} of the peer's")


if __name__ == "__main__":
    main()
