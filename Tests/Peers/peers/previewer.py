"""The previewer in plain PyTorch: latents to a small image, eight times their side."""

import torch
from torch import nn


class Previewer(nn.Module):
    """`latents` [B, c_in, h, w] -> `images` [B, c_out, 8h, 8w]."""

    def __init__(self, c_in: int = 16, c_hidden: int = 512, c_out: int = 3):
        super().__init__()
        half, quarter = c_hidden // 2, c_hidden // 4
        convolutions = [
            nn.Conv2d(c_in, c_hidden, kernel_size=1),
            nn.Conv2d(c_hidden, c_hidden, kernel_size=3, padding=1),
            nn.ConvTranspose2d(c_hidden, half, kernel_size=2, stride=2),
            nn.Conv2d(half, half, kernel_size=3, padding=1),
            nn.ConvTranspose2d(half, quarter, kernel_size=2, stride=2),
            nn.Conv2d(quarter, quarter, kernel_size=3, padding=1),
            nn.ConvTranspose2d(quarter, quarter, kernel_size=2, stride=2),
            nn.Conv2d(quarter, quarter, kernel_size=3, padding=1),
        ]
        layers = [part for conv in convolutions for part in (conv, nn.GELU(), nn.BatchNorm2d(conv.out_channels))]
        self.blocks = nn.Sequential(*layers, nn.Conv2d(quarter, c_out, kernel_size=1))
        self.eval()

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.blocks(latents)
