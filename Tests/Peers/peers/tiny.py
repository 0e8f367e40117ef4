"""The tiny networks that the goldens of gradients and of training share."""

import torch

import clip_text
import stage_b
import stage_c
from case import redraw

STAGE_C = {
    "c_in": 4, "c_out": 4, "c_r": 16, "patch_size": 1, "c_cond": 24, "c_hidden": [16, 16], "nhead": [2, 2],
    "blocks": [[1, 2], [2, 1]], "block_repeat": [[1, 1], [1, 1]], "level_config": ["CTA", "CTA"], "c_clip_text": 24,
    "c_clip_text_pooled": 20, "c_clip_img": 8, "c_clip_seq": 2, "kernel_size": 3, "self_attn": True,
    "t_conds": ["sca", "crp"], "switch_level": [False],
}  # fmt: skip

STAGE_B = {
    "c_in": 4, "c_out": 4, "c_r": 16, "patch_size": 2, "c_cond": 24, "c_hidden": [8, 16], "nhead": [-1, 2],
    "blocks": [[1, 2], [2, 1]], "block_repeat": [[1, 1], [2, 1]], "level_config": ["CT", "CTA"], "c_clip": 20,
    "c_clip_seq": 2, "c_effnet": 16, "c_pixels": 3, "kernel_size": 3, "self_attn": True, "t_conds": ["sca"],
}  # fmt: skip

CLIP_TEXT = {
    "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3,
    "max_position_embeddings": 8, "vocab_size": 40, "projection_dim": 20, "hidden_act": "gelu", "layer_norm_eps": 1e-5,
    "bos_token_id": 36, "eos_token_id": 37, "pad_token_id": 0,
}  # fmt: skip

# Three captions: 36 starts, 37 ends, 38 and 39 are the tokens being learned, 0 is padding.
CAPTIONS = torch.tensor([[36, 5, 38, 9, 37, 0, 0, 0], [36, 38, 39, 12, 30, 2, 37, 0], [36, 7, 7, 21, 39, 4, 11, 37]])
LEARNED = torch.tensor([38, 39])


def mask(tokens: torch.Tensor) -> torch.Tensor:
    """1 up to the end token, 0 on padding."""
    return (tokens != CLIP_TEXT["pad_token_id"]).long()


def make_stage_c(generator: torch.Generator, arch: dict = STAGE_C) -> torch.nn.Module:
    """A frozen base with random weights, its last layer too.

    The time embedding's fastest sine turns by 10000 rad from clean to noise: the last bit of a noise condition in
    float32 already shows in the loss, and a correct float32 noise condition is off by several. A trained base hardly
    listens to these; here the mappers' columns are made the quieter the faster their sine."""
    return quietened(redraw(stage_c.make(arch), generator).requires_grad_(False))


def make_stage_b(generator: torch.Generator) -> torch.nn.Module:
    """The same of Stage B."""
    return quietened(redraw(stage_b.make(STAGE_B), generator).requires_grad_(False))


def quietened(network: torch.nn.Module) -> torch.nn.Module:
    """The network with its time mappers' columns as `make_stage_c` says."""
    rates = torch.logspace(4, 0, STAGE_C["c_r"] // 2)  # rad
    quiet = (1 / (1 + 0.1 * rates)).repeat(2)  # [c_r], sines, then cosines
    for key, parameter in network.named_parameters():
        if ".mapper" in key and key.endswith(".weight"):
            parameter.mul_(quiet)
    return network


def make_clip_text(generator: torch.Generator) -> torch.nn.Module:
    """A frozen tower with random weights."""
    return redraw(clip_text.make(CLIP_TEXT), generator).requires_grad_(False)


def conditions(generator: torch.Generator, *lead: int) -> dict[str, torch.Tensor]:
    """Stage C's conditions; `lead` is [B] or [N, B]."""
    return {
        "clip_text": torch.randn(*lead, 5, STAGE_C["c_clip_text"], generator=generator),
        "clip_text_pooled": torch.randn(*lead, 1, STAGE_C["c_clip_text_pooled"], generator=generator),
        "clip_img": torch.randn(*lead, 1, STAGE_C["c_clip_img"], generator=generator),
    }


def noising(generator: torch.Generator, *lead: int) -> dict[str, torch.Tensor]:
    """Latents of 6 x 5, noise and times."""
    size = (*lead, STAGE_C["c_in"], 6, 5)
    return {
        "x0": torch.randn(size, generator=generator),
        "epsilon": torch.randn(size, generator=generator),
        "t": 0.05 + 0.9 * torch.rand(lead, generator=generator),
    }
