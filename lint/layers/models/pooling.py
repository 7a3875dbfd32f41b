"""Pooling: the largest or the mean value of a window, and pyramids of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, reduce
from itertools import pairwise
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient, SignalModel, Step, positions_of, shape_of
from ...moments.statistics import (
    Diffs,
    Values,
    gaussian,
    mixture,
    moment_at_distance,
    normal_cdf,
    rectified,
    root,
    sum_of_diffs,
)
from ..sliding_windows import ONE_VALUE, pyramid, window_of

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...moments.signal_model import SignalContext
    from ...moments.weights import Weights

# Of how many independent standard Gaussians: the mean and the variance of the largest (tables of order statistics, as
# Harter 1961, "Expected values of normal order statistics"; the last row is a rough extrapolation).
_LARGEST = (
    (1, 0.0, 1.0), (2, 0.5642, 0.6817), (3, 0.8463, 0.5595), (4, 1.0294, 0.4917), (6, 1.2672, 0.4159),
    (9, 1.4850, 0.3574), (16, 1.7660, 0.2951), (25, 1.9653, 0.2585), (49, 2.2415, 0.2168), (100, 2.5076, 0.1843),
    (1000, 3.2414, 0.1239), (100000, 4.3, 0.08),
)  # fmt: skip


# The mean distance of two random points in a square of side 1: (2 + sqrt(2) + 5 asinh(1)) / 15 = 0.521 (square line picking).
_MEAN_DISTANCE_IN_SQUARE = 0.52
# Where max pooling's windows overlap, one large value is the largest of several, and their gradients add up in it. With c
# windows around each value, E[n^2] / E[n] of the number n of windows that a value wins is a + b c, and the mean size of n random
# gradients added up is c^-e of what it would be if none cancelled, with e falling with the correlation r of neighbours
# as (1 - r)^f. Fitted by simulating kernels of 2 to 7 and strides of 1 to 3 on Gaussian planes, within 15 %.
_WINS_AT_ONE, _WINS_PER_WINDOW, _CANCELLING, _CANCELLING_OF_NEIGHBOURS = 0.5, 0.6, 0.36, 0.3
# How many times likelier than at random the largest values of two items lie at the same place; not fitted: a rough
# estimate for what all items have in common.
_SAME_WINNER = 1.5
_SQUARE_OF_DRAWN = 4 / math.pi  # E[x^3] E[x] / E[x^2]^2 of half a Gaussian
_ONE_USE = 1.01  # windows that each value lies in, up to which rounding aside it lies in one


@cache
def largest_gaussian(number: float) -> tuple[float, float]:
    """The mean and variance of the largest of so many standard Gaussians, interpolated in the table."""
    for (a, mean_a, var_a), (b, mean_b, var_b) in pairwise(_LARGEST):
        if number <= b:
            part = math.log(max(number, 1) / a) / math.log(b / a)
            return mean_a + part * (mean_b - mean_a), var_a + part * (var_b - var_a)
    return _LARGEST[-1][1:]


def _window(layer: Layer) -> tuple[float, float]:
    """The number of values in a window, and the stride in positions."""
    window = window_of(layer) or ONE_VALUE
    sides = shape_of(layer.bottoms[0])[2:]
    kernel = window.over(sides).kernel
    strides = kernel if window.is_whole else window.stride
    return float(max(1, math.prod(map(min, kernel, sides)))), float(max((1, *strides[-1:])))


def neighbours(values: Values, window: float) -> float:
    """E[x y] of two different values in a window, at their mean distance."""
    return moment_at_distance(values, max(1.0, math.sqrt(window) * _MEAN_DISTANCE_IN_SQUARE))


def of_two_items(values: Values) -> Values:
    """Values whose moment at a distance is that of values of two items."""
    return values._replace(second_moment=values.corr_across_items, corr_within_item=values.corr_across_both)


def _mean_and_variance(values: Values, window: float) -> tuple[float, float, float]:
    """The mean and variance of the largest of a window of correlated Gaussian values.

    The last is what is left of the variance that the values of a window do not share.
    """
    m2 = values.mean * values.mean
    together = max(m2, min(neighbours(values, window), values.second_moment))
    own = root(values.second_moment - together)
    shift, kept = largest_gaussian(window)
    return min(values.mean + own * shift, values.high), together - m2 + own * own * kept, kept


def _active_share(values: Values, window: float) -> float:
    """The share of windows whose largest value is above 0, for Gaussian values before a rectifier."""
    if window <= 1 or values.second_moment == 0 or values.low == values.high or values.pre_activation is not None:
        top = maximum(values, window, 1.0)
        mean, variance = top.mean, top.variance
    else:
        mean, variance, _ = _mean_and_variance(values, window)
    deviation = root(variance)
    return normal_cdf(mean / deviation) if deviation > 0 else float(mean > 0)


def maximum(values: Values, window: float, stride: float) -> Values:
    """The moments of the largest of a window of correlated Gaussian values."""
    if window <= 1 or values.second_moment == 0 or not math.isfinite(values.second_moment):
        return values._replace(corr_length=values.corr_length / stride)
    if values.low == values.high:
        return values
    if values.pre_activation is not None:
        return rectified(maximum(values.pre_activation, window, stride))
    m2 = values.mean * values.mean
    mean, variance, kept = _mean_and_variance(values, window)
    square = mean * mean + variance
    # What two windows have in common, all values in them have; more of it at the same place.
    of_two = neighbours(of_two_items(values), window)
    of_two += max(0.0, values.corr_across_items - of_two) * kept
    within, across, across_both = (
        min(square, mean * mean + max(0.0, moment - m2))
        for moment in (values.corr_within_item, of_two, values.corr_across_both)
    )
    length = (values.corr_length + (math.sqrt(window) - stride) / 2) / stride
    top = gaussian(mean, square, within, across, across_both, length, values.common)
    if values.low >= 0:
        top = top._replace(mean_abs=mean)
    elif values.mean_abs < top.mean_abs:
        top = top._replace(
            mean_abs=min(
                top.mean_abs,
                values.mean_abs
                * top.mean_abs
                / max(gaussian(values.mean, values.second_moment, 0, 0, 0, 1).mean_abs, 1e-300),
            )
        )
    return top._replace(low=values.low, high=values.high)


def average(values: Values, window: float, stride: float) -> Values:
    """The moments of the mean of a window of correlated values."""
    if window <= 1:
        return values
    square = (values.second_moment + (window - 1) * neighbours(values, window)) / window
    square = max(square, values.mean * values.mean)
    across = (values.corr_across_items + (window - 1) * neighbours(of_two_items(values), window)) / window
    within, across_both = min(values.corr_within_item, square), min(values.corr_across_both, square)
    length = (values.corr_length + (math.sqrt(window) - stride) / 2) / stride
    top = gaussian(values.mean, square, within, across, across_both, length, values.common)
    if values.low >= 0:
        top = top._replace(mean_abs=values.mean)
    return top._replace(low=values.low, high=values.high)


def maximum_backward(values: Values, diff: Diffs, window: float, tops: int, positions: int) -> Diffs:
    """The gradient below max pooling over windows of so many values; a channel has so many `tops` and `positions` below."""
    ratio = tops / positions
    active = _active_share(values.pre_activation, window) if values.pre_activation is not None else None
    cover = max(1.0, ratio * window)  # windows that each value lies in
    alike = min(1.0, max(0.0, diff.corr_within_item / diff.second_moment)) if diff.second_moment else 0.0
    wins = max(1.0, _WINS_AT_ONE + _WINS_PER_WINDOW * cover) if cover > _ONE_USE else 1.0
    kept = cover ** (-_CANCELLING * (1 - _likeness_of_neighbours(values)) ** _CANCELLING_OF_NEIGHBOURS)
    below = Diffs(
        diff.second_moment * ratio * (1 + (wins - 1) * alike), diff.mean_abs * ratio * (kept + (1 - kept) * root(alike)), 0.0,
        diff.corr_across_items * ratio * ratio * _SAME_WINNER, 0.0, active, diff.common * ratio,
        diff.own_value_factor * ratio, None, diff.evenness, along=diff.along,
    )  # fmt: skip
    return _same_sum(below, diff, tops, positions)


def _likeness_of_neighbours(values: Values) -> float:
    """The correlation coefficient of neighbouring values, between 0 and 1."""
    m2 = values.mean * values.mean
    if not 0 < values.variance < math.inf:
        return 1.0
    return min(1.0, max(0.0, (moment_at_distance(values, 1.0) - m2) / values.variance))


def _same_sum(below: Diffs, diff: Diffs, tops: int, positions: int) -> Diffs:
    """The correlations at two positions with which the gradients of a plane below sum to the same as those of the tops."""
    if positions <= 1:
        return below._replace(corr_within_item=below.second_moment, corr_across_both=below.corr_across_items)
    ratio, others = tops / positions, positions - 1
    within = ratio * (diff.second_moment + (tops - 1) * diff.corr_within_item)
    across = ratio * (diff.corr_across_items + (tops - 1) * diff.corr_across_both)
    return below._replace(
        corr_within_item=(within - below.second_moment) / others,
        corr_across_both=(across - below.corr_across_items) / others,
    )


def average_backward(diff: Diffs, window: float, tops: int, positions: int) -> Diffs:
    """The gradient below average pooling over windows of so many values; a channel has so many `tops` and `positions` below.

    Each value gets its part of every window that it lies in, 1 on average.
    """
    ratio = tops / positions
    uses = max(1.0, ratio * window)
    together = min(1.0, max(0.0, diff.corr_within_item / diff.second_moment) if diff.second_moment else 0.0)
    square = diff.second_moment * (uses / window) ** 2 * (1 / uses + (1 - 1 / uses) * together)
    if ratio * window < 1:
        square *= ratio * window
    size = diff.mean_abs * ratio * (1.0 if uses <= _ONE_USE else math.sqrt(1 / uses + (1 - 1 / uses) * together))
    across = diff.corr_across_items * ratio / window
    below = Diffs(
        square, size, 0.0, across, 0.0, None, diff.common * ratio, evenness=diff.evenness, along=diff.along
    )
    return _same_sum(below, diff, tops, positions)


class Pooling(SignalModel):
    """MAX, AVE and STOCHASTIC (pooling_layer.cpp). On the way back, AVE stands for STOCHASTIC."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.window, self.stride = _window(layer)
        pool = layer.message["pooling_param"]["pool"]
        self.takes_maximum = pool == "MAX"
        self.draws = pool == "STOCHASTIC" and layer.phase == "TRAIN"
        self.tops = positions_of(layer.tops[0])
        self.positions = positions_of(layer.bottoms[0])

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        values = bottoms[0]
        if self.draws and values.low >= 0 and 0 < values.mean < math.inf:
            top = _drawn_by_size(values)
        else:
            top = (maximum if self.takes_maximum else average)(values, self.window, self.stride)
        return [_flattened(top) if self.tops == 1 else top] * len(self.layer.tops)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        if self.takes_maximum:
            return [maximum_backward(step.bottoms[0], diffs[0], self.window, self.tops, self.positions)], []
        return [average_backward(diffs[0], self.window, self.tops, self.positions)], []


def _drawn_by_size(values: Values) -> Values:
    """The moments of values drawn from windows, the larger the likelier (Zeiler and Fergus 2013, "Stochastic pooling"):
    E[x^2] / E[x]; the spread is that of the values drawn from half a Gaussian, E[x^3] / E[x].
    """
    mean = values.second_moment / values.mean
    pairs = (mean / values.mean) ** 2
    square = max(mean * mean * _SQUARE_OF_DRAWN, values.second_moment)
    within, across, across_both = (
        min(square, each * pairs)
        for each in (values.corr_within_item, values.corr_across_items, values.corr_across_both)
    )
    return Values(mean, square, mean, within, across, across_both, values.low, values.high, values.corr_length)


def _flattened(values: Values) -> Values:
    """The same values without positions."""
    return values._replace(corr_within_item=values.second_moment, corr_across_both=values.corr_across_items)


class SPP(SignalModel):
    """Spatial pyramid pooling: level l pools the plane in 2^l x 2^l windows; all results stand in a row (spp_layer.cpp)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        param = layer.message["spp_param"]
        self.takes_maximum = param["pool"] == "MAX"
        self.positions = positions_of(layer.bottoms[0])
        height = max(1, param["pyramid_height"])  # 0 where the number that is written cannot be read
        levels = pyramid(shape_of(layer.bottoms[0])[2:], height)
        self.windows = [float(math.prod(window.kernel)) for window in levels]
        self.bins = [4**level for level in range(len(levels))]

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        pool = maximum if self.takes_maximum else average
        levels = [pool(bottoms[0], window, math.sqrt(window)) for window in self.windows]
        return [_flattened(mixture(levels, self.bins))]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff, values = diffs[0], step.bottoms[0]
        if len(self.bins) > 1:  # every result has weights of its own in what reads them
            diff = diff._replace(corr_within_item=0.0, corr_across_both=0.0, passed_values=None)
        below = []
        for bins, window in zip(self.bins, self.windows, strict=True):
            below.append(
                maximum_backward(values, diff, window, bins, self.positions)
                if self.takes_maximum
                else average_backward(diff, window, bins, self.positions)
            )
        whole = reduce(sum_of_diffs, below)
        if all(level.active_share is not None for level in below) and 0 < whole.second_moment < math.inf:
            active = sum((level.active_share or 0.0) * level.second_moment for level in below) / whole.second_moment
            whole = whole._replace(active_share=active)
        return [whole], []
