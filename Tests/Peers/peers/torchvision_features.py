"""torchvision's EfficientNets without their classifier."""

import torch

try:
    from torchvision.models import efficientnet_v2_s
except RuntimeError:
    # PyPI's torchvision beside a processor-only torch: its compiled operators don't load, and two of them have to be
    # declared before its Python part imports.
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision.models import efficientnet_v2_s
from torchvision.models.efficientnet import EfficientNet, FusedMBConvConfig, MBConvConfig

# Of an architecture that is none of torchvision's own.
KEYS = ("widths", "depths", "strides", "expansions", "fused", "head")


def features(arch: dict | None = None) -> torch.nn.Sequential:
    """The backbone in eval mode: batch norms use their running statistics, no stochastic depth.

    Without the keys of an architecture it is EfficientNetV2-S: 1280 channels at 1/32 of each side.
    """
    arch = {key: value for key, value in (arch or {}).items() if key in KEYS}
    if not arch:
        return efficientnet_v2_s(weights=None).features.eval()
    widths, strides = arch["widths"], arch["strides"]
    stages = []
    for index, (depth, expansion) in enumerate(zip(arch["depths"], arch["expansions"], strict=True)):
        shape = (expansion, 3, strides[index + 1], widths[index], widths[index + 1], depth)
        stages.append(FusedMBConvConfig(*shape) if index < arch["fused"] else MBConvConfig(*shape))
    network = EfficientNet(
        stages, dropout=0, stochastic_depth_prob=0, last_channel=arch["head"],
        norm_layer=lambda channels: torch.nn.BatchNorm2d(channels, eps=1e-3),
    ).features
    if strides[0] != 2:
        network[0][0].stride = (strides[0], strides[0])
    return network.eval()
