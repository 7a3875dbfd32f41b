"""Functions of each value on its own: activations, Dropout, and the like. Guards and their gaps are Caffe's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...layers.models.elementwise import insanity_bounds
from ..arrays import Array, Generator, np
from ..operator import CannotSimulate, Gradients, Operator, Unary

if TYPE_CHECKING:
    from ...moments.graph import Layer

_BNLL_LARGEST = 50.0  # bnll_layer.cpp, kBNLL_THRESHOLD
_SIX = 6.0


class ReLU(Unary):
    """x, times `negative_slope` below 0; NaN stays NaN, and its gradient is 0 (relu_layer.cpp)."""

    knows_in_place = True

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        self.slope: float = layer.message["relu_param"]["negative_slope"]

    def value(self, x: Array) -> Array:
        found: Array = np.maximum(x, 0)
        return found + self.slope * np.minimum(x, 0) if self.slope else found

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        found: Array = diff * (x > 0)
        return found + self.slope * (diff * (x <= 0)) if self.slope else found


class Insanity(Unary):
    """x, over a random number of each value below 0 (insanity_layer.cpp of happynear/caffe-windows, in training)."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        self.low, self.high = insanity_bounds(layer)
        if not -math.inf < self.low < self.high < math.inf:
            raise CannotSimulate(f"'{layer.name}' divides by numbers from {self.low:g} to {self.high:g}")

    def value(self, x: Array) -> Array:
        self.slopes = (1 / self.draw.uniform(self.low, self.high, x.shape)).astype(x.dtype)
        return np.maximum(x, 0) + self.slopes * np.minimum(x, 0)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff * np.where(x > 0, x.dtype.type(1), self.slopes)


class ReLU6(Unary):
    """x between 0 and 6 (relu6_layer.cpp of forks)."""

    def value(self, x: Array) -> Array:
        return np.minimum(np.maximum(x, 0), _SIX)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff * ((x > 0) & (x < _SIX))


class Sigmoid(Unary):
    """1 / (1 + exp(-x)), by tanh (sigmoid_layer.cpp)."""

    def value(self, x: Array) -> Array:
        return sigmoid(x)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff * (y * (1 - y))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


class TanH(Unary):
    """tanh (tanh_layer.cpp)."""

    def value(self, x: Array) -> Array:
        return np.tanh(x)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff * (1 - y * y)


class ELU(Unary):
    """x, or alpha (exp(x) - 1) below 0 (elu_layer.cpp)."""

    knows_in_place = True

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        self.alpha: float = layer.message["elu_param"]["alpha"]

    def value(self, x: Array) -> Array:
        return np.maximum(x, 0) + self.alpha * (np.exp(np.minimum(x, 0)) - 1)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff * ((x > 0) + (self.alpha + y) * (x <= 0))


class Swish(Unary):
    """x sigmoid(beta x) (swish_layer.cpp)."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        self.beta: float = layer.message["swish_param"]["beta"]
        self.gate: Array | None = None

    def value(self, x: Array) -> Array:
        self.gate = sigmoid(self.beta * x)
        return x * self.gate

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        assert self.gate is not None
        scaled = self.beta * y
        return diff * (scaled + self.gate * (1 - scaled))


class Mish(Unary):
    """x tanh(log(1 + exp(x))) (mish_layer.cpp of forks)."""

    def value(self, x: Array) -> Array:
        return x * np.tanh(np.logaddexp(x, 0).astype(x.dtype))

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        squashed = np.tanh(np.logaddexp(x, 0).astype(x.dtype))
        return diff * (squashed + x * sigmoid(x) * (1 - squashed * squashed))


class BNLL(Unary):
    """log(1 + exp(x)) (bnll_layer.cpp)."""

    knows_in_place = True

    def value(self, x: Array) -> Array:
        return np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x)))

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        raised = np.exp(np.minimum(x, _BNLL_LARGEST))
        return diff * (raised / (raised + 1))


class Clip(Unary):
    """x between two bounds (clip_layer.cpp)."""

    knows_in_place = True

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        param = layer.message["clip_param"]
        self.low, self.high = param["min"], param["max"]

    def value(self, x: Array) -> Array:
        return np.maximum(self.low, np.minimum(x, self.high))

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff * ((x >= self.low) & (x <= self.high))


class Power(Unary):
    """(shift + scale x) ^ power; the gradient divides by its base, as Caffe's does (power_layer.cpp)."""

    knows_in_place = True

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        param = layer.message["power_param"]
        self.power, self.scale, self.shift = param["power"], param["scale"], param["shift"]
        self.slope = self.power * self.scale

    def value(self, x: Array) -> Array:
        if self.slope == 0:
            return np.full_like(x, 1.0 if self.power == 0 else np.power(np.float32(self.shift), np.float32(self.power)))
        found: Array = x * x.dtype.type(self.scale) + x.dtype.type(self.shift)
        return found if self.power == 1 else np.power(found, x.dtype.type(self.power))

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        if self.slope == 0:
            return np.zeros_like(diff)
        if self.power == 1:
            found = np.full_like(x, self.slope)
        elif self.power == 2:
            found = (self.slope * self.scale) * x + self.slope * self.shift
        elif self.shift == 0:
            found = y / x * self.power
        else:
            found = y / (self.shift + self.scale * x) * self.slope
        return _times(self.layer, found.astype(x.dtype), diff)


class AbsVal(Unary):
    """|x|, whose gradient is a sign (absval_layer.cpp)."""

    def value(self, x: Array) -> Array:
        return np.abs(x)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return np.sign(x) * diff


class Exp(Unary):
    """base ^ (shift + scale x) (exp_layer.cpp)."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        param = layer.message["exp_param"]
        base = param["base"]
        self.inner = param["scale"] * (1.0 if base == -1 else math.log(base))
        self.outer = math.exp(param["shift"]) if base == -1 else base ** param["shift"]

    def value(self, x: Array) -> Array:
        found: Array = self.outer * np.exp(self.inner * x)
        return found.astype(x.dtype)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff * y * x.dtype.type(self.inner)


class Log(Unary):
    """The logarithm of shift + scale x to a base (log_layer.cpp)."""

    knows_in_place = True

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        param = layer.message["log_param"]
        self.scale, self.shift = param["scale"], param["shift"]
        self.factor = 1.0 if param["base"] == -1 else 1 / math.log(param["base"])

    def value(self, x: Array) -> Array:
        found: Array = np.log(self.shift + self.scale * x) * self.factor
        return found.astype(x.dtype)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return _times(self.layer, (self.scale * self.factor / (self.shift + self.scale * x)).astype(x.dtype), diff)


class Threshold(Unary):
    """Whether a value lies over a threshold (threshold_layer.cpp)."""

    def value(self, x: Array) -> Array:
        return (x > self.layer.message["threshold_param"]["threshold"]).astype(x.dtype)


class Dropout(Unary):
    """In training, zeros at random, and the others scaled up; with a ratio of 1 that is 0 * inf (dropout_layer.cpp)."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        ratio: float = layer.message["dropout_param"]["dropout_ratio"]
        self.keeps = 1 - ratio
        self.scale = 1 / self.keeps if self.keeps else math.inf
        self.mask: Array | None = None

    def value(self, x: Array) -> Array:
        if self.layer.phase != "TRAIN":
            return x
        kept = self.draw.random(x.shape, np.float32) < self.keeps
        self.mask = kept.astype(x.dtype) * x.dtype.type(self.scale)
        return x * self.mask

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff if self.mask is None else diff * self.mask


class PReLU(Operator):
    """x, times a learned slope below 0 (prelu_layer.cpp)."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        self.input: Array | None = None

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        self.input = x = bottoms[0]
        return [np.maximum(x, 0) + _of_channels(params[0], x) * np.minimum(x, 0)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        x, diff = self.input, diffs[0]
        assert x is not None
        of_slope = None
        if self.learns[0]:
            products = diff * x * (x <= 0)
            axes = tuple(axis for axis in range(x.ndim) if axis != 1)
            of_slope = products.sum(axes if params[0].size > 1 else None).reshape(params[0].shape)
        back = diff * ((x > 0) + _of_channels(params[0], x) * (x <= 0)) if wanted[0] else None
        return [back], [of_slope]


def _times(layer: Layer, slope: Array, diff: Array) -> Array:
    """The slope times the gradient of the top; in place, Caffe has overwritten that with the slope."""
    return slope * (slope if layer.in_place else diff)


def _of_channels(values: Array, x: Array) -> Array:
    """One value for each channel, or one for all, in a shape that multiplies x."""
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))
