"""The peer's LoRA update at 94 M parameters: diffusers' Stage C, peft, torch's fused AdamW. Prints one JSON line.

    python Tests/Peers/bench_lora.py [--threads 2] [--updates 10] [--dtype auto] [--checkpointing] [--device cpu]

Frozen base in the dtype asked for, float32 adapters of rank 4 on the attention's q, k, v and out, no dropout, batch 4
of 24x24 latents, 77 text tokens. `auto` times each dtype in a process of its own and takes the faster. Memory is the
peak of RssAnon + RssShmem over the updates, imports included, or the allocator's peak on CUDA."""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time

import torch

import diffuse
import lora
import stage_c

ARCH = {"c_hidden": [512, 512], "nhead": [8, 8], "c_cond": 512, "blocks": [[4, 8], [8, 4]]}
BATCH, SIDE, TOKENS, RANK = 4, 24, 77, 4


class ResidentMemory(threading.Thread):
    """Follows this process's RssAnon + RssShmem until stopped; `peak` is in bytes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.done = 0, threading.Event()

    def run(self):
        while not self.done.wait(0.005):
            self.look()

    def look(self):
        with open("/proc/self/status") as status:
            kilobytes = sum(int(line.split()[1]) for line in status if line.startswith(("RssAnon:", "RssShmem:")))
        self.peak = max(self.peak, kilobytes * 1024)

    def stop(self) -> int:
        self.done.set()
        self.join()
        self.look()
        return self.peak


def inputs(dtype: torch.dtype, device: str) -> dict[str, torch.Tensor]:
    """One batch of conditions, its noise and times; the noising itself is done in each update."""
    generator = torch.Generator().manual_seed(1)
    normal = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    given = {
        "x0": normal(BATCH, 16, SIDE, SIDE),
        "epsilon": normal(BATCH, 16, SIDE, SIDE),
        "t": torch.rand(BATCH, generator=generator),
    }
    conditions = {
        "clip_text": normal(BATCH, TOKENS, 1280),
        "clip_text_pooled": normal(BATCH, 1, 1280),
        "clip_img": normal(BATCH, 1, 768),
    }
    given = {key: tensor.to(device) for key, tensor in given.items()}
    return given | {key: tensor.to(device, dtype) for key, tensor in conditions.items()}


def measure(options: argparse.Namespace) -> dict:
    """Seconds per update (median after one to warm up) and the peak of memory."""
    if options.threads:
        torch.set_num_threads(options.threads)
    dtype, cuda = getattr(torch, options.dtype), options.device.startswith("cuda")
    torch.manual_seed(0)
    network = stage_c.make(ARCH).to(dtype).to(options.device)
    count = sum(parameter.numel() for parameter in network.parameters())
    layers = lora.attach(network, RANK, RANK, lora.ATTENTION)
    if options.checkpointing:
        network.enable_gradient_checkpointing()
    optimizer = torch.optim.AdamW(layers.values(), lr=1e-4, weight_decay=0.01, fused=True)
    given = inputs(dtype, options.device)

    def update() -> None:
        diffused = diffuse.diffuse({key: given[key] for key in ("x0", "epsilon", "t")}, {})
        prediction = stage_c.forward(
            network, given | {"x": diffused["noised"].to(dtype), "r": diffused["noise_cond"].to(dtype)}
        )
        diffuse.training_loss(prediction.float(), diffused).backward()
        torch.nn.utils.clip_grad_norm_(layers.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if cuda:
            torch.cuda.synchronize()

    memory = ResidentMemory()
    memory.start()
    seconds = []
    for _ in range(1 + options.updates):
        start = time.perf_counter()
        update()
        seconds.append(time.perf_counter() - start)
    resident = memory.stop()
    return {
        "peer": "diffusers + peft",
        "seconds": round(statistics.median(seconds[1:]), 4),
        "seconds_all": [round(value, 4) for value in seconds[1:]],
        "peak_bytes": torch.cuda.max_memory_allocated() if cuda else resident,
        "parameters": count,
        "trainable": sum(layer.numel() for layer in layers.values()),
        "dtype": options.dtype,
        "threads": torch.get_num_threads(),
        "device": options.device,
        "checkpointing": options.checkpointing,
        "torch": torch.__version__,
    }


def faster_dtype() -> str:
    """bfloat16 or float32, whichever makes two updates sooner on this machine."""
    seconds = {}
    for dtype in ("bfloat16", "float32"):
        trial = [sys.executable, __file__, *sys.argv[1:], "--dtype", dtype, "--updates", "2"]
        answer = subprocess.run(trial, check=True, capture_output=True, text=True).stdout
        seconds[dtype] = json.loads(answer.splitlines()[-1])["seconds"]
    print(f"seconds per update by dtype: {seconds}", file=sys.stderr)
    return min(seconds, key=seconds.get)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.dtype == "auto":
        options.dtype = faster_dtype()
    print(json.dumps(measure(options)))


if __name__ == "__main__":
    main()
