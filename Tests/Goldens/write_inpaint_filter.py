"""Writes the golden of the inpainting filter: what the reference's `InpaintFilter` computes, step by step.

Peers: Tests/Peers/peers/saliency.py in torch (the network) and torchvision (resizing to a short side of 240, Gaussian blur of
side 141); the file's metadata names their versions. The weights are of the published size and drawn from their names.
What is cut out turns white."""

import json
import sys
from pathlib import Path

import torch
from torchvision.transforms.functional import resize

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import drawn
import filters
import golden
import saliency
from write_canny_filter import draw


if __name__ == "__main__":
    shapes = saliency.shapes()
    weights = {key: drawn.weight(key, shape) for key, shape in shapes.items()}
    assert sum(weight.numel() for weight in weights.values()) == 111_233  # as in the published file
    images = {"wide": draw(74, 104, 5), "tall": draw(100, 74, 6)}
    outputs = {}
    thresholds = {}
    for name, image in images.items():
        small = resize(image, 240, antialias=True)
        found = saliency.saliency(weights, small)
        values = found.flatten().sort().values
        for level in [0.3, 0.4, 0.5, 0.6, 0.7]:
            # Half way over a wide gap, so that no rounding decides.
            start, end = int(level * len(values)), int((level + 0.1) * len(values))
            gap = int((values[start + 1 : end] - values[start : end - 1]).argmax()) + start
            threshold = round(float(values[gap] + values[gap + 1]) / 2, 7)
            mask, margin = filters.inpaint_mask(image, found, threshold, outpaint=name == "tall")
            assert margin > 1e-6  # no rounding decides
            if 0.2 < mask.mean() < 0.8:
                break
        assert 0.2 < mask.mean() < 0.8
        print(f"{name}: {found.min():.3f} to {found.max():.3f}, at {threshold} {mask.mean():.3f} cut out")
        outputs[f"saliency.{name}"] = found
        # The image itself is stored once.
        outputs[f"mask.{name}"] = mask
        thresholds[f"threshold.{name}"] = repr(threshold)
    golden.write(
        "inpaint_filter", "InpaintFilter", {}, ["torchvision"], {"in": images, "out": outputs},
        shapes=json.dumps(shapes), **thresholds)
