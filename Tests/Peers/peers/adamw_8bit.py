"""AdamW with moments of eight bits an element, written down operation by operation in float32.

Each moment is cut into blocks of 256 elements in row-major order, the last one shorter. A block keeps its largest
magnitude; an element keeps the number of the nearest code value (the lower of two) of its quotient by that magnitude.
Of squares nothing above zero becomes code 0, which is zero: the next step would divide by next to nothing.
bitsandbytes' AdamW8bit is the same but for rounding: its search is inexact in about one element of six hundred."""

import numpy

BLOCK = 256
f32 = numpy.float32


def values(signed: bool) -> numpy.ndarray:
    """The 256 code values in ascending order: bitsandbytes' create_dynamic_map in float64, rounded once."""
    found = [0.0, 1.0]
    for decade in range(7):
        parts = 2**decade if signed else 2 ** (decade + 1)
        for part in range(parts):
            value = (0.1 + 0.9 * (part + 0.5) / parts) * 10.0 ** (decade - 6)
            found += [value, -value] if signed else [value]
    return numpy.array(sorted(found), dtype=f32)


SIGNED, UNSIGNED = values(True), values(False)


def nearest(x: numpy.ndarray, codes: numpy.ndarray) -> numpy.ndarray:
    """The number of the code value nearest to each element, the lower of two."""
    lower = numpy.clip(numpy.searchsorted(codes, x, side="right") - 1, 0, 255)
    upper = numpy.minimum(lower + 1, 255)
    return numpy.where(codes[upper] - x < x - codes[lower], upper, lower).astype(numpy.uint8)


class Moment:
    """A moment of `count` elements, zero at first."""

    def __init__(self, count: int, codes: numpy.ndarray, keeps_positive: bool):
        self.codes, self.keeps_positive = codes, keeps_positive
        self.numbers = numpy.zeros(count, numpy.uint8)
        self.largest = numpy.zeros(-(count // -BLOCK), f32)

    def get(self) -> numpy.ndarray:
        return self.codes[self.numbers] * numpy.repeat(self.largest, BLOCK)[: len(self.numbers)]

    def set(self, x: numpy.ndarray) -> None:
        for block in range(len(self.largest)):
            part = slice(block * BLOCK, (block + 1) * BLOCK)
            largest = numpy.abs(x[part]).max()
            numbers = nearest(x[part] / (largest if largest > 0 else f32(1)), self.codes)
            if self.keeps_positive:
                numbers = numpy.where((numbers == 0) & (x[part] > 0), numpy.uint8(1), numbers)
            self.largest[block], self.numbers[part] = largest, numbers


class AdamW8bit:
    """One parameter's; `parameter` is a float32 array that steps change."""

    def __init__(self, parameter: numpy.ndarray, weight_decay: float, betas=(0.9, 0.999), eps: float = 1e-8):
        self.parameter, self.weight_decay, self.betas, self.eps = parameter, weight_decay, betas, eps
        self.mean = Moment(parameter.size, SIGNED, False)
        self.square = Moment(parameter.size, UNSIGNED, True)
        self.updates = 0

    def step(self, gradient: numpy.ndarray, lr: float) -> None:
        self.updates += 1
        beta1, beta2 = self.betas
        g, p = gradient.reshape(-1), self.parameter.reshape(-1)
        mean = self.mean.get() * f32(beta1) + g * f32(1 - beta1)
        square = self.square.get() * f32(beta2) + g * g * f32(1 - beta2)
        root = f32((1 - beta2**self.updates) ** 0.5)
        size = f32(lr / (1 - beta1**self.updates))
        p = p * f32(1 - lr * self.weight_decay) - mean * size / (numpy.sqrt(square) / root + f32(self.eps))
        self.parameter[...] = p.reshape(self.parameter.shape)
        self.mean.set(mean)
        self.square.set(square)
