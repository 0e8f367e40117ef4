"""Writes Stage C of 3.6B, or another size, in bfloat16 with random contents and the reference's names and shapes, and
a LoRA for it in the native format.

    python Tests/Peers/peers/full_stage_c.py BASE.safetensors [--lora LORA.safetensors --rank 16 --channelwise] [--arch JSON]

Names and shapes come from diffusers' network without memory; the contents are normal numbers, drawn once and repeated,
of the deviation that initialising would give. An existing BASE is left as it is."""

import argparse
import json
import pathlib
import struct

import torch

import lora
import stage_c

PATTERN = 1 << 24


def shapes(arch: dict) -> dict[str, list[int]]:
    """Every key of the reference's checkpoint with its shape."""
    with torch.device("meta"):
        network = stage_c.make(arch)
    state = stage_c.reference_state(dict(network.state_dict()))
    return {key: list(tensor.shape) for key, tensor in state.items()}


def write(path: pathlib.Path, wanted: dict[str, list[int]]) -> None:
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for key, shape in sorted(wanted.items()):
        size = 2 * torch.Size(shape).numel()
        header[key] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    pattern = torch.randn(PATTERN, generator=torch.Generator().manual_seed(1)).mul_(0.02).to(torch.bfloat16)
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        done = 0
        while done < offset:
            # Another place in the pattern each time, or equal tensors would be equal in content.
            start = done // 2 % 9973
            piece = pattern[start : start + (offset - done) // 2]
            file.write(piece.view(torch.uint8).numpy().data)
            done += 2 * len(piece)
    part.rename(path)


def write_lora(path: str, wanted: dict[str, list[int]], rank: int, channelwise: bool) -> None:
    """All attention's q, k, v and out_proj, and the residual blocks' products where they are asked for."""
    generator = torch.Generator().manual_seed(2)
    layers = {}

    def add(module: str, outputs: int, inputs: int) -> None:
        layers[f"{module}.lora_down.weight"] = torch.randn(rank, inputs, generator=generator) / inputs**0.5
        layers[f"{module}.lora_up.weight"] = torch.randn(outputs, rank, generator=generator) * 0.02

    for key, shape in wanted.items():
        if key.endswith(".attn.in_proj_weight"):
            for name in ("to_q", "to_k", "to_v"):
                add(key.removesuffix("in_proj_weight") + name, shape[0] // 3, shape[1])
        elif key.endswith(".attn.out_proj.weight") or (channelwise and ".channelwise." in key and len(shape) == 2):
            add(key.removesuffix(".weight"), *shape)
    lora.save(path, layers, rank, rank)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=pathlib.Path)
    parser.add_argument("--lora")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--channelwise", action="store_true")
    parser.add_argument("--arch", type=json.loads, default={})
    options = parser.parse_args()
    wanted = shapes(options.arch)
    if not options.base.exists():
        options.base.parent.mkdir(parents=True, exist_ok=True)
        write(options.base, wanted)
    if options.lora:
        write_lora(options.lora, wanted, options.rank, options.channelwise)


if __name__ == "__main__":
    main()
