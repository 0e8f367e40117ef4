"""The peer's LoRA update at 94 M parameters: diffusers' Stage C, peft, torch's fused AdamW. Prints one JSON line.

    python Tests/Peers/benches/bench_lora.py [--threads 2] [--updates 10] [--dtype auto] [--batch 4] [--checkpointing]

Frozen base in the dtype asked for, float32 adapters of rank 4 on the attention's q, k, v and out, no dropout, 24x24
latents, 77 text tokens. `auto` times each dtype in a process of its own and takes the faster. Memory is the
peak of RssAnon + RssShmem over the updates, imports included, or the allocator's peak on CUDA."""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time

import torch

from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import diffuse
import lora
import stage_c

ARCH = {"c_hidden": [512, 512], "nhead": [8, 8], "c_cond": 512, "blocks": [[4, 8], [8, 4]]}
SIDE, TOKENS, RANK = 24, 77, 4


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


def inputs(batch: int, dtype: torch.dtype, device: str) -> dict[str, torch.Tensor]:
    """One batch of conditions, its noise and times; the noising itself is done in each update."""
    generator = torch.Generator().manual_seed(1)
    normal = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    given = {
        "x0": normal(batch, 16, SIDE, SIDE),
        "epsilon": normal(batch, 16, SIDE, SIDE),
        "t": torch.rand(batch, generator=generator),
    }
    conditions = {
        "clip_text": normal(batch, TOKENS, 1280),
        "clip_text_pooled": normal(batch, 1, 1280),
        "clip_img": normal(batch, 1, 768),
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
    given = inputs(options.batch, dtype, options.device)

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
        "batch": options.batch,
        "dtype": options.dtype,
        "threads": torch.get_num_threads(),
        "device": options.device,
        "checkpointing": options.checkpointing,
        "torch": torch.__version__,
    }


def faster_dtype() -> str:
    """float32, or bfloat16 where it makes an update of one sample sooner; given up once it has taken twice as long."""
    seconds, limit = {}, None
    for dtype in ("float32", "bfloat16"):
        trial = [sys.executable, __file__, *sys.argv[1:], "--dtype", dtype, "--batch", "1", "--updates", "1"]
        start = time.perf_counter()
        try:
            answer = subprocess.run(trial, check=True, capture_output=True, text=True, timeout=limit).stdout
        except subprocess.TimeoutExpired:
            break
        limit = 2 * (time.perf_counter() - start)
        seconds[dtype] = json.loads(answer.splitlines()[-1])["seconds"]
    print(f"seconds per update of one sample by dtype: {seconds}", file=sys.stderr)
    return min(seconds, key=seconds.get)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.dtype == "auto":
        options.dtype = faster_dtype()
    print(json.dumps(measure(options)))


if __name__ == "__main__":
    main()
