"""Training as the recipes do it: AdamW, one global clip, the weighted loss of the epsilon prediction."""

from collections.abc import Callable

import torch

import diffuse

SETTINGS = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
CLIP = 1.0


def batch(inputs: dict[str, torch.Tensor], step: int) -> dict[str, torch.Tensor]:
    """The step's slice of each stacked input [N, B, ...]; a shorter stack starts over."""
    return {key: tensor[step % len(tensor)] for key, tensor in inputs.items()}


def noised(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`forward diffuse` with its defaults on `x0`, `epsilon` and `t`."""
    return diffuse.diffuse({key: inputs[key] for key in ("x0", "epsilon", "t")}, {})


def train(
    inputs: dict[str, torch.Tensor],
    predict: Callable[[dict[str, torch.Tensor], dict[str, torch.Tensor]], torch.Tensor],
    trained: list[torch.Tensor],
    undecayed: list[torch.Tensor] = (),
    lr: float = 1e-3,
    updates: int = 10,
) -> torch.Tensor:
    """The losses [updates] before each update; `predict` gets a batch and its noising and returns the epsilon."""
    # Biases and the scales and shifts of norms, all of one dimension, do not decay.
    weights = [tensor for tensor in trained if tensor.ndim > 1]
    others = [*(tensor for tensor in trained if tensor.ndim <= 1), *undecayed]
    groups = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, **SETTINGS)
    losses = []
    for step in range(updates):
        given = batch(inputs, step)
        diffused = noised(given)
        loss = diffuse.training_loss(predict(given, diffused), diffused)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*trained, *undecayed], CLIP)
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)
