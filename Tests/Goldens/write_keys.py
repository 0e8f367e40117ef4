"""Writes keys.json: what the checkpoints of the four published sizes of Stage B and Stage C hold.

Peer: diffusers 0.42.1's StableCascadeUNet, whose keys are brought to the reference's names. For each size there are
the number of tensors and of elements, and the SHA-256 of the sorted lines `KEY [d, d, …]`, each with its line feed."""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import stage_b
import stage_c

SIZES = {
    "3.6B": (stage_c, {}),
    "1B": (stage_c, {"c_cond": 1536, "c_hidden": [1536, 1536], "nhead": [24, 24], "blocks": [[4, 12], [12, 4]]}),
    "3B": (stage_b, {}),
    "700M": (
        stage_b,
        {
            "c_hidden": [320, 576, 1152, 1152],
            "nhead": [-1, 9, 18, 18],
            "blocks": [[2, 4, 14, 4], [4, 14, 4, 2]],
            "block_repeat": [[1, 1, 1, 1], [2, 2, 2, 2]],
        },
    ),
}


def described(peer, arch: dict) -> dict:
    with torch.device("meta"):
        tensors = peer.reference_state(peer.make(arch).state_dict())
    lines = sorted(f"{key} {list(tensor.shape)}\n" for key, tensor in tensors.items())
    return {
        "tensors": len(tensors),
        "elements": sum(tensor.numel() for tensor in tensors.values()),
        "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
    }


if __name__ == "__main__":
    peers = ", ".join(f"{package} {version(package)}" for package in ("diffusers", "torch"))
    sizes = {name: described(*size) for name, size in SIZES.items()}
    path = Path(__file__).with_name("keys.json")
    path.write_text(json.dumps({"peer": peers, "sizes": sizes}, indent=2) + "\n")
    print(path.read_text())
