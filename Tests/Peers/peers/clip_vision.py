"""The CLIP image encoder: transformers' CLIPVisionModelWithProjection, and torchvision's preprocessing."""

import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

import torchvision_features  # noqa: F401  makes torchvision importable


def make(arch: dict) -> CLIPVisionModelWithProjection:
    """The tower in eval mode from the values of a transformers config.json."""
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**arch)).eval()


def forward(tower: CLIPVisionModelWithProjection, images: torch.Tensor) -> torch.Tensor:
    """`embeds` [B, P] of preprocessed images."""
    return tower(images).image_embeds


def preprocess(images: torch.Tensor, side: int = 224, antialias: bool = False) -> torch.Tensor:
    """Images [B, 3, H, W] in 0...1 as the reference gives them to the tower, [B, 3, side, side].

    It leaves `antialias` to torchvision, and the version it pins, 0.16.2, has it off for tensors: its
    `transforms/functional.py` `resize` with "warn", and the warning it gives.
    """
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize

    return Compose([
        Resize(side, interpolation=InterpolationMode.BICUBIC, antialias=antialias),
        CenterCrop(side),
        Normalize(mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711)),
    ])(images)
