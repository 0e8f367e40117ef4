"""torchvision's EfficientNetV2-S without its head: 1280 channels at 1/32 of each side."""

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


def features() -> torch.nn.Sequential:
    """The backbone in eval mode: batch norms use their running statistics, no stochastic depth."""
    return efficientnet_v2_s(weights=None).features.eval()
