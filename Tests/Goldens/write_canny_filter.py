"""Writes the golden of the Canny filter: what the reference's `CannyFilter` computes, step by step.

Peers: opencv-contrib-python-headless (Canny) and torch (bilinear resizing); the file's metadata names their versions. Images
are brought to 224 x 224, their values times 255 are cut to bytes, edges are looked for between 100 and 200, and the
edges are brought back to the image's size."""

import sys
from pathlib import Path

import cv2
import numpy
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import filters
import golden


def draw(height: int, width: int, seed: int) -> torch.Tensor:
    """[1, 3, H, W] in 0...1: rectangles and discs over a slope."""
    numbers = numpy.random.default_rng(seed)
    image = numpy.linspace(40, 120, width)[None, :, None].repeat(height, 0).repeat(3, 2).astype(numpy.uint8)
    for _ in range(16):
        colour = numbers.integers(0, 256, 3).tolist()
        x, y = int(numbers.integers(0, width)), int(numbers.integers(0, height))
        cv2.circle(image, (x, y), max(2, min(height, width) // 8), colour, -1)
        cv2.rectangle(image, (y % width, x % height), (y % width + width // 4, x % height + height // 4), colour, -1)
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


if __name__ == "__main__":
    images = {"wide": draw(56, 90, 1), "tall": draw(120, 50, 2), "small": draw(40, 36, 3)}
    outputs = {name: filters.canny(image) for name, image in images.items()}
    golden.write("canny_filter", "CannyFilter", {}, ["opencv-contrib-python-headless"], {"in": images, "out": outputs})
