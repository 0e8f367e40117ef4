"""Stage B: diffusers' StableCascadeUNet with Stage B's values, made from the reference's constructor names and keys."""

import torch
from diffusers import StableCascadeUNet
from torch import nn

import stage_c

DEFAULTS = {
    "c_in": 4, "c_out": 4, "c_r": 64, "patch_size": 2, "c_cond": 1280, "c_hidden": [320, 640, 1280, 1280],
    "nhead": [-1, -1, 20, 20], "blocks": [[2, 6, 28, 6], [6, 28, 6, 2]], "block_repeat": [[1, 1, 1, 1], [3, 3, 2, 2]],
    "level_config": ["CT", "CT", "CTA", "CTA"], "c_clip": 1280, "c_clip_seq": 4, "c_effnet": 16, "c_pixels": 3,
    "kernel_size": 3, "self_attn": True, "t_conds": ["sca"], "switch_level": None,
}  # fmt: skip


def make(arch: dict) -> StableCascadeUNet:
    """The network without dropout, in eval mode; what `arch` leaves out has the reference's default."""
    a = DEFAULTS | arch
    return StableCascadeUNet(
        **stage_c.shared_values(a),
        clip_text_pooled_in_channels=a["c_clip"],
        effnet_in_channels=a["c_effnet"],
        pixel_mapper_in_channels=a["c_pixels"],
    ).eval()


def reference_state(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """diffusers' tensors under the reference's keys."""
    state = stage_c.reference_state(tensors)
    return {key.replace("clip_txt_pooled_mapper.", "clip_mapper."): tensor for key, tensor in state.items()}


def forward(network: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """`out` [B, c_out, H, W] from `forward stage-b`'s inputs."""
    if inputs["x"].shape[0] > 1 and "sca" in inputs:
        # diffusers takes the truth value of it, which fails for more than one sample: go one by one.
        samples = [{key: tensor[i : i + 1] for key, tensor in inputs.items()} for i in range(len(inputs["x"]))]
        return torch.cat([forward(network, sample) for sample in samples])
    return network(
        sample=inputs["x"],
        timestep_ratio=inputs["r"],
        clip_text_pooled=inputs["clip"],
        effnet=inputs["effnet"],
        pixels=inputs.get("pixels"),
        sca=inputs.get("sca"),
    ).sample
