"""LoRA by peft on diffusers' Stage C, and the native adapter file that holds the same layers."""

import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import save_file
from torch import nn

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
CHANNELWISE = ["channelwise.0", "channelwise.4"]


def attach(network: nn.Module, rank: int, alpha: float, modules: list[str]) -> dict[str, nn.Parameter]:
    """Adds float32 LoRA layers to every module whose path ends in one of `modules`, freezes all else.

    Returns the trainable parameters under the keys of the native file."""
    network.requires_grad_(False)
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=modules, lora_dropout=0.0), network)
    layers = {path: layer for path, layer in network.named_parameters() if ".lora_" in path}
    for layer in layers.values():
        layer.data = layer.data.float()
        layer.requires_grad_(True)
    return {native_key(path): layer for path, layer in layers.items()}


def native_key(path: str) -> str:
    """`….0.2.attention.to_q.lora_A.default.weight` -> `….0.2.attention.attn.to_q.lora_down.weight`."""
    for theirs, ours in (
        (".attention.to_out.0.", ".attention.attn.out_proj."),
        (".attention.to_", ".attention.attn.to_"),
        (".lora_A.default.", ".lora_down."),
        (".lora_B.default.", ".lora_up."),
    ):
        path = path.replace(theirs, ours)
    return path


def draw(layers: dict[str, nn.Parameter], generator: torch.Generator, zero_up: bool = False) -> None:
    """Down at 1 / sqrt(in); up at a like scale, so that gradients reach both, or zero as training starts."""
    with torch.no_grad():
        for key, layer in layers.items():
            values = torch.randn(layer.shape, generator=generator) / layer.shape[1] ** 0.5
            layer.copy_(torch.zeros_like(layer) if zero_up and "lora_up" in key else 0.5 * values)


def save(path, layers: dict[str, torch.Tensor], rank: int, alpha: float) -> None:
    """The native adapter file: `MODULE.lora_down.weight` [r, in], `MODULE.lora_up.weight` [out, r], and metadata."""
    metadata = {
        "format": "cascade-adapt-adapter", "format_version": "1", "kind": "lora", "rank": str(rank), "alpha": f"{alpha:g}",
    }  # fmt: skip
    tensors = {key: layer.detach().cpu().contiguous() for key, layer in layers.items()}
    save_file(tensors, path, metadata)
