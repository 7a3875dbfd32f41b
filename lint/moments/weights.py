"""The statistics of a parameter as its filler leaves it (filler.hpp), and of what training adds to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from .statistics import GAUSSIAN_MEAN_ABS, gaussian_mean_abs

if TYPE_CHECKING:
    from .graph import Param


class Weights(NamedTuple):
    """The moments of a parameter, over its elements.

    `mean` and `variance` are those its filler gave it, and what training widened them to. `learned_shift` is the signed
    amount that training added to each element in the one direction in which the gradients of all items agree.
    """

    mean: float
    variance: float
    mean_abs: float
    learned_shift: float = 0.0

    @property
    def second_moment(self) -> float:
        """The mean square."""
        return self.mean * self.mean + self.variance + self.learned_shift * self.learned_shift

    def scaled(self, factor: float) -> Weights:
        """The parameter with every element multiplied by a factor of at least 0."""
        return Weights(self.mean * factor, self.variance * factor * factor, self.mean_abs * factor, self.learned_shift * factor)


def dims(param: Param) -> tuple[int, ...]:
    """The shape of a parameter, 1 where it is not known."""
    return tuple(dim or 1 for dim in param.shape or ())


def filled(param: Param) -> Weights:
    """A parameter before the first step. Without a filler it is constant: 0, or what the layer type starts with."""
    filler = param.filler
    if filler is None:
        return Weights(param.constant, 0.0, abs(param.constant))
    kind = (filler["type"] or "constant").removesuffix("static")  # NVIDIA's, drawn once and copied afterwards
    if kind == "constant":
        return Weights(filler["value"], 0.0, abs(filler["value"]))
    if kind == "gaussian":
        mean, std = filler["mean"], filler["std"]
        kept = 1.0
        if filler["sparse"] >= 0:  # so many inputs per output; the probability is taken of dim 0
            kept = min(1.0, filler["sparse"] / max(1, dims(param)[0] if dims(param) else 1))
        square = kept * (mean * mean + std * std)
        size = kept * gaussian_mean_abs(mean, mean * mean + std * std)
        return Weights(mean * kept, max(0.0, square - mean * mean * kept * kept), size)
    if kind == "uniform":
        low, high = filler["min"], filler["max"]
        mean, variance = (low + high) / 2, (high - low) * (high - low) / 12
        size = abs(mean) if low * high >= 0 else (low * low + high * high) / (2 * (high - low))
        return Weights(mean, variance, size)
    return filled_as(param, kind, filler["variance_norm"])


def fan_of(shape: Sequence[int], norm: str = "FAN_IN") -> float:
    """The number of inputs of an output, of outputs of an input, or their average, as fillers count them in a shape of any axes."""
    total = math.prod(shape)
    inputs = total / shape[0]
    outputs = total / (shape[1] if len(shape) > 1 else 1)
    return {"FAN_OUT": outputs, "AVERAGE": (inputs + outputs) / 2}.get(norm, inputs)


def bilinear_row(side: int) -> list[float]:
    """A row of the weights of a bilinear filler, whose product with a column is a kernel with that side."""
    half = math.ceil(side / 2)
    return [1 - abs(i / half - (side - 1) / (2 * half)) for i in range(side)]


def filled_as(param: Param, kind: str, norm: str = "FAN_IN") -> Weights:
    """A parameter as a filler leaves it that looks at nothing but its shape: xavier, msra, positive_unitball, bilinear.

    Sources: filler.hpp; Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward
    neural networks", for xavier; He et al. (2015) for msra.
    """
    shape = dims(param) or (1,)
    if kind in ("xavier", "msra"):
        fan = fan_of(shape, norm)
        if kind == "xavier":
            bound = math.sqrt(3 / fan)
            return Weights(0.0, bound * bound / 3, bound / 2)
        variance = 2 / fan
        return Weights(0.0, variance, math.sqrt(variance) * GAUSSIAN_MEAN_ABS)
    if kind == "positive_unitball":
        mean = 1 / fan_of(shape)
        return Weights(mean, mean * mean / 3, mean)
    if kind == "bilinear":
        row = bilinear_row(shape[-1])
        mean = (sum(row) / len(row)) ** 2
        square = (sum(x * x for x in row) / len(row)) ** 2
        return Weights(mean, max(0.0, square - mean * mean), mean)
    return Weights(0.0, 0.0, 0.0)
