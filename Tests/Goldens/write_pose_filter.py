"""Writes the goldens of the pose filter: people out of maps, their drawing, and a network whose people are rectangles.

Peer: Tests/Peers/peers/pose.py in OpenCV and numpy; the files' metadata names the versions. `pose_filter.safetensors` has maps
of known people, made as Cao et al. 2017 make those to train on (section 2.2 and 2.3) with noise added, the people found
in them, and drawings. `pose_corners.caffemodel` and its prototxt are a network in the layout of OpenPose's COCO model:
the corners of a bright rectangle are neck, shoulders and hip of a person, and its fields are the same everywhere."""

import sys
from pathlib import Path

import numpy
import torch
from torch.nn.functional import avg_pool2d, conv2d, interpolate

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import golden
import pose

HEIGHT, WIDTH = 20, 28  # places of the maps
# A standing person one high, neck at 0.
STANDING = {
    0: (0.0, -0.12), 1: (0.0, 0.0), 2: (-0.13, 0.0), 3: (-0.18, 0.17), 4: (-0.2, 0.33), 5: (0.13, 0.0),
    6: (0.18, 0.17), 7: (0.2, 0.33), 8: (-0.08, 0.35), 9: (-0.09, 0.56), 10: (-0.09, 0.78), 11: (0.08, 0.35),
    12: (0.09, 0.56), 13: (0.09, 0.78), 14: (-0.04, -0.16), 15: (0.04, -0.16), 16: (-0.09, -0.14), 17: (0.09, -0.14),
}  # fmt: skip


def person(x: float, y: float, height: float, turn: float, lacking: set[int]) -> dict[int, tuple[float, float]]:
    """A person in places of the maps, turned about the neck by an angle in radians."""
    cosine, sine = numpy.cos(turn) * height, numpy.sin(turn) * height
    return {
        part: (x + cosine * u - sine * v, y + sine * u + cosine * v)
        for part, (u, v) in STANDING.items()
        if part not in lacking
    }


def maps_of(bodies: list[dict[int, tuple[float, float]]], numbers: numpy.random.Generator) -> numpy.ndarray:
    """[57, h, w]: round hills at the parts, and along a limb's width the direction it runs in."""
    made = numpy.zeros((57, HEIGHT, WIDTH), numpy.float32)
    rows, columns = numpy.mgrid[:HEIGHT, :WIDTH]
    for body in bodies:
        for part, (x, y) in body.items():
            hill = numpy.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 1.2**2)
            made[part] = numpy.maximum(made[part], 0.9 * hill)
        for (start, end), field in zip(pose.LIMBS, pose.FIELDS):
            if start not in body or end not in body:
                continue
            way = numpy.subtract(body[end], body[start])
            length = numpy.hypot(*way)
            across, down = columns - body[start][0], rows - body[start][1]
            along = (across * way[0] + down * way[1]) / length
            aside = abs(across * way[1] - down * way[0]) / length
            on_it = (along > -0.5) & (along < length + 0.5) & (aside < 0.9)
            for axis in (0, 1):
                made[19 + field + axis][on_it] = way[axis] / length
    made[18] = 1 - made[:18].max(0)
    return made + numbers.normal(0, 0.01, made.shape).astype(numpy.float32)


def table(bodies: list[dict[int, tuple[float, float]]]) -> torch.Tensor:
    """[N, 18, 2], -1 where a part is not there."""
    rows = [[body.get(part, (-1.0, -1.0)) for part in range(18)] for body in bodies]
    return torch.tensor(rows, dtype=torch.float64).float()


# --- A network of rectangles

# Its weights over four by four means of eight by eight pixels, for the corner whose inside is below and to the right:
# on an edge they come to a third of what they come to on the corner.
CORNER = torch.tensor([[0.5, -1.0], [-1.0, 1.5]]).repeat_interleave(2, 0).repeat_interleave(2, 1) / 2
CORNERS = {1: [], 5: [1], 2: [0], 8: [0, 1]}  # parts, and the axes to mirror
DIRECTIONS = {20: (1.0, 0.0), 12: (0.0, 1.0), 0: (0.7, 0.7)}


def corner_weights() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    parts, fields = torch.zeros(19, 3, 4, 4), torch.zeros(38, 3, 4, 4)
    parts_bias, fields_bias = torch.zeros(19), torch.zeros(38)
    for part, mirrored in CORNERS.items():
        parts[part] = CORNER.flip(mirrored) / 3
        parts_bias[part] = -0.9
    for field, direction in DIRECTIONS.items():
        fields_bias[field : field + 2] = torch.tensor(direction)
    return {"Mconv7_stage6_L2": (parts, parts_bias), "Mconv7_stage6_L1": (fields, fields_bias)}


def corner_maps(image: torch.Tensor, resize: int) -> numpy.ndarray:
    """[1, 3, H, W] RGB in 0...1 -> [57, h, w], the mean over both sizes."""
    made = []
    for scale in pose.SCALES:
        factor = resize * scale / min(image.shape[2:])
        size = [round(side * factor / 8) * 8 for side in image.shape[2:]]
        sized = interpolate(image, size, mode="bilinear", antialias=True).flip(1) * 255 / 256 - 0.5
        means = avg_pool2d(sized, 8, padding=4)
        made.append(torch.cat([conv2d(means, *pair, padding=1) for pair in corner_weights().values()], 1))
    size = made[0].shape[2:]
    return torch.stack([interpolate(one, size, mode="bilinear") for one in made]).mean(0)[0].numpy()


def varint(value: int) -> bytes:
    made = b""
    while value > 127:
        made += bytes([value & 127 | 128])
        value >>= 7
    return made + bytes([value])


def message(field: int, content: bytes) -> bytes:
    """A field of protobuf with a length."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def caffe_model() -> bytes:
    """Caffe's NetParameter with the layers that have weights."""
    made = b""
    for name, blobs in corner_weights().items():
        layer = message(1, name.encode()) + message(2, b"Convolution")
        for blob in blobs:
            shape = message(1, b"".join(varint(side) for side in blob.shape))
            layer += message(7, message(7, shape) + message(5, blob.numpy().astype("<f4").tobytes()))
        made += message(100, layer)
    return made


def description() -> str:
    convolutions = "".join(
        f'layer {{ name: "{name}" type: "Convolution" bottom: "means" top: "{name}"\n'
        f"  convolution_param {{ num_output: {weights.shape[0]} kernel_size: 4 pad: 1 }} }}\n"
        for name, (weights, _) in corner_weights().items()
    )
    return (
        'input: "image"\ninput_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'
        'layer { name: "means" type: "Pooling" bottom: "image" top: "means"\n'
        "  pooling_param { pool: AVE kernel_size: 8 stride: 8 pad: 4 } }\n" + convolutions
    )


def rectangles(height: int, width: int, places: list[tuple[int, int, int, int]]) -> torch.Tensor:
    """[1, 3, height, width], dark with bright rectangles (left, top, right, bottom)."""
    image = torch.full((1, 3, height, width), 0.1)
    for left, top, right, bottom in places:
        image[:, :, top:bottom, left:right] = 0.9
    return image


if __name__ == "__main__":
    numbers = numpy.random.default_rng(5)
    # One standing, one leaning over with an arm over the first, one bending who lacks a leg and half the face; and a
    # hand alone, which is nobody.
    crowd = [
        person(7.3, 5.2, 16.0, 0.1, set()),
        person(14.6, 6.1, 13.0, -0.3, set()),
        person(22.4, 4.7, 11.0, 0.6, {11, 12, 13, 15, 17}),
        {3: (25.0, 16.0), 4: (25.5, 18.0)},
    ]
    answer = maps_of(crowd, numbers)
    found = pose.people(answer)
    found.sort(key=lambda body: body[1])  # by the neck, from left to right
    assert [len(body) for body in found] == [18, 18, 13], [len(body) for body in found]
    for body, truth in zip(found, crowd):
        for part, (x, y) in body.items():
            assert numpy.hypot(x * WIDTH - 0.5 - truth[part][0], y * HEIGHT - 0.5 - truth[part][1]) < 0.6, part

    image = rectangles(60, 80, [(8, 8, 32, 40), (46, 16, 74, 54)])
    pairs = pose.people(corner_maps(image, 160))
    assert [sorted(body) for body in pairs] == [[1, 2, 5, 8]] * 2, pairs
    print([{part: (round(x * 80, 1), round(y * 60, 1)) for part, (x, y) in body.items()} for body in pairs])

    drawings = {
        "drawing": pose.drawn(found, 45, 63),
        "drawing.wide": pose.drawn(found[:1], 50, 70, stick=7, radius=2),
    }
    golden.write(
        "pose_filter", "PoseFilter", {}, ["opencv-contrib-python-headless", "numpy"],
        {
            "in": {"maps": torch.from_numpy(answer)[None], "picture": image[:, :1]},
            "out": {"people": table(found), "corners": table(sorted(pairs, key=lambda body: body[1]))}
            | {name: torch.from_numpy(made).permute(2, 0, 1)[None].float() / 255 for name, made in drawings.items()},
        })
    (golden.FOLDER / "pose_corners.caffemodel").write_bytes(caffe_model())
    (golden.FOLDER / "pose_corners.prototxt").write_text(description())
