"""The EffNet encoder: torchvision's EfficientNetV2-S features, a 1x1 convolution and a batch norm without affine."""

import torch
from torch import nn

from torchvision_features import features


class EffNet(nn.Module):
    """`images` [B, 3, H, W], ImageNet-normalised -> `latents` [B, c_latent, H/32, W/32]."""

    def __init__(self, c_latent: int = 16):
        super().__init__()
        self.backbone = features()
        self.mapper = nn.Sequential(
            nn.Conv2d(1280, c_latent, kernel_size=1, bias=False), nn.BatchNorm2d(c_latent, affine=False)
        )
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.mapper(self.backbone(images))
