"""Random processes for `forward diffuse`: every name, its constructor values drawn or left out.

Where float32 loses digits by the formulas themselves an implementation in float32 would differ from the float64 peer
by more than the bar, so times near the ends and log SNR beyond -7 and 5 or near 0 (for what divides by SNR - 1) are not
drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

import diffuse
import schedules
from case import Case

if TYPE_CHECKING:
    from draws import Draw

BAR = 1e-5

LOSS_WEIGHTS = [
    "constant", "snr", "p2", "snr_plus_one", "min_snr", "min_snr_plus_one", "truncated_snr", "sech", "debiased", "sigmoid",
    "adaptive", "composed",
]  # fmt: skip
NOISE_CONDITIONS = [
    "cosine", "edm", "sigmoid", "log_snr", "edm_sigma", "rectified_flow", "piecewise_linear", "stable_diffusion",
    "discrete",
]  # fmt: skip


def between(draw: Draw, low: float, high: float) -> float:
    return round(draw.choices.uniform(low, high), 4)


def some(draw: Draw, name: str, options: dict) -> str | dict:
    """A mapping with each option or without it, or the name alone."""
    chosen = {key: value for key, value in options.items() if draw.one(True, False)}
    return {"name": name, **chosen} if chosen else name


def table(draw: Draw) -> dict:
    """Times from 0 to 1 and falling variances, no two close together."""
    count = draw.whole(1, 4)
    x = [0.0] + [round((i + between(draw, 0.2, 0.8)) / count, 4) for i in range(count)] + [1.0]
    y = [round(0.95 - 0.9 * (i + between(draw, 0.2, 0.8)) / (count + 2), 4) for i in range(count + 2)]
    return {"x": x, "y": y}


def stable_diffusion(draw: Draw) -> dict:
    return {
        "linear_range": [between(draw, 0.0005, 0.001), between(draw, 0.01, 0.02)],
        "total_steps": draw.one(10, 100, 1000),
    }


def schedule(draw: Draw, name: str, nested: bool = False) -> str | dict:
    variance = {
        "s": draw.one(1e-3, 0.02),
        "clamp_range": [draw.one(0.001, 0.02), draw.one(0.98, 0.999)],
        "norm_instead": name == "cosine",  # the root's variance goes below 0 at t = 1
    }
    options = {
        "cosine": variance,
        "sqrt": variance,
        "edm_sample": {"sigma_range": [between(draw, 0.001, 0.01), between(draw, 20, 100)], "p": draw.one(3, 5.5, 7)},
        "stable_diffusion": stable_diffusion(draw),
    }.get(name, {"logsnr_range": [between(draw, -14, -5), between(draw, 5, 14)]})
    if name in ("piecewise_linear", "interpolated"):
        options = {}
    common = {"shift": draw.one(0.5, 2.0), "force_limits": draw.one(True, False), "discrete_steps": draw.one(50, 1000)}
    setting = some(draw, name, options | common)
    if name == "piecewise_linear":
        return {"name": name, **table(draw), **({} if isinstance(setting, str) else setting)}
    if name == "interpolated":
        parts = [draw.one(*(key for key in schedules.CURVES if key != name)) for _ in range(2)]
        nested = {f"scheduler{i + 1}": schedule(draw, part) for i, part in enumerate(parts)}
        return {"name": name, **nested, "shifts": [between(draw, 0.5, 2), between(draw, 0.5, 2)]}
    return setting


def noise_condition(draw: Draw, name: str) -> str | dict:
    options = {
        "cosine": {"s": draw.one(0.001, 0.02), "clamp_range": [0.01, 0.99]},
        "edm_sigma": {"sigma_data": between(draw, 0.3, 2)},
        "stable_diffusion": stable_diffusion(draw),
    }.get(name, {"clamp_range": [-0.5, 0.8]})
    if name == "discrete":
        inner = noise_condition(draw, draw.one(*(key for key in NOISE_CONDITIONS if key != name)))
        return {"name": name, "noise_cond": inner, "steps": draw.one(10, 100), "continuous_range": [-0.5, 1.5]}
    setting = some(draw, name, options | {"shift": draw.one(0.5, 2.0)})
    if name == "piecewise_linear":
        return {"name": name, **table(draw), **({} if isinstance(setting, str) else setting)}
    return setting


def loss_weight(draw: Draw, name: str) -> str | dict:
    options = {
        "constant": {"v": between(draw, 0.1, 3)},
        "p2": {"k": between(draw, 0.5, 2), "gamma": between(draw, 0.3, 1.5), "s": between(draw, 0.5, 1.5)},
        "min_snr": {"max_snr": between(draw, 1, 9)},
        "min_snr_plus_one": {"max_snr": between(draw, 1, 9)},
        "truncated_snr": {"min_snr": between(draw, 0.2, 2)},
        "sech": {"div": between(draw, 1, 4)},
        "sigmoid": {"s": between(draw, 0.3, 2)},
        "adaptive": {"buckets": draw.whole(2, 400), "logsnr_range": [-8, 9], "weight_range": [0.001, 0.5]},
    }.get(name, {})
    if name == "composed":
        parts = [loss_weight(draw, draw.one(*LOSS_WEIGHTS[:-1])) for _ in range(3)]
        return {"name": name, "mul": parts[:2], "div": draw.one(parts[2], parts[2:])}
    return some(draw, name, options)


def times(draw: Draw, arch: dict, count: int) -> torch.Tensor:
    """Times [count] at which every formula of the process keeps its digits in float32."""
    t = 0.1 + 0.85 * draw.uniform(4000)
    if isinstance(arch["schedule"], dict) and (steps := arch["schedule"].get("discrete_steps")):
        scaled = t * (steps - 1)
        t = t[(scaled - scaled.floor() - 0.5).abs() > 0.01]
    logSNR = schedules.schedule(t.double(), arch["schedule"], arch["shift"])
    condition = arch["noise_cond"]
    shift = condition.get("shift", 1.0) if isinstance(condition, dict) else 1.0
    inner = condition.get("noise_cond", {}) if isinstance(condition, dict) else {}
    shifts = [1.0, shift, shift * (inner.get("shift", 1.0) if isinstance(inner, dict) else 1.0)]
    moved = torch.stack([logSNR + 2 * torch.tensor(s).log() for s in shifts])
    keep = ((moved.abs() > 0.3) & (moved > -7) & (moved < 5)).all(0)
    if schedules.values(condition)[0] == "discrete":
        near = {**condition, "steps": condition["steps"] * 1_000_000}
        fraction = torch.remainder(diffuse.noise_cond(logSNR, near) / 1_000_000, 1)
        keep &= ((fraction - 0.5).abs() < 0.499) | (fraction == 0)  # a limit's own step is exact
    return t[keep][:count]


def process(draw: Draw) -> dict:
    """All parts by name, most with values."""
    return {
        "schedule": schedule(draw, draw.one(*schedules.CURVES)),
        "scaler": draw.one("vp", "lerp", {"name": "vp"}),
        "target": draw.one("epsilon", "x0", "v", "rectified_flow"),
        "noise_cond": noise_condition(draw, draw.one(*NOISE_CONDITIONS)),
        "loss_weight": loss_weight(draw, draw.one(*LOSS_WEIGHTS)),
        "shift": draw.one(1.0, 1.0, 0.5, 2.0),
        "loss_shift": draw.one(1.0, 2.0),
        "offset_noise": draw.one(0.0, 0.1),
    }


def diffuse_case(draw: Draw) -> Case:
    """A process of random parts."""
    arch = process(draw)
    t = times(draw, arch, draw.whole(4, 40))
    if not len(t):
        return diffuse_case(draw)
    batch, channels, size = len(t), draw.one(4, 16), (draw.whole(2, 9), draw.whole(2, 9))
    inputs = {name: draw.normal(batch, channels, *size) for name in ("x0", "epsilon")}
    inputs["t"] = t
    if arch["offset_noise"] > 0:
        inputs["offset"] = draw.normal(batch, channels, 1, 1)
    return Case("diffuse", arch, inputs, diffuse.diffuse(inputs, arch), bar=BAR, is_relative=True)
