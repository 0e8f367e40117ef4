"""Holds `cascade-adapt filter apply` against the peers of filters.py on photographs.

    python Tests/Peers/parity_filters.py --command .build/release/cascade-adapt [PICTURE…]

Without pictures those that scikit-image ships are taken. For each filter and each choice of parameters it prints the
largest difference over all pictures and how many numbers differ by more than the bar; exits 1 where a difference is above 1e-4
(SREffnetFilter: 1e-3 of the peer's deviation)."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from skimage import data

import drawn
import filters
from effnet import EffNet

SHIPPED = ["astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "retina", "immunohistochemistry"]
QR = {
    "QRFilter, as it is": {},
    "QRFilter, sigma 0.3": {"dilation": 3, "sigma": 0.3},
    "QRFilter, sigma 2": {"dilation": 7, "sigma": 2.0},
    "QRFilter, even element": {"dilation": 4, "blur": 5},
    "QRFilter, not resized": {"resize": None, "dilation": 7, "blur": 3},
    "QRFilter, no blobs": {"blobify": False},
}
NAMES = {"dilation": "dilation_kernels", "blur": "blur_kernels", "sigma": "blur_sigma"}


def apply(command: str, name: str, parameters: dict, picture: Path, folder: Path) -> dict[str, torch.Tensor]:
    tensor = folder / "out.safetensors"
    arguments = [command, "filter", "apply", name, picture, "-o", folder / "out.png", "--tensor", tensor, "--quiet"]
    subprocess.run([*map(str, arguments), "--params", json.dumps(parameters)], check=True)
    return load_file(tensor)


def report(name: str, differences: list[torch.Tensor], bar: float) -> bool:
    largest = max(difference.max().item() for difference in differences)
    beyond = sum((difference > bar).sum().item() for difference in differences)
    print(f"{name}: largest difference {largest:.2e}, {beyond} of {sum(d.numel() for d in differences)} beyond {bar}")
    return beyond == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--command", required=True)
    parser.add_argument("pictures", nargs="*", type=Path)
    asked = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # Decoders of JPEG differ; PNG leaves them out.
        opened = [Image.open(path) for path in asked.pictures]
        opened = opened or [Image.fromarray(getattr(data, name)()) for name in SHIPPED]
        photographs = []
        for index, picture in enumerate(opened):
            path = folder / f"{index}.png"
            picture.convert("RGB").save(path)
            pixels = numpy.array(Image.open(path))
            photographs.append((path, torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255))
        print(f"{len(photographs)} photographs")

        for name, case in QR.items():
            parameters = {"dilation": 5, "blur": 15, "sigma": 1.0} | case
            spelled = {NAMES.get(key, key): value for key, value in parameters.items()}
            differences = [
                (apply(asked.command, "QRFilter", spelled, path, folder)["condition"] - filters.qr(picture, **parameters)).abs()
                for path, picture in photographs
            ]  # fmt: skip
            good &= report(name, differences, 1e-4)

        for factor in (0.25, 0.3, 0.1, 0.5):
            differences = []
            for path, picture in photographs:
                made = apply(asked.command, "SRFilter", {"scale_factor": factor}, path, folder)["condition"]
                differences.append((made - filters.sr(picture, factor)).abs())
            good &= report(f"SRFilter, {factor}", differences, 1e-4)

        encoder = EffNet()
        drawn.fill(encoder)
        drawn.measure_scales(encoder, *[filters.normalised(picture[..., :256, :256]) for _, picture in photographs[:1]])
        weights = folder / "effnet.safetensors"
        save_file(encoder.state_dict(), weights)
        conditions, previews = [], []
        for path, picture in photographs:
            made = apply(asked.command, "SREffnetFilter", {"effnet_checkpoint_path": str(weights)}, path, folder)
            peer = filters.sr_effnet(encoder, picture)
            conditions.append((made["condition"] - peer["condition"]).abs() / peer["condition"].std())
            height, width = peer["preview"].shape[2:]
            previews.append((made["preview"][..., :height, :width] - peer["preview"]).abs())
        good &= report("SREffnetFilter", conditions, 1e-3)
        good &= report("SREffnetFilter's preview", previews, 1e-4)
    sys.exit(0 if good else 1)
