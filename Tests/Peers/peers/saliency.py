"""The reference's saliency network in plain functions, over a dictionary of weights by the published file's keys."""

import torch
from torch.nn.functional import conv2d, interpolate, pad


def shapes() -> dict[str, tuple[int, ...]]:
    """Every key of `saliency_model.pt` and its shape."""
    found = {}
    for place, outputs, inputs, side in [
        ("downsampler.1", 8, 3, 9),
        ("downsampler.5", 16, 8, 3),
        ("downsampler.9", 32, 16, 3),
        ("residual.0.resblock.1", 32, 32, 3),
        ("residual.0.resblock.5", 32, 32, 3),
        ("residual.2.resblock.1", 64, 64, 3),
        ("residual.2.resblock.5", 64, 64, 3),
        ("segmentator.1", 16, 64, 3),
    ]:
        part, index = place.rsplit(".", 1)
        norm = f"{part}.{int(index) + 1}"
        found |= {f"{place}.weight": (outputs, inputs, side, side), f"{place}.bias": (outputs,)}
        found |= {f"{norm}.weight": (outputs,), f"{norm}.bias": (outputs,)}
    return found | {
        "residual.1.weight": (64, 1, 1, 1), "segmentator.6.weight": (1, 16, 9, 9), "segmentator.6.bias": (1,),
    }


def saliency(weights: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """[B, 1, H/8, W/8] in 0...1 of images [B, 3, H, W] in 0...1."""

    def layer(x: torch.Tensor, part: str, index: int, stride: int = 1) -> torch.Tensor:
        weight = weights[f"{part}.{index}.weight"]
        reach = weight.shape[-1] // 2
        y = conv2d(pad(x, (reach,) * 4, mode="reflect"), weight, weights[f"{part}.{index}.bias"], stride=stride)
        pixels = y.flatten(2)
        centred = pixels - pixels.mean(2, keepdim=True)
        even = centred / (centred.square().mean(2, keepdim=True) + 1e-5).sqrt()
        norm = f"{part}.{index + 1}"
        return (even * weights[f"{norm}.weight"][:, None] + weights[f"{norm}.bias"][:, None]).reshape(y.shape)

    x = layer(images, "downsampler", 1, stride=4).relu()
    x = layer(x, "downsampler", 5, stride=2).relu()
    x = layer(x, "downsampler", 9, stride=2).relu()
    x = x + layer(layer(x, "residual.0.resblock", 1).relu(), "residual.0.resblock", 5)
    # Channel i becomes channels 2i and 2i + 1.
    x = x.repeat_interleave(2, 1) * weights["residual.1.weight"].reshape(1, 64, 1, 1)
    x = x + layer(layer(x, "residual.2.resblock", 1).relu(), "residual.2.resblock", 5)
    x = layer(x, "segmentator", 1).relu()
    x = pad(interpolate(x, scale_factor=2, mode="nearest"), (4,) * 4, mode="reflect")
    return conv2d(x, weights["segmentator.6.weight"], weights["segmentator.6.bias"]).sigmoid()
