"""Writes the goldens of the edge filter: PiDiNet, and what the reference's `PidiFilter` computes with it, step by step.

Peers: Tests/Peers/peers/pidinet.py in torch (the network, from the paper), kornia (dilation) and torch
(bilinear resizing); the file's metadata names their versions. `pidinet` has the published size, its weights drawn from
their names; `pidinet_narrow.pth` is a file in the published layout, of fewer channels. In the filter images are brought
to 224 x 224, edges are dilated by a disc, cut at a threshold, and brought back to the image's size."""

import json
import sys
from pathlib import Path

import kornia
import numpy
import torch
from torch.nn.functional import interpolate

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import drawn
import golden
import pidinet
from write_canny_filter import draw

CASES = {"plain": (0, None), "narrow": (3, None), "even": (4, None), "wide": (9, None), "cut": (0, 0.4), "both": (7, 0.5)}


def narrow_weights() -> dict[str, torch.Tensor]:
    numbers = torch.Generator().manual_seed(7)
    weights = {}
    for key, shape in pidinet.shapes(8, 4).items():
        fan_in = max(1, int(numpy.prod(shape[1:])))
        weights[key] = golden.normal(numbers, *shape) * (0.1 if len(shape) == 1 else fan_in**-0.5)
        if key.startswith(("conv_reduces", "classifier")):
            weights[key] *= 4  # so that edges are neither all grey nor all black and white
    weights["classifier.bias"] -= 1.6  # and that every threshold of the filter's cuts some
    return weights


def filtered(weights: dict, image: torch.Tensor, side: int, level: float | None) -> tuple[torch.Tensor, float | None]:
    """The condition, and the threshold taken: a quantile of the edges that lies between two of their values."""
    small = interpolate(image, (224, 224), mode="bilinear", align_corners=False)
    found = pidinet.edges(weights, small)
    if side > 0:
        steps = torch.linspace(-0.5, 0.5, side).square()
        found = kornia.morphology.dilation(found, (steps[:, None] + steps[None] < 0.3).float())
    threshold = None
    if level is not None:
        # Half way over a wide gap, so that no rounding decides.
        values = found.flatten().sort().values
        start, end = int(level * len(values)), int((level + 0.2) * len(values))
        gap = int((values[start + 1 : end] - values[start : end - 1]).argmax()) + start
        threshold = round(float(values[gap] + values[gap + 1]) / 2, 7)
        found = (found > threshold).float()
    return interpolate(found, image.shape[2:], mode="bilinear", align_corners=False), threshold


if __name__ == "__main__":
    shapes = pidinet.shapes()
    weights = {key: drawn.weight(key, shape) for key, shape in shapes.items()}
    assert sum(weight.numel() for weight in weights.values()) == 710_149  # as in the published file
    images = {"pictures": torch.cat([draw(48, 61, 1), draw(48, 61, 2)])}
    outputs = {"edges": pidinet.edges(weights, images["pictures"])}
    print(f"edges from {outputs['edges'].min():.3f} to {outputs['edges'].max():.3f}, {outputs['edges'].std():.3f}")
    golden.write("pidinet", "PiDiNet", {}, [], {"in": images, "out": outputs}, shapes=json.dumps(shapes))

    narrow = narrow_weights()
    stored = {"epoch": 19, "state_dict": {f"module.{key}": weight for key, weight in narrow.items()}}
    torch.save(stored, golden.FOLDER / "pidinet_narrow.pth")
    image = draw(40, 56, 3)
    results = {name: filtered(narrow, image, *case) for name, case in CASES.items()}
    for name, (condition, _) in results.items():
        print(f"{name}: {condition.min():.3f} to {condition.max():.3f}, deviation {condition.std():.3f}")
    outputs = {name: condition for name, (condition, _) in results.items()}
    thresholds = {f"threshold.{name}": repr(level) for name, (_, level) in results.items() if level is not None}
    golden.write(
        "pidi_filter", "PidiFilter", {}, ["kornia"], {"in": {"picture": image}, "out": outputs},
        **thresholds)
