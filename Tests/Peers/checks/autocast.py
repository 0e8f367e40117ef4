"""Holds the rounding of Stage C in bfloat16 against PyTorch's autocast: part of `make parity`.

    python Tests/Peers/checks/autocast.py --command .build/release/cascade-adapt [--seeds 3]

Gradients of a random Stage C of 94 million parameters are computed in float32, in bfloat16 by `forward stage-c`, and by diffusers'
network under autocast, whose norms compute in float32 as they do on CUDA. Of each kind of weight the median distance to float32
must be no larger than autocast's, though activations between blocks are bfloat16 here and float32 there."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
import stage_c

ARCH = {"c_hidden": [512, 512], "nhead": [8, 8], "c_cond": 512, "blocks": [[4, 8], [8, 4]]}
KINDS = ["attn.in_proj_weight", "attn.out_proj.weight", "channelwise.0.weight", "channelwise.4.weight", "depthwise.weight"]


def drawn(seed: int) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """The network, whose last layer would start at zero, and a sample of 24 x 24 latents."""
    torch.manual_seed(seed)
    network = stage_c.calm(stage_c.make(ARCH))
    torch.nn.init.normal_(network.clf[1].weight, std=0.02)
    inputs = {
        "x": torch.randn(1, 16, 24, 24), "r": torch.rand(1), "clip_text": torch.randn(1, 77, 1280),
        "clip_text_pooled": torch.randn(1, 1, 1280), "clip_img": torch.randn(1, 1, 768), "target": torch.randn(1, 16, 24, 24),
    }  # fmt: skip
    return network, inputs


def under_autocast(network: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The gradients by our keys."""
    layer_norm = torch.nn.functional.layer_norm

    def in_float32(x, *more, **named):
        with torch.autocast("cpu", enabled=False):
            return layer_norm(x.float(), *more, **named)

    torch.nn.functional.layer_norm = in_float32
    try:
        with torch.autocast("cpu", torch.bfloat16):
            prediction = stage_c.forward(network, inputs)
    finally:
        torch.nn.functional.layer_norm = layer_norm
    (prediction.float() - inputs["target"]).square().mean().backward()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters() if parameter.grad is not None}
    return stage_c.reference_state(gradients)


def ours(command: str, folder: pathlib.Path, dtype: str) -> dict[str, torch.Tensor]:
    files = {name: folder / f"{name}.safetensors" for name in ("weights", "inputs", dtype)}
    subprocess.run(
        [
            command, "forward", "stage-c", "--arch", folder / "arch.yaml", "--weights", files["weights"], "--inputs",
            files["inputs"], "--outputs", files[dtype], "--dtype", dtype, "--gradients", "--overwrite", "--quiet",
        ],
        check=True,
    )  # fmt: skip
    found = load_file(files[dtype])
    return {key.removeprefix("grad."): tensor for key, tensor in found.items() if key.startswith("grad.")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    worst = 0.0
    for seed in range(options.seeds):
        network, inputs = drawn(seed)
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "arch.yaml").write_text(json.dumps(ARCH))
            save_file(stage_c.reference_state(network.state_dict()), folder / "weights.safetensors")
            save_file(inputs, folder / "inputs.safetensors")
            exact, rounded = (ours(options.command, folder, dtype) for dtype in ("float32", "bfloat16"))
        theirs = under_autocast(network, inputs)
        for kind in KINDS:
            keys = [key for key in exact if key.endswith(kind)]
            mine, other = (
                statistics.median(
                    ((some[key].double() - exact[key].double()).norm() / exact[key].double().norm()).item() for key in keys
                )
                for some in (rounded, theirs)
            )
            worst = max(worst, mine / other)
            print(f"seed {seed}, {kind}: {mine:.2%} from float32, autocast {other:.2%}")
    print(f"at most {worst:.2f} of autocast's distance")
    if not worst <= 1:
        sys.exit("rounded more than under autocast")


if __name__ == "__main__":
    main()
