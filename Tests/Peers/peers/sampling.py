"""Sampling: a loop over the noise levels, from the papers, with any network.

DDIM and its ancestral form: Song et al. 2020, Ho et al. 2020. LCM: Luo et al. 2023. Guidance: Ho and Salimans 2022,
its rescale: Lin et al. 2023. `check_against_diffusers` holds the steps to diffusers' DDIMScheduler and LCMScheduler."""

from collections.abc import Callable

import torch

from diffuse import estimate, noise_cond, scales
from schedules import Tensor, schedule, values

DEFAULTS = {
    "sampler": "ddpm", "schedule": "cosine", "scaler": "vp", "target": "epsilon", "noise_cond": "cosine", "shift": 1.0,
    "timesteps": 20, "t_start": 1.0, "t_end": 0.0, "cfg": 3.0, "cfg_rho": 0.7, "cfg_t_start": None, "cfg_t_stop": None,
}  # fmt: skip


def draws(setting) -> bool:
    """Whether a sampler takes fresh noise."""
    name, options = values(setting)
    return name != "ddim" or options.get("eta", 0.0) > 0


def step(x0: Tensor, epsilon: Tensor, now: tuple, then: tuple, setting, noise: Tensor | None = None) -> Tensor:
    """Latents at the scales `then` from what those at the scales `now` are mixed of."""
    name, options = values(setting)
    (a, b), (a_then, b_then) = now, then
    if name == "lcm":
        return a_then * x0 + b_then * noise
    eta = options.get("eta", 1.0 if name == "ddpm" else 0.0)
    if eta == 0:
        return a_then * x0 + b_then * epsilon
    drawn = eta * b_then / b * (1 - a**2 / a_then**2) ** 0.5
    return a_then * x0 + (b_then**2 - drawn**2) ** 0.5 * epsilon + drawn * noise


def sample(x: Tensor, arch: dict, predict: Callable[[Tensor, Tensor, bool], Tensor]) -> Tensor:
    """The last step's prediction of x0.

    `predict` takes latents, noise conditions [B] and whether to condition. Fresh noise is what libtorch draws on the
    CPU from seed 0, one tensor for each step but the last."""
    a = DEFAULTS | arch
    generator = torch.Generator().manual_seed(0)
    # Times are float32's: which of them lie within a window hangs on it.
    t = torch.linspace(a["t_start"], a["t_end"], a["timesteps"] + 1).double()
    logSNR = schedule(t, a["schedule"], a["shift"])
    told = noise_cond(logSNR, a["noise_cond"])
    levels = [tuple(scale.item() for scale in scales(value, a["scaler"])) for value in logSNR]
    for i in range(a["timesteps"]):
        time = t[i].item()
        r = told[i].float().expand(len(x))
        prediction = predict(x, r, True)
        is_guided = a["cfg"] is not None
        is_guided &= a["cfg_t_start"] is None or time <= a["cfg_t_start"]
        is_guided &= a["cfg_t_stop"] is None or time >= a["cfg_t_stop"]
        if is_guided:
            first, last = a["cfg"] if isinstance(a["cfg"], list) else (a["cfg"], a["cfg"])
            free = predict(x, r, False)
            guided = free + (first * time + last * (1 - time)) * (prediction - free)
            matched = guided * (prediction.std() / guided.std())
            prediction = a["cfg_rho"] * matched + (1 - a["cfg_rho"]) * guided
        signal, noise = (torch.tensor(scale, dtype=torch.float64) for scale in levels[i])
        x0, epsilon = estimate(x.double(), prediction.double(), signal, noise, a["target"])
        if i + 1 < a["timesteps"]:
            fresh = torch.randn(x.shape, generator=generator) if draws(a["sampler"]) else None
            x = step(x0, epsilon, levels[i], levels[i + 1], a["sampler"], fresh).float()
    return x0.float()


def check_against_diffusers() -> float:
    """The largest difference of a step to diffusers' schedulers', with and without fresh noise."""
    from diffusers import DDIMScheduler, LCMScheduler

    generator = torch.Generator().manual_seed(0)
    x, epsilon = torch.randn(2, 1, 4, 3, 5, generator=generator, dtype=torch.float64).unbind()
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    worst = 0.0
    for kind, setting in ((DDIMScheduler, "ddim"), (DDIMScheduler, "ddpm"), (LCMScheduler, "lcm")):
        scheduler = kind(**betas, clip_sample=False, set_alpha_to_one=False)
        scheduler.set_timesteps(10)
        at, then = scheduler.timesteps[0].item(), scheduler.timesteps[1].item()
        if kind is DDIMScheduler:
            then = at - 100
            noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
            options = {"eta": 1.0, "variance_noise": noise} if setting == "ddpm" else {}
            theirs = scheduler.step(epsilon, at, x, **options).prev_sample
        else:
            noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
            theirs = scheduler.step(epsilon, at, x, generator=torch.Generator().manual_seed(1)).prev_sample
        levels = [scheduler.alphas_cumprod[index].item() for index in (at, then)]
        now, later = ((alpha**0.5, (1 - alpha) ** 0.5) for alpha in levels)
        x0 = (x - now[1] * epsilon) / now[0]
        difference = (step(x0, epsilon, now, later, setting, noise) - theirs).abs().max().item()
        assert difference < 1e-5, f"{setting} differs from diffusers' by {difference:.2e}"
        worst = max(worst, difference)
    return worst
