"""log SNR over t in 0 (clean) ... 1 (noise), from the definitions in the papers, in the dtype of t.

cosine: Nichol and Dhariwal 2021. cosine2: its closed form between two log SNR, Salimans and Ho 2022. sqrt: Li et al.
2022. rectified_flow: Liu et al. 2022. edm_sample: Karras et al. 2022, equation 5. stable_diffusion: Rombach et al. 2022.
`check_against_diffusers` holds those to diffusers that diffusers has."""

import math

import torch

Tensor = torch.Tensor


def values(setting: str | dict) -> tuple[str, dict]:
    """A name, or a mapping with `name` and constructor values."""
    if isinstance(setting, str):
        return setting, {}
    return setting["name"], {key: value for key, value in setting.items() if key != "name"}


def bounded(variance: Tensor, clamp_range: list[float], norm_instead: bool) -> Tensor:
    """log SNR of the signal's variance kept away from 0 and 1."""
    low, high = clamp_range
    return torch.logit(variance * (high - low) + low if norm_instead else variance.clamp(low, high))


def cosine(t: Tensor, s: float = 0.008, clamp_range=(0.0001, 0.9999), norm_instead: bool = False) -> Tensor:
    def squared(t):
        return torch.cos((t + s) / (1 + s) * math.pi / 2).clamp(0, 1) ** 2

    return bounded(squared(t) / squared(torch.zeros_like(t)), clamp_range, norm_instead)


def cosine2(t: Tensor, logsnr_range=(-15.0, 15.0)) -> Tensor:
    first, last = (math.atan(math.exp(-end / 2)) for end in reversed(logsnr_range))
    return -2 * torch.log(torch.tan(first + t * (last - first)))


def sqrt(t: Tensor, s: float = 1e-4, clamp_range=(0.0001, 0.9999), norm_instead: bool = False) -> Tensor:
    return bounded(1 - (t + s).sqrt(), clamp_range, norm_instead)


def rectified_flow(t: Tensor, logsnr_range=(-15.0, 15.0)) -> Tensor:
    return (2 * torch.log((1 - t) / t)).clamp(*logsnr_range)


def edm_sample(t: Tensor, sigma_range=(0.002, 80.0), p: float = 7.0) -> Tensor:
    least, most = (end ** (1 / p) for end in sigma_range)
    return -2 * torch.log((most + (1 - t) * (least - most)) ** p)


def linear(t: Tensor, logsnr_range=(-10.0, 10.0)) -> Tensor:
    return torch.lerp(torch.full_like(t, logsnr_range[1]), torch.full_like(t, logsnr_range[0]), t)


def interpolate(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """y at points within ascending x, by straight lines."""
    above = torch.searchsorted(x, at).clamp(1, len(x) - 1)
    share = (at - x[above - 1]) / (x[above] - x[above - 1])
    return y[above - 1] * (1 - share) + y[above] * share


def stable_diffusion_table(linear_range=(0.00085, 0.012), total_steps: int = 1000) -> tuple[Tensor, Tensor]:
    """Times [n] and the signal's variances [n], float64: the root of beta rises in a straight line."""
    first, last = (end**0.5 for end in linear_range)
    x = torch.linspace(0, 1, total_steps + 1, dtype=torch.float64)
    return x, torch.cumprod(1 - torch.lerp(torch.full_like(x, first), torch.full_like(x, last), x) ** 2, 0)


def piecewise_linear(t: Tensor, x: list[float], y: list[float]) -> Tensor:
    return torch.logit(interpolate(t, torch.tensor(x, dtype=t.dtype), torch.tensor(y, dtype=t.dtype)))


def stable_diffusion(t: Tensor, **options) -> Tensor:
    x, y = stable_diffusion_table(**options)
    return torch.logit(interpolate(t, x.to(t.dtype), y.to(t.dtype)))


def interpolated(t: Tensor, scheduler1, scheduler2, shifts=(1.0, 1.0)) -> Tensor:
    t = t.clamp(1e-7, 1 - 1e-7)
    return schedule(t, scheduler1, shifts[0]) * t + schedule(t, scheduler2, shifts[1]) * (1 - t)


CURVES = {
    function.__name__: function
    for function in (
        cosine, cosine2, sqrt, rectified_flow, edm_sample, linear, piecewise_linear, stable_diffusion, interpolated,
    )
}  # fmt: skip


def schedule(t: Tensor, setting: str | dict, shift: float = 1.0) -> Tensor:
    """log SNR [B] with the call's and the schedule's own shift, held within its values at t = 1 and 0."""
    name, options = values(setting)
    own, limited = options.pop("shift", 1.0), options.pop("force_limits", True)
    steps = options.pop("discrete_steps", None)

    def moved(t: Tensor, shift: float) -> Tensor:
        if steps is not None:
            t = torch.round(t * (steps - 1)) / (steps - 1)
        return CURVES[name](t.clamp(0, 1), **options) - 2 * math.log(shift)

    logSNR = moved(t, shift * own)
    if limited:
        low, high = moved(torch.tensor([1.0, 0.0], dtype=t.dtype), own).tolist()
        logSNR = logSNR.clamp(low, high)
    return logSNR


def check_against_diffusers() -> float:
    """The largest relative difference to what diffusers has: Wuerstchen's cosine, Stable Diffusion's betas, EDM's
    sigmas."""
    from diffusers import DDIMScheduler, DDPMWuerstchenScheduler, EDMEulerScheduler

    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    table = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod.double()
    edm = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0)
    edm.set_timesteps(21)
    sigma = torch.exp(-schedule(torch.linspace(1, 0, 21, dtype=torch.float64), "edm_sample") / 2)
    pairs = {
        "cosine": (torch.sigmoid(schedule(t, "cosine")), DDPMWuerstchenScheduler()._alpha_cumprod(t, t.device)),
        "stable_diffusion": (stable_diffusion_table(total_steps=999)[1], table),
        "edm_sample": (sigma, edm.sigmas[:-1].double()),
    }
    worst = 0.0
    for name, (ours, theirs) in pairs.items():
        difference = ((ours - theirs).abs() / theirs.abs()).max().item()
        assert difference < 1e-5, f"{name} differs from diffusers' by {difference:.2e}"
        worst = max(worst, difference)
    return worst
