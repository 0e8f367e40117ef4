"""The shape of what stands on a flat background."""

import numpy as np

# Pixels of the frame whose colour is taken for the background's.
BORDER = 3
# How far a pixel's colour has to be from the background's, the largest difference of the three bytes.
DIFFERENCE = 40


def silhouette(image: np.ndarray) -> np.ndarray:
    """Where [H, W, 3] bytes differ from the colour of the border, [H, W] of bool."""
    frame = np.ones(image.shape[:2], bool)
    frame[BORDER:-BORDER, BORDER:-BORDER] = False
    background = np.median(image[frame], axis=0)
    return np.abs(image.astype(float) - background).max(-1) > DIFFERENCE


def overlap(image: np.ndarray, original: np.ndarray) -> float:
    """Intersection over union of two images' silhouettes."""
    one, other = silhouette(image), silhouette(original)
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else 1.0
