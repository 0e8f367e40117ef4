"""How far JPEGs decoded at a part of their size, then resized, are from those decoded whole: the lowest PSNR in dB.

    python Tests/Peers/checks/scaled.py [--photographs .tiny/photographs] [--count 100]

Squares of 1024 pixels are cut from photographs and saved with quality 90; Pillow's `draft` has libjpeg decode them at a
half, a quarter and an eighth, and torchvision resizes both. The rows are how many times larger than the wanted image
the scaled one is: `Image.leastShrinking` is the first row at which all is well above 40 dB."""

import argparse
import io
import math
import pathlib

import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor, resize

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "benches"))
from bench_data import SIDE, cut


def psnr(data: io.BytesIO, divisor: int, shrinking: float) -> float:
    side = int(SIDE / divisor / shrinking)
    scaled = Image.open(data)
    scaled.draft("RGB", (SIDE // divisor, SIDE // divisor))
    assert scaled.size == (SIDE // divisor, SIDE // divisor)
    one, other = (resize(pil_to_tensor(p), [side, side], antialias=True).double() for p in (scaled, Image.open(data)))
    return 10 * math.log10(255**2 / max((one - other).square().mean().item(), 1e-9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=pathlib.Path, default=pathlib.Path(".tiny/photographs"))
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    paths = sorted(p for p in options.photographs.glob("*") if p.suffix in {".jpg", ".jpeg", ".png", ".webp"})
    torch.set_num_threads(1)
    lowest: dict[tuple[float, int], float] = {}
    for number in range(options.count):
        data = io.BytesIO()
        cut(paths[number % len(paths)], number).save(data, "JPEG", quality=90)
        for shrinking in (4 / 3, 2, 2.5, 3):
            for divisor in (2, 4, 8):
                key = (shrinking, divisor)
                lowest[key] = min(lowest.get(key, math.inf), psnr(data, divisor, shrinking))
    print("times larger     1/2     1/4     1/8")
    for shrinking in (4 / 3, 2, 2.5, 3):
        print(f"{shrinking:12.2f}" + "".join(f"{lowest[shrinking, divisor]:8.1f}" for divisor in (2, 4, 8)))


if __name__ == "__main__":
    main()
