"""Times `merge` of a rank-16 LoRA into Stage C of 3.6B and PyTorch's way of doing it, in alternated pairs.

    python Tests/Peers/benches/bench_merge.py [--command .build/release/cascade-adapt] [--pairs 3] [--folder .bench]

The base (7.2 GB, random) and the LoRA are written by full_stage_c.py where they are missing. The peer loads with
load_file, adds in place, writes with save_file and syncs. Each run is a process of its own, caches warm; a speed above
1 means ours is faster. Processor time is user + system; memory is the peak of RssAnon + RssShmem."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent


def peer(base: str, lora: str, out: str) -> None:
    """What the user of PyTorch and safetensors would write."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(lora, "pt") as file:
        texts = file.metadata()
    scale = float(texts["alpha"]) / float(texts["rank"])
    weights, layers = load_file(base), load_file(lora)
    for key in [key for key in layers if key.endswith(".lora_down.weight")]:
        module = key.removesuffix(".lora_down.weight")
        change = scale * (layers[f"{module}.lora_up.weight"] @ layers[key])
        stem, name = module.rsplit(".", 1)
        if name in ("to_q", "to_k", "to_v"):
            weights[f"{stem}.in_proj_weight"].chunk(3)[("to_q", "to_k", "to_v").index(name)].add_(change)
        else:
            weights[f"{module}.weight"].add_(change)
    save_file(weights, out)
    with open(out, "rb") as file:
        os.fsync(file.fileno())


def measure(command: list[str]) -> dict:
    """Seconds on the clock and of the processors, and the peak of memory, of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while True:
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        try:
            with open(f"/proc/{process.pid}/status") as lines:
                kilobytes = [int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))]
            peak = max(peak, sum(kilobytes))
        except FileNotFoundError:
            pass
        time.sleep(0.01)
    if status:
        sys.exit(f"{' '.join(command)} ended with {status}")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "processor": usage.ru_utime + usage.ru_stime, "peak_bytes": peak * 1024}


def show(name: str, run: dict) -> str:
    return f"{name} {run['seconds']:.1f} s, {run['processor']:.1f} s of processors, {run['peak_bytes'] / 1e9:.2f} GB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", default=".build/release/cascade-adapt")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(".bench"))
    parser.add_argument("--base", type=pathlib.Path)
    parser.add_argument("--channelwise", action="store_true", help="the LoRA has the residual blocks' products too")
    parser.add_argument("--peer", nargs=3, metavar=("BASE", "LORA", "OUT"), help="run the peer alone, once")
    options = parser.parse_args()
    if options.peer:
        return peer(*options.peer)

    options.folder.mkdir(parents=True, exist_ok=True)
    base = options.base or options.folder / "stage_c_36b_bf16.safetensors"
    lora = options.folder / ("lora_channelwise.safetensors" if options.channelwise else "lora_attention.safetensors")
    wide = ["--channelwise"] if options.channelwise else []
    subprocess.run([sys.executable, HERE.parent / "peers/full_stage_c.py", base, "--lora", lora, *wide], check=True)
    outputs = [str(options.folder / name) for name in ("ours.safetensors", "peer.safetensors")]
    ours = [options.command, "merge", str(base), str(lora), "-o", outputs[0], "--quiet"]
    theirs = [sys.executable, __file__, "--peer", str(base), str(lora), outputs[1]]
    wall, processor, peaks = [], [], []
    for number in range(options.pairs):
        subprocess.run(["cat", str(base)], stdout=subprocess.DEVNULL, check=True)
        a = measure(ours)
        os.unlink(outputs[0])
        b = measure(theirs)
        os.unlink(outputs[1])
        wall.append(b["seconds"] / a["seconds"])
        processor.append(b["processor"] / a["processor"])
        peaks.append(a["peak_bytes"])
        print(
            f"pair {number + 1}: {show('ours', a)}; {show('peer', b)}; "
            f"speed {wall[-1]:.2f}, of processors {processor[-1]:.2f}", flush=True)
    print(json.dumps({
        "pairs": options.pairs, "speed": round(statistics.median(wall), 2),
        "processor_speed": round(statistics.median(processor), 2), "peak_bytes": max(peaks),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
