"""Noising and what training asks of the network, from the definitions in the papers, in float64 and rounded to float32
at the end.

v: Salimans and Ho 2022. P2: Choi et al. 2022. min-SNR: Hang et al. 2023. sech: Kingma and Gao 2023. debiased: Yu et al.
2023. EDM's condition: Karras et al. 2022. The schedules are in schedules.py."""

import math

import torch

import schedules
from schedules import Tensor, schedule, values

DEFAULTS = {
    "schedule": "cosine", "scaler": "vp", "target": "epsilon", "noise_cond": "cosine", "loss_weight": "p2",
    "shift": 1.0, "loss_shift": 1.0, "offset_noise": 0.0,
}  # fmt: skip


def scales(logSNR: Tensor, scaler) -> tuple[Tensor, Tensor]:
    """Of signal and noise: their squares sum to one (vp), or they do (lerp)."""
    if values(scaler)[0] == "vp":
        return torch.sigmoid(logSNR).sqrt(), torch.sigmoid(-logSNR).sqrt()
    return torch.sigmoid(logSNR / 2), torch.sigmoid(-logSNR / 2)


def target(x0: Tensor, epsilon: Tensor, a: Tensor, b: Tensor, setting) -> Tensor:
    name = values(setting)[0]
    return {"epsilon": epsilon, "x0": x0, "v": a * epsilon - b * x0, "rectified_flow": epsilon - x0}[name]


def estimate(noised: Tensor, prediction: Tensor, a: Tensor, b: Tensor, setting) -> tuple[Tensor, Tensor]:
    """x0 and epsilon: the two linear equations, the mixture's and the target's, solved."""
    # noised = a x0 + b epsilon, prediction = c x0 + d epsilon
    c, d = {"epsilon": (0 * a, 1 + 0 * a), "x0": (1 + 0 * a, 0 * a), "v": (-b, a), "rectified_flow": (-1, 1)}[
        values(setting)[0]
    ]
    determinant = a * d - b * c
    return (d * noised - b * prediction) / determinant, (a * prediction - c * noised) / determinant


def table_time(variance: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The time of a variance on the line through the two points above it, as the reference looks it up; the first
    line serves the first two stretches, the last line all below the table."""
    below = (y[2:, None] < variance).sum(0)  # how many points, the first two left out, lie below
    index = len(x) - 2 - below
    return x[index] + (variance - y[index]) * (x[index + 1] - x[index]) / (y[index + 1] - y[index])


def cosine_time(logSNR: Tensor, s: float, clamp_range) -> Tensor:
    start = math.cos(s / (1 + s) * math.pi / 2) ** 2
    variance = torch.sigmoid(logSNR).clamp(*clamp_range)
    return torch.acos((variance * start).sqrt()) / (math.pi / 2) * (1 + s) - s


def noise_cond(logSNR: Tensor, setting) -> Tensor:
    """What the network is told, [B], whatever schedule made the noise."""
    name, options = values(setting)
    moved = logSNR + 2 * math.log(options.pop("shift", 1.0))
    limits = options.pop("clamp_range", [0.0, 1.0] if name == "cosine" else [-1e9, 1e9])

    def piecewise_linear(x, y):
        return table_time(torch.sigmoid(moved), torch.tensor(x).double(), torch.tensor(y).double())

    def stable_diffusion(**table):
        return table_time(torch.sigmoid(moved), *schedules.stable_diffusion_table(**table)).clamp(0, 1)

    def discrete(noise_cond, steps=1000, continuous_range=(0.0, 1.0)):
        low, high = continuous_range
        return torch.trunc((globals()["noise_cond"](moved, noise_cond) - low) / (high - low) * steps)

    form = {
        "cosine": lambda s=0.008: cosine_time(moved, s, limits),
        "edm": lambda: -moved / 8,
        "sigmoid": lambda: torch.sigmoid(-moved),
        "log_snr": lambda: moved,
        "edm_sigma": lambda sigma_data=1.0: torch.exp(-moved / 2) * sigma_data,
        "rectified_flow": lambda: torch.sigmoid(moved / 2),
        "piecewise_linear": piecewise_linear,
        "stable_diffusion": stable_diffusion,
        "discrete": discrete,
    }[name]
    return form(**options).clamp(*limits)


def loss_weight(logSNR: Tensor, setting) -> Tensor:
    """The weight [B] of each sample's mean squared error; no loss is seen yet, so running means are 1."""
    name, options = values(setting)
    snr = logSNR.exp()

    def composed(mul=(), div=()):
        product = torch.ones_like(snr)
        for weights, power in ((mul, 1), (div, -1)):
            for weight in weights if isinstance(weights, (list, tuple)) else [weights]:
                product = product * loss_weight(logSNR, weight) ** power
        return product

    return {
        "constant": lambda v=1.0: torch.full_like(snr, v),
        "snr": lambda: snr,
        "snr_plus_one": lambda: snr + 1,
        "p2": lambda k=1.0, gamma=1.0, s=1.0: (k + (logSNR * s).exp()) ** -gamma,
        "min_snr": lambda max_snr=5.0: snr.clamp(max=max_snr),
        "min_snr_plus_one": lambda max_snr=5.0: (snr + 1).clamp(max=max_snr),
        "truncated_snr": lambda min_snr=1.0: snr.clamp(min=min_snr),
        "sech": lambda div=2.0: 2 / ((logSNR / div).exp() + (-logSNR / div).exp()),
        "debiased": lambda: snr**-0.5,
        "sigmoid": lambda s=1.0: torch.sigmoid(logSNR * s),
        "adaptive": lambda weight_range=(1e-7, 1e7), **_: torch.ones_like(snr).clamp(*weight_range),
        "composed": composed,
    }[name](**options)


def diffuse(inputs: dict[str, Tensor], arch: dict) -> dict[str, Tensor]:
    """`forward diffuse`: `x0`, `epsilon` [B, C, H, W], `t` [B], optional `offset` [B, C, 1, 1] in float32."""
    a = DEFAULTS | arch
    doubles = {key: tensor.double() for key, tensor in inputs.items()}
    x0, epsilon = doubles["x0"], doubles["epsilon"]
    if "offset" in doubles:
        epsilon = epsilon + a["offset_noise"] * doubles["offset"]  # [B, C, H, W]
    logSNR = schedule(doubles["t"], a["schedule"], a["shift"])
    signal, noise = scales(logSNR, a["scaler"])  # [B], [B]
    tall_signal, tall_noise = signal.view(-1, 1, 1, 1), noise.view(-1, 1, 1, 1)
    outputs = {
        "noised": x0 * tall_signal + epsilon * tall_noise,
        "target": target(x0, epsilon, tall_signal, tall_noise, a["target"]),
        "logSNR": logSNR,
        "noise_cond": noise_cond(logSNR, a["noise_cond"]),
        "loss_weight": loss_weight(logSNR + 2 * math.log(a["loss_shift"]), a["loss_weight"]).clamp(-1e9, 1e9),
        "a": signal,
        "b": noise,
    }
    return {key: tensor.float() for key, tensor in outputs.items()}


def training_loss(prediction: Tensor, diffused: dict[str, Tensor]) -> Tensor:
    """Mean over the batch of weight times the sample's mean squared error."""
    return ((prediction - diffused["target"]).square().mean(dim=(1, 2, 3)) * diffused["loss_weight"]).mean()
