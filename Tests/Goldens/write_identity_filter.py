"""Writes networks of insightface's layout with drawn weights, and what the reference makes of them.

Peers: onnxruntime runs the networks; scikit-image's similarity transform and OpenCV's warp turn faces upright as
insightface's `norm_crop` does; the decoding of boxes and landmarks and the choice of the best are numpy's, after the
reference's `modules/cnet_modules/face_id/arcface.py`. `faces.onnx` has `det_10g.onnx`'s nine outputs in its order and
shapes, `identities.onnx` the 512 numbers of `w600k_r50.onnx`."""

import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch
from onnx import helper
from skimage.transform import SimilarityTransform

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import golden
from write_inference import numbers, save

SIDE, STRIDES, UPRIGHT = 320, [8, 16, 32], np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])


def detector(draw: np.random.Generator) -> Path:
    weights = {"kernel": draw.normal(size=(6, 3, 8, 8)).astype(np.float32) / 12}
    nodes = [
        helper.make_node("Conv", ["input", "kernel"], ["edges"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Abs", ["edges"], ["level8"]),
    ]
    outputs = []
    for head, width, scale, shift in [("score", 1, 3.0, -6.5), ("box", 4, 1.0, 1.0), ("point", 10, 1.0, 0.0)]:
        weights[f"{head}.weight"] = (scale * draw.normal(size=(2 * width, 6, 1, 1))).astype(np.float32)
        weights[f"{head}.bias"] = np.full(2 * width, shift, np.float32)
        weights[f"{head}.shape"] = np.array([-1, width])
        for stride in STRIDES:
            level = f"{head}{stride}"
            last = "Sigmoid" if head == "score" else "Abs" if head == "box" else "Identity"
            nodes += [
                helper.make_node(
                    "Conv", [f"level{stride}", f"{head}.weight", f"{head}.bias"], [f"{level}.map"],
                    kernel_shape=[1, 1]),
                helper.make_node("Transpose", [f"{level}.map"], [f"{level}.turned"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{level}.turned", f"{head}.shape"], [f"{level}.rows"]),
                helper.make_node(last, [f"{level}.rows"], [level]),
            ]
            outputs.append(numbers(level, 2 * (SIDE // stride) ** 2, width))
    for fine, coarse in zip(STRIDES, STRIDES[1:]):
        nodes.append(
            helper.make_node("MaxPool", [f"level{fine}"], [f"level{coarse}"], kernel_shape=[2, 2], strides=[2, 2]))
    made = {"input"}
    ordered = []
    while nodes:  # an ONNX graph lists what is needed before what needs it
        node = next(node for node in nodes if all(name in made or name in weights for name in node.input))
        nodes.remove(node)
        ordered.append(node)
        made.update(node.output)
    return save("faces", ordered, [numbers("input", 1, 3, "height", "width")], outputs, weights)


def recognizer(draw: np.random.Generator) -> Path:
    weights = {
        "kernel": draw.normal(size=(8, 3, 8, 8)).astype(np.float32) / 8,
        "rows": draw.normal(size=(512, 8)).astype(np.float32),
    }
    return save(
        "identities",
        [
            helper.make_node("Conv", ["input", "kernel"], ["edges"], kernel_shape=[8, 8], strides=[8, 8]),
            helper.make_node("Relu", ["edges"], ["bright"]),
            helper.make_node("GlobalAveragePool", ["bright"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("Gemm", ["flat", "rows"], ["output"], transB=1),
        ],
        [numbers("input", "batch", 3, 112, 112)], [numbers("output", "batch", 512)], weights)


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def best(boxes: np.ndarray, scores: np.ndarray, limit: float) -> list[int]:
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    rest, taken = scores.argsort()[::-1], []
    while rest.size:
        first, rest = rest[0], rest[1:]
        taken.append(first)
        low, high = np.maximum(boxes[first, :2], boxes[rest, :2]), np.minimum(boxes[first, 2:], boxes[rest, 2:])
        shared = np.maximum(0, high - low + 1).prod(axis=1)
        part = shared / (areas[first] + areas[rest] - shared)
        assert part.size == 0 or np.abs(part - limit).min() > 1e-6  # no rounding decides
        rest = rest[part <= limit]
    return taken


def faces(network: onnxruntime.InferenceSession, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes [N, 4], landmarks [N, 5, 2] and scores [N] of an RGB image [H, W, 3] of bytes, the surest first."""
    height, width = image.shape[:2]
    ratio = height / width
    size = (int(SIDE / ratio), SIDE) if ratio > 1 else (SIDE, int(SIDE * ratio))
    scale = size[1] / height
    square = np.zeros((SIDE, SIDE, 3), np.uint8)
    square[: size[1], : size[0]] = cv2.resize(image, size)
    made = network.run(None, {"input": cv2.dnn.blobFromImage(square, 1 / 128, (SIDE, SIDE), (127.5, 127.5, 127.5))})
    boxes, points, scores = [], [], []
    for level, stride in enumerate(STRIDES):
        rows = np.arange(SIDE // stride) * stride
        places = np.stack(np.meshgrid(rows, rows), -1).reshape(-1, 2).repeat(2, axis=0)
        score, box, point = made[level].ravel(), made[level + 3] * stride, made[level + 6] * stride
        assert np.abs(score - 0.5).min() > 1e-6
        sure = score >= 0.5
        boxes.append(np.hstack([places - box[:, :2], places + box[:, 2:]])[sure] / scale)
        points.append((places[:, None] + point.reshape(-1, 5, 2))[sure] / scale)
        scores.append(score[sure])
    boxes, points, scores = (np.concatenate(parts) for parts in (boxes, points, scores))
    taken = best(boxes, scores, 0.4)
    return boxes[taken], points[taken], scores[taken]


def identity(network: onnxruntime.InferenceSession, image: np.ndarray, points: np.ndarray) -> np.ndarray:
    turn = SimilarityTransform.from_estimate(points, UPRIGHT)
    upright = cv2.warpAffine(image, turn.params[:2], (112, 112), borderValue=0.0)
    blob = cv2.dnn.blobFromImages([upright], 1 / 127.5, (112, 112), (127.5, 127.5, 127.5))
    made = network.run(None, {"input": blob})[0][0]
    return made / np.linalg.norm(made)


def chosen(boxes: np.ndarray, size: tuple[int, int], most: int) -> np.ndarray:
    """The indices of the faces that count: large and in the middle first."""
    if len(boxes) <= most:
        return np.arange(len(boxes))
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    away = (boxes[:, :2] + boxes[:, 2:]) / 2 - [size[1] // 2, size[0] // 2]
    return (areas - 2 * (away**2).sum(axis=1)).argsort()[::-1][:most]


def grid(boxes: np.ndarray, identities: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """[512, H / 32, W / 32], a later face over an earlier one."""
    made = torch.zeros(512, size[0] // 32, size[1] // 32)
    for box, identity in zip(torch.from_numpy(boxes).int(), identities):
        left, top, right, bottom = (box / 32).clamp(min=0).round().int().tolist()
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        made[:, top:bottom, left:right] = torch.from_numpy(identity)[:, None, None]
    return made


if __name__ == "__main__":
    draw = np.random.default_rng(39)
    find, tell = session(detector(draw)), session(recognizer(draw))
    inputs, outputs = {}, {}
    for name, (height, width) in {"wide": (96, 128), "tall": (100, 44)}.items():
        filled = torch.ones(1)
        # Until some cells are filled and some not, and no rounding decides which faces there are and in which order.
        while filled.all() == filled.any() or np.diff(scores).max() > -1e-4:
            coarse = draw.integers(0, 256, size=(height // 10, width // 10, 3), dtype=np.uint8)
            image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
            try:
                boxes, points, scores = faces(find, image)
            except AssertionError:
                continue
            few = chosen(boxes, (height, width), 4)
            made = grid(boxes[few], np.stack([identity(tell, image, points[face]) for face in few]), (height, width))
            filled = made.abs().sum(0) > 0
        print(f"{name}: {len(boxes)} faces, the surest {scores[:3]}")
        # Half a step up, so that the cast to bytes gives these back.
        inputs[name] = (torch.from_numpy(image).permute(2, 0, 1)[None].float() + 0.5) / 255
        outputs[f"boxes.{name}"] = torch.from_numpy(boxes).float()
        outputs[f"landmarks.{name}"] = torch.from_numpy(points).float()
        outputs[f"scores.{name}"] = torch.from_numpy(scores).float()
        identities = np.stack([identity(tell, image, face) for face in points[:8]])
        outputs[f"identities.{name}"] = torch.from_numpy(identities).float()
        outputs[f"grid.{name}"] = made[None]
    golden.write(
        "identity_filter", "IdentityFilter", {}, ["onnxruntime", "onnx", "opencv-contrib-python-headless", "scikit-image"],
        {"in": inputs, "out": outputs})
