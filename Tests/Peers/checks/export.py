"""Holds `cascade-adapt export` and the loading of foreign adapters against the programs they belong to.

    python Tests/Peers/checks/export.py --command .build/release/cascade-adapt [--cases 8] [--seed 0]

Each case draws a Stage C and a LoRA by peft on part of its modules. The native file is exported to every format; each
is loaded as its program loads it, and by `forward`, and brought back to native. A LoRA saved by peft is loaded by
`forward`, and one on the text encoder under kohya's names. Outputs must lie within 1e-5 of the peer's deviation."""

import argparse
import copy
import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from safetensors import safe_open
from safetensors.torch import load_file, save_file

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import adapter_formats
import clip_text
import lora
import stage_c
import tiny
from case import redraw
from draws import Draw, stage_c_arch, stage_c_inputs

BAR = 1e-5


def run(command: list[str], *arguments) -> None:
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: status {done.returncode}: {done.stderr}")


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata()


class Check:
    """One case's results, printed as they come."""

    def __init__(self):
        self.good = True

    def close(self, what: str, ours: torch.Tensor, theirs: torch.Tensor) -> None:
        error = ((ours - theirs).abs().max() / theirs.std().clamp(min=1e-6)).item()
        self.true(f"{what}: {error:.1e} of the deviation", error <= BAR)

    def true(self, what: str, holds: bool) -> None:
        self.good &= holds
        print(f"  {what}{'' if holds else '  WRONG'}")


def stage_c_case(command: list[str], draw: Draw, folder: Path) -> bool:
    check = Check()
    arch = stage_c_arch(draw)
    base = redraw(stage_c.make(arch), draw.generator)
    inputs = stage_c_inputs(draw, arch, [], injected=False)
    kinds = [lora.CHANNELWISE, ["clf.1", "embedding.1", "clip_txt_mapper", "channelwise.0"]]
    if any("A" in level for level in arch["level_config"]):
        kinds += [lora.ATTENTION, ["to_q", "to_out.0"], ["to_v", "kv_mapper.1", "channelwise.4"]]
    if any("T" in level for level in arch["level_config"]):
        kinds.append(["mapper", *(f"mapper_{name}" for name in arch["t_conds"])])
    targets, rank, alpha = draw.one(*kinds), draw.whole(1, 4), draw.one(1.0, 2.0, 3.0, 8.0)
    print(f"  {targets}, rank {rank}, alpha {alpha}, {json.dumps(arch)}", flush=True)

    peer = copy.deepcopy(base)
    layers = lora.attach(peer, rank, alpha, targets)
    kernels = draw.one(True, False, False) and rank <= arch["kernel_size"] ** 2
    if kernels:
        print("  and depthwise kernels")
        layers |= lora.attach_depthwise(peer, rank, alpha)
    lora.draw(layers, draw.generator)
    with torch.no_grad():
        expected = stage_c.forward(peer, inputs)
    native = folder / "native.safetensors"
    lora.save(native, {key: layer.flatten(1) for key, layer in layers.items()}, rank, alpha)
    (folder / "arch.json").write_text(json.dumps(arch))
    save_file(stage_c.reference_state(base.state_dict()), folder / "weights.safetensors")
    save_file(inputs, folder / "in.safetensors")

    def forward(adapter: Path) -> torch.Tensor:
        out = folder / "out.safetensors"
        run(command, "forward", "stage-c", "--inputs", folder / "in.safetensors", "--arch", folder / "arch.json",
            "--weights", folder / "weights.safetensors", "--adapter", adapter, "--outputs", out)  # fmt: skip
        return load_file(out)["out"]

    for form in ("stability", "kohya", "comfyui", "diffusers"):
        path = folder / f"{form}.safetensors"
        arguments = ["export", native, "-o", path, "--format", form, "--arch", folder / "arch.json"]
        if kernels and (form == "diffusers" or (form == "stability" and arch["kernel_size"] > 1)):
            done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
            check.true(f"{form} has no place for kernels: {done.stderr.strip()}", done.returncode == 2)
            continue
        run(command, *arguments)
        tensors, texts = load_file(path), metadata(path)
        for with_texts in (True, False) if form == "diffusers" else (True,):
            network = copy.deepcopy(base)
            if form == "stability":
                left = adapter_formats.load_positional(network, tensors, json.loads(texts["module_filters"]))
            elif form == "diffusers":
                left = adapter_formats.load_peft(network, tensors, texts if with_texts else None)
            else:
                prefix = {"kohya": "lora_unet_", "comfyui": "lora_prior_unet_"}[form]
                left = adapter_formats.load_keyed(network, tensors, prefix)
            with torch.no_grad():
                check.close(f"{form} in its program", stage_c.forward(network, inputs), expected)
            check.true(f"{form}: every key is known", not left)
        check.close(f"{form} in forward", forward(path), expected)
        back = folder / f"{form}_back.safetensors"
        run(command, "export", path, "-o", back, "--arch", folder / "arch.json")
        if form in ("kohya", "comfyui"):
            ours, theirs = load_file(back), load_file(native)
            same = ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
            check.true(f"{form} and back: bit for bit", same)
        else:
            check.close(f"{form} and back", forward(back), expected)

    if kernels:
        return check.good
    # As diffusers' save_lora_adapter writes it: without prefix, the configuration in the texts.
    config = peer.peft_config["default"].to_dict()
    config = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    saved = folder / "peft.safetensors"
    tensors = {key: tensor.contiguous() for key, tensor in get_peft_model_state_dict(peer).items()}
    save_file(tensors, saved, {"format": "pt", "lora_adapter_metadata": json.dumps(config, default=str)})
    check.close("peft's own file in forward", forward(saved), expected)
    return check.good


def text_case(command: list[str], draw: Draw, folder: Path) -> bool:
    """A LoRA by peft on the text encoder, under kohya's and diffusers' names."""
    check = Check()
    tower = redraw(clip_text.make(tiny.CLIP_TEXT), draw.generator).requires_grad_(False)
    save_file({key: t.contiguous() for key, t in tower.state_dict().items()}, folder / "weights.safetensors")
    targets = draw.one(["q_proj", "v_proj"], ["fc1", "out_proj"], ["k_proj", "fc2"])
    inject_adapter_in_model(LoraConfig(r=2, lora_alpha=3, target_modules=targets), tower)
    layers = {path: layer for path, layer in tower.named_parameters() if ".lora_" in path}
    with torch.no_grad():
        for layer in layers.values():
            layer.copy_(torch.randn(layer.shape, generator=draw.generator) / 4)
    kohya = {}
    for path, layer in layers.items():
        module, part = path.split(".lora_")
        name = f"lora_te_{module.replace('.', '_')}"
        kohya[f"{name}.lora_{'down' if part.startswith('A') else 'up'}.weight"] = layer.detach().clone()
        kohya[f"{name}.alpha"] = torch.tensor(3.0)
    save_file(kohya, folder / "kohya.safetensors")
    inputs = {"tokens": tiny.CAPTIONS, "attention_mask": tiny.mask(tiny.CAPTIONS)}
    save_file(inputs, folder / "in.safetensors")
    (folder / "config.json").write_text(json.dumps(tiny.CLIP_TEXT))
    with torch.no_grad():
        expected = clip_text.forward(tower, **inputs)
    run(command, "export", folder / "kohya.safetensors", "-o", folder / "diffusers.safetensors",
        "--format", "diffusers")  # fmt: skip
    for form in ("kohya", "diffusers"):
        run(command, "forward", "clip-text", "--inputs", folder / "in.safetensors", "--arch", folder / "config.json",
            "--weights", folder / "weights.safetensors", "--adapter", folder / f"{form}.safetensors",
            "--outputs", folder / "out.safetensors")  # fmt: skip
        found = load_file(folder / "out.safetensors")
        for key in ("hidden", "pooled"):
            check.close(f"text encoder, {form}: {key}", found[key].reshape(expected[key].shape), expected[key])
    return check.good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", required=True, nargs="+", help="the cascade-adapt to ask")
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = 0
    for number in range(options.cases):
        for name, case in (("stage-c", stage_c_case), ("text", text_case)):
            print(f"export {name} {number}:")
            with tempfile.TemporaryDirectory() as folder:
                draw = Draw(zlib.crc32(f"export {name} {options.seed} {number}".encode()))
                failed += not case(options.command, draw, Path(folder))
    print(f"{failed} cases above their bar" if failed else "all within their bars")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
