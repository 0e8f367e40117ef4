"""Stage C: diffusers' StableCascadeUNet, made from the reference's constructor names and keys.

Three things differ between the two and are bridged here: the names of constructor values, the attention's keys
(the reference fuses q, k and v), and a ControlNet's conditions, for which diffusers has no entry."""

import torch
from diffusers import StableCascadeUNet
from diffusers.models.unets.unet_stable_cascade import SDCascadeResBlock, SDCascadeTimestepBlock
from torch import nn
from torch.nn import functional

BLOCK_TYPES = {"C": "SDCascadeResBlock", "T": "SDCascadeTimestepBlock", "A": "SDCascadeAttnBlock"}

DEFAULTS = {
    "c_in": 16, "c_out": 16, "c_r": 64, "patch_size": 1, "c_cond": 2048, "c_hidden": [2048, 2048], "nhead": [32, 32],
    "blocks": [[8, 24], [24, 8]], "block_repeat": [[1, 1], [1, 1]], "level_config": ["CTA", "CTA"],
    "c_clip_text": 1280, "c_clip_text_pooled": 1280, "c_clip_img": 768, "c_clip_seq": 4, "kernel_size": 3,
    "self_attn": True, "t_conds": ["sca", "crp"], "switch_level": [False],
}  # fmt: skip


def make(arch: dict) -> StableCascadeUNet:
    """The network without dropout, in eval mode; what `arch` leaves out has the reference's default."""
    a = DEFAULTS | arch
    return StableCascadeUNet(
        **shared_values(a),
        clip_text_in_channels=a["c_clip_text"],
        clip_text_pooled_in_channels=a["c_clip_text_pooled"],
        clip_image_in_channels=a["c_clip_img"],
    ).eval()


def shared_values(a: dict) -> dict:
    """diffusers' constructor values that Stage B and Stage C have in common, without dropout."""
    return {
        "in_channels": a["c_in"],
        "out_channels": a["c_out"],
        "timestep_ratio_embedding_dim": a["c_r"],
        "patch_size": a["patch_size"],
        "conditioning_dim": a["c_cond"],
        "block_out_channels": a["c_hidden"],
        "num_attention_heads": a["nhead"],
        "down_num_layers_per_block": a["blocks"][0],
        "up_num_layers_per_block": a["blocks"][1],
        "down_blocks_repeat_mappers": a["block_repeat"][0],
        "up_blocks_repeat_mappers": a["block_repeat"][1],
        "block_types_per_layer": [[BLOCK_TYPES[letter] for letter in level] for level in a["level_config"]],
        "clip_seq": a["c_clip_seq"],
        "kernel_size": a["kernel_size"],
        "dropout": [0.0] * len(a["c_hidden"]),
        "self_attn": a["self_attn"],
        "timestep_conditioning_type": a["t_conds"],
        "switch_level": a["switch_level"],
    }


def calm(network: StableCascadeUNet) -> StableCascadeUNet:
    """Turns down what a drawn network hears of the time.

    The embedding takes times by 10,000, so that a drawn network answers to the last digit of float32 as no trained one
    does, and twenty steps make the most of it."""
    with torch.no_grad():
        for block in network.modules():
            if isinstance(block, SDCascadeTimestepBlock):
                for parameter in block.parameters():
                    parameter.mul_(0.02)
    return network


def reference_state(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """diffusers' tensors (weights, or their gradients) under the reference's keys, q, k and v fused."""
    state = {}
    for key, tensor in tensors.items():
        if ".attention.to_q." in key:
            parts = [tensors[key.replace(".to_q.", f".to_{part}.")] for part in "qkv"]
            fused = key.replace(".attention.to_q.", ".attention.attn.in_proj_")
            state[fused] = torch.cat(parts)  # [3c, c] or [3c]
        elif ".attention.to_out.0." in key:
            state[key.replace(".attention.to_out.0.", ".attention.attn.out_proj.")] = tensor
        elif ".attention.to_" not in key:
            state[key] = tensor
    return {key: tensor.detach().clone().contiguous() for key, tensor in state.items()}


def block_paths(network: nn.Module) -> list[str]:
    """The residual block behind each injection index, in order of execution: down path first, repeats counted."""
    paths = []
    for side in ("down", "up"):
        levels = zip(getattr(network, f"{side}_blocks"), getattr(network, f"{side}_repeat_mappers"))
        for level, (blocks, repeats) in enumerate(levels):
            residual = [
                f"{side}_blocks.{level}.{i}" for i, block in enumerate(blocks) if isinstance(block, SDCascadeResBlock)
            ]
            paths += residual * (len(repeats) + 1)
    return paths


def block_widths(network: nn.Module) -> list[int]:
    """The channels of each injection point."""
    return [network.get_submodule(path).depthwise.out_channels for path in block_paths(network)]


def forward(network: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """`out` [B, c_out, H, W] from `forward stage-c`'s inputs.

    `cnet.I` is resized to the input of the residual block that runs as the I-th and added before it runs."""
    if inputs["x"].shape[0] > 1 and ("sca" in inputs or "crp" in inputs):
        # diffusers takes the truth value of these, which fails for more than one sample: go one by one.
        samples = [{key: tensor[i : i + 1] for key, tensor in inputs.items()} for i in range(len(inputs["x"]))]
        return torch.cat([forward(network, sample) for sample in samples])

    injections = {int(key.removeprefix("cnet.")): tensor for key, tensor in inputs.items() if key.startswith("cnet.")}
    executed = 0

    def inject(block, arguments):
        nonlocal executed
        index, executed = executed, executed + 1
        if index not in injections:
            return None
        x, *skip = arguments
        condition = functional.interpolate(injections[index], size=x.shape[-2:], mode="bilinear", align_corners=True)
        return (x + condition.to(x.dtype), *skip)

    blocks = [module for module in network.modules() if isinstance(module, SDCascadeResBlock)]
    hooks = [block.register_forward_pre_hook(inject) for block in blocks]
    try:
        return network(
            sample=inputs["x"],
            timestep_ratio=inputs["r"],
            clip_text_pooled=inputs["clip_text_pooled"],
            clip_text=inputs["clip_text"],
            clip_img=inputs["clip_img"],
            sca=inputs.get("sca"),
            crp=inputs.get("crp"),
        ).sample
    finally:
        for hook in hooks:
            hook.remove()
