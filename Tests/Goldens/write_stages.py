"""Writes the goldens of Stage A, Stage B and CLIP's image encoder.

Peers: diffusers 0.42.1 (StableCascadeUNet, PaellaVQModel), transformers 5.23.0 (CLIPVisionModelWithProjection),
torchvision 0.29.2 (its transforms), all on torch 2.15.0. Each file's metadata names what it was written with."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import clip_vision
import golden
import stage_a
import stage_b
from case import measure_batch_norms, redraw, state
from golden import normal

TINY_STAGE_B = {
    "c_in": 4, "c_out": 4, "c_r": 16, "patch_size": 2, "c_cond": 24, "c_hidden": [8, 12, 16], "nhead": [-1, 3, 2],
    "blocks": [[1, 1, 2], [2, 1, 1]], "block_repeat": [[1, 1, 1], [1, 1, 1]], "level_config": ["CT", "CT", "CTA"],
    "c_clip": 20, "c_clip_seq": 2, "c_effnet": 6, "c_pixels": 3, "kernel_size": 3, "self_attn": True, "t_conds": ["sca"],
}  # fmt: skip


def write_stage_b() -> None:
    """One golden for each thing that may go wrong on its own."""
    cases = {  # name: changes, latents [B, H, W], pixels' size, whether sca is given
        "plain": ({}, (2, 16, 24), None, False),
        "repeats": ({"block_repeat": [[1, 2, 1], [3, 1, 2]]}, (1, 8, 16), (5, 3), True),
        "odd_sides": ({"self_attn": [True, True, False]}, (2, 14, 22), (8, 8), False),
        "switch_level": ({"switch_level": [True, False], "t_conds": []}, (2, 10, 8), None, False),
    }
    for number, (name, (changes, (batch, height, width), pixels, has_sca)) in enumerate(cases.items()):
        generator = torch.Generator().manual_seed(700 + number)
        arch = TINY_STAGE_B | changes
        network = redraw(stage_b.make(arch), generator)
        inputs = {
            "x": normal(generator, batch, arch["c_in"], height, width),
            "r": torch.rand(batch, generator=generator),
            "effnet": normal(generator, batch, arch["c_effnet"], 3, 2),
            "clip": normal(generator, batch, 1, arch["c_clip"]),
        }
        if pixels:
            inputs["pixels"] = normal(generator, batch, 3, *pixels)
        if has_sca:
            inputs["sca"] = torch.rand(batch, generator=generator)
        with torch.no_grad():
            outputs = {"out": stage_b.forward(network, inputs)}
        parts = {"in": inputs, "out": outputs, "weights": stage_b.reference_state(network.state_dict())}
        golden.write(f"stage_b_{name}", "stage-b", arch, ["diffusers"], parts)


def write_stage_a() -> None:
    """Encoding, decoding, and the quantizer beside the latter."""
    arch = {
        "levels": 2, "bottleneck_blocks": 3, "c_hidden": 20, "c_latent": 4, "codebook_size": 48, "scale_factor": 0.43,
    }  # fmt: skip
    generator = torch.Generator().manual_seed(750)
    network = stage_a.draw(stage_a.make(arch), generator)
    images = torch.rand(2, 3, 22, 32, generator=generator)
    measure_batch_norms(network, images)
    weights = stage_a.reference_state(network)
    latents, vectors = normal(generator, 2, 4, 5, 7), normal(generator, 2, 4, 6, 9)
    with torch.no_grad():
        encoded, decoded = stage_a.encode(network, images), stage_a.decode(network, latents)
        entries, indices = stage_a.quantize(network, vectors)
    parts = {"in": {"images": images}, "out": {"latents": encoded}, "weights": weights}
    golden.write("stage_a_encode", "stage-a-encode", arch, ["diffusers"], parts)
    parts = {"in": {"latents": latents}, "out": {"images": decoded}, "weights": weights}
    parts["quantizer"] = {"vectors": vectors, "entries": entries, "indices": indices}
    golden.write("stage_a_decode", "stage-a-decode", arch, ["diffusers"], parts)


def write_clip_vision() -> None:
    """Sides that divide into patches and sides that do not; and images higher, wider and smaller than the tower's."""
    for name, side, patch, activation in (("gelu", 24, 8, "gelu"), ("uneven", 31, 7, "quick_gelu")):
        generator = torch.Generator().manual_seed(800 + side)
        arch = {
            "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3,
            "image_size": side, "patch_size": patch, "projection_dim": 20, "hidden_act": activation,
            "layer_norm_eps": 1e-5,
        }  # fmt: skip
        tower = redraw(clip_vision.make(arch), generator)
        images = normal(generator, 2, 3, side, side)
        with torch.no_grad():
            parts = {"in": {"images": images}, "out": {"embeds": clip_vision.forward(tower, images)}}
        golden.write(f"clip_vision_{name}", "clip-vision", arch, ["transformers"], parts | {"weights": state(tower)})

    generator = torch.Generator().manual_seed(850)
    sizes = [(24, 24), (47, 31), (30, 61), (9, 13), (24, 35)]
    images = {f"{height}x{width}": torch.rand(1, 3, height, width, generator=generator) for height, width in sizes}
    made = {key: clip_vision.preprocess(image, side=24) for key, image in images.items()}
    parts = {"in": images, "out": made}
    parts["antialiased"] = {key: clip_vision.preprocess(image, 24, antialias=True) for key, image in images.items()}
    golden.write("clip_preprocessing", "clip-preprocessing", {"side": 24}, ["torchvision"], parts)


if __name__ == "__main__":
    write_stage_b()
    write_stage_a()
    write_clip_vision()
