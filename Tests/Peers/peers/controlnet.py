"""The ControlNet's trunk and projections in plain PyTorch, with torchvision's EfficientNets as backbone."""

import torch
from torch import nn

from torchvision_features import features


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of [B, C, H, W]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Layer norm, GELU, 3x3, twice, beside the identity; a block of the `large` trunk."""

    def __init__(self, channels: int):
        super().__init__()
        halves = ((LayerNorm2d(channels), nn.GELU(), nn.Conv2d(channels, channels, 3, padding=1)) for _ in range(2))
        self.blocks = nn.Sequential(*(layer for half in halves for layer in half))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.blocks(x)


def make_backbone(c_in: int, bottleneck_mode: str, arch: dict) -> tuple[nn.Module, int]:
    """The trunk and how many channels it yields."""
    if bottleneck_mode == "effnet":
        backbone = features(arch)
        if c_in != 3:  # this stem has no padding, unlike torchvision's
            stem = backbone[0][0]
            backbone[0][0] = nn.Conv2d(c_in, stem.out_channels, kernel_size=3, stride=stem.stride, bias=False)
        return backbone, arch.get("head", 1280)
    if bottleneck_mode == "simple":
        wide = nn.Conv2d(c_in, c_in * 4, kernel_size=3, padding=1)
        narrow = nn.Conv2d(c_in * 4, c_in, kernel_size=3, padding=1)
        return nn.Sequential(wide, nn.LeakyReLU(0.2), narrow), c_in
    stem = [nn.Conv2d(c_in, 16384, kernel_size=1), nn.LeakyReLU(0.2), nn.Conv2d(16384, 1024, kernel_size=1)]
    return nn.Sequential(*stem, *(ResidualBlock(1024) for _ in range(8)), nn.Conv2d(1024, 1280, kernel_size=1)), 1280


class ControlNet(nn.Module):
    """`image` [B, c_in, H, W] in 0...1 -> `cnet.I` [B, c_proj, h, w] for each I of proj_blocks."""

    def __init__(self, c_in: int = 3, c_proj: int = 2048, proj_blocks=(), bottleneck_mode: str = "effnet", **arch):
        super().__init__()
        self.proj_blocks = list(proj_blocks)
        self.backbone, width = make_backbone(c_in, bottleneck_mode, arch)
        self.projections = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, kernel_size=1, bias=False),
                nn.LeakyReLU(0.2),
                nn.Conv2d(width, c_proj, kernel_size=1, bias=False),
            )
            for _ in self.proj_blocks
        )
        self.eval()  # also in training: batch norms keep their running statistics

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.backbone(image)
        return {f"cnet.{block}": project(x) for block, project in zip(self.proj_blocks, self.projections)}


def loss(outputs: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> torch.Tensor:
    """The sum over blocks of the mean squared error, as `forward controlnet --gradients` has it."""
    return sum((outputs[key] - targets[key.replace("cnet.", "target.")]).square().mean() for key in outputs)
