"""Draws a subject in a pose on a flat background."""

import dataclasses
import functools
import io
import math
import random

from PIL import Image, ImageDraw, ImageFont

SIDE = 96
FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
# The one size that the font's bitmaps have, 136 x 128 pixels.
FONT_SIZE = 109
# Poses are drawn so much larger and then made smaller, which smooths outlines.
OVERSAMPLING = 2


@dataclasses.dataclass(frozen=True)
class Pose:
    scale: float
    """The subject's longer side as a share of the image's."""
    angle: float
    """Degrees, anticlockwise."""
    shift: tuple[float, float]
    """Pixels from the middle to the right and down."""
    flip: bool
    """Whether the subject is mirrored."""


def drawn_pose(draws: random.Random) -> Pose:
    """A moderate pose: with wide ones, small networks learn blobs."""
    return Pose(
        scale=round(draws.uniform(0.68, 0.86), 3),
        angle=round(draws.uniform(-8, 8), 2),
        shift=(round(draws.uniform(-5, 5), 2), round(draws.uniform(-5, 5), 2)),
        flip=draws.random() < 0.5,
    )


@functools.cache
def font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, FONT_SIZE)


@functools.cache
def glyph(character: str) -> Image.Image:
    """The subject's own bitmap without the empty margin, RGBA."""
    canvas = Image.new("RGBA", (200, 200))
    ImageDraw.Draw(canvas).text((20, 20), character, font=font(), embedded_color=True)
    box = canvas.getbbox()
    if box is None:
        raise SystemExit(f"error: {FONT} has no image of U+{ord(character):04X}")
    return canvas.crop(box)


def drawn(character: str, background: tuple[int, int, int], pose: Pose) -> Image.Image:
    """The image, RGB of SIDE x SIDE."""
    source = glyph(character)
    side = SIDE * OVERSAMPLING
    # Pillow wants the way back: from a place of the canvas to the place of the bitmap that is shown there.
    zoom = max(source.size) / (pose.scale * side)
    cosine, sine = (zoom * f(math.radians(pose.angle)) for f in (math.cos, math.sin))
    x, y = (side / 2 + OVERSAMPLING * shift for shift in pose.shift)
    mirror = -1 if pose.flip else 1
    back = (
        mirror * cosine, -mirror * sine, source.width / 2 - mirror * (cosine * x - sine * y),
        sine, cosine, source.height / 2 - (sine * x + cosine * y),
    )  # fmt: skip
    posed = source.transform((side, side), Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (side, side), background)
    canvas.paste(posed, (0, 0), posed)
    return canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=4)
    return data.getvalue()
