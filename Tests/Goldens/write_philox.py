"""Writes philox.safetensors: draws of three samples by an implementation in whole numbers of torch 2.

    python3 Tests/Goldens/write_philox.py

`words`, `uniform`, `normal` (in float64, rounded once) and `kept` at rate 0.3, [samples, numbers] each, for the seeds,
places, stream and update of the metadata. The implementation is held against its authors' known answers first."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import philox

philox.check()
seeds, places, stream, update, count = [0, 2**63 + 12345, 701], [0, 3, 2**32 - 1], 9 << 24 | 5, 77, 300


def drawn(draw) -> torch.Tensor:
    return torch.stack([draw(seed, stream, update, place, count) for seed, place in zip(seeds, places)])


tensors = {
    "words": drawn(philox.words), "uniform": drawn(philox.uniform), "normal": drawn(philox.normal).float(),
    "kept": drawn(lambda *source: philox.kept(0.3, *source)).float(),
}  # fmt: skip
metadata = {"seeds": json.dumps(seeds), "places": json.dumps(places), "stream": str(stream), "update": str(update)}
save_file(tensors, Path(__file__).with_name("philox.safetensors"), metadata)
