"""What encoder and previewer lose of subjects that they were not trained on: the ceiling of all further on."""

import pathlib

import numpy as np

from bootstrap import by_subject, estimate
from edges import edge_f1
from program import Program
from samples import read


def psnr(image: np.ndarray, original: np.ndarray) -> float:
    """Peak signal to noise in dB."""
    error = np.mean((image.astype(float) - original) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def measure(program: Program, data: pathlib.Path, folder: pathlib.Path) -> dict:
    samples = read(data / "judging.tar")
    made = program.reconstruct(samples.images, folder)
    pairs = list(zip(made, samples.images, strict=True))
    return {
        name: estimate(by_subject(samples.values("subject"), [compared(*pair) for pair in pairs]))
        for name, compared in (("psnr", psnr), ("f1", edge_f1))
    }
