"""Writes optimizers.safetensors: fifty updates of five parameters by each optimizer, and schedules of the rate.

Peers: torch 2.15.0 (AdamW, clipping, schedules), transformers 5.23.0 (Adafactor, the schedule with restarts),
prodigyopt 1.1.2, bitsandbytes 0.50.2 on the CPU; AdamW with eight bits also as written down in Peers/peers/adamw_8bit.py.

    python3 Tests/Goldens/write_optimizers.py

Parameters begin as `start.NAME`. Update t, from 1, has the gradient noise.NAME[(t - 1) % 3] * factor[t - 1]
+ 0.1 * parameter, where noise is large in some rows and tiny in others, and the rate lr[t - 1]. Matrix and kernel decay
by 0.1, the others do not. Gradients are clipped to the norm 1 except for eight bits; for `bitsandbytes` the matrix'
noise is divided by each row's mean magnitude. After fifty updates the parameters
are `CASE.NAME`."""

import math
import sys
from importlib.metadata import version
from pathlib import Path

import bitsandbytes
import prodigyopt
import torch
import transformers
from safetensors.torch import save

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import adamw_8bit
import golden

UPDATES, WARMUP = 50, 8
DECAYED = {"matrix": (41, 101), "kernel": (6, 5, 3, 3)}
SHAPES = DECAYED | {"vector": (33,), "row": (1, 7), "scalar": ()}


def problem() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(601)
    tensors = {}
    for name, shape in SHAPES.items():
        tensors[f"start.{name}"] = torch.randn(shape, generator=generator)
        rows = shape[:1] + (1,) * (len(shape) - 1)
        magnitude = 10 ** (torch.rand((3, *rows), generator=generator) * 4 - 3)
        tensors[f"noise.{name}"] = torch.randn((3, *shape), generator=generator) * magnitude
    steps = torch.arange(1, UPDATES + 1, dtype=torch.float32)
    tensors["factor"] = 10 ** torch.sin(steps)
    tensors["lr"] = 0.01 * (1 + torch.cos(math.pi * steps / (UPDATES + 1))) + 0.001
    return tensors


def evened(given: dict) -> dict[str, torch.Tensor]:
    """With the matrix' noise of one magnitude in all rows: bitsandbytes' search misses small numbers of a block."""
    noise = given["noise.matrix"]
    return given | {"noise.matrix": noise / noise.abs().mean(-1, keepdim=True)}


def run(given: dict, make, clips: bool = True, unit: bool = False, watch=None) -> dict[str, torch.Tensor]:
    """Steps what `make(named parameters)` returns; `unit` divides the rates by their largest."""
    named = {name: torch.nn.Parameter(given[f"start.{name}"].clone()) for name in SHAPES}
    optimizer = make(named)
    for step in range(UPDATES):
        lr = given["lr"][step].item() / (given["lr"].max().item() if unit else 1)
        for group in optimizer.param_groups:
            if group["lr"] is not None:
                group["lr"] = lr * group.get("factor", 1)
        for name, tensor in named.items():
            noise = given[f"noise.{name}"][step % 3] * given["factor"][step]
            tensor.grad = noise + tensor.detach() * 0.1
        if clips:
            torch.nn.utils.clip_grad_norm_(named.values(), 1.0)
        optimizer.step()
        if watch:
            watch(step + 1, named)
    return {name: tensor.detach() for name, tensor in named.items()}


def groups(named: dict, factor: float = 1) -> list[dict]:
    return [
        {"params": [named[name] for name in DECAYED], "weight_decay": 0.1},
        {"params": [named[name] for name in SHAPES if name not in DECAYED], "weight_decay": 0.0, "factor": factor},
    ]


class Defined:
    """adamw_8bit.AdamW8bit for the matrix and torch's AdamW for what is smaller, behind the face of an optimizer."""

    def __init__(self, named: dict):
        self.matrix = named["matrix"]
        self.definition = adamw_8bit.AdamW8bit(self.matrix.detach().numpy(), 0.1)
        rest = groups(named)
        rest[0]["params"] = [named["kernel"]]
        self.rest = torch.optim.AdamW(rest)
        self.param_groups = self.rest.param_groups

    def step(self) -> None:
        self.definition.step(self.matrix.grad.numpy(), self.param_groups[0]["lr"])
        self.rest.step()


def averaged(given: dict) -> dict[str, torch.Tensor]:
    """The reference's mean of the weights of AdamW's run: every 4 updates, a copy up to update 10, beta 0.9."""
    means = {name: given[f"start.{name}"].clone() for name in SHAPES}

    def watch(update: int, named: dict) -> None:
        beta = 0.9 if update > 10 else 0.0
        if update % 4 == 0:
            for name, tensor in named.items():
                means[name] = means[name] * beta + tensor.detach() * (1 - beta)

    run(given, lambda named: torch.optim.AdamW(groups(named, 0.5)), watch=watch)
    return means


def schedules() -> dict[str, torch.Tensor]:
    """Rates of fifty updates, full rate 1, eight of warm-up."""
    from torch.optim import lr_scheduler as torch_schedules

    def rates(follow) -> torch.Tensor:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
        warmup = torch_schedules.LinearLR(optimizer, 1 / WARMUP, 1, WARMUP - 1)
        schedule = torch_schedules.SequentialLR(optimizer, [warmup, follow(optimizer)], [WARMUP])
        found = []
        for _ in range(UPDATES):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return torch.tensor(found)

    rest = UPDATES - WARMUP
    restarts = transformers.get_cosine_with_hard_restarts_schedule_with_warmup
    return {
        "constant": rates(lambda o: torch_schedules.ConstantLR(o, 1.0, 1)),
        "linear": rates(lambda o: torch_schedules.LinearLR(o, 1.0, 0.1, rest)),
        "cosine": rates(lambda o: torch_schedules.CosineAnnealingLR(o, rest, eta_min=0.0)),
        "cosine_least": rates(lambda o: torch_schedules.CosineAnnealingLR(o, rest, eta_min=0.1)),
        "restarts": rates(lambda o: restarts(o, 0, rest, num_cycles=4)),
    }


def main() -> None:
    given = problem()
    exact = {"relative_step": False, "scale_parameter": False}
    relative = {"relative_step": True, "scale_parameter": True, "beta1": 0.9}
    options = {"use_bias_correction": True, "safeguard_warmup": True, "growth_rate": 1.2, "d_coef": 5.0}
    adafactor, prodigy = transformers.Adafactor, prodigyopt.Prodigy
    eight = bitsandbytes.optim.AdamW8bit
    cases = {
        "adamw": run(given, lambda named: torch.optim.AdamW(groups(named, 0.5))),
        "adamw_8bit": run(given, Defined, clips=False),
        "bitsandbytes": run(evened(given), lambda named: eight(groups(named)), clips=False),
        "adafactor": run(given, lambda named: adafactor(groups(named), lr=1.0, **exact)),
        "adafactor_relative": run(given, lambda named: adafactor(groups(named), **relative)),
        # With the defaults the first steps would be of the size of float32's rounding, which the next estimates would
        # be made of, and the last ones would throw the parameters about: a last bit of noise would move them by 1e-5.
        "prodigy": run(given, lambda named: prodigy(groups(named), d0=1e-3, d_coef=0.1), unit=True),
        "prodigy_options": run(given, lambda named: prodigy(groups(named), d0=1e-3, **options), unit=True),
        "average": averaged(given),
        "schedule": schedules(),
        "code": {"signed": torch.from_numpy(adamw_8bit.SIGNED), "unsigned": torch.from_numpy(adamw_8bit.UNSIGNED)},
    }
    tensors = given | {f"{case}.{name}": tensor for case, part in cases.items() for name, tensor in part.items()}
    peers = ["torch", "transformers", "prodigyopt", "bitsandbytes"]
    content = save(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        {"peer": ", ".join(f"{package} {version(package)}" for package in peers)},
    )
    path = Path(__file__).with_name("optimizers.safetensors")
    path.write_bytes(golden.in_order(content))
    print(f"{path.name}: {len(content)} bytes")
    exact, theirs = run(evened(given), Defined, clips=False)["matrix"], cases["bitsandbytes"]["matrix"]
    away = ((exact - theirs).norm() / (given["start.matrix"] - theirs).norm()).item()
    print(f"bitsandbytes' matrix is {away:.1e} of its way away from the definition's")


if __name__ == "__main__":
    main()
