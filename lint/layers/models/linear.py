"""Layers with weights: convolutions, inner products, embeddings, and the scale and bias of each channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, reduce
from typing import TYPE_CHECKING

from ...moments.signal_model import (
    Gradient,
    SignalModel,
    Step,
    items_of,
    positions_of,
    shape_of,
    size_of,
    sum_of_gradients,
)
from ...moments.statistics import (
    GAUSSIAN_MEAN_ABS,
    INFINITE,
    ZERO_DIFFS,
    Diffs,
    Values,
    falling_length,
    gaussian,
    gaussian_mean_abs,
    moment_at_distance,
    root,
    scaled,
)
from ...moments.weights import Weights, dims
from ...proto.named_tuple import NamedTuple
from ..sliding_windows import ONE_VALUE, window_of

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...moments.signal_model import SignalContext

NONE = Weights(0.0, 0.0, 0.0)
UNIT = Weights(1.0, 0.0, 1.0)
_LARGEST_PAD = 1000  # in pixels, up to which taps are counted one by one; images are not padded that much
# What rounding leaves of a sum of floats that would otherwise be 0, as the sum behind a BatchNorm is: a float's half step for
# each term, less what evens out. The exponent fits 204 biases of ../shared/norms and ../shared/divergence, 81 % within 2x.
_HALF_STEP, _ROUNDING_EXPONENT = 2.0**-24, 0.8
_ALONE = 0.1  # the distance in positions over which independent values resemble each other
_NOTHING_LEFT = 1e-9  # how small a part of the terms' squares counts as a sum of 0
_SIDE_BY_DISTANCE = 3  # the side of a window by the mean distance of two of its taps along one axis, if they are many


# The relative variance of the square of a Gaussian is 2, that of a rectified one 5, that of their product 17; its logarithm rises
# nearly evenly with the mean square over the squared mean absolute value, which are pi / 2, pi and pi^2 / 2.
_GAUSSIAN_SPREAD, _SPREAD_BY_PEAK = 2.0, 0.62
_TINY, _MOST_PEAK = 1e-150, 8.0  # bounds of what is divided by, and of what is raised to a power
_CONSTANT, _BILINEAR = "constant", "bilinear"
_LEAST_EVENNESS = 0.1  # of gradients in nearly all of whose channels nothing is left; keeps numbers in bounds


class Taps(NamedTuple):
    """How the outputs of a layer read its inputs.

    fan_in, fan_out: inputs read by each output, outputs that read each input; averages, less those on padding.
    window: how many of the inputs of an output are in one channel.
    items, positions: at how many items and positions of the top each weight is used.
    stride: positions of the bottom per position of the top along an axis; below 1 for a deconvolution.
    shared, shared_near: of the weights that read an input, the part that reads any other input of its channel, too, and the part
        that reads its neighbours.
    reached: the share of inputs that are read at all: not all are where the stride is larger than the kernel.
    uses: how many of the outputs that read an input are in one channel.
    alike, near: of the weights that make an output, the part that makes any other output of its channel, too, and the part that
        makes its neighbours.
    """

    fan_in: float
    fan_out: float
    window: float
    items: int
    positions: int
    stride: float = 1.0
    shared: float = 1.0
    reached: float = 1.0
    uses: float = 1.0
    alike: float = 1.0
    near: float = 1.0
    shared_near: float = 1.0


class Axis(NamedTuple):
    """How the windows along one axis read an image with padding.

    inside: the share of their taps that read the image.
    alike, near: of the taps of a window that read the image, the share that does so in any window, and in the next one.
    """

    inside: float
    alike: float
    near: float


@lru_cache(maxsize=4096)
def axis_of(size: int, out: int, kernel: int, stride: int, pad: int, dilation: int = 1) -> Axis:
    """How so many windows along an axis read an image of so many pixels."""
    if out <= 0 or (pad <= 0 and (out - 1) * stride + dilation * (kernel - 1) < size):
        return Axis(1.0, 1.0, 1.0)
    if max(pad, kernel) > _LARGEST_PAD:
        share = size / (size + 2 * pad)
        return Axis(share, share, 1.0)
    reading = pairs = neighbours = 0
    for tap in (dilation * index for index in range(kernel)):
        first, last = max(0, -(-(pad - tap) // stride)), min(out - 1, (size - 1 + pad - tap) // stride)
        windows = max(0, last - first + 1)
        reading += windows
        pairs += windows * windows
        neighbours += max(0, windows - 1)
    if not reading:
        return Axis(0.0, 1.0, 1.0)
    near = neighbours * out / (reading * (out - 1)) if out > 1 else 1.0
    return Axis(reading / (out * kernel), pairs / (out * reading), near)


def _convolution_taps(layer: Layer) -> Taps:
    slid = window_of(layer) or ONE_VALUE
    below, above = shape_of(layer.bottoms[0]), shape_of(layer.tops[0])
    transposed = layer.traits.base == "Deconvolution"
    image, windows = (above, below) if transposed else (below, above)
    window = math.prod(slid.kernel)
    first = len(image) - len(slid.kernel)  # of the spatial axes
    axes = [axis_of(*sizes) for sizes in zip(image[first:], windows[first:], *slid[:4], strict=False)]
    part, alike = math.prod(axis.inside for axis in axes), math.prod(axis.alike for axis in axes)
    near = sum(axis.near for axis in axes) / len(axes) if axes else 1.0
    positions = math.prod(windows[2:])
    items = max(1, windows[0])
    taps = math.prod(dims(layer.params[0])) * part * positions * items
    step = slid.stride[0] if slid.stride else 1
    stride = 1.0 / step if transposed else float(step)
    places, places_above = math.prod(below[2:]), math.prod(above[2:])
    if positions > 1:
        alike = max(0.0, (positions * alike - 1) / (positions - 1))  # of two windows, not of one with itself
    of_inputs = min(1.0, max(0, places_above - 1) / (places - 1)) if places > 1 else 1.0
    shared, shared_near = alike * of_inputs, near * of_inputs
    reached = 1.0
    if not transposed:
        for side, step in zip(slid.kernel, slid.stride, strict=True):
            reached *= min(1.0, side / step)
    fan_in, fan_out = taps / size_of(layer.tops[0]), taps / size_of(layer.bottoms[0])
    uses = window * places_above / max(1, places) if not transposed else window
    if transposed and places_above > 1:
        of_other_places = min(1.0, max(0, places - 1) / (places_above - 1))
        alike, near = alike * of_other_places, near * of_other_places
    return Taps(fan_in, fan_out, window, items, positions, stride, shared, reached, uses, alike, near, shared_near)


def _inner_taps(layer: Layer) -> Taps:
    weights = math.prod(dims(layer.params[0]))
    outputs = max(1, layer.message["inner_product_param"]["num_output"])
    inputs = max(1, weights // outputs)
    items = max(1, size_of(layer.bottoms[0]) // inputs)
    return Taps(inputs, outputs, 1.0, items, 1)


def pair_sum(diffs: Diffs, values: Values, items: int, positions: int) -> float:
    """The second moment of a weight's gradient: of the sum of gradient times value over all items and positions."""
    number = items * positions
    once = diffs.second_moment * values.second_moment
    pairs = (
        (positions - 1) * diffs.corr_within_item * values.corr_within_item
        + (items - 1) * diffs.corr_across_items * values.corr_across_items
        + (items - 1) * (positions - 1) * diffs.corr_across_both * values.corr_across_both
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
    square, within, across, across_both = (
        by * values.second_moment,
        by * taps.alike * values.corr_within_item,
        by * values.corr_across_items,
        by * taps.alike * values.corr_across_both,
    )
    length = values.corr_length / taps.stride
    if taps.near < 1 and 0 < length < INFINITE:
        beside = by * taps.near * moment_at_distance(values, taps.stride)
        length = falling_length(square - within, beside - within)
    mean = bias.mean
    if weight.mean:
        mean += weight.mean * fan * values.mean
        m2 = values.mean * values.mean
        same = max(0.0, min(taps.window, fan) - 1)
        others = 0.0 if own_channel else max(0.0, fan - 1 - same)
        close = moment_at_distance(values, math.sqrt(max(1.0, taps.window)) / _SIDE_BY_DISTANCE)
        w2 = weight.mean * weight.mean * fan
        square += w2 * (values.second_moment + same * close + others * m2)
        within += w2 * (values.corr_within_item + same * values.corr_within_item + others * m2)
        across += w2 * (values.corr_across_items + same * values.corr_across_both + others * m2)
        across_both += w2 * (values.corr_across_both + same * values.corr_across_both + others * m2)
    added = bias.variance
    if bias.mean:
        added += bias.mean * bias.mean + 2 * bias.mean * (mean - bias.mean)
    common = root(by) * values.common
    if weight.learned_shift or bias.learned_shift:
        moved = weight.learned_shift * fan * root(values.corr_across_both) + bias.learned_shift
        added += moved * (moved + 2 * common)
        common += moved
    least = mean * mean
    square = max(square + added, least)
    size = gaussian_mean_abs(mean, square)
    if own_channel:
        size *= evenness(values)
    across = min(max(across + added, least), square)
    if taps.positions == 1 and taps.window <= 1:
        within, across_both = square, across
    else:
        within, across_both = min(max(within + added, least), square), min(max(across_both + added, least), square)
    return Values(
        mean,
        square,
        size,
        within,
        across,
        across_both,
        -INFINITE,
        INFINITE,
        length,
        None,
        common,
    )


def usual_weights(weight: Weights, values: Values, channels: float) -> Weights:
    """Weights that let values through as large as they usually come out.

    Where all values of a channel are alike, the mean square over a few channels is a matter of luck: in one net of many it is
    very large, in most of them below the mean. Its logarithm is on average lower by half its relative variance (compare Hanin
    and Nica 2018, "Products of many large random matrices and gradients in deep neural networks").
    """
    spread = values.variance
    if not 0 < spread < INFINITE:
        return weight
    alike = min(1.0, max(0.0, (values.corr_across_both - values.mean * values.mean) / spread))
    if not alike:
        return weight
    peak = min(values.second_moment / max(values.mean_abs, _TINY) ** 2, _MOST_PEAK)
    relative = _GAUSSIAN_SPREAD * math.exp(_SPREAD_BY_PEAK * (peak - math.pi / 2))
    return _less(weight, alike * alike * relative / channels)


def usual_weights_back(weight: Weights, diffs: Diffs, channels: int) -> Weights:
    """The same for a gradient, of whose channels some are closed (`Diffs.evenness`)."""
    if diffs.evenness == 1:
        return weight
    return _less(weight, (1 / max(diffs.evenness, _LEAST_EVENNESS) ** 2 - 1) / max(1, channels))


def _less(weight: Weights, relative_variance: float) -> Weights:
    if not relative_variance:
        return weight
    variance = weight.variance * math.exp(-relative_variance / 2)
    return Weights(weight.mean, variance, weight.mean_abs, weight.learned_shift)  # `_replace` takes four times as long


def through_weights_back(
    diffs: Diffs, weight: Weights, taps: Taps, values: Values, *, flat: bool, own_channel: bool = False
) -> Diffs:
    """The gradient below a layer of weights: as through the same weights the other way.

    What of the gradient is the layer's own output comes back as its input: W'W is near a multiple of 1. A mean of the
    weights adds up what the gradients of a window have in common. Where each channel has weights of its own, it is as uneven
    as it was.
    """
    fan = taps.fan_out
    by = (weight.variance + weight.mean * weight.mean) * fan
    common = root(by) * diffs.common
    added = 0.0
    if weight.learned_shift:
        # What training added points along the values that all items have in common, across all other directions.
        moved = weight.learned_shift * fan * diffs.common
        added = moved * moved
        common = math.copysign(math.hypot(common, moved), common)
    square, across = by * diffs.second_moment + added, by * diffs.corr_across_items + added
    # Where positions of the bottom have weights of their own, the gradients of two have nothing in common.
    within, across_both = (
        (0.0, 0.0)
        if flat
        else (
            by * shared_moment(diffs.corr_within_item, diffs.second_moment, taps) + added,
            by * shared_moment(diffs.corr_across_both, diffs.corr_across_items, taps) + added,
        )
    )
    if weight.mean and not flat:
        # All pairs of outputs that read one input, or two.
        by_mean, uses = weight.mean * weight.mean * fan, max(1.0, min(fan, taps.uses))
        alike, alike_across = max(0.0, diffs.corr_within_item), max(0.0, diffs.corr_across_both)
        square, within = square + by_mean * (uses - 1) * alike, within + by_mean * (uses - taps.shared) * alike
        across += by_mean * (uses - 1) * alike_across
        across_both += by_mean * (uses - taps.shared) * alike_across
    own_value = diffs.own_value_factor * weight.variance * fan
    if own_value:
        e2 = own_value * own_value
        square, within, across, across_both = (
            square + e2 * values.second_moment,
            within + e2 * values.corr_within_item,
            across + e2 * values.corr_across_items,
            across_both + e2 * values.corr_across_both,
        )
    even = diffs.evenness * few_weights(weight, taps.uses) if own_channel else 1.0
    size = min(GAUSSIAN_MEAN_ABS * root(square * taps.reached) * even, diffs.mean_abs * weight.mean_abs * fan)
    return Diffs(square, size, within, across, across_both, None, common, own_value, evenness=even)


def shared_moment(moment: float, here: float, taps: Taps) -> float:
    """What is left of a moment of two positions, and of `here` at one, where the two are not read by the same weights.

    If it is small, those that are alike are mostly neighbours.
    """
    part = min(1.0, moment / here) if moment > 0 and here > 0 else 1.0
    return moment * (part * taps.shared + (1 - part) * taps.shared_near)


def few_weights(weight: Weights, number: float) -> float:
    """The mean of the root mean square of so many weights, as a part of that of all: few may happen to be small."""
    random = weight.variance / (weight.second_moment or 1.0)
    return root(1 - random / (2 * max(1.0, number)))


def weight_gradient(diffs: Diffs, values: Values, taps: Taps) -> Gradient:
    """The gradient of a weight: the sum of gradient times value over all items and positions that use it."""
    number = taps.items * taps.positions
    square = pair_sum(diffs, values, taps.items, taps.positions)
    common = number * diffs.common * root(values.corr_across_both)
    return Gradient(square, size_of_sum(diffs, values, number, square), common)


def size_of_sum(diffs: Diffs, values: Values, number: float, square: float) -> float:
    """The mean absolute value of sums over so many terms, each gradient times value, of a known second moment.

    What all items and positions of a channel have in common adds up, and is as uneven over channels as it was. The rest is a
    Gaussian in each channel. No sum is larger than that of the absolute values.
    """
    if not math.isfinite(square):
        return square
    alike, even = diffs.corr_across_both, diffs.evenness
    together = min(number * number * max(0.0, alike) * max(0.0, values.corr_across_both), square)
    size = number * GAUSSIAN_MEAN_ABS * even * root(alike)
    size *= values.mean if values.low >= 0 else gaussian_mean_abs(values.mean, values.corr_across_both)
    rest = GAUSSIAN_MEAN_ABS * root(square - together) * even * evenness(values)
    return min(math.hypot(size, rest), number * diffs.mean_abs * values.mean_abs)


def evenness(values: Values) -> float:
    """How evenly values are spread over the channels: the mean of a channel's root mean square, as a part of that of all."""
    mean, square = values.mean, values.second_moment
    variance = square - mean * mean
    if not 0 < variance < INFINITE:
        return 1.0
    same = (values.corr_across_both - mean * mean) / variance
    if not same > 0:
        return 1.0
    return 1 - min(1.0, same) * (1 - min(1.0, values.mean_abs / math.sqrt(square)))


def bias_gradient(diffs: Diffs, items: int, positions: int) -> Gradient:
    """The gradient of a bias: the sum of the gradients over all items and positions."""
    number = items * positions
    square = pair_sum(diffs, ONE, items, positions)
    if square <= _NOTHING_LEFT * number * diffs.second_moment:
        return _rounding_of_sum(diffs.mean_abs, number)
    return Gradient(square, size_of_sum(diffs, ONE, number, square), number * diffs.common)


def _rounding_of_sum(size: float, number: int) -> Gradient:
    """What rounding leaves of a sum of so many terms of a mean absolute value that would otherwise be 0."""
    left = size * _HALF_STEP * number**_ROUNDING_EXPONENT
    return Gradient(left * left / GAUSSIAN_MEAN_ABS**2, left)


class Convolution(SignalModel):
    """Weighted sums over windows (base_conv_layer.cpp), of convolution and deconvolution."""

    flat = False  # whether positions of the bottom have weights of their own

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.taps = self.read_taps()
        self.channels = max(1.0, size_of(layer.bottoms[0]) / self.values_of_a_channel())
        shape = dims(layer.params[0])
        self.outputs = shape[0] if shape else 1
        self.own_channel = len(shape) > 1 and shape[1] == 1 and layer.traits.base != "InnerProduct"
        self.filler_of_equals = _filler_of_equals(layer)
        if len(layer.params) > 1:
            channels = max(1, dims(layer.params[1])[0])
            self.bias_positions = max(1, size_of(layer.tops[0]) // (self.taps.items * channels))

    def read_taps(self) -> Taps:
        """How outputs read inputs."""
        return _convolution_taps(self.layer)

    def values_of_a_channel(self) -> int:
        """How many values share their weights."""
        bottom = self.layer.bottoms[0]
        return items_of(bottom) * positions_of(bottom)

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return [self.top(values, weights) for values in bottoms[: len(self.layer.tops)]]

    def top(self, bottom: Values, weights: Sequence[Weights]) -> Values:
        """The moments of the top that is made of a bottom."""
        bias = weights[1] if len(weights) > 1 else NONE
        seen = self.seen(bottom)
        usual = usual_weights(weights[0], seen, self.channels)
        return through_weights(seen, usual, bias, self.taps, own_channel=self.own_channel)

    def seen(self, values: Values) -> Values:
        """The moments of the bottom as the weights read it."""
        return values

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        below, gradients = [], []
        for values, diff in zip(step.bottoms, diffs, strict=False):
            if diff.balanced and self.has_equal_outputs(step.weights[0]):
                below.append(ZERO_DIFFS)  # each input goes into all outputs alike, and their gradients add up to 0
                gradients.append(self.gradients(values, diff))
                continue
            usual = usual_weights_back(step.weights[0], diff, self.outputs)
            found = through_weights_back(diff, usual, self.taps, values, flat=self.flat, own_channel=self.own_channel)
            if diff.along < 1 and self.own_channel and self.adds_nothing(diff, step.weights[1:]):
                found = found._replace(along=diff.along)  # a channel as a whole is as large as what it is made of
            below.append(found)
            gradients.append(self.gradients(values, diff))
        if len(gradients) == 1:
            return below, gradients[0]
        return below, [reduce(sum_of_gradients, each) for each in zip(*gradients, strict=True)]

    def has_equal_outputs(self, weight: Weights) -> bool:
        """Whether the weights of all outputs are still the same."""
        equal = self.filler_of_equals == _BILINEAR or (self.filler_of_equals == _CONSTANT and not weight.variance)
        return equal and not weight.learned_shift

    def adds_nothing(self, diff: Diffs, biases: Sequence[Weights]) -> bool:
        """Whether biases are 0, or the gradients of a channel add up to 0, as below a BatchNorm."""
        if not any(bias.mean_abs for bias in biases):
            return True
        number = self.taps.items * self.bias_positions
        return pair_sum(diff, ONE, self.taps.items, self.bias_positions) <= _NOTHING_LEFT * number * diff.second_moment

    def gradients(self, values: Values, diff: Diffs) -> list[Gradient]:
        """The gradient of each parameter from one bottom and its top."""
        found = [weight_gradient(diff, self.seen(values), self.taps)]
        if len(self.layer.params) > 1:
            found.append(bias_gradient(diff, self.taps.items, self.bias_positions))
        return found


def _filler_of_equals(layer: Layer) -> str:
    """The filler, if it looks only at places in a window, so that the weights of all outputs start the same; else empty.

    A Deconvolution that is to interpolate each channel on its own needs a `group` for that: without it, each of its outputs is
    the interpolated sum of all inputs.
    """
    filler = layer.params[0].filler
    kind = _CONSTANT if filler is None else filler["type"] or _CONSTANT
    group = layer.message["convolution_param"]["group"] if layer.traits.base in ("Convolution", "Deconvolution") else 1
    return kind if kind in (_CONSTANT, _BILINEAR) and group == 1 else ""


class InnerProduct(Convolution):
    """Weighted sums over all values of an item (inner_product_layer.cpp)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.flat = len(shape_of(layer.bottoms[0])) > 2

    def read_taps(self) -> Taps:
        return _inner_taps(self.layer)

    def values_of_a_channel(self) -> int:
        return self.taps.items

    def seen(self, values: Values) -> Values:
        return values._replace(corr_within_item=values.second_moment, corr_across_both=values.corr_across_items)


def chosen_rows(weight: Weights, rows: int, bias: Weights = NONE) -> Values:
    """The moments of rows of a weight that are chosen at random, and a bias for each column."""
    mean = weight.mean + bias.mean
    square = weight.second_moment + bias.second_moment + 2 * weight.mean * bias.mean
    across = mean * mean + bias.variance + weight.variance / max(1, rows)  # two indices may be the same
    return gaussian(mean, square, mean * mean, across, mean * mean, _ALONE)


class Embed(SignalModel):
    """Rows of the weights, chosen by index (embed_layer.cpp)."""

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        weight = weights[0] if weights else NONE
        bias = weights[1] if len(weights) > 1 else NONE
        return [chosen_rows(weight, dims(self.layer.params[0])[0] if weights else 1, bias)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        layer = self.layer
        rows = max(1, dims(layer.params[0])[0]) if layer.params else 1
        uses = size_of(layer.bottoms[0])
        square = diffs[0].second_moment * uses / rows
        part = min(1.0, uses / rows)
        gradients = [Gradient(square, GAUSSIAN_MEAN_ABS * root(square * part))]
        if len(layer.params) > 1:
            gradients.append(bias_gradient(diffs[0], uses, 1))
        return [ZERO_DIFFS] * len(layer.bottoms), gradients


class Scale(SignalModel):
    """A factor and a summand for each channel, learned or from a second bottom (scale_layer.cpp, bias_layer.cpp)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.scales = layer.traits.base == "Scale"
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
        return [scaled_by_weights(values, factor, shift)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff = diffs[0]
        values = step.bottoms[0]
        layer = self.layer
        if not layer.params:
            if len(layer.bottoms) < 2:
                return [diff], []
            number = size_of(layer.bottoms[0]) / size_of(layer.bottoms[1])
            other = summed_over_positions(diff, values if self.scales else ONE, number)
            return [weighted(diff, step.bottoms[1]) if self.scales else diff, other], []
        gradients = []
        factor = UNIT
        only_scales = not any(shift.mean_abs for shift in step.weights[1 if self.scales else 0 :])
        if self.scales:
            factor = step.weights[0]
            square = pair_sum(diff, diff.passed_values or values, self.items, self.positions)
            if only_scales and diff.along < 1:
                left = _rounding_of_sum(diff.mean_abs * values.mean_abs, self.items * self.positions)
                square = max(square * diff.along**2, left.second_moment)
            gradients.append(Gradient(square, GAUSSIAN_MEAN_ABS * diff.evenness * root(square)))
        if len(gradients) < len(layer.params):
            gradients.append(bias_gradient(diff, self.items, self.positions))
        f2 = factor.second_moment
        below = Diffs(
            diff.second_moment * f2,
            diff.mean_abs * max(factor.mean_abs, abs(factor.learned_shift)),
            diff.corr_within_item * f2,
            diff.corr_across_items * f2,
            diff.corr_across_both * f2,
            diff.active_share,
            diff.common * root(f2),
            passed_values=_before_scaling(diff.passed_values, step.weights) if self.scales else None,
            evenness=diff.evenness,
            along=diff.along if only_scales else 1.0,
        )
        return [below] * len(layer.bottoms), gradients


def scaled_by_weights(values: Values, factor: Weights, shift: Weights) -> Values:
    """The moments of values times a factor plus a summand, of which each channel has its own."""
    f2 = factor.second_moment
    mean = values.mean * factor.mean + shift.mean
    extra = shift.second_moment + 2 * shift.mean * factor.mean * values.mean
    common = values.common * factor.mean + shift.learned_shift
    square = max(values.second_moment * f2 + extra, 0.0)
    within, across = max(0.0, values.corr_within_item * f2 + extra), max(0.0, values.corr_across_items * f2 + extra)
    across_both = max(0.0, values.corr_across_both * f2 + extra)
    low, high = values.low, values.high
    if factor.mean != 1 or factor.variance or factor.learned_shift or shift.mean or shift.variance:
        low, high = -math.inf, math.inf
    shifts = shift.mean or shift.variance or shift.mean_abs or shift.learned_shift
    if not shifts and not factor.variance and not factor.learned_shift:
        return Values(
            mean,
            square,
            values.mean_abs * abs(factor.mean),
            within,
            across,
            across_both,
            low,
            high,
            values.corr_length,
            None,
            common,
            values.parts if factor.mean == 1 else (),
        )
    size = gaussian_mean_abs(mean, square)
    return Values(mean, square, size, within, across, across_both, low, high, values.corr_length, None, common)


def _before_scaling(passed: Values | None, weights: Sequence[Weights]) -> Values | None:
    """The moments of values before they were scaled; None unless all have one factor and no summand."""
    factor = weights[0]
    if passed is None or not factor.mean or factor.variance or any(weight.mean_abs for weight in weights[1:]):
        return None
    return scaled(passed, 1 / factor.mean)


def product(a: Values, b: Values) -> Values:
    """The moments of the product of two independent blobs."""
    mean = a.mean * b.mean
    square = a.second_moment * b.second_moment
    size = a.mean_abs * b.mean_abs
    bounds = (a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high)
    finite = all(bound == bound for bound in bounds)
    return Values(
        mean,
        square,
        size,
        a.corr_within_item * b.corr_within_item,
        a.corr_across_items * b.corr_across_items,
        a.corr_across_both * b.corr_across_both,
        min(bounds) if finite else -math.inf,
        max(bounds) if finite else math.inf,
        min(a.corr_length, b.corr_length),
        None,
        a.common * root(b.corr_across_both) + b.common * root(a.corr_across_both),
    )


def total(a: Values, b: Values) -> Values:
    """The moments of the sum of two blobs that are independent but for their means."""
    extra = 2 * a.mean * b.mean
    mean, square = a.mean + b.mean, a.second_moment + b.second_moment + extra
    low, high = a.low + b.low, a.high + b.high
    size = abs(mean) if low >= 0 or high <= 0 else gaussian_mean_abs(mean, square)
    extra += 2 * a.common * b.common
    return Values(
        mean,
        square,
        size,
        a.corr_within_item + b.corr_within_item + extra,
        a.corr_across_items + b.corr_across_items + extra,
        a.corr_across_both + b.corr_across_both + extra,
        low,
        high,
        min(a.corr_length, b.corr_length),
        None,
        a.common + b.common,
    )


def summed_over_positions(diff: Diffs, values: Values, number: float) -> Diffs:
    """The gradient of a factor of so many positions: the sum over them of gradient times value."""
    if number <= 1:
        return weighted(diff, values)
    others = number - 1
    square = diff.second_moment * values.second_moment + others * diff.corr_within_item * values.corr_within_item
    across = (
        diff.corr_across_items * values.corr_across_items + others * diff.corr_across_both * values.corr_across_both
    )
    square, across = max(0.0, number * square), number * across
    common = number * diff.common * root(values.corr_across_both)
    return Diffs(square, GAUSSIAN_MEAN_ABS * root(square), square, across, across, None, common)


def weighted(diff: Diffs, values: Values) -> Diffs:
    """The moments of a gradient times independent values."""
    return Diffs(
        diff.second_moment * values.second_moment,
        diff.mean_abs * values.mean_abs,
        diff.corr_within_item * values.corr_within_item,
        diff.corr_across_items * values.corr_across_items,
        diff.corr_across_both * values.corr_across_both,
        None,
        diff.common * root(values.corr_across_both),
    )
