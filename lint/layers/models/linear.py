"""Layers of weights: convolutions, inner products, embeddings, and the scale and bias of a channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient, SignalModel, Step, items_of, shape_of, size_of
from ...moments.statistics import GAUSSIAN_SIZE, INFINITE, NO_DIFFS, Diffs, Values, gaussian, gaussian_size, near, root
from ...moments.weights import Weights, dims
from ...proto.named_tuple import NamedTuple

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...moments.signal_model import SignalContext

NONE = Weights(0.0, 0.0, 0.0)
UNIT = Weights(1.0, 0.0, 1.0)
_LARGEST_PAD = 1000  # of which taps are counted; images are not padded that much
ROUNDING = 3e-8  # of a float, against sums that are 0 but for that


class Taps(NamedTuple):
    """How a layer's outputs read its inputs: for each output so many inputs, for each input so many outputs.

    `window` of those inputs are in one channel; `items` and `positions` share each weight.
    """

    fan_in: float
    fan_out: float
    window: float
    items: int
    positions: int
    stride: float = 1.0


@lru_cache(maxsize=4096)
def inside(size: int, out: int, kernel: int, stride: int, pad: int) -> float:
    """The part of a window's taps that fall on the image and not on its padding, over one axis."""
    if pad <= 0 or out <= 0:
        return 1.0
    if pad > _LARGEST_PAD:
        return size / (size + 2 * pad)
    # Only windows at the two ends can reach over the edge.
    first = min(out, -(-pad // max(stride, 1)))
    last = max(first, min(out, (size + pad - kernel) // max(stride, 1) + 1))
    total = kernel * (last - first)
    for i in (*range(first), *range(last, out)):
        start = i * stride - pad
        total += max(0, min(start + kernel, size) - max(start, 0))
    return total / (out * kernel)


def _pair(values: Sequence[int], height: int, width: int, otherwise: int) -> tuple[int, int]:
    if height or width:
        return height or otherwise, width or otherwise
    if not values:
        return otherwise, otherwise
    return values[0], values[-1]


def _convolution_taps(layer: Layer) -> Taps:
    param = layer.message["convolution_param"]
    below, above = shape_of(layer.bottoms[0]), shape_of(layer.tops[0])
    weight = dims(layer.params[0])
    kernel = weight[2:]
    strides = _pair(param["stride"], param["stride_h"], param["stride_w"], 1)
    pads = _pair(param["pad"], param["pad_h"], param["pad_w"], 0)
    dilation = param["dilation"][0] if param["dilation"] else 1
    transposed = layer.type == "Deconvolution"
    image, windows = (above, below) if transposed else (below, above)
    window = math.prod(kernel)
    part = 1.0
    for i, side in enumerate(kernel[:2]):
        if 2 + i < len(image) and 2 + i < len(windows):
            part *= inside(image[2 + i], windows[2 + i], (side - 1) * dilation + 1, strides[i], pads[i])
    positions = math.prod(windows[2:])
    items = max(1, windows[0])
    taps = math.prod(weight) * part * positions * items
    stride = float(strides[0]) if not transposed else 1.0 / max(1, strides[0])
    return Taps(taps / size_of(layer.tops[0]), taps / size_of(layer.bottoms[0]), window, items, positions, stride)


def _inner_taps(layer: Layer) -> Taps:
    weights = math.prod(dims(layer.params[0]))
    outputs = max(1, layer.message["inner_product_param"]["num_output"])
    inputs = max(1, weights // outputs)
    items = max(1, size_of(layer.bottoms[0]) // inputs)
    return Taps(inputs, outputs, 1.0, items, 1)


def pair_sum(diffs: Diffs, values: Values, items: int, positions: int) -> float:
    """The mean square of a sum over items and positions of a gradient times a value."""
    number = items * positions
    once = diffs.square * values.square
    pairs = (
        (positions - 1) * diffs.level * values.level
        + (items - 1) * diffs.shared * values.shared
        + (items - 1) * (positions - 1) * diffs.cross * values.cross
    )
    return max(0.0, number * (once + pairs)) if math.isfinite(pairs) else number * once


ONE = Values(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


def through_weights(values: Values, weight: Weights, bias: Weights, taps: Taps, *, own_channel: bool = False) -> Values:
    """The sums of a layer of weights.

    Weights of mean 0 multiply every moment by their variance times the inputs they add up. A mean of the
    weights adds the inputs up as they are; what training added reads what all items have in common.
    """
    fan = taps.fan_in
    by = weight.variance * fan
    square, level, shared, cross = by * values.square, by * values.level, by * values.shared, by * values.cross
    mean = bias.mean
    if weight.mean:
        mean += weight.mean * fan * values.mean
        m2 = values.mean * values.mean
        same = max(0.0, min(taps.window, fan) - 1)
        others = 0.0 if own_channel else max(0.0, fan - 1 - same)
        close = near(values, math.sqrt(max(1.0, taps.window)) / 3)
        w2 = weight.mean * weight.mean * fan
        square += w2 * (values.square + same * close + others * m2)
        level += w2 * (values.level + same * values.level + others * m2)
        shared += w2 * (values.shared + same * values.cross + others * m2)
        cross += w2 * (values.cross + same * values.cross + others * m2)
    added = bias.variance
    if bias.mean:
        added += bias.mean * bias.mean + 2 * bias.mean * (mean - bias.mean)
    drift = root(by) * values.drift
    if weight.pull or bias.pull:
        moved = weight.pull * fan * root(values.cross) + bias.pull
        added += moved * (moved + 2 * drift)
        drift += moved
    least = mean * mean
    square = max(square + added, least)
    shared = min(max(shared + added, least), square)
    if taps.positions == 1 and taps.window <= 1:
        level, cross = square, shared
    else:
        level, cross = min(max(level + added, least), square), min(max(cross + added, least), square)
    return Values(
        mean, square, gaussian_size(mean, square), level, shared, cross, -INFINITE, INFINITE,
        values.reach / taps.stride, None, drift,
    )  # fmt: skip


def through_weights_back(diffs: Diffs, weight: Weights, taps: Taps, values: Values, *, flat: bool) -> Diffs:
    """The gradient below a layer of weights: as through the same weights the other way.

    What of the gradient is the layer's own output comes back as its input: W'W is near a multiple of 1.
    """
    fan = taps.fan_out
    by = (weight.variance + weight.mean * weight.mean) * fan
    drift = root(by) * diffs.drift
    added = 0.0
    if weight.pull:
        # What training added points along the values that all items have in common, across all other directions.
        moved = weight.pull * fan * diffs.drift
        added = moved * moved
        drift = math.copysign(math.hypot(drift, moved), drift)
    square, shared = max(0.0, by * diffs.square + added), max(0.0, by * diffs.shared + added)
    # Where positions of the bottom have weights of their own, the gradients of two have nothing in common.
    level, cross = (0.0, 0.0) if flat else (max(0.0, by * diffs.level + added), max(0.0, by * diffs.cross + added))
    echo = diffs.echo * weight.variance * fan
    if echo:
        e2 = echo * echo
        square, level, shared, cross = (
            square + e2 * values.square, level + e2 * values.level, shared + e2 * values.shared,
            cross + e2 * values.cross,
        )  # fmt: skip
    return Diffs(square, GAUSSIAN_SIZE * root(square), level, shared, cross, None, drift, echo)


def weight_gradient(diffs: Diffs, values: Values, taps: Taps) -> Gradient:
    """The gradient of a weight: a sum over all items and positions that use it."""
    square = pair_sum(diffs, values, taps.items, taps.positions)
    drift = taps.items * taps.positions * diffs.drift * root(values.cross)
    return Gradient(square, GAUSSIAN_SIZE * root(square), drift)


def bias_gradient(diffs: Diffs, items: int, positions: int) -> Gradient:
    """The gradient of a bias."""
    square = pair_sum(diffs, ONE, items, positions)
    if square <= 1e-9 * items * positions * diffs.square:
        square = items * positions * diffs.square * ROUNDING * ROUNDING
    return Gradient(square, GAUSSIAN_SIZE * root(square), items * positions * diffs.drift)


class Convolution(SignalModel):
    """Sums over windows (base_conv_layer.cpp)."""

    flat = False  # whether positions of the bottom have weights of their own

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        if not layer.params:
            return
        self.taps = self.read_taps()
        shape = dims(layer.params[0])
        self.own_channel = len(shape) > 1 and shape[1] == 1 and layer.type != "InnerProduct"
        if len(layer.params) > 1:
            channels = max(1, dims(layer.params[1])[0])
            self.bias_positions = max(1, size_of(layer.tops[0]) // (self.taps.items * channels))

    def read_taps(self) -> Taps:
        """The windows."""
        return _convolution_taps(self.layer)

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        if not weights:
            return list(bottoms)
        bias = weights[1] if len(weights) > 1 else NONE
        top = through_weights(self.seen(bottoms[0]), weights[0], bias, self.taps, own_channel=self.own_channel)
        return [top] * len(self.layer.tops)

    def seen(self, values: Values) -> Values:
        """The bottom as the weights read it."""
        return values

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        weights = step.weights
        if not weights:
            return super().backward(step, diffs)
        taps, diff, values = self.taps, diffs[0], step.bottoms[0]
        below = through_weights_back(diff, weights[0], taps, values, flat=self.flat)
        gradients = [weight_gradient(diff, self.seen(values), taps)]
        if len(weights) > 1:
            gradients.append(bias_gradient(diff, taps.items, self.bias_positions))
        return [below] * len(self.layer.bottoms), gradients


class InnerProduct(Convolution):
    """Sums over everything in an item (inner_product_layer.cpp)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.flat = len(shape_of(layer.bottoms[0])) > 2

    def read_taps(self) -> Taps:
        return _inner_taps(self.layer)

    def seen(self, values: Values) -> Values:
        return values._replace(level=values.square, cross=values.shared)


class Embed(SignalModel):
    """Rows chosen by number (embed_layer.cpp)."""

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        weight = weights[0] if weights else NONE
        bias = weights[1] if len(weights) > 1 else NONE
        mean = weight.mean + bias.mean
        square = weight.square + bias.square + 2 * weight.mean * bias.mean
        common = mean * mean + bias.variance
        return [gaussian(mean, square, square, common, common, math.inf)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        layer = self.layer
        rows = max(1, dims(layer.params[0])[0]) if layer.params else 1
        uses = size_of(layer.bottoms[0])
        square = diffs[0].square * uses / rows
        part = min(1.0, uses / rows)
        gradients = [Gradient(square, GAUSSIAN_SIZE * root(square * part))]
        if len(layer.params) > 1:
            gradients.append(bias_gradient(diffs[0], uses, 1))
        return [NO_DIFFS] * len(layer.bottoms), gradients


class Scale(SignalModel):
    """A factor and a shift for each channel (scale_layer.cpp, bias_layer.cpp)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.scales = layer.type == "Scale"
        if layer.params:
            channels = max(1, dims(layer.params[0])[0] if dims(layer.params[0]) else 1)
            self.items = items_of(layer.bottoms[0])
            self.positions = max(1, size_of(layer.bottoms[0]) // (self.items * channels))

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        values = bottoms[0]
        if not weights:
            if len(bottoms) < 2:
                return [values]
            return [product(values, bottoms[1])] if self.scales else [total(values, bottoms[1])]
        if self.scales:
            factor, shift = weights[0], weights[1] if len(weights) > 1 else NONE
        else:
            factor, shift = UNIT, weights[0]
        f2 = factor.square
        mean = values.mean * factor.mean + shift.mean
        extra = shift.square + 2 * shift.mean * factor.mean * values.mean
        drift = values.drift * factor.mean + shift.pull
        square = max(0.0, values.square * f2 + extra)
        level, shared = max(0.0, values.level * f2 + extra), max(0.0, values.shared * f2 + extra)
        cross = max(0.0, values.cross * f2 + extra)
        low, high = values.low, values.high
        if factor.mean != 1 or factor.variance or factor.pull or shift.mean or shift.variance:
            low, high = -math.inf, math.inf
        shifts = shift.mean or shift.variance or shift.size or shift.pull
        if not shifts and not factor.variance and not factor.pull:
            return [Values(
                mean, square, values.size * abs(factor.mean), level, shared, cross, low, high, values.reach, None,
                drift, values.parts if factor.mean == 1 else (),
            )]  # fmt: skip
        size = gaussian_size(mean, square)
        return [Values(mean, square, size, level, shared, cross, low, high, values.reach, None, drift)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff = diffs[0]
        values = step.bottoms[0]
        layer = self.layer
        if not layer.params:
            other = step.bottoms[1] if len(step.bottoms) > 1 else ONE
            if not self.scales:
                return [diff] * len(layer.bottoms), []
            return [weighted(diff, other), weighted(diff, values)][: len(layer.bottoms)], []
        gradients = []
        factor = UNIT
        if self.scales:
            factor = step.weights[0]
            square = pair_sum(diff, diff.open or values, self.items, self.positions)
            gradients.append(Gradient(square, GAUSSIAN_SIZE * root(square)))
        if len(gradients) < len(layer.params):
            gradients.append(bias_gradient(diff, self.items, self.positions))
        f2 = factor.square
        below = Diffs(
            diff.square * f2, diff.size * max(factor.size, abs(factor.pull)), diff.level * f2,
            diff.shared * f2, diff.cross * f2, diff.alive, diff.drift * root(f2),
        )  # fmt: skip
        return [below] * len(layer.bottoms), gradients


def product(a: Values, b: Values) -> Values:
    """The products of two blobs that have nothing to do with each other."""
    mean = a.mean * b.mean
    square = a.square * b.square
    size = a.size * b.size
    bounds = (a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high)
    finite = all(bound == bound for bound in bounds)
    return Values(
        mean, square, size, a.level * b.level, a.shared * b.shared, a.cross * b.cross,
        min(bounds) if finite else -math.inf, max(bounds) if finite else math.inf, min(a.reach, b.reach), None,
        a.drift * root(b.cross) + b.drift * root(a.cross),
    )  # fmt: skip


def total(a: Values, b: Values) -> Values:
    """The sums of two blobs that have nothing to do with each other but their means."""
    extra = 2 * a.mean * b.mean
    mean, square = a.mean + b.mean, a.square + b.square + extra
    low, high = a.low + b.low, a.high + b.high
    size = abs(mean) if low >= 0 or high <= 0 else gaussian_size(mean, square)
    extra += 2 * a.drift * b.drift
    return Values(
        mean, square, size, a.level + b.level + extra, a.shared + b.shared + extra, a.cross + b.cross + extra, low,
        high, min(a.reach, b.reach), None, a.drift + b.drift,
    )  # fmt: skip


def weighted(diff: Diffs, values: Values) -> Diffs:
    """A gradient times values that have nothing to do with it."""
    return Diffs(
        diff.square * values.square, diff.size * values.size, diff.level * values.level, diff.shared * values.shared,
        diff.cross * values.cross, None, diff.drift * root(values.cross),
    )  # fmt: skip
