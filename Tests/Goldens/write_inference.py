"""Writes inference.onnx, a small network for images of any size, and what ONNX Runtime makes of it.

Peer: onnxruntime on one thread (the golden's metadata names its version). The network: a convolution of stride 2 and
its rectifier (output `features`), their mean over the image and three numbers of it (output `scores`). `several.onnx`
adds two inputs, `counted.onnx` takes whole numbers: neither can be run."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Peers/peers"))

import golden


def save(name: str, nodes: list, inputs: list, outputs: list, weights: dict[str, np.ndarray]) -> Path:
    graph = helper.make_graph(
        nodes, name, inputs, outputs, [numpy_helper.from_array(weight, key) for key, weight in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], producer_name="cascade-adapt")
    model.ir_version = 6
    onnx.checker.check_model(model)
    path = golden.FOLDER / f"{name}.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def numbers(name: str, *shape, kind: int = TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


if __name__ == "__main__":
    draw = np.random.default_rng(5)
    weights = {
        "kernel": draw.normal(size=(4, 3, 3, 3)).astype(np.float32) / 3,
        "bias": draw.normal(size=4).astype(np.float32),
        "rows": draw.normal(size=(3, 4)).astype(np.float32),
        "shift": draw.normal(size=3).astype(np.float32),
    }
    path = save(
        "inference",
        [
            helper.make_node(
                "Conv", ["picture", "kernel", "bias"], ["edges"], kernel_shape=[3, 3], strides=[2, 2],
                pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["edges"], ["features"]),
            helper.make_node("GlobalAveragePool", ["features"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("Gemm", ["flat", "rows", "shift"], ["scores"], transB=1),
        ],
        [numbers("picture", 1, 3, "height", "width")],
        [numbers("features", 1, 4, "height / 2", "width / 2"), numbers("scores", 1, 3)], weights)
    save(
        "several", [helper.make_node("Add", ["one", "other"], ["sum"])], [numbers("one", 2), numbers("other", 2)],
        [numbers("sum", 2)], {})
    save(
        "counted", [helper.make_node("Cast", ["counts"], ["numbers"], to=TensorProto.FLOAT)],
        [numbers("counts", 2, kind=TensorProto.INT64)], [numbers("numbers", 2)], {})

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs, outputs = {}, {}
    for name, shape in {"square": (1, 3, 16, 16), "wide": (1, 3, 10, 34)}.items():
        image = draw.uniform(size=shape).astype(np.float32)
        features, scores = session.run(["features", "scores"], {"picture": image})
        inputs[name] = torch.from_numpy(image)
        outputs |= {f"features.{name}": torch.from_numpy(features), f"scores.{name}": torch.from_numpy(scores)}
    golden.write("inference", "inference", {}, ["onnxruntime", "onnx"], {"in": inputs, "out": outputs})
