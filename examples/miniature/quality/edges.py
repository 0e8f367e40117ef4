"""How well the edges of one image lie on those of another."""

import cv2
import numpy as np

# As the ControlNet's CannyFilter finds them.
LOW, HIGH = 100, 200
# How far an edge may lie from its counterpart, in pixels to each side.
TOLERANCE = 1


def edges(image: np.ndarray) -> np.ndarray:
    """Canny's edges of [H, W, 3] bytes, [H, W] of 0 and 1."""
    return (cv2.Canny(np.ascontiguousarray(image), LOW, HIGH) > 0).astype(np.uint8)


def edge_f1(image: np.ndarray, original: np.ndarray) -> float:
    """The harmonic mean of the share of the image's edges that lie on the original's, and the other way round."""
    found, wanted = edges(image), edges(original)
    if not found.any() or not wanted.any():
        return float(found.any() == wanted.any())
    around = np.ones((2 * TOLERANCE + 1,) * 2, np.uint8)
    precision = found[cv2.dilate(wanted, around) > 0].sum() / found.sum()
    recall = wanted[cv2.dilate(found, around) > 0].sum() / wanted.sum()
    return float(2 * precision * recall / max(precision + recall, 1e-9))
