"""Writes the goldens of single forward passes.

Peers: diffusers 0.42.1 (StableCascadeUNet), torchvision 0.29.2 (efficientnet_v2_s), transformers 5.23.0
(CLIPTextModelWithProjection), all on torch 2.15.0; the diffuse goldens are float64 formulas held to diffusers'
DDPMWuerstchenScheduler. Each file's metadata names what it was written with."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import clip_text
import controlnet
import diffuse
import drawn
import golden
import schedules
import stage_c
from case import measure_batch_norms, redraw, state
from effnet import EffNet
from golden import edges, normal
from previewer import Previewer

TINY_STAGE_C = {
    "c_in": 4, "c_out": 4, "c_r": 16, "patch_size": 1, "c_cond": 24, "c_hidden": [8, 16], "nhead": [1, 2],
    "blocks": [[1, 2], [2, 1]], "block_repeat": [[1, 1], [1, 1]], "level_config": ["CTA", "CTA"], "c_clip_text": 20,
    "c_clip_text_pooled": 12, "c_clip_img": 8, "c_clip_seq": 2, "kernel_size": 3, "self_attn": True,
    "t_conds": ["sca", "crp"], "switch_level": [False],
}  # fmt: skip


def write_stage_c() -> None:
    """One golden for each thing that may go wrong on its own."""
    three_levels = {
        "patch_size": 2, "c_r": 17, "c_hidden": [8, 16, 12], "nhead": [-1, 2, 3], "blocks": [[1, 1, 1], [2, 1, 1]],
        "block_repeat": [[1, 1, 1], [1, 1, 1]], "level_config": ["CT", "CTA", "CTA"], "switch_level": [False, True],
        "t_conds": ["sca"],
    }  # fmt: skip
    cases = {  # name: changes, latents [B, H, W], injections {index: (h, w)}, extra conditions
        "plain": ({}, (2, 6, 5), {}, []),
        "injections": ({}, (2, 6, 5), {0: (3, 4), 2: (6, 5), 5: (9, 2)}, []),
        "switch_level": ({"switch_level": [True]}, (2, 7, 5), {}, []),
        "no_self_attention": ({"self_attn": [False, True]}, (1, 4, 6), {}, []),
        "repeats": ({"block_repeat": [[1, 2], [3, 1]]}, (2, 5, 4), {3: (5, 4), 9: (2, 2), 11: (3, 3)}, []),
        "three_levels": (three_levels, (1, 10, 14), {}, ["sca"]),
    }
    for number, (name, (changes, (batch, height, width), injections, extra)) in enumerate(cases.items()):
        generator = torch.Generator().manual_seed(100 + number)
        arch = TINY_STAGE_C | changes
        network = redraw(stage_c.make(arch), generator)
        widths = stage_c.block_widths(network)
        inputs = {
            "x": normal(generator, batch, arch["c_in"], height, width),
            "r": torch.rand(batch, generator=generator),
            "clip_text": normal(generator, batch, 5, arch["c_clip_text"]),
            "clip_text_pooled": normal(generator, batch, 1, arch["c_clip_text_pooled"]),
            "clip_img": normal(generator, batch, 1, arch["c_clip_img"]),
        }
        inputs |= {f"cnet.{i}": normal(generator, batch, widths[i], *size) for i, size in injections.items()}
        inputs |= {key: torch.rand(batch, generator=generator) for key in extra}
        with torch.no_grad():
            outputs = {"out": stage_c.forward(network, inputs)}
        parts = {"in": inputs, "out": outputs, "weights": stage_c.reference_state(network.state_dict())}
        golden.write(f"stage_c_{name}", "stage-c", arch, ["diffusers"], parts)


def write_previewer() -> None:
    generator = torch.Generator().manual_seed(200)
    arch = {"c_in": 4, "c_hidden": 24, "c_out": 3}
    network = redraw(Previewer(**arch), generator)
    latents = normal(generator, 2, 4, 3, 5)
    measure_batch_norms(network, latents)
    with torch.no_grad():
        parts = {"in": {"latents": latents}, "out": {"images": network(latents)}, "weights": state(network)}
    golden.write("previewer", "previewer", arch, [], parts)


def write_clip_text() -> None:
    """The two rules for the pooled position: the largest token where eos_token_id is 2, else the first end token."""
    for name, end, activation in (("largest_token", 2, "gelu"), ("end_token", 48, "quick_gelu")):
        generator = torch.Generator().manual_seed(300 + end)
        arch = {
            "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3,
            "max_position_embeddings": 12, "vocab_size": 52, "projection_dim": 20, "hidden_act": activation,
            "layer_norm_eps": 1e-5, "bos_token_id": 47, "eos_token_id": end, "pad_token_id": 0,
        }  # fmt: skip
        tower = redraw(clip_text.make(arch), generator)
        # 47 starts, 48 ends, 50 is a learned token; the second caption is padded with zeros, the third with ends.
        tokens = [
            [47, 5, 9, 50, 12, 30, 31, 7, 8, 9, 10, 48],
            [47, 6, 3, 48, 0, 0, 0, 0, 0, 0, 0, 0],
            [47, 11, 4, 29, 48, 48, 48, 48, 48, 48, 48, 48],
        ]
        mask = torch.ones(3, 12, dtype=torch.int64)
        mask[1, 4:], mask[2, 5:] = 0, 0
        inputs = {"tokens": torch.tensor(tokens), "attention_mask": mask}
        with torch.no_grad():
            parts = {"in": inputs, "out": clip_text.forward(tower, **inputs), "weights": state(tower)}
        golden.write(f"clip_text_{name}", "clip-text", arch, ["transformers"], parts)


def write_diffuse() -> None:
    """From clean to noise, both ends included where float32 can tell them apart from float64."""
    print(f"schedules differ from diffusers' by {schedules.check_against_diffusers():.1e}")
    cases = {
        "default": {},
        "shift": {"shift": 2.0, "loss_shift": 0.5},
        "offset_noise": {"offset_noise": 0.1},
        "clamp_range": {"schedule": {"name": "cosine", "clamp_range": [0.01, 0.98], "shift": 0.5}},
        "constant": {"loss_weight": "constant"},
        "min_snr": {"loss_weight": {"name": "min_snr", "max_snr": 3.0}},
        "snr": {"loss_weight": "snr"},
        "adaptive": {"loss_weight": "adaptive"},
    }
    for number, (name, arch) in enumerate(cases.items()):
        generator = torch.Generator().manual_seed(400 + number)
        first = 0.05 if name == "snr" else 0.0
        inputs = {key: normal(generator, 6, 4, 3, 5) for key in ("x0", "epsilon")}
        inputs["t"] = torch.tensor([first, 0.1, 0.37, 0.5, 0.81, 1.0])
        if "offset_noise" in arch:
            inputs["offset"] = normal(generator, 6, 4, 1, 1)
        parts = {"in": inputs, "out": diffuse.diffuse(inputs, arch)}
        golden.write(f"diffuse_{name}", "diffuse", arch, ["diffusers"], parts)


# An EfficientNet with both kinds of block and a stride of 8.
NARROW = {
    "widths": [8, 8, 16, 24, 16], "depths": [1, 2, 1, 2], "strides": [2, 1, 2, 2, 1], "expansions": [1, 3, 4, 2],
    "fused": 2, "head": 24,
}  # fmt: skip


def write_effnet() -> None:
    """The published encoder, and one of other widths."""
    for name, arch in (("effnet", {"c_latent": 16}), ("effnet_narrow", {"c_latent": 4, **NARROW})):
        generator = torch.Generator().manual_seed(500)
        network = EffNet(**arch)
        images = normal(generator, 2, 3, 64, 80)
        drawn.fill(network)
        scales = drawn.measure_scales(network, images)
        with torch.no_grad():
            parts = {"in": {"images": images}, "out": {"latents": network(images)}, "scale": scales}
        golden.write(name, "effnet", arch, ["torchvision"], parts)


def write_controlnet() -> None:
    """EffNet trunks with a stem of 1 and of 3 channels and of other widths from drawn weights, and the simple trunk with
    its own."""
    for c_in, name, narrow in ((1, "effnet_1", {}), (3, "effnet_3", {}), (2, "narrow", NARROW)):
        generator = torch.Generator().manual_seed(600 + c_in)
        arch = {"c_in": c_in, "c_proj": 32, "proj_blocks": [0, 4, 51], "bottleneck_mode": "effnet", **narrow}
        network = controlnet.ControlNet(**arch)
        image = edges(generator, 2, c_in, 96, 66)
        drawn.fill(network)
        scales = drawn.measure_scales(network, image)
        with torch.no_grad():
            parts = {"in": {"image": image}, "out": network(image), "scale": scales}
        golden.write(f"controlnet_{name}", "controlnet", arch, ["torchvision"], parts)

    generator = torch.Generator().manual_seed(650)
    arch = {"c_in": 4, "c_proj": 24, "proj_blocks": [1, 2], "bottleneck_mode": "simple"}
    network = redraw(controlnet.ControlNet(**arch), generator)
    image = torch.rand(2, 4, 7, 5, generator=generator)
    with torch.no_grad():
        parts = {"in": {"image": image}, "out": network(image), "weights": state(network)}
    golden.write("controlnet_simple", "controlnet", arch, [], parts)


def write_drawn() -> None:
    """Every rule of the formula at once, for the Swift side to repeat bit for bit."""
    shapes = {
        "backbone.0.0.weight": (6, 1, 3, 3), "backbone.1.0.block.0.0.weight": (4, 6, 3, 3), "backbone.0.1.weight": (7,),
        "backbone.0.1.bias": (7,), "backbone.0.1.running_mean": (7,), "backbone.0.1.running_var": (7,),
        "projections.0.0.weight": (5, 8, 1, 1), "down_blocks.0.0.channelwise.2.gamma": (1, 1, 1, 9),
        "down_blocks.0.0.channelwise.2.beta": (1, 1, 1, 9),
    }  # fmt: skip
    scale = torch.tensor([0.37])
    tensors = {key: drawn.weight(key, shape, scale.item()) for key, shape in shapes.items()}
    golden.write("drawn", "drawn", {}, [], {"out": tensors, "scale": {"backbone.0.1": scale}})


if __name__ == "__main__":
    write_stage_c()
    write_previewer()
    write_clip_text()
    write_diffuse()
    write_effnet()
    write_controlnet()
    write_drawn()
