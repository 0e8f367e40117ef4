"""Steps of the peers' optimizers over 50 million parameters, each after clip_grad_norm_; prints one JSON line.

    python Tests/Peers/benches/bench_optimizers.py adamw|adamw_foreach|adamw_fused|adamw_8bit|adafactor|prodigy [--threads 2]
    python Tests/Peers/benches/bench_optimizers.py --command .build/release/cascade-bench [--pairs 3]

The second times every optimizer of ours beside its peer's in alternation: `make bench-optimizers`. The peer of AdamW is
the fastest of its three forms. Both have the same shapes, parameters and gradients in float32."""

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch

SHAPES = [(2048, 2048), (2048,), (2048,)] * 12
# Ours, and the peers that do the same.
PEERS = {
    "adamw": ["adamw", "adamw_foreach", "adamw_fused"],
    "adamw_8bit": ["adamw_8bit"],
    "adafactor": ["adafactor"],
    "prodigy": ["prodigy"],
}


def make(name: str, parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
    groups = [
        {"params": [tensor for tensor in parameters if tensor.ndim > 1], "weight_decay": 0.01},
        {"params": [tensor for tensor in parameters if tensor.ndim <= 1], "weight_decay": 0.0},
    ]
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=1e-4)
    if name in ("adamw_foreach", "adamw_fused"):
        return torch.optim.AdamW(groups, lr=1e-4, **{name.removeprefix("adamw_"): True})
    if name == "adamw_8bit":
        import bitsandbytes

        return bitsandbytes.optim.AdamW8bit(groups, lr=1e-4)
    if name == "adafactor":
        import transformers

        return transformers.Adafactor(groups, lr=1e-4, relative_step=False, scale_parameter=False)
    import prodigyopt

    return prodigyopt.Prodigy(groups, lr=1e-4)


def time_peer(name: str, steps: int) -> float:
    """Seconds of a step, the median."""
    generator = torch.Generator().manual_seed(1)
    parameters = [torch.randn(shape, generator=generator).requires_grad_() for shape in SHAPES]
    gradients = [torch.randn(shape, generator=generator) * 0.01 for shape in SHAPES]
    optimizer = make(name, parameters)
    seconds = []
    for index in range(steps + 2):
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient.clone()
        began = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if index >= 2:
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def compare(command: str, pairs: int, more: list[str]) -> None:
    """Each program in a process of its own."""

    def seconds(words: list[str]) -> float:
        run = subprocess.run([*words, *more], capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"{' '.join(words)} ended with {run.returncode}: {run.stderr[-800:]}")
        return json.loads(run.stdout.splitlines()[-1])["seconds"]

    for ours, peers in PEERS.items():
        taken = [
            (seconds([command, "optimizer", ours]), min(seconds([sys.executable, __file__, peer]) for peer in peers))
            for _ in range(pairs)
        ]
        mine, theirs = (statistics.median(column) for column in zip(*taken))
        speed = statistics.median(peer / own for own, peer in taken)
        print(f"{ours}: ours {mine:.4f} s, peer {theirs:.4f} s, speed {speed:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("optimizer", nargs="?")
    parser.add_argument("--command", help="cascade-bench, to be timed beside the peers")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--steps", type=int, default=9)
    options = parser.parse_args()
    if options.command:
        threads = ["--threads", str(options.threads)] if options.threads else []
        return compare(options.command, options.pairs, [*threads, "--steps", str(options.steps)])
    if not options.optimizer:
        parser.error("an optimizer, or --command")
    if options.threads:
        torch.set_num_threads(options.threads)
    figures = {"what": "optimizer step, peer", "optimizer": options.optimizer, "threads": torch.get_num_threads()}
    print(json.dumps(figures | {"seconds": time_peer(options.optimizer, options.steps)}))


if __name__ == "__main__":
    main()
