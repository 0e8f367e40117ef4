"""Writes the golden of the QR filter: what the reference's `QRFilter` computes, each image by its own limits.

Peers: kornia (value, dilation, erosion), torchvision (Gaussian blur) and torch (bilinear resizing); the file's metadata
names their versions. The images are small pieces of photographs that scikit-image ships. `parameters.CASE` in the
metadata is what CASE was computed with."""

import json
import sys
from pathlib import Path

import torch
from skimage import data

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import filters
import golden


def piece(photograph: str, row: int, column: int, height: int, width: int) -> torch.Tensor:
    """Every second pixel of a part of a photograph, [1, 3, height, width] in 0...1."""
    pixels = getattr(data, photograph)()[row : row + 2 * height : 2, column : column + 2 * width : 2]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def as_parameters(case: dict) -> dict:
    """A case in the words of `controlnet_filter_params`."""
    names = {"dilation": "dilation_kernels", "blur": "blur_kernels", "sigma": "blur_sigma"}
    return {names.get(key, key): value for key, value in case.items()}


if __name__ == "__main__":
    images = {
        "face": piece("astronaut", 20, 170, 44, 40),
        "cat": piece("chelsea", 60, 100, 32, 56),
        "rocket": piece("rocket", 200, 250, 40, 36),
        # Of two ranges of brightness, so that one's limits for both would show.
        "both": torch.cat([piece("coffee", 100, 200, 32, 32), piece("astronaut", 300, 60, 32, 32) * 0.4]),
    }
    cases = {
        "face": {"dilation": 5, "blur": 15, "sigma": 1.1},
        "cat": {"resize": None, "dilation": 4, "blur": 3, "sigma": 0.5},
        "rocket": {"resize": None, "blobify": False},
        "both": {"dilation": 7, "blur": 15, "sigma": 2.0},
    }
    outputs = {name: filters.qr(image, **cases[name]) for name, image in images.items()}
    parameters = {f"parameters.{name}": json.dumps(as_parameters(case)) for name, case in cases.items()}
    golden.write(
        "qr_filter", "QRFilter", {}, ["kornia", "torchvision", "scikit-image"], {"in": images, "out": outputs},
        **parameters)  # fmt: skip
