"""Writes the golden of the filters `SRFilter` and `SREffnetFilter`: what the reference computes.

Peers: torch (nearest resizing by a factor) and torchvision (EfficientNetV2-S, weights drawn from their names by
drawn.py); the file's metadata names their versions. `factor.CASE` [1] is the factor of an `SRFilter` case; the encoder's
is 0.5."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import drawn
import filters
import golden
from effnet import EffNet

if __name__ == "__main__":
    generator = torch.Generator().manual_seed(510)
    cases = {  # name: B, H, W, factor; sides that the factor divides and others
        "quarter": (2, 12, 20, 0.25), "uneven": (1, 15, 23, 0.25), "third": (1, 15, 26, 0.3), "tenth": (1, 19, 32, 0.1),
        "most": (1, 13, 21, 0.7), "half": (1, 13, 16, 0.5),
    }  # fmt: skip
    images = {
        name: torch.rand(count, 3, height, width, generator=generator)
        for name, (count, height, width, _) in cases.items()
    }
    outputs = {name: filters.sr(image, cases[name][3]) for name, image in images.items()}
    factors = {name: torch.tensor([case[3]], dtype=torch.float32) for name, case in cases.items()}

    # Soft colours, as photographs have, and not noise.
    encoded = torch.nn.functional.avg_pool2d(torch.rand(2, 3, 71, 103, generator=generator), 8, stride=1) * 4 - 1.5
    encoded = encoded.clamp(0, 1)  # [2, 3, 64, 96]
    encoder = EffNet(c_latent=16)
    drawn.fill(encoder)
    scales = drawn.measure_scales(encoder, filters.normalised(filters.coarse(encoded, 0.5)))
    made = filters.sr_effnet(encoder, encoded)
    golden.write(
        "super_resolution", "SRFilter and SREffnetFilter", {}, ["torchvision"],
        {
            "in": images | {"effnet": encoded},
            "out": outputs | {"effnet": made["condition"]}, "factor": factors, "scale": scales,
        })  # fmt: skip
