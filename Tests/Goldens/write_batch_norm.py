"""Writes batch_norm.safetensors: two batches through torch.nn.BatchNorm2d in training mode, and one in eval mode after.

Peer: torch 2.15.0, on the CPU, BatchNorm2d(3, eps=1e-3) in float32, its running statistics begun at other values than 0
and 1. Of each batch: input, output, the gradients of input, scale and shift for a drawn gradient of the output, and the
running statistics behind it. `plain` is the same batch through one without scale and shift.

    python3 Tests/Goldens/write_batch_norm.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

generator = torch.Generator().manual_seed(31)


def drawn(*shape):
    return torch.randn(*shape, generator=generator)


norm = torch.nn.BatchNorm2d(3, eps=1e-3)
plain = torch.nn.BatchNorm2d(3, eps=1e-3, affine=False)
tensors = {}
with torch.no_grad():
    for name in ("weight", "bias"):
        getattr(norm, name).copy_(drawn(3))
    for layer in (norm, plain):
        layer.running_mean.copy_(drawn(3))
        layer.running_var.copy_(drawn(3).abs() + 0.5)
tensors |= {f"start.norm.{name}": tensor.detach().clone() for name, tensor in norm.state_dict().items()}
tensors |= {f"start.plain.{name}": tensor.detach().clone() for name, tensor in plain.state_dict().items()}
for number in (1, 2):
    x = (drawn(4, 3, 2, 5) * 2 + 1).requires_grad_()
    incoming = drawn(4, 3, 2, 5)
    tensors |= {f"{number}.x": x.detach().clone(), f"{number}.incoming": incoming}
    for name, layer in (("norm", norm), ("plain", plain)):
        layer.zero_grad()
        x.grad = None
        y = layer(x)
        y.backward(incoming)
        tensors |= {f"{number}.{name}.y": y.detach().clone(), f"{number}.{name}.gradient.x": x.grad.clone()}
        for key in ("weight", "bias"):
            if getattr(layer, key) is not None:
                tensors[f"{number}.{name}.gradient.{key}"] = getattr(layer, key).grad.clone()
        for key in ("running_mean", "running_var"):
            tensors[f"{number}.{name}.{key}"] = getattr(layer, key).clone()
norm.eval()
tensors["eval.y"] = norm(tensors["1.x"]).detach()
tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
save_file(tensors, Path(__file__).with_name("batch_norm.safetensors"), {"peer": f"torch {torch.__version__}"})
