"""LoRA by peft on diffusers' Stage C, and the native adapter file that holds the same layers."""

import math

import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrize

import philox

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
CHANNELWISE = ["channelwise.0", "channelwise.4"]
TEXT = ["q_proj", "k_proj", "v_proj"]
CONVOLUTIONS = ["embedding.1", "down_downscalers.1.1.blocks.0", "up_upscalers.0.1.blocks.1", "clf.1"]


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


class WithDelta(nn.Module):
    """A weight with what peft's LoRA of another layer of its shape adds to that."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.layer.get_delta_weight("default")


def attach_depthwise(network: nn.Module, rank: int, alpha: float) -> dict[str, nn.Parameter]:
    """Adds what peft's LoRA adds to a convolution from one channel to every depthwise kernel, [C, 1, k, k].

    peft's own LoRA of a grouped convolution is a dense one beside it, which no kernel can take in."""
    layers = {}
    for path, module in [found for found in network.named_modules() if found[0].endswith(".depthwise")]:
        alike = nn.Sequential(nn.Conv2d(1, module.out_channels, module.kernel_size, bias=False))
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=["0"]), alike)
        parametrize.register_parametrization(module, "weight", WithDelta(alike[0]))
        layers[f"{path}.lora_down.weight"] = alike[0].lora_A["default"].weight  # [r, 1, k, k]
        layers[f"{path}.lora_up.weight"] = alike[0].lora_B["default"].weight  # [C, r, 1, 1]
    return layers


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
            values = torch.randn(layer.shape, generator=generator) / layer[0].numel() ** 0.5
            layer.copy_(torch.zeros_like(layer) if zero_up and "lora_up" in key else 0.5 * values)


def save(path, layers: dict[str, torch.Tensor], rank: int, alpha: float) -> None:
    """The native adapter file: `MODULE.lora_down.weight` [r, in], `MODULE.lora_up.weight` [out, r], and metadata."""
    metadata = {
        "format": "cascade-adapt-adapter", "format_version": "1", "kind": "lora", "rank": str(rank), "alpha": f"{alpha:g}",
    }  # fmt: skip
    tensors = {key: layer.detach().cpu().contiguous() for key, layer in layers.items()}
    save_file(tensors, path, metadata)


class SeededDropout(nn.Module):
    """peft's dropout of a layer's input, with zeros that come from a seed, the layer's number and the input's part."""

    def __init__(self, rate: float, seed: int, position: int, first: int | None = None) -> None:
        """`first` tokens of an input [B, N, C] are its first part, the others its second; None makes it one part."""
        super().__init__()
        self.rate, self.seed, self.position, self.first = rate, seed, position, first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [x] if self.first is None else [x[:, : self.first], x[:, self.first :]]
        return torch.cat([part * self.scales(part.shape, number) for number, part in enumerate(parts)], dim=1)

    def scales(self, shape: torch.Size, part: int) -> torch.Tensor:
        seed = philox.purpose_seed(self.seed, 0)
        stream = philox.PURPOSES["adapter"] << 24 | 2 * self.position + part
        numbers = math.prod(shape[1:])
        kept = [philox.kept(self.rate, seed, stream, 0, place, numbers) for place in range(shape[0])]
        return torch.stack(kept).reshape(shape) / (1 - self.rate)


def drop(network: nn.Module, rate: float, seed: int, tokens: int) -> None:
    """Gives every LoRA layer a seeded dropout; keys and values see `tokens` of the image before the condition's."""
    layers = [(path, layer) for path, layer in network.named_modules() if hasattr(layer, "lora_dropout")]
    for position, (path, layer) in enumerate(layers):
        first = tokens if path.endswith((".to_k", ".to_v")) else None
        layer.lora_dropout["default"] = SeededDropout(rate, seed, position, first)
