"""The control filters as the reference computes them, with what it leaves to chance handed in."""

import cv2
import kornia
import numpy
import torch
from torch.nn.functional import interpolate
from torchvision.transforms.functional import gaussian_blur, resize


def pixels(image: torch.Tensor) -> numpy.ndarray:
    """[3, H, W] in 0...1 -> [H, W, 3] bytes, cut and not rounded."""
    return numpy.ascontiguousarray((image * 255).permute(1, 2, 0).numpy().astype(numpy.uint8))


def canny(images: torch.Tensor, size: int | None = 224, low: float = 100, high: float = 200) -> torch.Tensor:
    """[B, 3, H, W] in 0...1 -> [B, 1, H, W]."""
    small = images if size is None else interpolate(images, (size, size), mode="bilinear")
    edges = [torch.from_numpy(cv2.Canny(pixels(image), low, high)).float()[None] / 255 for image in small]
    found = torch.stack(edges)
    return found if size is None else interpolate(found, images.shape[2:], mode="bilinear")


def fine_grained_saliency(image: torch.Tensor) -> torch.Tensor:
    """[1, 3, H, W] in 0...1 -> [1, 1, h, w], an eighth of the image with a short side of 240."""
    small = resize(image, 240, antialias=True)
    bgr = cv2.cvtColor(pixels(small[0].clamp(0, 1)), cv2.COLOR_RGB2BGR)
    good, found = cv2.saliency.StaticSaliencyFineGrained_create().computeSaliency(bgr)
    assert good
    height, width = small.shape[2:]
    return resize(torch.from_numpy(found)[None, None], [height // 8, width // 8], antialias=True)


def inpaint_mask(
    image: torch.Tensor, found: torch.Tensor, threshold: float, outpaint: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """[1, 1, H, W] of 0 and 1, and how far from one half the nearest place is that decides.

    The places whose saliency is above a threshold, or all others, are brought to the image's size by the nearest
    pixel, blurred and cut at one half."""
    matters = (found > threshold) != outpaint
    sized = interpolate(matters.float(), size=image.shape[2:], mode="nearest")
    blurred = gaussian_blur(sized, [141, 141])
    return (blurred > 0.5).float(), (blurred - 0.5).abs().min()


def qr(
    images: torch.Tensor, resize: int | None = 224, dilation: int = 5, blur: int = 15, sigma: float = 1.0,
    blobify: bool = True, apart: float = 0.0,
) -> torch.Tensor:
    """[B, 3, H, W] in 0...1 -> [B, 1, H, W] of 0, 0.5 and 1, each image by limits of its own, which may be moved apart.

    An element of no points (below 3) closes nothing; kornia's sum with -1e4 there would leave rounding alone."""  # fmt: skip
    size = images.shape[2:]
    if resize is not None:
        images = interpolate(images, (resize, resize), mode="bilinear")
    value = kornia.color.rgb_to_hsv(images)[:, 2:]
    if blobify and blur > 0:
        value = gaussian_blur(value, [blur, blur], [sigma, sigma])
    if blobify and dilation >= 3:
        offsets = torch.linspace(-0.5, 0.5, dilation).square()
        element = (offsets[:, None] + offsets < 0.3).float()
        value = kornia.morphology.erosion(kornia.morphology.dilation(value, element), element)
    least, most = value.amin((1, 2, 3), keepdim=True), value.amax((1, 2, 3), keepdim=True)
    third = (most - least) * 0.33
    mask = (1 - (value < least + third - apart).float() + (value > most - third + apart).float()) * 0.5
    return mask if resize is None else interpolate(mask, size, mode="bilinear")


def coarse(images: torch.Tensor, factor: float) -> torch.Tensor:
    """One pixel in several."""
    return interpolate(images, scale_factor=factor, mode="nearest")


def restored(images: torch.Tensor, factor: float) -> torch.Tensor:
    """As many pixels as there were, but for those that the factor does not divide."""
    return interpolate(images, scale_factor=1 / factor, mode="nearest")


def sr(images: torch.Tensor, factor: float = 0.25) -> torch.Tensor:
    return restored(coarse(images, factor), factor)


def normalised(images: torch.Tensor) -> torch.Tensor:
    """By ImageNet's mean and deviation."""
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, None, :, None, None]
    return (images - mean) / deviation


def sr_effnet(encoder: torch.nn.Module, images: torch.Tensor, factor: float = 0.5) -> dict[str, torch.Tensor]:
    small = coarse(images, factor)
    with torch.no_grad():
        latents = encoder(normalised(small))
    return {"condition": restored(latents, factor), "preview": restored(small, factor)}
