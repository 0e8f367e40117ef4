"""Goldens: small safetensors files with what goes in, what a peer says comes out, and the weights between.

Keys are prefixed `in.`, `out.`, `weights.` and whatever else a script names; the metadata holds `module`, `arch`
(JSON), `peer` (packages and versions) and further strings. A file of drawn weights has `scale.LAYER` [1] for each
batch norm instead of weights, see drawn.py."""

import json
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save

FOLDER = Path(__file__).resolve().parents[2] / "Goldens"


def write(name: str, module: str, arch: dict, peers: list[str], parts: dict[str, dict], **metadata: str) -> None:
    """Writes Tests/Goldens/NAME.safetensors from `parts`, dictionaries of tensors by prefix."""
    tensors = {f"{prefix}.{key}": tensor for prefix, part in parts.items() for key, tensor in part.items()}
    tensors = {key: tensor.detach().clone().contiguous() for key, tensor in tensors.items()}
    peer = ", ".join(f"{package} {version(package)}" for package in [*peers, "torch"])
    path = FOLDER / f"{name}.safetensors"
    content = save(tensors, {"module": module, "arch": json.dumps(arch), "peer": peer, **metadata})
    path.write_bytes(in_order(content))
    assert path.stat().st_size < 300_000, f"{path.name} is too large: {path.stat().st_size} bytes"
    print(f"{path.name}: {path.stat().st_size} bytes, {peer}")


def in_order(content: bytes) -> bytes:
    """The same file with its metadata sorted: safetensors writes it in a random order, which git calls a change."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=generator)


def edges(generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Images [B, C, H, W] of thin lines, 0 or 1, like Canny's."""
    noise = torch.nn.functional.avg_pool2d(normal(generator, *shape), 9, stride=1, padding=4)
    return (noise.abs() < 0.012).float()
