"""Writes rounding.safetensors: twelve updates of bfloat16 weights, each rounded by chance.

Peers: torch 2.15.0 (AdamW), transformers 5.23.0 (Adafactor); the draws are those of Peers/peers/philox.py.

    python3 Tests/Goldens/write_rounding.py

An optimizer of float32 steps a float32 copy of the weights, whose moments it keeps, by gradients that are bfloat16 widened;
what comes out is rounded by the draws of the seed and stream in the metadata, of the update, and of the tensor's place:
0 for the matrix, which decays by 0.1, 1 for the vector. Weights begin as `start.NAME`, gradient t is noise.NAME[t % 3],
the rate 0.01. Afterwards they are `CASE.NAME`."""

import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import golden
import philox

UPDATES, SEED, STREAM = 12, 77, 6
SHAPES = {"matrix": (41, 101), "vector": (33,)}


def problem() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(605)
    tensors = {}
    for name, shape in SHAPES.items():
        tensors[f"start.{name}"] = torch.randn(shape, generator=generator).bfloat16()
        tensors[f"noise.{name}"] = torch.randn((3, *shape), generator=generator).bfloat16()
    return tensors


def run(given: dict, make) -> dict[str, torch.Tensor]:
    named = {name: torch.nn.Parameter(given[f"start.{name}"].float()) for name in SHAPES}
    optimizer = make(
        [{"params": [named["matrix"]], "weight_decay": 0.1}, {"params": [named["vector"]], "weight_decay": 0.0}])
    seed, stream = philox.purpose_seed(SEED, STREAM), philox.PURPOSES["rounding"] << 24
    for update in range(1, UPDATES + 1):
        for name, tensor in named.items():
            tensor.grad = given[f"noise.{name}"][update % 3].float()
        optimizer.step()
        with torch.no_grad():
            for place, tensor in enumerate(named.values()):
                tensor.copy_(philox.rounded(tensor, seed, stream, update, place))
    return {name: tensor.detach().bfloat16() for name, tensor in named.items()}


def main() -> None:
    philox.check()
    given = problem()
    cases = {
        "adamw": run(given, lambda groups: torch.optim.AdamW(groups, lr=0.01)),
        "adafactor": run(
            given, lambda groups: transformers.Adafactor(groups, lr=0.01, relative_step=False, scale_parameter=False)),
    }
    tensors = given | {f"{case}.{name}": tensor for case, part in cases.items() for name, tensor in part.items()}
    content = save(
        {name: tensor.float().contiguous() for name, tensor in tensors.items()},
        {"seed": str(SEED), "stream": str(STREAM), "updates": str(UPDATES), "peer": f"torch {torch.__version__}, "
         f"transformers {transformers.__version__}"})
    path = Path(__file__).with_name("rounding.safetensors")
    path.write_bytes(golden.in_order(content))
    print(f"{path.name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
