"""Writes the golden of the inpainting filter: what the reference's `InpaintFilter` computes, step by step.

Peers: Tests/Peers/saliency.py in torch (the network) and torchvision (resizing to a short side of 240, Gaussian blur of
side 141); the file's metadata names their versions. The weights are of the published size and drawn from their names.
The places whose saliency is above a threshold, or all others, are brought to the picture's size by the nearest pixel,
blurred and cut at one half; what lies in them turns white."""

import json
import sys
from pathlib import Path

import torch
from torch.nn.functional import interpolate
from torchvision.transforms.functional import gaussian_blur, resize

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers"))

import drawn
import golden
import saliency
from write_canny_filter import draw


def filtered(picture: torch.Tensor, found: torch.Tensor, threshold: float, outpaint: bool) -> torch.Tensor:
    matters = (found > threshold) != outpaint
    sized = interpolate(matters.float(), size=picture.shape[2:], mode="nearest")
    blurred = gaussian_blur(sized, [141, 141])
    assert (blurred - 0.5).abs().min() > 1e-6  # no rounding decides
    mask = (blurred > 0.5).float()
    return torch.cat([torch.where(mask > 0, torch.ones_like(picture), picture), mask], 1)


if __name__ == "__main__":
    shapes = saliency.shapes()
    weights = {key: drawn.weight(key, shape) for key, shape in shapes.items()}
    assert sum(weight.numel() for weight in weights.values()) == 111_233  # as in the published file
    pictures = {"wide": draw(74, 104, 5), "tall": draw(100, 74, 6)}
    outputs = {}
    thresholds = {}
    for name, picture in pictures.items():
        small = resize(picture, 240, antialias=True)
        found = saliency.saliency(weights, small)
        values = found.flatten().sort().values
        for level in [0.3, 0.4, 0.5, 0.6, 0.7]:
            # Half way over a wide gap, so that no rounding decides.
            start, end = int(level * len(values)), int((level + 0.1) * len(values))
            gap = int((values[start + 1 : end] - values[start : end - 1]).argmax()) + start
            threshold = round(float(values[gap] + values[gap + 1]) / 2, 7)
            mask = filtered(picture, found, threshold, outpaint=name == "tall")[:, 3:]
            if 0.2 < mask.mean() < 0.8:
                break
        assert 0.2 < mask.mean() < 0.8
        print(f"{name}: {found.min():.3f} to {found.max():.3f}, at {threshold} {mask.mean():.3f} cut out")
        outputs[f"saliency.{name}"] = found
        # The picture itself is stored once.
        outputs[f"mask.{name}"] = mask
        thresholds[f"threshold.{name}"] = repr(threshold)
    golden.write(
        "inpaint_filter", "InpaintFilter", {}, ["torchvision"], {"in": pictures, "out": outputs},
        shapes=json.dumps(shapes), **thresholds)
