"""Stage A: diffusers' PaellaVQModel, made from the reference's constructor names and keys.

diffusers leaves the scale factor to its callers; encoding here divides by it and decoding multiplies, as the
reference does."""

import torch
from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
from torch import nn

from case import redraw, state

DEFAULTS = {
    "levels": 2, "bottleneck_blocks": 12, "c_hidden": 384, "c_latent": 4, "codebook_size": 8192, "scale_factor": 0.43,
}  # fmt: skip


def make(arch: dict) -> PaellaVQModel:
    """The network in eval mode; what `arch` leaves out has the reference's default."""
    a = DEFAULTS | arch
    return PaellaVQModel(
        levels=a["levels"],
        bottleneck_blocks=a["bottleneck_blocks"],
        embed_dim=a["c_hidden"],
        latent_channels=a["c_latent"],
        num_vq_embeddings=a["codebook_size"],
        scale_factor=a["scale_factor"],
    ).eval()


def draw(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """Random weights, with blocks that count: their `gammas` start at zero, where a block is the identity."""
    redraw(network, generator)
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if key.endswith("gammas"):
                parameter.copy_(0.5 * torch.randn(6, generator=generator))
    return network


def reference_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint under the reference's keys."""
    return {key.replace("vquantizer.embedding.", "vquantizer.codebook."): t for key, t in state(network).items()}


def encode(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """`latents` [B, c_latent, h, w] from images [B, 3, H, W]."""
    return network.encode(images).latents / network.config.scale_factor


def decode(network: nn.Module, latents: torch.Tensor) -> torch.Tensor:
    """`images` [B, 3, H, W] from latents [B, c_latent, h, w]."""
    return network.decode(latents * network.config.scale_factor).sample


def quantize(network: nn.Module, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest entries [B, c, h, w] of vectors on the scale of the encoder's output, and their indices [B, h, w]."""
    entries, _, (_, _, indices) = network.vquantizer(vectors)
    return entries, indices.reshape(vectors.shape[0], *vectors.shape[2:])
