"""Writes the goldens of adapter formats.

`lora_peft`: a LoRA as peft 0.21.2 saves it from diffusers' network, with its configuration as diffusers' pipelines keep
it in the file's texts, and the network's output. `adapter_keys.json`: the names that kohya's, ComfyUI's, diffusers'
and the official code's LoRA files have for every module of 3.6B and 1B, by their rules in Tests/Peers/peers/adapter_formats.py
over diffusers 0.42.1's network on the meta device."""

import hashlib
import json
import sys
from pathlib import Path

import torch
from peft import get_peft_model_state_dict

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import adapter_formats
import golden
import lora
import stage_c
import tiny

LITE = {"c_cond": 1536, "c_hidden": [1536, 1536], "nhead": [24, 24], "blocks": [[4, 12], [12, 4]]}


def write_peft() -> None:
    """Rank 2 at alpha 3 on attention and channelwise linears."""
    generator = torch.Generator().manual_seed(730)
    network = tiny.make_stage_c(generator)
    weights = stage_c.reference_state(network.state_dict())
    layers = lora.attach(network, 2, 3.0, lora.ATTENTION + lora.CHANNELWISE)
    lora.draw(layers, generator)
    inputs = {"x": golden.normal(generator, 1, 4, 6, 5), "r": torch.rand(1, generator=generator)}
    inputs |= tiny.conditions(generator, 1)
    with torch.no_grad():
        out = stage_c.forward(network, inputs)
    saved = {f"prior.{key}": tensor for key, tensor in get_peft_model_state_dict(network).items()}
    config = network.peft_config["default"].to_dict()
    config = {f"prior.{key}": sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    parts = {"in": inputs, "out": {"out": out}, "weights": weights, "adapter": saved}
    golden.write("lora_peft", "stage-c", tiny.STAGE_C, ["peft", "diffusers"], parts,
                 lora_adapter_metadata=json.dumps(config, default=str, sort_keys=True))  # fmt: skip


def digest(names: list[str]) -> dict:
    """How many names there are, their hash in the order given, and some of them."""
    return {
        "count": len(names),
        "sha256": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "samples": names[:: max(1, len(names) // 6)],
    }


def names(arch: dict) -> dict:
    with torch.device("meta"):
        network = stage_c.make(arch)
    found = {}
    for form, prefix in (("kohya", "lora_unet_"), ("comfyui", "lora_prior_unet_")):
        found[form] = digest(sorted(adapter_formats.key_map(network, prefix)))
    theirs = {id(module): path for path, module in network.named_modules()}
    # peft's LoRA of a depthwise convolution is another thing.
    matrices = [m for path, m in adapter_formats.modules(network).items() if not path.endswith("depthwise")]
    found["diffusers"] = digest(sorted(f"prior.{theirs[id(module)]}" for module in matrices))
    for filters in ([".attn"], [".attn", "channelwise"], [""]):
        lines = [
            line
            for number, (_, _, (outputs, inputs)) in enumerate(adapter_formats.units(network, filters))
            for line in (f"weights.{number}.lora_down [1, {inputs}]", f"weights.{number}.lora_up [{outputs}, 1]")
        ]
        found["stability " + ",".join(filters)] = digest(lines)
    return found


if __name__ == "__main__":
    write_peft()
    sizes = {"3.6B": names({}), "1B": names(LITE)}
    (golden.FOLDER / "adapter_keys.json").write_text(json.dumps(sizes, indent=1) + "\n")
