"""Writes algebra.safetensors by torch 2: products, decompositions, merged weights and the errors of the best low ranks.

    python3 Tests/Goldens/write_algebra.py

`product.*`: 2 a b + c. `matrix.*` with `singular.*`, their singular values, and `best.*`, the norm of what a rank-4
approximation leaves. `base.*`, two LoRA (`one.*` of rank 2, `two.*` of rank 1) and `merged.DTYPE.*`: base + 0.5 one -
two, summed in float32 and rounded once. The numbers of the merge are eighths, so that no order of summing matters."""

import pathlib

import torch
from safetensors.torch import save_file

generator = torch.Generator().manual_seed(5)


def normal(*shape):
    return torch.randn(shape, generator=generator)


def eighths(*shape):
    return torch.randint(-12, 13, shape, generator=generator) / 8


tensors = {}
a, b, c = eighths(5, 7), eighths(7, 6), eighths(5, 6)
tensors |= {"product.a": a, "product.b": b, "product.c": c, "product.out": 2 * a @ b + c}

q1, q2 = torch.linalg.qr(normal(60, 40)).Q, torch.linalg.qr(normal(40, 40)).Q
matrices = {
    "flat": normal(60, 40),
    "wide": normal(24, 90),
    "slow": q1 @ torch.diag(1 / torch.arange(1.0, 41) ** 0.5) @ q2,
    "low": normal(60, 3) @ normal(3, 40) + 1e-3 * normal(60, 40),
}
for name, matrix in matrices.items():
    values = torch.linalg.svd(matrix.double()).S
    tensors |= {
        f"matrix.{name}": matrix, f"singular.{name}": values.float(), f"best.{name}": values[4:].norm().float()[None],
    }  # fmt: skip

block = "down_blocks.0.2.attention.attn"
base = {
    "clip_txt_mapper.weight": eighths(8, 4), f"{block}.in_proj_weight": eighths(24, 8),
    f"{block}.in_proj_bias": eighths(24), f"{block}.out_proj.weight": eighths(8, 8),
    "down_blocks.0.0.channelwise.0.weight": eighths(16, 8), "clf.1.weight": eighths(4, 8, 1, 1),
}  # fmt: skip
shapes = {f"{block}.to_q": (8, 8), f"{block}.to_v": (8, 8), f"{block}.out_proj": (8, 8), "clf.1": (4, 8)}
rows = {f"{block}.to_q": slice(0, 8), f"{block}.to_v": slice(16, 24)}
sums = {key: tensor.clone() for key, tensor in base.items()}
for lora, rank, weight in [("one", 2, 0.5), ("two", 1, -1.0)]:
    for module, (outputs, inputs) in shapes.items():
        down, up = eighths(rank, inputs), eighths(outputs, rank)
        tensors |= {f"{lora}.{module}.lora_down.weight": down, f"{lora}.{module}.lora_up.weight": up}
        key = f"{block}.in_proj_weight" if module in rows else f"{module}.weight"
        sums[key][rows.get(module, slice(None))] += (weight * up @ down).reshape(sums[key][rows.get(module, slice(None))].shape)
for key, tensor in base.items():
    tensors[f"base.{key}"] = tensor
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn):
        name = str(dtype).removeprefix("torch.")
        # The base is stored in the dtype as well: eighths below 2 are exact in all of them.
        tensors[f"merged.{name}.{key}"] = sums[key].to(dtype).float()

save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, pathlib.Path(__file__).with_name("algebra.safetensors"),
          {"peer": f"torch {torch.__version__}"})  # fmt: skip
