"""How other programs read LoRA files: which tensors change which weight of Stage C, and by how much.

Sources: ComfyUI, comfy/lora.py (key map, alpha / rank, a missing alpha counts as the rank); kohya-ss/sd-scripts,
networks/lora.py (`lora_unet_` and the path with underscores); Stability-AI/StableCascade, modules/lora.py and
train/train_c_lora.py (modules in PyTorch's order of definition, `out_proj` before the fused `in_proj`, 1 / rank)."""

import json

import torch
from diffusers import StableCascadeUNet
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from torch import nn

SECTIONS = [
    "clip_txt_mapper", "clip_txt_pooled_mapper", "clip_img_mapper", "embedding", "down_blocks", "down_downscalers",
    "down_repeat_mappers", "up_blocks", "up_upscalers", "up_repeat_mappers", "clf",
]  # fmt: skip


def reference_path(path: str) -> str:
    """The reference's path of a module of diffusers' network, q, k and v apart as kohya and ComfyUI have them."""
    return path.replace(".attention.to_out.0", ".attention.attn.out_proj").replace(
        ".attention.to_", ".attention.attn.to_"
    )


def modules(network: StableCascadeUNet) -> dict[str, nn.Module]:
    """Every module that a LoRA can change by its reference path: linear layers, 1x1 and depthwise convolutions."""
    found = {}
    for path, module in network.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            found[reference_path(path)] = module
    return found


def key_map(network: StableCascadeUNet, prefix: str) -> dict[str, str]:
    """What stands before `.lora_up.weight` for each module, to the module's path."""
    separator = "." if prefix.endswith(".") else "_"
    return {prefix + path.replace(".", separator): path for path in modules(network)}


def add(network: StableCascadeUNet, path: str, delta: torch.Tensor) -> None:
    """Adds `delta` [out, in] to a module's weight; one number of a kernel is added to all of it."""
    weight = modules(network)[path].weight
    with torch.no_grad():
        is_whole = delta.shape[1] == weight.shape[1] != weight[0].numel()
        weight += delta[:, :, None, None] if is_whole else delta.reshape(weight.shape)


def load_keyed(network: StableCascadeUNet, tensors: dict[str, torch.Tensor], prefix: str) -> set[str]:
    """Merges as ComfyUI does; returns the keys that it would not know."""
    left = set(tensors)
    for name, path in key_map(network, prefix).items():
        if f"{name}.lora_up.weight" not in tensors:
            continue
        up, down = tensors[f"{name}.lora_up.weight"], tensors[f"{name}.lora_down.weight"]
        alpha = tensors[f"{name}.alpha"].item() if f"{name}.alpha" in tensors else down.shape[0]
        assert up.ndim == modules(network)[path].weight.ndim, f"{name}: {up.shape}"
        add(network, path, up.float().flatten(1) @ down.float().flatten(1) * (alpha / down.shape[0]))
        left -= {f"{name}.{part}" for part in ("lora_up.weight", "lora_down.weight", "alpha")}
    return left


def units(network: StableCascadeUNet, filters: list[str]) -> list[tuple[str, list[str], tuple[int, int]]]:
    """The reference's numbering: name that filters see, the modules behind it, (out, in) without the kernel."""
    listed = []
    for section in SECTIONS:
        for path, module in getattr(network, section).named_modules(prefix=section):
            if path.endswith(".attention"):
                name, width = f"{path}.attn", module.to_q.out_features
                listed.append((f"{name}.out_proj", [f"{name}.out_proj"], (width, width)))
                listed.append((name, [f"{name}.to_{part}" for part in "qkv"], (3 * width, width)))
            elif isinstance(module, (nn.Linear, nn.Conv2d)) and ".attention." not in path:
                shape = (module.weight.shape[0], module.weight.shape[1])
                listed.append((path, [path], shape))
    return [unit for unit in listed if any(text in unit[0] for text in filters)]


def load_positional(network: StableCascadeUNet, tensors: dict[str, torch.Tensor], filters: list[str]) -> set[str]:
    """Merges as the official code computes; returns the keys of `weights` that it would not know."""
    left = {key for key in tensors if key.startswith("weights.")}
    ranks = {tensors[key].shape[0] for key in left if key.endswith("lora_down")}
    assert len(ranks) == 1, f"one rank holds for all modules, the file has {ranks}"
    rank = ranks.pop()
    for number, (name, paths, (outputs, inputs)) in enumerate(units(network, filters)):
        down, up = tensors[f"weights.{number}.lora_down"], tensors[f"weights.{number}.lora_up"]
        assert down.shape == (rank, inputs) and up.shape == (outputs, rank), f"{name}: {down.shape}, {up.shape}"
        delta = up @ down / rank
        for path, part in zip(paths, delta.chunk(len(paths))):
            add(network, path, part)
        left -= {f"weights.{number}.lora_down", f"weights.{number}.lora_up"}
    return left


def load_peft(network: StableCascadeUNet, tensors: dict[str, torch.Tensor], metadata: dict | None) -> set[str]:
    """Loads as diffusers' `load_lora_adapter` does, with the file's configuration or (None) without."""
    tensors = {key.removeprefix("prior."): tensor for key, tensor in tensors.items()}
    ranks = {key.removesuffix(".lora_B.weight"): t.shape[1] for key, t in tensors.items() if ".lora_B." in key}
    if metadata is None:
        config = {"r": 1, "lora_alpha": 1, "rank_pattern": ranks, "alpha_pattern": ranks, "target_modules": list(ranks)}
    else:
        text = json.loads(metadata["lora_adapter_metadata"])
        config = {key.removeprefix("prior."): value for key, value in text.items() if key.startswith("prior.")}
    inject_adapter_in_model(LoraConfig(**config), network)
    result = set_peft_model_state_dict(network, tensors)
    missing = [key for key in result.missing_keys if ".lora_" in key]
    return set(result.unexpected_keys) | set(missing)
