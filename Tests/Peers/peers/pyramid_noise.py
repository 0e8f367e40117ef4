"""Stage B's noise: normal noise, and noise of fewer and fewer pixels stretched over it."""

import torch
from torch.nn import functional

DECAY = 0.75
SIDES = range(1, 17)


def sizes(height: int, width: int) -> list[tuple[int, int, float]]:
    """Height, width and factor of each addition, the finest first: halvings of which a side is at most 16."""
    found = []
    for level in range(1, 10):
        h, w = height // 2**level, width // 2**level
        if min(h, w) < 1:
            break
        if h in SIDES or w in SIDES:
            found.append((h, w, DECAY**level))
        if min(h, w) == 1:
            break
    return found


def mix(epsilon: torch.Tensor, additions: list[torch.Tensor]) -> torch.Tensor:
    """epsilon [B, C, H, W] with the additions [B, C, h, w] in it, at variance 1."""
    factors = [factor for _, _, factor in sizes(*epsilon.shape[-2:])]
    total = epsilon
    for factor, addition in zip(factors, additions, strict=True):
        total = total + factor * functional.interpolate(addition, size=epsilon.shape[-2:], mode="nearest")
    return total / (1 + sum(factor**2 for factor in factors)) ** 0.5
