"""The encoder of Stage C's latents: EfficientNet features, a 1x1 convolution and a batch norm without affine."""

import torch
from torch import nn

from torchvision_features import features


class EffNet(nn.Module):
    """`images` [B, 3, H, W], ImageNet-normalised -> `latents` [B, c_latent, H / stride, W / stride]."""

    def __init__(self, c_latent: int = 16, **arch):
        super().__init__()
        self.backbone = features(arch)
        self.mapper = nn.Sequential(
            nn.Conv2d(arch.get("head", 1280), c_latent, kernel_size=1, bias=False), nn.BatchNorm2d(c_latent, affine=False)
        )
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.mapper(self.backbone(images))
