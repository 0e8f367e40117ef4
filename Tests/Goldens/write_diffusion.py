"""Writes diffusion.safetensors: every schedule, noise condition, loss weight, scaler and target, by default and with
constructor values, and sample.safetensors: twenty steps of a tiny Stage C.

Peers: the formulas of the papers in float64 (Tests/Peers/peers/schedules.py, diffuse.py, sampling.py), held to the schedulers
of diffusers 0.42.1; diffusers' StableCascadeUNet. On torch 2.15.0; each file's metadata names what it was written with.

    python3 Tests/Goldens/write_diffusion.py
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import diffuse
import golden
import sampling
import schedules
import stage_c
from case import redraw
from golden import normal
from write_forward import TINY_STAGE_C

TABLE = {"x": [0.0, 0.2, 0.7, 1.0], "y": [0.98, 0.8, 0.3, 0.02]}

SCHEDULES = [
    "cosine", "cosine2", "sqrt", "rectified_flow", "edm_sample", "linear", "stable_diffusion",
    {"name": "piecewise_linear", **TABLE},
    {"name": "interpolated", "scheduler1": "cosine", "scheduler2": {"name": "linear", "shift": 2.0}, "shifts": [0.5, 1.5]},
    {"name": "cosine", "s": 0.02, "clamp_range": [0.02, 0.98], "norm_instead": True, "shift": 0.5},
    {"name": "sqrt", "s": 0.001, "clamp_range": [0.05, 0.9], "force_limits": False, "shift": 2.0},
    {"name": "cosine2", "logsnr_range": [-9.0, 8.0]},
    {"name": "rectified_flow", "logsnr_range": [-3.0, 4.0]},
    {"name": "edm_sample", "sigma_range": [0.01, 50.0], "p": 3, "discrete_steps": 50},
    {"name": "linear", "logsnr_range": [-6.0, 5.0], "discrete_steps": 11},
    {"name": "stable_diffusion", "linear_range": [0.0005, 0.02], "total_steps": 100},
]  # fmt: skip

NOISE_CONDITIONS = [
    "cosine", "edm", "sigmoid", "log_snr", "edm_sigma", "rectified_flow", "stable_diffusion",
    {"name": "piecewise_linear", **TABLE},
    {"name": "discrete", "noise_cond": {"name": "sigmoid", "shift": 2.0}, "steps": 50, "continuous_range": [-0.5, 1.5]},
    {"name": "cosine", "s": 0.02, "clamp_range": [0.05, 0.9], "shift": 0.5},
    {"name": "edm_sigma", "sigma_data": 0.5, "clamp_range": [0.1, 2.0]},
    {"name": "stable_diffusion", "linear_range": [0.0005, 0.02], "total_steps": 10},
]  # fmt: skip

LOSS_WEIGHTS = [
    "constant", "snr", "p2", "snr_plus_one", "min_snr", "min_snr_plus_one", "truncated_snr", "sech", "debiased",
    "sigmoid", "adaptive",
    {"name": "composed", "mul": ["sigmoid", {"name": "p2", "gamma": 0.5}], "div": {"name": "sech", "div": 4.0}},
    {"name": "constant", "v": 0.25}, {"name": "p2", "k": 2.0, "gamma": 0.5, "s": 1.5}, {"name": "min_snr", "max_snr": 2.0},
    {"name": "min_snr_plus_one", "max_snr": 3.0}, {"name": "truncated_snr", "min_snr": 0.5}, {"name": "sech", "div": 3.0},
    {"name": "sigmoid", "s": 0.5}, {"name": "adaptive", "weight_range": [0.1, 0.5], "buckets": 2},
]  # fmt: skip

SCALERS = ["vp", "lerp"]
TARGETS = ["epsilon", "x0", "v", "rectified_flow"]


def write_families() -> None:
    """Where float32 keeps the formulas' digits; the shift of the call is 1.25."""
    generator = torch.Generator().manual_seed(700)
    t = torch.tensor([0.12, 0.2301, 0.37, 0.55, 0.71, 0.83, 0.93])
    logSNR = torch.tensor([-6.5, -3.2, -1.1, -0.4, 0.6, 1.7, 3.1, 4.4])
    x0, epsilon = normal(generator, 8, 1, 2, 3), normal(generator, 8, 1, 2, 3)
    out = {}
    for i, setting in enumerate(SCHEDULES):
        out[f"schedule.{i}"] = schedules.schedule(t.double(), setting, 1.25)
    for i, setting in enumerate(NOISE_CONDITIONS):
        out[f"noise_cond.{i}"] = diffuse.noise_cond(logSNR.double(), setting)
    for i, setting in enumerate(LOSS_WEIGHTS):
        out[f"loss_weight.{i}"] = diffuse.loss_weight(logSNR.double(), setting)
    for scaler in SCALERS:
        a, b = diffuse.scales(logSNR.double(), scaler)
        out |= {f"a.{scaler}": a, f"b.{scaler}": b}
        for target in TARGETS:
            wide = a.view(-1, 1, 1, 1), b.view(-1, 1, 1, 1)
            out[f"target.{scaler}.{target}"] = diffuse.target(x0.double(), epsilon.double(), *wide, target)
    arch = {
        "schedule": SCHEDULES, "noise_cond": NOISE_CONDITIONS, "loss_weight": LOSS_WEIGHTS, "shift": 1.25,
    }  # fmt: skip
    parts = {"in": {"t": t, "logSNR": logSNR, "x0": x0, "epsilon": epsilon}}
    golden.write("diffusion", "diffuse", arch, ["diffusers"], parts | {"out": {k: v.float() for k, v in out.items()}})


def write_sample() -> None:
    """DDIM with guidance in a window, strength by time, rescale, and injections on either side; and what other samplers make of seed 0."""
    generator = torch.Generator().manual_seed(710)
    arch = TINY_STAGE_C | {"t_conds": []}
    network = stage_c.calm(redraw(stage_c.make(arch), generator))
    widths = stage_c.block_widths(network)

    def conditions(length: int, block: int) -> dict[str, torch.Tensor]:
        return {
            "clip_text": normal(generator, 2, length, arch["c_clip_text"]),
            "clip_text_pooled": normal(generator, 2, 1, arch["c_clip_text_pooled"]),
            "clip_img": normal(generator, 2, 1, arch["c_clip_img"]),
            f"cnet.{block}": normal(generator, 2, widths[block], 3, 4),
        }

    x, guided, free = normal(generator, 2, arch["c_in"], 6, 5), conditions(5, 1), conditions(3, 4)
    settings = {
        "sampler": "ddim", "schedule": "cosine", "shift": 1.5, "timesteps": 20, "cfg": [4.0, 2.0], "cfg_rho": 0.7,
        "cfg_t_start": 0.83, "cfg_t_stop": 0.12,
    }  # fmt: skip

    def predict(x: torch.Tensor, r: torch.Tensor, conditioned: bool) -> torch.Tensor:
        return stage_c.forward(network, {"x": x, "r": r} | (guided if conditioned else free))

    with torch.no_grad():
        out = {"out": sampling.sample(x, settings, predict)}
        drawn = {name: sampling.sample(x, settings | {"sampler": name}, predict) for name in ("ddpm", "lcm")}
    inputs = {"x_init": x} | guided | {f"uncond.{key}": tensor for key, tensor in free.items()}
    parts = {"in": inputs, "out": out, "drawn": drawn, "weights": stage_c.reference_state(network.state_dict())}
    golden.write("sample", "sample", {"stage_c": arch, **settings}, ["diffusers"], parts)


if __name__ == "__main__":
    print(f"schedules differ from diffusers' by {schedules.check_against_diffusers():.1e}")
    print(f"sampling steps differ from diffusers' by {sampling.check_against_diffusers():.1e}")
    write_families()
    write_sample()
