"""Writes the goldens of Tests/ImagesTests into Tests/Goldens/images.

Peers: Pillow 13.0.0 (decoding, also scaled by `draft`, EXIF, encoding), torchvision 0.29.2 with torch 2.15.0 (resizing,
crop offsets), OpenCV 5.0.0 (cv2.Canny, 4:1:1 JPEG), numpy (16-bit samples, whose values are known). The buckets follow
the reference's formula. Expected images are PPM (P6), edges PGM (P5), floats raw little-endian float32.
"""
import json
import math
import pathlib
import struct
import zlib

import cv2
import numpy as np
import torch
import torchvision.transforms.functional as F
from PIL import Image, ImageCms, ImageOps
from torchvision.transforms.functional import _compute_resized_output_size

here = pathlib.Path(__file__).parent / "images"
here.mkdir(exist_ok=True)
random = np.random.default_rng(20240213)


def scene(width, height, channels=3):
    """Smooth colour with a disc, a bar and a little noise: something to resize and to find edges in."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for c in range(channels):
        plane = 127 + 90 * np.sin(x / (7 + 3 * c)) * np.cos(y / (9 - 2 * c))
        plane[(x - width * 0.6) ** 2 + (y - height * 0.4) ** 2 < (height * 0.25) ** 2] = 40 + 70 * c
        plane[int(height * 0.7) : int(height * 0.8), :] = 230 - 60 * c
        planes.append(plane + random.normal(0, 4, plane.shape))
    return np.clip(np.round(np.stack(planes, -1)), 0, 255).astype(np.uint8)


def ppm(name, array):
    array = np.asarray(array)
    kind = b"P6" if array.ndim == 3 else b"P5"
    (here / name).write_bytes(kind + b"\n%d %d\n255\n" % (array.shape[1], array.shape[0]) + array.tobytes())


def over_white(image):
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(array, depth, colour, interlaced=False):
    """A PNG by hand, for what Pillow does not write: 16-bit colour, alpha with grey, Adam7."""
    array = array if array.ndim == 3 else array[..., None]
    big = array.astype(">u2") if depth == 16 else array.astype(np.uint8)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    raw = b""
    for y, x, dy, dx in passes if interlaced else [(0, 0, 1, 1)]:
        part = big[y::dy, x::dx]
        if part.size:
            raw += b"".join(b"\0" + row.tobytes() for row in part)
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], depth, colour, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def decoding():
    pixels = scene(45, 31)
    image = Image.fromarray(pixels)
    image.save(here / "colour.jpg", quality=90)
    image.save(here / "progressive.jpg", quality=85, progressive=True, subsampling=0)
    image.convert("L").save(here / "grey.jpg", quality=90)
    cmyk = Image.fromarray(scene(45, 31, 4), "CMYK")
    cmyk.save(here / "cmyk.jpg", quality=90)
    # Adobe's marker says what four components mean: with transform 2 the same data is a YCCK image.
    data = bytearray((here / "cmyk.jpg").read_bytes())
    data[data.index(b"Adobe") + 11] = 2
    (here / "ycck.jpg").write_bytes(data)
    for name in ["colour", "progressive", "grey", "cmyk", "ycck"]:
        ppm(f"{name}.jpg.ppm", Image.open(here / f"{name}.jpg").convert("RGB"))
    ppm("scene.ppm", pixels)
    ppm("scene-quality-75.ppm", jpeg_and_back(image, 75))

    small = Image.fromarray(scene(13, 8))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif.endian = "<" if orientation % 2 else ">"
        exif[0x010F] = "maker"
        exif[0x0112] = orientation
        name = f"exif-{orientation}.jpg"
        small.save(here / name, quality=95, subsampling=0, exif=exif.tobytes())
        ppm(f"{name}.ppm", ImageOps.exif_transpose(Image.open(here / name)))

    alpha = scene(45, 31, 4)
    grey = scene(45, 31, 1)[..., 0]
    Image.fromarray(pixels).save(here / "rgb.png")
    Image.fromarray(alpha, "RGBA").save(here / "rgba.png")
    Image.fromarray(grey).save(here / "grey.png")
    Image.fromarray(grey).convert("1").save(here / "one-bit.png")
    image.quantize(16).save(here / "palette.png")
    image.quantize(200).save(here / "palette-alpha.png", transparency=bytes(range(200)))
    (here / "grey-alpha.png").write_bytes(png(alpha[..., 2:4], 8, 4))
    (here / "interlaced.png").write_bytes(png(alpha, 8, 6, interlaced=True))
    for name in ["rgb", "rgba", "grey", "one-bit", "palette", "palette-alpha", "grey-alpha", "interlaced"]:
        ppm(f"{name}.png.ppm", over_white(Image.open(here / f"{name}.png")))

    deep = random.integers(0, 65536, (31, 45, 3))
    (here / "rgb-16.png").write_bytes(png(deep, 16, 2))
    ppm("rgb-16.png.ppm", np.round(deep / 257).astype(np.uint8))
    (here / "grey-16.png").write_bytes(png(deep[..., 0], 16, 0, interlaced=True))
    ppm("grey-16.png.ppm", np.repeat(np.round(deep[..., :1] / 257).astype(np.uint8), 3, -1))

    image.save(here / "lossy.webp", quality=90)
    Image.fromarray(alpha, "RGBA").save(here / "alpha.webp", lossless=True, exact=True)
    for name in ["lossy", "alpha"]:
        ppm(f"{name}.webp.ppm", over_white(Image.open(here / f"{name}.webp")))
    frames = [image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    frames[0].save(here / "animation.webp", save_all=True, append_images=frames[1:], duration=100)


def jpeg_and_back(image, quality):
    path = here / "temporary.jpg"
    image.save(path, quality=quality)
    back = np.asarray(Image.open(path).convert("RGB"))
    path.unlink()
    return back


def resizing():
    pixels = torch.from_numpy(scene(61, 43)).permute(2, 0, 1).contiguous()
    ppm("resize-source.ppm", pixels.permute(1, 2, 0).numpy())
    sizes = [(20, 14), (61, 20), (96, 70), (7, 5), (30, 43), (1, 1), (122, 9)]
    for width, height in sizes:
        small = F.resize(pixels, [height, width], F.InterpolationMode.BILINEAR, antialias=True)
        ppm(f"resized-{width}x{height}.ppm", small.permute(1, 2, 0).contiguous().numpy())
        exact = F.resize(pixels.float() / 255, [height, width], F.InterpolationMode.BILINEAR, antialias=True)
        (here / f"resized-{width}x{height}.f32").write_bytes(exact.numpy().astype("<f4").tobytes())
    (here / "resize.json").write_text(json.dumps(sizes) + "\n")


def buckets():
    cases = []
    for size, texts in [
        (768, ["1/1", "1/2", "1/3", "2/3", "3/4", "1/5", "2/5", "3/5", "4/5", "1/6", "5/6", "9/16"]),
        (1024, ["1/1", "1/2", "3/4", "3/5", "4/5", "6/9", "9/16"]),
        (512, ["1", "0.75", "16/9"]),
        (96, ["1/1"]),
    ]:
        ratios = [int(t.split("/")[0]) / int(t.split("/")[1]) if "/" in t else float(t) for t in texts]
        both = []
        for ratio in ratios:
            both += [r for r in (ratio, 1 / ratio) if r not in both and not (r in ratios and r != ratio)]
        area = size**2
        sizes = [(math.floor((area * r) ** 0.5 / 32) * 32, math.floor((area / r) ** 0.5 / 32) * 32) for r in both]
        fits = []
        for _ in range(60):
            width, height = (int(v) for v in random.integers(20, 2000, 2))
            ratio = width / height
            best = min(range(len(both)), key=lambda i: max(both[i] / ratio, ratio / both[i]))
            bucket = sizes[best]
            # The smallest short side with which torchvision's resize covers the bucket.
            short = next(
                s
                for s in range(1, 100000)
                if all(
                    have >= want
                    for have, want in zip(reversed(_compute_resized_output_size((height, width), [s])), bucket)
                )
            )
            down, across = _compute_resized_output_size((height, width), [short])
            crop = [int(round((across - bucket[0]) / 2.0)), int(round((down - bucket[1]) / 2.0))]
            fits.append({"picture": [width, height], "bucket": bucket, "resized": [across, down], "crop": crop})
        cases.append({"size": size, "ratios": texts, "buckets": sizes, "fits": fits})
    (here / "buckets.json").write_text(json.dumps(cases) + "\n")


def canny():
    pixels = scene(80, 57)
    ppm("canny-source.ppm", pixels)
    for low, high in [(100, 200), (40, 90)]:
        ppm(f"canny-{low}-{high}.pgm", cv2.Canny(pixels, low, high))


def many_sizes():
    """50 sizes, and windows of them, in one file: up, down, one side only, odd, tiny, slivers."""
    source = torch.from_numpy(scene(67, 45)).permute(2, 0, 1).contiguous()
    ppm("many-source.ppm", source.permute(1, 2, 0).numpy())
    sizes = [(67, 45), (66, 44), (1, 45), (67, 1), (2, 90), (200, 3), (3, 120), (1, 1), (2, 2), (134, 90)]
    sizes += [tuple(int(v) for v in random.integers(3, 80, 2)) for _ in range(50 - len(sizes))]
    cases, pixels = [], b""
    for width, height in sizes:
        resized = F.resize(source, [height, width], F.InterpolationMode.BILINEAR, antialias=True)
        exact = F.resize(source.float() / 255, [height, width], F.InterpolationMode.BILINEAR, antialias=True)
        # The reference resizes floats; in bytes both are the same but for values half-way between two.
        assert (resized.float() - exact * 255).abs().max() < 0.501
        crop_width, crop_height = (int(random.integers(1, min(side, 32) + 1)) for side in (width, height))
        x, y = int(random.integers(0, width - crop_width + 1)), int(random.integers(0, height - crop_height + 1))
        pixels += F.crop(resized, y, x, crop_height, crop_width).permute(1, 2, 0).contiguous().numpy().tobytes()
        cases.append([width, height, x, y, crop_width, crop_height])
    (here / "many.json").write_text(json.dumps(cases) + "\n")
    (here / "many.rgb").write_bytes(pixels)


def bucket_sizes():
    """The formula of the reference's Bucketeer, for the ratios of its training configurations; [height, width]."""
    texts = ["1/1", "1/2", "1/3", "2/3", "3/4", "1/5", "2/5", "3/5", "4/5", "1/6", "5/6", "9/16"]
    cases = []
    for size in (384, 768, 1024):
        ratios = [int(t.split("/")[0]) / int(t.split("/")[1]) for t in texts]
        ratios += [1 / r for r in ratios if 1 / r not in ratios]
        sizes = [[int((size**2 / r) ** 0.5 // 32 * 32), int((size**2 * r) ** 0.5 // 32 * 32)] for r in ratios]
        cases.append({"size": size, "ratios": texts, "sizes": sizes})
    (here / "bucket-sizes.json").write_text(json.dumps(cases) + "\n")


def scaled():
    """What libjpeg gives at a half, a quarter and an eighth of an image's size."""
    Image.fromarray(scene(80, 57)).save(here / "scaled.jpg", quality=92)
    for divisor in (1, 2, 4, 8):
        image = Image.open(here / "scaled.jpg")
        image.draft("RGB", (80 // divisor, 57 // divisor))
        ppm(f"scaled-{divisor}.ppm", image)


def natural():
    """An image with a photograph's spectrum, one over the frequency, and colours that change less than its light."""
    width, height = 256, 176
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1
    light, *tint = (np.fft.irfft2(np.fft.rfft2(random.normal(size=(height, width))) / frequency**1.2) for _ in range(4))
    planes = np.stack([light / light.std() + 0.2 * t / t.std() for t in tint], -1) * 45 + 127
    Image.fromarray(np.clip(planes, 0, 255).astype(np.uint8)).save(here / "natural.jpg", quality=90)


def more_formats():
    """What photographs and drawings off the web come in beside the common."""
    pixels, alpha = scene(21, 15), scene(21, 15, 4)
    image = Image.fromarray(pixels)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(here / "422.jpg", quality=90, subsampling="4:2:2", icc_profile=profile)
    sampling = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411]
    cv2.imwrite(str(here / "411.jpg"), pixels[..., ::-1], sampling)
    for depth in (2, 4):
        levels = scene(21, 15, 1)[..., 0] >> (8 - depth)
        (here / f"grey-{depth}.png").write_bytes(packed_png(levels, depth, 0))
        colours = chunk(b"PLTE", bytes(random.integers(0, 256, 3 * 2**depth, dtype=np.uint8)))
        (here / f"palette-{depth}.png").write_bytes(packed_png(levels, depth, 3, colours))
    # One colour is transparent: a grey of 4 bits, and the colour of the bar.
    (here / "grey-key.png").write_bytes(packed_png(levels, 4, 0, chunk(b"tRNS", struct.pack(">H", 7))))
    flat = pixels & 0xE0
    key = struct.pack(">3H", *(int(v) for v in flat[12, 3]))
    (here / "rgb-key.png").write_bytes(packed_png(flat, 8, 2, chunk(b"tRNS", key)))
    image.save(here / "profile.png", icc_profile=profile)
    image.save(here / "lossless.webp", lossless=True, icc_profile=profile)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(here / "exif.png", exif=exif.tobytes())
    exif[0x0112] = 8
    Image.fromarray(alpha, "RGBA").save(here / "exif.webp", lossless=True, exact=True, exif=exif.tobytes())
    # Pillow looks for the grey of 4 bits among those it has made 8 of.
    ppm("grey-key.png.ppm", np.repeat(np.where(levels == 7, 255, levels * 17)[..., None].astype(np.uint8), 3, -1))
    names = ["422.jpg", "411.jpg", "grey-2.png", "grey-4.png", "palette-2.png", "palette-4.png"]
    for name in names + ["rgb-key.png", "profile.png", "lossless.webp", "exif.png", "exif.webp"]:
        ppm(f"{name}.ppm", over_white(ImageOps.exif_transpose(Image.open(here / name))))

    deep = random.integers(0, 65536, (15, 21, 4))
    (here / "rgba-16.png").write_bytes(png(deep, 16, 6, interlaced=True))
    eight = np.round(deep / 257)
    mixed = (eight[..., :3] * eight[..., 3:] + 255 * (255 - eight[..., 3:])) / 255
    ppm("rgba-16.png.ppm", np.round(mixed).astype(np.uint8))


def packed_png(array, depth, colour, between=b""):
    """A PNG by hand whose samples may share bytes, with chunks `between` the header and the pixels."""
    array = array if array.ndim == 3 else array[..., None]
    bits = (array.reshape(array.shape[0], -1, 1) >> np.arange(depth - 1, -1, -1)) & 1
    rows = np.packbits(bits.reshape(array.shape[0], -1).astype(np.uint8), axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], depth, colour, 0, 0, 0)
    end = chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + between + end


decoding()
resizing()
buckets()
canny()
many_sizes()
bucket_sizes()
scaled()
more_formats()
natural()
