"""Holds `cascade-adapt filter apply` against the peers of filters.py on photographs.

    python Tests/Peers/checks/parity_filters.py --command .build/release/cascade-adapt [IMAGE…]

Without images those of `.photographs` are taken, which `make setup` gathers, 24 of them. For each filter and each
choice of parameters it prints the largest difference over all images and how many numbers differ by more than the
bar; exits 1 where a difference is above 1e-4 (SREffnetFilter: 1e-3 of the peer's deviation), or where more than one in
two hundred pixels of a Canny filter differ. Where a filter cuts at a threshold, a number within 1e-5 of it may fall to
either side: such places are counted, and more than one in ten thousand of them is a failure."""

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

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import drawn
import filters
import pidinet
from effnet import EffNet

QR = {
    "QRFilter, as it is": {},
    "QRFilter, sigma 0.3": {"dilation": 3, "sigma": 0.3},
    "QRFilter, sigma 2": {"dilation": 7, "sigma": 2.0},
    "QRFilter, even element": {"dilation": 4, "blur": 5},
    "QRFilter, not resized": {"resize": None, "dilation": 7, "blur": 3},
    "QRFilter, no blobs": {"blobify": False},
}
NAMES = {"dilation": "dilation_kernels", "blur": "blur_kernels", "sigma": "blur_sigma"}


def apply(command: str, name: str, parameters: dict, image: Path, folder: Path) -> dict[str, torch.Tensor]:
    tensor = folder / "out.safetensors"
    arguments = [command, "filter", "apply", name, image, "-o", folder / "out.png", "--tensor", tensor, "--quiet"]
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
    parser.add_argument("images", nargs="*", type=Path)
    asked = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # Decoders of JPEG differ; PNG leaves them out.
        photographs = []
        for index, original in enumerate(asked.images or sorted(Path(".photographs").glob("*.[jp]*g"))[:24]):
            path = folder / f"{index}.png"
            Image.open(original).convert("RGB").save(path)
            pixels = numpy.array(Image.open(path))
            photographs.append((path, torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255))
        print(f"{len(photographs)} photographs")

        for parameters, size in [({}, 224), ({"resize": None, "low_threshold": 60}, None)]:
            differing = total = 0
            for path, image in photographs:
                made = apply(asked.command, "CannyFilter", parameters, path, folder)["condition"]
                peer = filters.canny(image, size, parameters.get("low_threshold", 100))
                differing += ((made - peer).abs() > 1e-4).sum().item()
                total += peer.numel()
            print(f"CannyFilter, {parameters}: {differing} of {total} pixels differ")
            good &= differing <= 0.005 * total

        for outpaint in (False, True):
            differences, masks, pixels = [], 0, 0
            for path, image in photographs:
                found = filters.fine_grained_saliency(image)
                threshold = found.median().item()
                parameters = {"threshold": threshold, "p_outpaint": int(outpaint)}
                made = apply(asked.command, "InpaintFilter", parameters, path, folder)["condition"]
                mask, _ = filters.inpaint_mask(image, found, threshold, outpaint)
                masks += (made[:, 3:] != mask).sum().item()
                pixels += mask.numel()
                differences.append((made[:, :3] - (image * (1 - made[:, 3:]) + made[:, 3:])).abs())
            print(f"InpaintFilter, outpainting {outpaint}: {masks} of {pixels} places of the mask differ")
            good &= masks <= 1e-4 * pixels and report("InpaintFilter's image", differences, 1e-4)

        weights = {key: drawn.weight(key, shape) for key, shape in pidinet.shapes().items()}
        torch.save({"state_dict": {f"module.{key}": value for key, value in weights.items()}}, folder / "pidinet.pth")
        kernels, differences = pidinet.with_kernels(weights), []
        for path, image in photographs:
            parameters = {"weights": str(folder / "pidinet.pth"), "binarize": False, "dilation_kernels": 0}
            small = torch.nn.functional.interpolate(image, (224, 224), mode="bilinear")
            edges = pidinet.edges(kernels, small, pidinet.convolved)
            peer = torch.nn.functional.interpolate(edges, image.shape[2:], mode="bilinear")
            differences.append((apply(asked.command, "PidiFilter", parameters, path, folder)["condition"] - peer).abs())
        good &= report("PidiFilter, not cut", differences, 2e-4)

        for name, case in QR.items():
            parameters = {"dilation": 5, "blur": 15, "sigma": 1.0} | case
            spelled = {NAMES.get(key, key): value for key, value in parameters.items()}
            differences, unsure = [], 0
            for path, image in photographs:
                made = apply(asked.command, "QRFilter", spelled, path, folder)["condition"]
                # Rounding decides where brightness is nearer to a limit than this.
                near, far = (filters.qr(image, **parameters, apart=apart) for apart in (-1e-6, 1e-6))
                differences.append((made - filters.qr(image, **parameters)).abs()[near == far])
                unsure += (near != far).sum().item()
            good &= report(f"{name}, {unsure} pixels at a limit left out", differences, 1e-4)

        for factor in (0.25, 0.3, 0.1, 0.5):
            differences = []
            for path, image in photographs:
                made = apply(asked.command, "SRFilter", {"scale_factor": factor}, path, folder)["condition"]
                differences.append((made - filters.sr(image, factor)).abs())
            good &= report(f"SRFilter, {factor}", differences, 1e-4)

        encoder = EffNet()
        drawn.fill(encoder)
        # Over many photographs: by the statistics of one alone, others would be numbers a hundred times as large.
        corners = [image[..., :256, :256] for _, image in photographs if min(image.shape[2:]) >= 256]
        drawn.measure_scales(encoder, filters.normalised(torch.cat(corners)))
        weights = folder / "effnet.safetensors"
        save_file(encoder.state_dict(), weights)
        conditions, previews = [], []
        for path, image in photographs:
            made = apply(asked.command, "SREffnetFilter", {"effnet_checkpoint_path": str(weights)}, path, folder)
            peer = filters.sr_effnet(encoder, image)
            conditions.append((made["condition"] - peer["condition"]).abs() / peer["condition"].std())
            height, width = peer["preview"].shape[2:]
            previews.append((made["preview"][..., :height, :width] - peer["preview"]).abs())
        good &= report("SREffnetFilter", conditions, 1e-3)
        good &= report("SREffnetFilter's preview", previews, 1e-4)
    sys.exit(0 if good else 1)
