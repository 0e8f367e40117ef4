"""Writes quantised.safetensors: matrices, and what bitsandbytes 0.50 makes of them in int8 and nf4.

    python3 Tests/Goldens/write_quantised.py

`NAME.matrix` [rows, columns], whose numbers are bfloat16's where the name says so; `NAME.int8.codes`, `.scales` by
`int8_vectorwise_quant`, whose statistics over 127 are the scales; `NAME.nf4.codes` by `quantize_4bit` in blocks of 64;
`.magnitudes`, `.scales`, `.mean` by the rule of its compressed statistics, written out: the library for processors takes a
neighbour's code where two are nearly as near, which is checked here. `NAME.nf4.values` are the numbers that the codes stand
for. All are float32, codes too."""

import pathlib

import bitsandbytes.functional as bnb
import torch
from safetensors.torch import save_file

generator = torch.Generator().manual_seed(17)
matrices = {
    "normal": torch.randn(48, 384, generator=generator),
    "bfloat16": (0.02 * torch.randn(8, 128, generator=generator)).bfloat16(),
    "rows": torch.randn(20, 64, generator=generator) * torch.logspace(-6, 3, 20)[:, None],
}
matrices["normal"][3, 64:128] = 0
matrices["normal"][7] = 0

tensors = {}
for name, matrix in matrices.items():
    codes, statistics, _ = bnb.int8_vectorwise_quant(matrix.float())
    # A row of zeros has no scale: its codes are no numbers there, and zeros here.
    codes = torch.where(statistics[:, None] > 0, codes, torch.zeros_like(codes))
    scales = statistics / 127
    tensors |= {
        f"{name}.matrix": matrix, f"{name}.int8.codes": codes, f"{name}.int8.scales": scales,
    }  # fmt: skip

    codes, state = bnb.quantize_4bit(matrix, blocksize=64, compress_statistics=True, quant_type="nf4")
    _, plain = bnb.quantize_4bit(matrix, blocksize=64, quant_type="nf4")
    mean = plain.absmax.mean()
    centred = torch.nn.functional.pad(plain.absmax - mean, (0, -plain.absmax.numel() % 256)).view(-1, 256)
    group = centred.abs().max(1).values
    bounds = (state.state2.code[:-1] + state.state2.code[1:]) / 2
    magnitudes = torch.bucketize(centred * (1 / group)[:, None], bounds).flatten()[: plain.absmax.numel()]
    assert torch.allclose(mean, state.offset, rtol=1e-5) and torch.allclose(group, state.state2.absmax, rtol=1e-4)
    assert (magnitudes - state.absmax.long()).abs().max() <= 1
    sizes = state.state2.code[magnitudes] * group.repeat_interleave(256)[: magnitudes.numel()] + mean
    nibbles = torch.stack([codes.flatten() >> 4, codes.flatten() & 15], 1).flatten().long()
    values = (state.code[nibbles].view(-1, 64) * sizes[:, None]).view(matrix.shape)
    tensors |= {
        f"{name}.nf4.codes": codes.view(matrix.shape[0], -1), f"{name}.nf4.magnitudes": magnitudes,
        f"{name}.nf4.scales": group, f"{name}.nf4.mean": mean[None], f"{name}.nf4.values": values,
    }  # fmt: skip

path = pathlib.Path(__file__).with_name("quantised.safetensors")
save_file({key: tensor.float().contiguous() for key, tensor in tensors.items()}, path, {"peer": "bitsandbytes 0.50.2"})
