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


class AdaptiveWeight:
    """Weights by the inverse of a running mean of the loss in each of 300 buckets of log SNR, as in float64."""

    def __init__(self) -> None:
        self.edges = torch.linspace(-10, 10, 299, dtype=torch.float64)
        self.running = torch.ones(300, dtype=torch.float64)

    def __call__(self, logSNR: torch.Tensor) -> torch.Tensor:
        return (1 / self.running[torch.bucketize(logSNR.double(), self.edges)]).clamp(1e-7, 1e7).float()

    def update(self, logSNR: torch.Tensor, losses: torch.Tensor) -> None:
        """Losses of one bucket count by their mean."""
        buckets = torch.bucketize(logSNR.double(), self.edges)
        for bucket in buckets.unique():
            mean = losses[buckets == bucket].double().mean()
            self.running[bucket] = 0.99 * self.running[bucket] + 0.01 * mean


def train(
    inputs: dict[str, torch.Tensor],
    predict: Callable[[dict[str, torch.Tensor], dict[str, torch.Tensor]], torch.Tensor],
    trained: list[torch.Tensor],
    undecayed: list[torch.Tensor] = (),
    lr: float = 1e-3,
    updates: int = 10,
    adaptive: AdaptiveWeight | None = None,
    text: list[torch.Tensor] = (),
    text_lr: float = 0.0,
) -> torch.Tensor:
    """The losses [updates] before each update; `predict` gets a batch and its noising and returns the epsilon.

    `adaptive` takes the place of the P2 weight and learns from each update's losses; the weights `text` have a rate of
    their own."""
    # Biases and the scales and shifts of norms do not decay: all that have one dimension longer than 1.
    weights = [tensor for tensor in trained if tensor.numel() > tensor.shape[-1]]
    others = [*(tensor for tensor in trained if tensor.numel() <= tensor.shape[-1]), *undecayed]
    groups = [{"params": weights}, {"params": others, "weight_decay": 0.0}, {"params": list(text), "lr": text_lr}]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, **SETTINGS)
    losses = []
    for step in range(updates):
        given = batch(inputs, step)
        diffused = noised(given)
        if adaptive is not None:
            diffused["loss_weight"] = adaptive(diffused["logSNR"])
        prediction = predict(given, diffused)
        loss = diffuse.training_loss(prediction, diffused)
        if adaptive is not None:
            apart = (prediction - diffused["target"]).detach().square().mean(dim=(1, 2, 3))  # [B]
            adaptive.update(diffused["logSNR"], apart)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*trained, *undecayed, *text], CLIP)
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)
