"""Holds Stage C on a quantised base against the same quantisation, by bitsandbytes, in diffusers' network.

    python Tests/Peers/checks/quantised.py --command .build/release/cascade-adapt [--cases 4] [--seed 0]

Both are compared with diffusers' network in float32: the root mean square of the difference over that of the output.
Exits 1 where ours is above 1.02 times the peer's. In the peer the same matrices are replaced by what bitsandbytes makes
of them (int8: a scale for each row; nf4: blocks of 64 with compressed statistics), q, k and v as one matrix, as the
reference keeps them."""

import argparse
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import bitsandbytes.functional as bnb
import torch
import yaml
from safetensors.torch import load_file, save_file

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import stage_c
from case import redraw

ROWS = [f"{way}_{kind}." for way in ("down", "up") for kind in ("blocks", "downscalers", "upscalers", "repeat_mappers")]


def quantised(matrix: torch.Tensor, form: str) -> torch.Tensor:
    if form == "int8":
        codes, statistics, _ = bnb.int8_vectorwise_quant(matrix)
        return codes * (statistics / 127)[:, None]
    codes, state = bnb.quantize_4bit(matrix, blocksize=64, compress_statistics=True, quant_type="nf4")
    return bnb.dequantize_4bit(codes, state)


def is_quantised(key: str, tensor: torch.Tensor) -> bool:
    is_matrix = tensor.ndim == 2 or (tensor.ndim == 4 and tensor.shape[2:] == (1, 1))
    return is_matrix and tensor.shape[1] % 64 == 0 and tensor.numel() >= 4096 and key.startswith(tuple(ROWS))


def diffusers_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The reference's tensors under diffusers' keys."""
    result = {}
    for key, tensor in state.items():
        if ".attn.in_proj_" in key:
            for part, piece in zip("qkv", tensor.chunk(3)):
                result[key.replace(".attn.in_proj_", f".to_{part}.")] = piece
        else:
            result[key.replace(".attn.out_proj.", ".to_out.0.")] = tensor
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", required=True, nargs="+", help="the cascade-adapt to ask")
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = 0
    for number in range(options.cases):
        generator = torch.Generator().manual_seed(zlib.crc32(f"quantised {options.seed} {number}".encode()))
        width = 64 * int(torch.randint(1, 5, (), generator=generator))
        arch = {
            "c_r": 64, "c_cond": 128, "c_hidden": [width, width], "nhead": [width // 32] * 2,
            "blocks": [[1, 2], [2, 1]], "c_clip_text": 64, "c_clip_text_pooled": 64, "c_clip_img": 32,
        }  # fmt: skip
        network = stage_c.calm(redraw(stage_c.make(arch), generator))
        inputs = {
            "x": torch.randn(2, 16, 8, 8, generator=generator), "r": torch.rand(2, generator=generator),
            "clip_text": torch.randn(2, 9, 64, generator=generator),
            "clip_text_pooled": torch.randn(2, 1, 64, generator=generator),
            "clip_img": torch.randn(2, 1, 32, generator=generator),
        }  # fmt: skip
        state = stage_c.reference_state(dict(network.state_dict()))
        with torch.no_grad():
            exact = stage_c.forward(network, inputs)
        for form in ("int8", "nf4"):
            replaced = {
                key: quantised(tensor.flatten(1), form).view_as(tensor) if is_quantised(key, tensor) else tensor
                for key, tensor in state.items()
            }
            peer = stage_c.make(arch)
            peer.load_state_dict(diffusers_state(replaced))
            with torch.no_grad():
                theirs = stage_c.forward(peer, inputs)
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                save_file(inputs, folder / "in.safetensors")
                save_file(state, folder / "weights.safetensors")
                (folder / "arch.yaml").write_text(yaml.safe_dump(arch))
                arguments = ["--inputs", "in.safetensors", "--weights", "weights.safetensors", "--arch", "arch.yaml"]
                arguments += ["--outputs", "out.safetensors", "--base-dtype", form, "--quiet"]
                command = [str(Path(options.command[0]).resolve()), *options.command[1:]]
                subprocess.run(command + ["forward", "stage-c"] + arguments, check=True, cwd=folder)
                ours = load_file(folder / "out.safetensors")["out"]
            errors = [((out - exact).norm() / exact.norm()).item() for out in (ours, theirs)]
            good = errors[0] <= 1.02 * errors[1]
            failed += not good
            print(f"width {width}, {form}: {errors[0]:.4f}, the peer {errors[1]:.4f}{'' if good else ' ABOVE'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
