"""PiDiNet (Su et al. 2021) in plain functions, its pixel differences taken as differences and not as kernels.

The configuration is the paper's CARV4: central, angular, radial and plain convolutions in turn, with dilated
convolutions and spatial attention beside each of four groups. Weights are a dictionary by the published file's keys."""

import torch
from torch.nn.functional import conv2d, interpolate, max_pool2d, pad

KINDS = ["central", "angular", "radial", "plain"]
AROUND = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0), (0, 1), (1, -1), (1, 0), (1, 1)]
CLOCKWISE = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]


def shapes(width: int = 60, dilated: int = 24) -> dict[str, tuple[int, ...]]:
    """Every key of the file and its shape."""
    found = {"init_block.weight": (width, 3, 3, 3)}
    inputs = width
    for group, outputs in enumerate([width, 2 * width, 4 * width, 4 * width]):
        for index in range(3 if group == 0 else 4):
            block = f"block{group + 1}_{index + 1}"
            if group > 0 and index == 0:
                found[f"{block}.shortcut.weight"] = (outputs, inputs, 1, 1)
                found[f"{block}.shortcut.bias"] = (outputs,)
            found[f"{block}.conv1.weight"] = (inputs, 1, 3, 3)
            found[f"{block}.conv2.weight"] = (outputs, inputs, 1, 1)
            inputs = outputs
        found[f"conv_reduces.{group}.conv.weight"] = (1, dilated, 1, 1)
        found[f"conv_reduces.{group}.conv.bias"] = (1,)
        found[f"attentions.{group}.conv1.weight"] = (4, dilated, 1, 1)
        found[f"attentions.{group}.conv1.bias"] = (4,)
        found[f"attentions.{group}.conv2.weight"] = (1, 4, 3, 3)
        found[f"dilations.{group}.conv1.weight"] = (dilated, outputs, 1, 1)
        found[f"dilations.{group}.conv1.bias"] = (dilated,)
        for branch in range(1, 5):
            found[f"dilations.{group}.conv2_{branch}.weight"] = (dilated, dilated, 3, 3)
    return found | {"classifier.weight": (1, 4, 1, 1), "classifier.bias": (1,)}


def differences(kind: str, x: torch.Tensor, weight: torch.Tensor, each: bool) -> torch.Tensor:
    """Sum over pairs of pixels of weight times difference; [B, in, H, W] -> [B, out, H, W]. `each`: channel by channel."""
    height, width = x.shape[2:]
    framed = pad(x, (2, 2, 2, 2))

    def pixel(y: int, x: int) -> torch.Tensor:
        return framed[:, :, 2 + y : 2 + y + height, 2 + x : 2 + x + width]

    if kind == "central":
        pairs = [(place, pixel(*AROUND[place]) - pixel(0, 0)) for place in range(9)]
    elif kind == "angular":
        pairs = [
            (AROUND.index(here), pixel(*here) - pixel(*CLOCKWISE[(index + 1) % 8]))
            for index, here in enumerate(CLOCKWISE)
        ]
    elif kind == "radial":
        ways = [way for way in AROUND if way != (0, 0)]
        pairs = [(index + 1, pixel(2 * y, 2 * x) - pixel(y, x)) for index, (y, x) in enumerate(ways)]
    else:
        pairs = [(place, pixel(*AROUND[place])) for place in range(9)]
    total = 0
    for place, difference in pairs:
        factor = weight[:, :, place // 3, place % 3]
        if each:
            total = total + factor[None, :, 0, None, None] * difference
        else:
            total = total + torch.einsum("oi,bihw->bohw", factor, difference)
    return total


def as_kernel(kind: str, weight: torch.Tensor) -> torch.Tensor:
    """The kernel of a plain convolution that does what `differences` does: what each stored weight makes of an impulse."""
    impulse = torch.zeros(1, 1, 5, 5)
    impulse[..., 2, 2] = 1
    basis = torch.cat([differences(kind, impulse, unit.reshape(1, 1, 3, 3), each=True) for unit in torch.eye(9)])
    kernel = torch.einsum("oij,jhw->oihw", weight.flatten(2), basis[:, 0].flip(1, 2))
    return kernel if kind == "radial" else kernel[..., 1:4, 1:4].contiguous()


def convolved(kind: str, x: torch.Tensor, kernel: torch.Tensor, each: bool) -> torch.Tensor:
    """What `differences` makes, by a kernel of `as_kernel`; the fast way."""
    return conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=x.shape[1] if each else 1)


def with_kernels(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights with kernels in place of those of pixel differences."""
    made = dict(weights)
    made["init_block.weight"] = as_kernel("central", weights["init_block.weight"])
    for group in range(4):
        for index, kind in enumerate(KINDS[1:] if group == 0 else KINDS):
            key = f"block{group + 1}_{index + 1}.conv1.weight"
            made[key] = as_kernel(kind, weights[key])
    return made


def edges(weights: dict[str, torch.Tensor], images: torch.Tensor, differences=differences) -> torch.Tensor:
    """Soft edges [B, 1, H, W] of images [B, 3, H, W] in 0...1."""
    x = differences("central", images, weights["init_block.weight"], each=False)
    maps = []
    for group in range(4):
        for index, kind in enumerate(KINDS[1:] if group == 0 else KINDS):
            block = f"block{group + 1}_{index + 1}"
            shortcut = f"{block}.shortcut.weight" in weights
            if shortcut:
                x = max_pool2d(x, 2)
            y = differences(kind, x, weights[f"{block}.conv1.weight"], each=True).relu()
            y = conv2d(y, weights[f"{block}.conv2.weight"])
            if shortcut:
                x = conv2d(x, weights[f"{block}.shortcut.weight"], weights[f"{block}.shortcut.bias"])
            x = y + x
        module = f"dilations.{group}"
        narrow = conv2d(x.relu(), weights[f"{module}.conv1.weight"], weights[f"{module}.conv1.bias"])
        around = sum(
            conv2d(narrow, weights[f"{module}.conv2_{branch}.weight"], padding=distance, dilation=distance)
            for branch, distance in [(1, 5), (2, 7), (3, 9), (4, 11)]
        )
        module = f"attentions.{group}"
        gate = conv2d(around.relu(), weights[f"{module}.conv1.weight"], weights[f"{module}.conv1.bias"])
        gate = conv2d(gate, weights[f"{module}.conv2.weight"], padding=1).sigmoid()
        module = f"conv_reduces.{group}.conv"
        flat = conv2d(around * gate, weights[f"{module}.weight"], weights[f"{module}.bias"])
        maps.append(interpolate(flat, images.shape[2:], mode="bilinear", align_corners=False))
    return conv2d(torch.cat(maps, 1), weights["classifier.weight"], weights["classifier.bias"]).sigmoid()
