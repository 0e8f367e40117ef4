"""Weights drawn from their own names, so that a golden need not store twenty million of them.

`Tests/Support/DrawnWeights.swift` computes the same numbers, bit for bit. Element i of the parameter KEY comes from
a counter and a hash and from nothing else:

    seed  = FNV-1a (64 bits) of KEY's UTF-8 bytes
    z     = splitmix64(seed + (i + 1) * 0x9E3779B97F4A7C15)
    u     = ((z >> 40) - 2^23) / 2^23                            24 bits, in [-1, 1)

and is scaled, in double precision and rounded to float32 once, by what KEY's last part says:

    running_var                 scale * (1 + u / 4)              scale: the layer's, measured (below)
    running_mean                sqrt(scale) * u / 10
    weight with one dimension   1 + u / 4
    bias                        u / 10
    gamma, beta                 u / 4                            global response norm
    anything else               sqrt(3 / fan_in) * u             variance 1 / fan_in, fan_in = elements per shape[0]

Where fan_in is even, the second half of each row is the first half negated: rows then sum to zero and the mean of an
activation function's output does not pile up from layer to layer.
"""

import numpy as np
import torch

INCREMENT = np.uint64(0x9E3779B97F4A7C15)


def seed_of(key: str) -> np.uint64:
    """FNV-1a, 64 bits, of the key's bytes."""
    value = 0xCBF29CE484222325
    for byte in key.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return np.uint64(value)


def uniform(key: str, count: int) -> np.ndarray:
    """`count` doubles in [-1, 1), each from its index alone."""
    with np.errstate(over="ignore"):
        z = seed_of(key) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * INCREMENT
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float64) - 2.0**23) / 2.0**23


def weight(key: str, shape, scale: float = 1.0) -> torch.Tensor:
    """The float32 parameter or statistic `key` of `shape`; `scale` matters to batch norm statistics only."""
    shape = tuple(shape)
    count = int(np.prod(shape, dtype=np.int64))
    u, kind = uniform(key, count), key.rsplit(".", 1)[-1]
    if kind == "running_var":
        values = scale * (1 + u / 4)
    elif kind == "running_mean":
        values = np.sqrt(scale) * (u / 10)
    elif kind == "weight" and len(shape) == 1:
        values = 1 + u / 4
    elif kind == "bias":
        values = u / 10
    elif kind in ("gamma", "beta"):
        values = u / 4
    else:
        rows = u.reshape(shape[0], -1)
        fan_in = rows.shape[1]
        if fan_in % 2 == 0:
            rows[:, fan_in // 2 :] = -rows[:, : fan_in // 2]
        values = np.sqrt(3 / fan_in) * rows
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def fill(network: torch.nn.Module) -> None:
    """Draws every parameter, statistics with scale 1."""
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(weight(key, tensor.shape))


def measure_scales(network: torch.nn.Module, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """Fixes each batch norm's statistics by one pass over `inputs`, so that signals keep a scale near 1.

    The scale of a layer is the mean square of what reaches it, taken over everything. Returns it as [1] by the
    layer's path; the statistics follow from it by the formula."""
    scales: dict[str, torch.Tensor] = {}

    def measure(layer, arguments, path):
        scales[path] = arguments[0].square().mean().reshape(1).float()
        for name in ("running_mean", "running_var"):
            statistic = getattr(layer, name)
            statistic.copy_(weight(f"{path}.{name}", statistic.shape, scales[path].item()))

    hooks = [
        layer.register_forward_pre_hook(lambda layer, arguments, path=path: measure(layer, arguments, path))
        for path, layer in network.named_modules()
        if isinstance(layer, torch.nn.BatchNorm2d)
    ]
    with torch.no_grad():
        network.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return scales
