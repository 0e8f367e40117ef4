"""Times loading a full-size Stage C beside `safetensors.torch.load_file`, in alternation, and compares memory.

    python Tests/Peers/benches/bench_load.py FOLDER [--command .build/release/cascade-bench] [--pairs 7] [--size 3.6B]

Writes random bfloat16 weights in the reference's layout into FOLDER (3.6B: 7.2 GB), unless they lie there already, and
removes what it wrote. Each
load has a process of its own and a warm cache. Times are given as it is (`load`: nothing is read that nobody asks for)
and with every tensor summed (`touch`); memory is the peak of RssAnon + RssShmem, without the pages of mapped files."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import torch
from safetensors.torch import load_file, save_file

from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import stage_c
from bench_update import ResidentMemory

SIZES = {
    "3.6B": {},
    "1B": {"c_cond": 1536, "c_hidden": [1536, 1536], "nhead": [24, 24], "blocks": [[4, 12], [12, 4]]},
}


def write(path: pathlib.Path, size: str) -> None:
    with torch.device("meta"):
        network = stage_c.make(SIZES[size])
    generator = torch.Generator().manual_seed(1)
    shapes = {}
    for key, tensor in network.state_dict().items():
        if ".attention.to_q." in key:
            shapes[key.replace("to_q.", "attn.in_proj_")] = (3 * tensor.shape[0], *tensor.shape[1:])
        elif ".attention.to_out.0." in key:
            shapes[key.replace("to_out.0", "attn.out_proj")] = tuple(tensor.shape)
        elif not any(f".attention.to_{part}." in key for part in "kv"):
            shapes[key] = tuple(tensor.shape)
    save_file(
        {key: torch.empty(shape, dtype=torch.bfloat16).normal_(generator=generator) for key, shape in shapes.items()},
        path,
    )


def peer(path: str, touch: bool, threads: int) -> dict:
    torch.set_num_threads(threads)
    torch.ones(1).sum()
    memory = ResidentMemory()
    memory.start()
    start = time.perf_counter()
    tensors = load_file(path)
    if touch:
        for tensor in tensors.values():
            tensor.sum().item()
    return {"seconds": time.perf_counter() - start, "peak_bytes": memory.stop(), "tensors": len(tensors)}


def report(command: list[str]) -> dict:
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {run.returncode}: {run.stderr[-800:]}")
    return json.loads(run.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--command", default=".build/release/cascade-bench")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--size", choices=SIZES, default="3.6B")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", action="store_true", help="load FOLDER, a file, once in this process")
    parser.add_argument("--touch", action="store_true")
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(peer(str(options.folder), options.touch, options.threads)))
        return
    path = options.folder / f"stage_c_{options.size}.safetensors"
    options.folder.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    try:
        if is_new:
            write(path, options.size)
        size = path.stat().st_size
        subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)  # warms the cache
        threads = ["--threads", str(options.threads)]
        for name, flags in (("load", []), ("touch", ["--touch"])):
            rows = []
            for _ in range(options.pairs):
                ours = report([options.command, "load", str(path), *threads, *flags])
                theirs = report([sys.executable, __file__, str(path), "--peer", *threads, *flags])
                assert ours["tensors"] == theirs["tensors"]
                rows.append((ours, theirs))
            for number, who in enumerate(("ours", "load_file")):
                seconds = statistics.median(row[number]["seconds"] for row in rows)
                memory = max(row[number]["peak_bytes"] for row in rows)
                print(
                    f"{name}: {who} {seconds:.4f} s (median of {options.pairs}), peak {memory / 1e9:.3f} GB, "
                    f"{memory / size:.3f} of the file's {size / 1e9:.2f} GB", flush=True)
    finally:
        if is_new:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
