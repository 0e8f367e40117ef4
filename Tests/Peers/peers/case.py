"""One question to `cascade-adapt forward` with the answer a peer gives."""

from dataclasses import dataclass, field

import torch
from torch import nn


@dataclass
class Case:
    """What `forward MODULE` is given and what a peer makes of it; tensors are named as in the command's files."""

    module: str
    arch: dict
    inputs: dict[str, torch.Tensor]
    outputs: dict[str, torch.Tensor]
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    adapter: dict[str, torch.Tensor] = field(default_factory=dict)
    rank: int = 0
    alpha: float = 0.0
    gradients: bool = False
    bar: float = 2e-4
    is_relative: bool = False  # the bar is of each value, or of their root mean square where that is more

    def sizes(self) -> str:
        """The shapes of the inputs on one line."""
        return ", ".join(f"{key} {list(tensor.shape)}" for key, tensor in self.inputs.items())


def redraw(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draws every parameter at a scale that keeps signals near 1, layers that start at zero included."""
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            kind = key.rsplit(".", 1)[-1]
            if kind in ("gamma", "beta"):
                values *= 0.3
            elif parameter.ndim == 1:
                values = 1 + 0.2 * values if kind == "weight" else 0.1 * values
            elif "embedding" not in key or ".weight" not in key or parameter.ndim > 2:
                values /= (parameter[0].numel()) ** 0.5  # Embedding tables stay at 1.
            parameter.copy_(values)
    return network


def measure_batch_norms(network: nn.Module, *inputs: torch.Tensor) -> nn.Module:
    """Sets every batch norm's running mean and variance to those of one pass over `inputs`."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in layers:
        layer.train()
        layer.momentum = 1.0
    with torch.no_grad():
        network(*inputs)
    for layer in layers:
        layer.eval()
        layer.running_var.clamp_(min=1e-2)
    return network


def state(network: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint of `network`, `num_batches_tracked` included as published files have it."""
    return {key: tensor.detach().clone().contiguous() for key, tensor in network.state_dict().items()}


def gradients(parameters: dict[str, torch.Tensor], loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradient of `loss` for each parameter, zeros where none reaches it."""
    values = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {
        key: torch.zeros_like(parameter) if gradient is None else gradient
        for (key, parameter), gradient in zip(parameters.items(), values)
    }
