"""Noising as Stage C trains it: cosine schedule, variance-preserving scaler, epsilon target, cosine time condition.

Computed in float64 from the formulas of the papers (cosine schedule: Nichol and Dhariwal 2021; P2: Choi et al. 2022;
min-SNR: Hang et al. 2023) and rounded to float32 at the end. diffusers' DDPMWuerstchenScheduler has the same schedule;
`check_against_diffusers` holds this file to it."""

import math

import torch

DEFAULTS = {
    "schedule": "cosine", "scaler": "vp", "target": "epsilon", "noise_cond": "cosine", "loss_weight": "p2",
    "shift": 1.0, "loss_shift": 1.0, "offset_noise": 0.0,
}  # fmt: skip


def values(setting: str | dict) -> tuple[str, dict]:
    """A name, or a mapping with `name` and constructor values."""
    if isinstance(setting, str):
        return setting, {}
    return setting["name"], {key: value for key, value in setting.items() if key != "name"}


def cosine(t: torch.Tensor, s: float = 0.008, clamp_range=(0.0001, 0.9999), norm_instead: bool = False) -> torch.Tensor:
    """logSNR [B] at t [B] in 0 (clean) ... 1 (noise), before any shift."""
    start = math.cos(s / (1 + s) * math.pi / 2) ** 2
    variance = torch.cos((t + s) / (1 + s) * math.pi / 2).clamp(0, 1) ** 2 / start
    low, high = clamp_range
    variance = variance * (high - low) + low if norm_instead else variance.clamp(low, high)
    return torch.logit(variance)


def schedule(t: torch.Tensor, setting, shift: float = 1.0) -> torch.Tensor:
    """logSNR [B] with the call's and the schedule's own shift, held within the schedule's values at t = 1 and 0."""
    name, options = values(setting)
    assert name == "cosine", f"no peer for the schedule {name}"
    own, limited = options.pop("shift", 1.0), options.pop("force_limits", True)
    low, high = (cosine(torch.tensor([1.0, 0.0], dtype=t.dtype), **options) - 2 * math.log(own)).tolist()
    logSNR = cosine(t.clamp(0, 1), **options) - 2 * math.log(shift * own)
    return logSNR.clamp(low, high) if limited else logSNR


def noise_cond(logSNR: torch.Tensor, setting) -> torch.Tensor:
    """The time [B] that the network is told: the cosine schedule's inverse, whatever schedule made the noise."""
    name, options = values(setting)
    assert name == "cosine", f"no peer for the noise condition {name}"
    s, (low, high), shift = options.get("s", 0.008), options.get("clamp_range", (0, 1)), options.get("shift", 1.0)
    start = math.cos(s / (1 + s) * math.pi / 2) ** 2
    variance = torch.sigmoid(logSNR + 2 * math.log(shift)).clamp(low, high)
    time = torch.acos((variance * start).sqrt()) / (math.pi / 2) * (1 + s) - s
    return time.clamp(low, high)


def loss_weight(logSNR: torch.Tensor, setting, loss_shift: float = 1.0) -> torch.Tensor:
    """The weight [B] of each sample's mean squared error."""
    name, options = values(setting)
    logSNR = logSNR + 2 * math.log(loss_shift)
    snr = logSNR.exp()
    return {
        "constant": lambda v=1.0: torch.full_like(snr, v),
        "snr": lambda: snr,
        "snr_plus_one": lambda: snr + 1,
        "p2": lambda k=1.0, gamma=1.0, s=1.0: (k + (logSNR * s).exp()) ** -gamma,
        "min_snr": lambda max_snr=5.0: snr.clamp(max=max_snr),
        "min_snr_plus_one": lambda max_snr=5.0: (snr + 1).clamp(max=max_snr),
        "truncated_snr": lambda min_snr=1.0: snr.clamp(min=min_snr),
        "adaptive": lambda **_: torch.ones_like(snr),  # no loss seen yet: every bucket's running mean is 1
    }[name](**options)


def diffuse(inputs: dict[str, torch.Tensor], arch: dict) -> dict[str, torch.Tensor]:
    """`forward diffuse`: `x0`, `epsilon` [B, C, H, W], `t` [B], optional `offset` [B, C, 1, 1] in float32."""
    a = DEFAULTS | arch
    assert values(a["scaler"])[0] == "vp" and values(a["target"])[0] == "epsilon"
    doubles = {key: tensor.double() for key, tensor in inputs.items()}
    epsilon = doubles["epsilon"]
    if "offset" in doubles:
        epsilon = epsilon + a["offset_noise"] * doubles["offset"]  # [B, C, H, W]
    logSNR = schedule(doubles["t"], a["schedule"], a["shift"])
    signal, noise = torch.sigmoid(logSNR).sqrt(), torch.sigmoid(-logSNR).sqrt()  # [B], [B]
    outputs = {
        "noised": doubles["x0"] * signal.view(-1, 1, 1, 1) + epsilon * noise.view(-1, 1, 1, 1),
        "target": epsilon,
        "logSNR": logSNR,
        "noise_cond": noise_cond(logSNR, a["noise_cond"]),
        "loss_weight": loss_weight(logSNR, a["loss_weight"], a["loss_shift"]),
        "a": signal,
        "b": noise,
    }
    return {key: tensor.float() for key, tensor in outputs.items()}


def training_loss(prediction: torch.Tensor, diffused: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean over the batch of weight times the sample's mean squared error."""
    return ((prediction - diffused["target"]).square().mean(dim=(1, 2, 3)) * diffused["loss_weight"]).mean()


def check_against_diffusers() -> float:
    """The largest difference to diffusers' DDPMWuerstchenScheduler in alpha_cumprod = sigmoid(logSNR)."""
    from diffusers import DDPMWuerstchenScheduler

    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    theirs = DDPMWuerstchenScheduler()._alpha_cumprod(t, t.device)
    difference = (torch.sigmoid(schedule(t, "cosine")) - theirs).abs().max().item()
    assert difference < 1e-6, f"alpha_cumprod differs from diffusers' by {difference:.2e}"
    return difference
