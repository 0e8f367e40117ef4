"""Writes adamw.safetensors: five updates of two parameters by torch.optim.AdamW, gradients clipped to norm 1.

Peer: torch 2.15.0, on the CPU, AdamW(foreach=False, fused=False), torch.nn.utils.clip_grad_norm_.

    python3 Tests/Goldens/write_adamw.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

generator = torch.Generator().manual_seed(77)
weight = torch.nn.Parameter(torch.randn(3, 5, generator=generator))
bias = torch.nn.Parameter(torch.randn(5, generator=generator))
named = {"weight": weight, "bias": bias}
optimizer = torch.optim.AdamW(
    [{"params": [weight], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.0}], foreach=False, fused=False
)
tensors = {f"start.{name}": tensor.detach().clone() for name, tensor in named.items()}
for number in range(1, 6):
    for group in optimizer.param_groups:
        group["lr"] = 0.05 / number
    for name, tensor in named.items():
        tensor.grad = torch.randn(tensor.shape, generator=generator) * (1.5 if number % 2 else 0.1)
        tensors[f"gradient.{number}.{name}"] = tensor.grad.clone()
    tensors[f"norm.{number}"] = torch.nn.utils.clip_grad_norm_(named.values(), 1.0).reshape(1)
    optimizer.step()
    tensors |= {f"{number}.{name}": tensor.detach().clone() for name, tensor in named.items()}
for name, tensor in named.items():
    for key in ("exp_avg", "exp_avg_sq"):
        tensors[f"5.{key}.{name}"] = optimizer.state[tensor][key].clone()
save_file(tensors, Path(__file__).with_name("adamw.safetensors"), {"peer": f"torch {torch.__version__}"})
