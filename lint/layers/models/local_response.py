"""Local response normalization: values over a power of the mean square around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient, SignalModel, Step
from ...moments.statistics import (
    Diffs,
    Values,
    above_zero,
    correlated,
    correlation_coefficients,
    root,
    scaled,
    scaled_diffs,
)
from ...proto.named_tuple import NamedTuple
from .pooling import neighbours

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...moments.signal_model import SignalContext
    from ...moments.weights import Weights

_LITTLE = 0.01  # as a part of k: smaller squares make no difference from place to place
# Powers whose integral is computed. Of smaller ones, what lies before its beginning is more than 1 %, but they differ little from
# place to place; larger ones are beyond floats.
_LEAST_POWER, _MOST_POWER = 0.5, 50.0
# Of the integral over t: steps of log t, and from where to where exp(-t base) is neither 1 nor 0 for any base.
_STEP, _LEAST_EXPONENT, _MOST_EXPONENT = 0.4, 1e-4, 40.0
_LARGEST = 1e38  # of a base; a float's
_LEAST_VARIANCE = 1e-12  # of what is divided by, beside the square of the mean
_CLOSED, _OPEN, _HALVINGS = -4.0, 8.0, 24  # means, in deviations, of values of which a rectifier leaves nothing, or everything


class Region(NamedTuple):
    """The settings of an LRN layer, and of how many values a base is made: `number`, of which so many are `independent`."""

    k: float
    alpha: float
    beta: float
    number: int
    independent: float


class Averages(NamedTuple):
    """Averages over a blob: of the tops, and of the slopes, by which gradients are multiplied.

    mean, size, square: the mean of the tops, their mean absolute value and mean square.
    slope: the mean slope.
    open_share: the share of values that a rectifier left, of others all.
    open_size, open_square: the mean absolute value of their slopes, and the mean square.
    closed_size, closed_square: the same of values that a rectifier made 0.
    """

    mean: float
    size: float
    square: float
    slope: float
    open_share: float
    open_size: float
    open_square: float
    closed_size: float = 0.0
    closed_square: float = 0.0


class LRN(SignalModel):
    """Values over a power of k + alpha times the mean square around them (lrn_layer.cpp; Krizhevsky et al. 2012).

    Where values are large beside k, that differs much from place to place. Gradients are largest where all values around happen
    to be small, as those that a rectifier has closed: there, they do not pass the rectifier.
    """

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        param = layer.message["lrn_param"]
        within = param["norm_region"] == "WITHIN_CHANNEL"
        side = max(1, param["local_size"])
        self.alpha, self.beta = float(param["alpha"]), float(param["beta"])
        self.k = 1.0 if within else float(param["k"])
        self.within = within
        self.number: int = side * side if within else side

    def factor(self, values: Values) -> float | None:
        """What all values are multiplied by; None where it differs from place to place."""
        if self.k > 0 and _LEAST_POWER <= self.beta <= _MOST_POWER and _LITTLE * self.k < self.alpha * values.second_moment < _LARGEST:
            return None
        base = self.k + self.alpha * values.second_moment
        return float(min(base, _LARGEST) ** -self.beta) if base > 0 else 1.0

    def averages(self, values: Values) -> Averages:
        """The averages over values that are Gaussian, or rectified ones."""
        before = values.pre_activation or values
        independent = float(self.number)
        if self.within:
            alike = neighbours(before, self.number) - before.mean**2
            alike = min(1.0, (alike / before.variance) ** 2) if before.variance else 1.0
            independent = self.number / (1 + (self.number - 1) * alike)
        region = Region(self.k, self.alpha, self.beta, self.number, independent)
        if values.pre_activation is None and values.low >= 0:
            return averages(*_before_rectifier(values), True, region)
        return averages(before.mean, before.variance, values.pre_activation is not None, region)

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        values = bottoms[0]
        if not 0 < values.second_moment < math.inf:
            return [values]
        before, factor = values.pre_activation, self.factor(values)
        if factor is not None:
            return [scaled(values, factor)._replace(pre_activation=before and scaled(before, factor))]
        found = self.averages(values)
        most = self.k**-self.beta
        return [
            Values(
                found.mean, found.square, found.size, *correlated(values, found.mean, found.square, 1.0),
                values.low * most, values.high * most, values.corr_length,
                before and scaled(before, root(found.square / values.second_moment)), values.common * found.slope,
            )
        ]  # fmt: skip

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        values, diff = step.bottoms[0], diffs[0]
        if not 0 < values.second_moment < math.inf:
            return [diff], []
        factor = self.factor(values)
        if factor is not None:
            return [scaled_diffs(diff, factor)], []
        found = self.averages(values)
        part = found.open_share if diff.active_share is None else diff.active_share
        opened, closed = part * found.open_square, (1 - part) * found.closed_square
        size, square = part * found.open_size + (1 - part) * found.closed_size, opened + closed
        mean = min(found.slope, root(square))
        spread = square - mean * mean
        within, across, across_both = (
            mean * mean + spread * rho * rho for rho in correlation_coefficients(values.pre_activation or values)
        )
        return [
            Diffs(
                diff.second_moment * square, diff.mean_abs * size, diff.corr_within_item * within,
                diff.corr_across_items * across, diff.corr_across_both * across_both,
                opened / square if values.pre_activation is not None else None, diff.common * mean,
                diff.own_value_factor * square, evenness=diff.evenness * mean / root(across_both),
            )
        ], []  # fmt: skip


def _before_rectifier(values: Values) -> tuple[float, float]:
    """The mean and variance of Gaussian values which a rectifier gives the same mean and mean square as these."""
    wanted = values.mean * values.mean / values.second_moment
    low, high = _CLOSED, _OPEN
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        _, mean, square = above_zero(middle, 1.0)
        low, high = (middle, high) if mean * mean < wanted * square else (low, middle)
    _, _, square = above_zero(low, 1.0)
    variance = values.second_moment / square
    return low * math.sqrt(variance), variance


@lru_cache(maxsize=256)
def averages(mean: float, variance: float, rectified: bool, region: Region) -> Averages:
    """The averages over Gaussian values with this mean and variance, all rectified or none, which differ around each other.

    A power of a base is an integral of exponentials, base^-p = integral of t^(p-1) exp(-t base) dt / Gamma(p), and the mean of
    exp(-s x^2) over Gaussian x is known: weighted by it, they are Gaussian again, with a mean and variance that are
    1 + 2 s variance times smaller. The mean over a sum of squares is the product of those over each.
    """
    k, alpha, beta, number, independent = region
    variance = max(variance, _LEAST_VARIANCE * mean * mean)
    share, _, square = above_zero(mean, variance)
    if not rectified:
        share, square = 1.0, mean * mean + variance
    low, high = _LEAST_EXPONENT / (k + alpha * square), _MOST_EXPONENT / k
    tops = size = squares = 0.0
    # Means of base^-beta and of base^-2 beta where x is above 0, and where it is 0.
    opened = opened2 = closed = closed2 = 0.0
    # Means of x^2 base^-p for these p: beta + 1, 2 beta + 1, 2 beta + 2.
    first = second = third = 0.0
    gamma1, gamma2 = math.gamma(beta), math.gamma(2 * beta)
    for i in range(math.ceil(math.log(high / low) / _STEP) + 1):
        t = low * math.exp(i * _STEP)
        s = t * alpha / independent
        smaller = 1 + 2 * s * variance
        whole = math.exp(-s * mean * mean / smaller) / math.sqrt(smaller)
        m, v = mean / smaller, variance / smaller
        above, up, up_square = above_zero(m, v)
        if rectified:
            each = 1 - share + whole * above
            here, here_mean, here_size, here_square = whole * above, whole * up, whole * up, whole * up_square
        else:
            each = here = whole
            here_mean, here_size, here_square = whole * m, whole * (2 * up - m), whole * (m * m + v)
        rest = each ** (independent - 1) * _STEP * math.exp(-t * k)
        one, two = rest * t**beta / gamma1, rest * t ** (2 * beta) / gamma2
        tops += one * here_mean
        size += one * here_size
        squares += two * here_square
        opened += one * here
        opened2 += two * here
        closed += one * (each - here)
        closed2 += two * (each - here)
        first += one * t / beta * here_square
        second += two * t / (2 * beta) * here_square
        third += two * t * t / (2 * beta * (2 * beta + 1)) * here_square
    # A base changes with each value in it: by twice alpha / number times the value.
    by = 4 * beta * alpha / number
    left = max(0.0, opened2 + by * ((beta - 1) * second - beta * k * third))
    open_size = opened * root(left / opened2) if opened2 else 0.0
    slope = max(0.0, opened + closed - by / 2 * first)
    others = max(1 - share, _LEAST_VARIANCE)
    open_share = max(share, _LEAST_VARIANCE)
    return Averages(
        tops, size, squares, slope, share, open_size / open_share, left / open_share, closed / others, closed2 / others
    )
