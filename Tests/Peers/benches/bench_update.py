"""The peers' updates: diffusers' networks, peft, torchvision's trunk, torch's fused AdamW. Prints one JSON line.

    python Tests/Peers/benches/bench_update.py lora|controlnet|stage-c|stage-b [--threads 2] [--updates 10] [--dtype float32]
        [--compile] [--checkpointing] [--large]

lora: a frozen Stage C in the dtype, float32 adapters of rank 4 on the attention's q, k, v and out, batch 4. controlnet: an
EfficientNetV2-S trunk, channels-last, with eight projections beside a frozen Stage C, batch 2, conditions of 768 pixels.
stage-c, stage-b: all weights in float32, batches of 4 and 2. Those with float32 weights compute under autocast where the dtype is
bfloat16. Stage C has 94 million parameters, with --large a billion, and 24 x 24 latents; Stage B 7 million, and 128 x 128.
No dropout, 77 text tokens. Memory is the peak of RssAnon + RssShmem over the updates, imports included, or the
allocator's peak on CUDA."""

import argparse
import contextlib
import json
import statistics
import sys
import threading
import time

import torch

from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import controlnet
import diffuse
import lora
import stage_b
import stage_c

ARCH = {"c_hidden": [512, 512], "nhead": [8, 8], "c_cond": 512, "blocks": [[4, 8], [8, 4]]}
LARGE = {"c_hidden": [1536, 1536], "nhead": [24, 24], "c_cond": 1536, "blocks": [[4, 12], [12, 4]]}
STAGE_B = {
    "c_cond": 256, "c_hidden": [64, 128, 256], "nhead": [-1, 4, 8], "blocks": [[1, 2, 3], [3, 2, 1]],
    "block_repeat": [[1, 1, 1], [1, 1, 1]], "level_config": ["CT", "CTA", "CTA"], "self_attn": [True, True, True],
    "c_clip": 128,
}  # fmt: skip
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


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=normal.generator)


normal.generator = torch.Generator().manual_seed(1)


def noise(count: int, channels: int, side: int, device: str) -> dict[str, torch.Tensor]:
    """Latents, their noise and times; the noising itself is done in each update."""
    given = {
        "x0": normal(count, channels, side, side), "epsilon": normal(count, channels, side, side),
        "t": torch.rand(count, generator=normal.generator),
    }  # fmt: skip
    return {key: tensor.to(device) for key, tensor in given.items()}


def stage_c_conditions(count: int, dtype: torch.dtype, device: str) -> dict[str, torch.Tensor]:
    conditions = {
        "clip_text": normal(count, TOKENS, 1280), "clip_text_pooled": normal(count, 1, 1280), "clip_img": normal(count, 1, 768)
    }  # fmt: skip
    return {key: tensor.to(device, dtype) for key, tensor in conditions.items()}


class Training:
    """What is trained: its networks, its trained parameters, and how noised latents become a prediction."""

    def __init__(self, what: str, options: argparse.Namespace) -> None:
        dtype, device = getattr(torch, options.dtype), options.device
        torch.manual_seed(0)
        # What a network with float32 weights computes in.
        self.precision = (
            torch.autocast(device.split(":")[0], torch.bfloat16)
            if what != "lora" and dtype == torch.bfloat16 else contextlib.nullcontext()
        )  # fmt: skip
        kept = dtype if what in ("lora", "controlnet") else torch.float32
        count = {"lora": 4, "controlnet": 2, "stage-c": 4, "stage-b": 2}[what]
        if what == "stage-b":
            self.network = stage_b.make(STAGE_B).to(device)
            self.noise = noise(count, 4, 128, device)
            self.given = {"clip": normal(count, 1, 128).to(device), "effnet": normal(count, 16, 16, 16).to(device)}
            forward = stage_b.forward
        else:
            self.network = stage_c.make(LARGE if options.large else ARCH).to(kept).to(device)
            self.noise = noise(count, 16, SIDE, device)
            self.given = stage_c_conditions(count, kept, device)
            forward = stage_c.forward
        self.networks = [self.network]
        if options.checkpointing:
            self.network.enable_gradient_checkpointing()
        self.trained = list(self.network.parameters())
        if what == "lora":
            self.trained = list(lora.attach(self.network, RANK, RANK, lora.ATTENTION).values())
        if what == "controlnet":
            self.network.requires_grad_(False)
            last = len(stage_c.block_widths(self.network)) - 1
            blocks = sorted(block for index in (0, 2, 4, 6) for block in (index, last - index))
            trunk = controlnet.ControlNet(1, self.network.config.block_out_channels[0], blocks).to(device)
            trunk = trunk.to(memory_format=torch.channels_last)
            self.networks.append(trunk)
            self.trained = list(trunk.parameters())
            image = normal(count, 1, 768, 768).to(device, memory_format=torch.channels_last)
            trunk = torch.compile(trunk) if options.compile else trunk
            self.given_now = lambda: trunk(image)
        else:
            self.given_now = dict
        self.dtype = kept
        network = torch.compile(self.network) if options.compile else self.network
        self.predict = lambda inputs: forward(network, inputs)

    def loss(self) -> torch.Tensor:
        diffused = diffuse.diffuse(self.noise, {})
        with self.precision:
            prediction = self.predict(
                self.given | self.given_now()
                | {"x": diffused["noised"].to(self.dtype), "r": diffused["noise_cond"].to(self.dtype)}
            )  # fmt: skip
        return diffuse.training_loss(prediction.float(), diffused)


def measure(options: argparse.Namespace) -> dict:
    """Seconds per update (median after the first ones) and the peak of memory."""
    if options.threads:
        torch.set_num_threads(options.threads)
    cuda = options.device.startswith("cuda")
    training = Training(options.what, options)
    count = sum(parameter.numel() for network in training.networks for parameter in network.parameters())
    optimizer = torch.optim.AdamW(training.trained, lr=1e-4, weight_decay=0.01, fused=True)

    def update() -> None:
        training.loss().backward()
        torch.nn.utils.clip_grad_norm_(training.trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if cuda:
            torch.cuda.synchronize()

    memory = ResidentMemory()
    memory.start()
    seconds = []
    for _ in range(2 + options.updates):
        start = time.perf_counter()
        update()
        seconds.append(time.perf_counter() - start)
    resident = memory.stop()
    return {
        "peer": "diffusers + peft" if options.what == "lora" else "diffusers",
        "seconds": round(statistics.median(seconds[2:]), 4),
        "seconds_all": [round(value, 4) for value in seconds[2:]],
        "peak_bytes": torch.cuda.max_memory_allocated() if cuda else resident,
        "parameters": count,
        "trainable": sum(parameter.numel() for parameter in training.trained),
        "dtype": options.dtype,
        "threads": torch.get_num_threads(),
        "device": options.device,
        "checkpointing": options.checkpointing,
        "compile": options.compile,
        "torch": torch.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("lora", "controlnet", "stage-c", "stage-b"))
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--compile", action="store_true", help="torch.compile the networks")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--large", action="store_true", help="Stage C of a billion parameters")
    parser.add_argument("--device", default="cpu")
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
