"""Moments of values and gradients, and what the functions of a net do to them.

The values of a blob are taken as drawn at random over channels, items (samples of the batch) and positions (places in
the plane of a channel). Besides mean and second moment there are three correlations E[x y], not centred, of two values x
and y in one channel: of one item at two positions, of two items at one position, and of two items at two positions. A
layer of random weights multiplies the second moment and all three by the same factor, so that they are propagated
through the depth of a net as in He et al. (2015), "Delving deep into rectifiers", and in the mean field theory of Poole
et al. (2016), "Exponential expressivity in deep neural networks through transient chaos". They say how far the
gradients of many items and positions add up instead of cancelling, which decides how large the gradients of weights are.

All numbers are in the units of the blob, second moments and correlations in their square, lengths in positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..proto.named_tuple import NamedTuple

INFINITE = math.inf
_LEAST_CORR_LENGTH = 0.05  # in positions; below it neighbours are independent
_SAME = 1e-9  # a deviation that is no more than this part of the mean counts as none
GAUSSIAN_MEAN_ABS = math.sqrt(2 / math.pi)  # mean absolute value of a standard Gaussian


class Values(NamedTuple):
    """The moments of a blob's values.

    mean: the mean.
    second_moment: the mean square.
    mean_abs: the mean absolute value, which debug_info prints.
    corr_within_item, corr_across_items, corr_across_both: E[x y] of two values of one channel: of one item at two
        positions, of two items at one position, of two items at two positions.
    low, high: between which bounds all values lie.
    corr_length: the distance, in positions, over which values of one item resemble each other.
    pre_activation: the values before a rectifier, of which the largest of a window is known (or before a softmax).
    common: the signed part of each value that all items have in common because training put it there.
    parts: of a concatenation, the share of each blob in the values, and its moments (see `concatenation`).
    """

    mean: float
    second_moment: float
    mean_abs: float
    corr_within_item: float
    corr_across_items: float
    corr_across_both: float
    low: float = -INFINITE
    high: float = INFINITE
    corr_length: float = 1.0
    pre_activation: Values | None = None
    common: float = 0.0
    parts: tuple[tuple[float, Values], ...] = ()

    @property
    def variance(self) -> float:
        """The variance over everything."""
        return max(0.0, self.second_moment - self.mean * self.mean)


class Diffs(NamedTuple):
    """The moments of the gradient of a blob; the fields of `Values` mean the same.

    active_share: the part of the gradient that passes the rectifier below, where pooling chose the largest values.
    common: the signed part of each gradient in which all items agree.
    own_value_factor: the gradient contains the blob's own value times this, as the way back goes through the weights of
        the way there.
    passed_values: the moments of the blob's values where a rectifier let the gradient pass.
    evenness: how evenly it is spread over the channels: the mean over channels of a channel's root mean square, as a part
        of that of all. A rectifier that is closed for all items leaves channels without any.
    parts: of a concatenation, as in `Values`.
    along: what is left of the sum of gradient times value over a channel, as a part of what it would be if they had nothing to do
        with each other: nearly nothing below a BatchNorm, to which the size of a channel makes no difference.
    balanced: whether the gradients of all channels add up to 0 at each position, as those of a softmax's scores do.
    """

    second_moment: float
    mean_abs: float
    corr_within_item: float
    corr_across_items: float
    corr_across_both: float
    active_share: float | None = None
    common: float = 0.0
    own_value_factor: float = 0.0
    passed_values: Values | None = None
    evenness: float = 1.0
    parts: tuple[tuple[float, Diffs], ...] = ()
    balanced: bool = False
    along: float = 1.0


ZERO_VALUES = Values(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
ZERO_DIFFS = Diffs(0.0, 0.0, 0.0, 0.0, 0.0)
BAD_VALUES = Values(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)
BAD_DIFFS = Diffs(math.nan, math.nan, math.nan, math.nan, math.nan)


def constant(value: float) -> Values:
    """A blob all of whose values are the same."""
    square = value * value
    return Values(value, square, abs(value), square, square, square, value, value, INFINITE)


def root(x: float) -> float:
    """The square root; 0 where rounding made the number negative."""
    return math.sqrt(x) if x > 0 else 0.0


def normal_density(x: float) -> float:
    """The density of a standard Gaussian."""
    return math.exp(-0.5 * x * x) / 2.5066282746310002 if abs(x) < 38 else 0.0


def normal_cdf(x: float) -> float:
    """The probability that a standard Gaussian is below x."""
    return 0.5 * math.erfc(-x / 1.4142135623730951)


def gaussian_mean_abs(mean: float, square: float) -> float:
    """The mean absolute value of a Gaussian with this mean and second moment."""
    if not math.isfinite(square) or not math.isfinite(mean):
        return square if math.isfinite(mean) else abs(mean)
    deviation = root(square - mean * mean)
    if not mean:
        return deviation * GAUSSIAN_MEAN_ABS
    if deviation <= 1e-12 * abs(mean):
        return abs(mean)
    z = mean / deviation
    return 2 * deviation * normal_density(z) + mean * (1 - 2 * normal_cdf(-z))


def gaussian(
    mean: float, square: float, within: float, across: float, across_both: float, length: float, common: float = 0.0
) -> Values:
    """Gaussian values, as sums of many terms are."""
    return Values(
        mean, square, gaussian_mean_abs(mean, square), within, across, across_both, corr_length=length, common=common
    )


def scaled(values: Values, factor: float, shift: float = 0.0) -> Values:
    """The moments of factor * x + shift."""
    mean = values.mean * factor + shift
    f2 = factor * factor
    extra = 2 * shift * factor * values.mean + shift * shift
    low, high = values.low * factor + shift, values.high * factor + shift
    if low > high or low != low:
        low, high = high, low
    if factor == 0:
        return constant(shift)
    square = values.second_moment * f2 + extra
    if shift == 0:
        size = values.mean_abs * abs(factor)
    elif low >= 0 or high <= 0:
        size = abs(mean)
    else:
        size = _bounded_size(mean, square, low, high)
    return Values(
        mean,
        square,
        size,
        values.corr_within_item * f2 + extra,
        values.corr_across_items * f2 + extra,
        values.corr_across_both * f2 + extra,
        low,
        high,
        values.corr_length,
        None,
        values.common * factor,
    )


def _bounded_size(mean: float, square: float, low: float, high: float) -> float:
    """The mean absolute value of values within bounds: some at either bound, the others evenly between.

    Pixels are like that, with much plain black or white; three numbers fix the mixture.
    """
    span = high - low
    if not math.isfinite(span) or span <= 0 or not math.isfinite(square):
        return gaussian_mean_abs(mean, square)
    m = (mean - low) / span
    s = (square - 2 * low * mean + low * low) / (span * span)
    even = 6 * (m - s)
    top = m - even / 2
    bottom = 1 - even - top
    if not (0 <= even <= 1 and top >= 0 and bottom >= 0):
        return min(gaussian_mean_abs(mean, square), max(abs(low), abs(high)))
    zero = -low / span
    between = span * (zero * zero + (1 - zero) * (1 - zero)) / 2
    return top * abs(high) + bottom * abs(low) + even * between


def moment_at_distance(values: Values, distance: float) -> float:
    """E[x y] of two values of one item and channel, `distance` positions apart: it falls off exponentially."""
    if values.corr_length == INFINITE:
        return values.second_moment
    return values.corr_within_item + (values.second_moment - values.corr_within_item) * math.exp(
        -distance / max(values.corr_length, _LEAST_CORR_LENGTH)
    )


def falling_length(here: float, beside: float) -> float:
    """The `corr_length` with which of so much here that is not shared by a whole item so much is left at a distance of 1."""
    part = beside / here if here > 0 else 1.0
    if part <= 0:
        return _LEAST_CORR_LENGTH
    return max(_LEAST_CORR_LENGTH, -1 / math.log(part)) if part < 1 else INFINITE


def rectified_correlation(rho: float) -> float:
    """The correlation coefficient of two rectified Gaussians, from that of the Gaussians.

    Source: the arc-cosine kernel of Cho and Saul (2009), "Kernel methods for deep learning", centred.
    """
    if rho >= 1:
        return 1.0
    rho = rho if rho > -1 else -1.0
    kernel = math.sqrt(1 - rho * rho) + rho * (math.pi - math.acos(rho))
    return (kernel - 1) / (math.pi - 1)


def correlated(values: Values, mean: float, square: float, by: float | None = None) -> tuple[float, float, float]:
    """The three correlations after a function of each value gave them this mean and second moment.

    `by` is the factor on the correlation coefficients: a number for smooth functions, None for a rectifier, whose
    coefficients change as the arc-cosine kernel says.
    """
    m2 = values.mean * values.mean
    variance = values.second_moment - m2
    least = mean * mean
    new = max(0.0, square - least)
    if not 0 < variance < INFINITE:
        return (least + new,) * 3 if by is None else (least + new * by,) * 3
    within, across, across_both = (
        (values.corr_within_item - m2) / variance,
        (values.corr_across_items - m2) / variance,
        (values.corr_across_both - m2) / variance,
    )
    if by is None:
        return (
            least + new * rectified_correlation(within),
            least + new * rectified_correlation(across),
            least + new * rectified_correlation(across_both),
        )
    by *= new
    return (
        least + by * min(1.0, max(-1.0, within)),
        least + by * min(1.0, max(-1.0, across)),
        least + by * min(1.0, max(-1.0, across_both)),
    )


def above_zero(mean: float, variance: float) -> tuple[float, float, float]:
    """The share of Gaussian values that lie above 0, and the parts of the mean and of the mean square that these make up."""
    deviation = math.sqrt(variance)
    z = mean / deviation
    share, density = normal_cdf(z), normal_density(z)
    return share, max(0.0, mean * share + deviation * density), max(
        0.0, (mean * mean + variance) * share + mean * deviation * density
    )


def rectified(values: Values, slope: float = 0.0) -> Values:
    """The moments of max(x, 0) + slope * min(x, 0) for Gaussian x."""
    if values.low >= 0:
        return values
    if not math.isfinite(values.second_moment):
        return values
    variance, mean = values.variance, values.mean
    deviation = root(variance)
    if deviation <= _SAME * abs(mean):
        return scaled(values, 1.0 if mean >= 0 else slope)
    over, up_mean, up_square = above_zero(mean, variance)
    if values.high <= 0:
        up_mean = up_square = 0.0
    new_mean = up_mean + slope * (mean - up_mean)
    new_square = up_square + slope * slope * max(0.0, values.second_moment - up_square)
    # What is known of the size of values that are no Gaussians holds for their halves.
    heavy = values.mean_abs / max(gaussian_mean_abs(mean, values.second_moment), 1e-300)
    up_size = up_mean * min(1.0, heavy) if abs(mean) < deviation else up_mean
    size = up_size + abs(slope) * max(0.0, up_mean - mean)
    within, across, across_both = correlated(values, new_mean, new_square)
    return Values(
        new_mean,
        new_square,
        size,
        within,
        across,
        across_both,
        0.0 if slope >= 0 and values.low < 0 and not slope else values.low,
        max(values.high, 0.0),
        values.corr_length,
        values if not slope else None,
        values.common * over,
    )


def share_above(values: Values, bound: float = 0.0) -> float:
    """The share of Gaussian values that lie above a bound."""
    if values.low >= bound and values.pre_activation is None:
        return 1.0 if values.second_moment > 0 or values.low > bound else 0.0
    deviation = root(values.variance)
    if deviation <= _SAME * abs(values.mean) or not math.isfinite(deviation):
        return 1.0 if values.mean > bound else 0.0
    return normal_cdf((values.mean - bound) / deviation)


# Points and weights for a standard Gaussian; each point but 0 counts with both signs. The Gauss-Hermite quadrature of 9 points
# is exact for what varies slowly; where a Gaussian is wider than the bends of common functions, equal steps are better.
_POINTS = (
    (0.0, 0.4063492063492063),
    (1.0232556637891326, 0.2440975028949394),
    (2.0768479786778302, 0.04991640676521779),
    (3.205429002856470, 0.002789141321231769),
    (4.512745863399783, 2.234584400774658e-05),
)
_STEP, _WIDE = 0.3, 0.7
_STEPS = tuple((i * _STEP, _STEP * normal_density(i * _STEP)) for i in range(17))


def gaussian_points(values: Values) -> list[tuple[float, float]]:
    """Points that stand for Gaussian values, and the weight of each."""
    deviation = root(values.variance) if math.isfinite(values.second_moment) else 1e18
    mean, low, high = values.mean, values.low, values.high
    return [
        (min(max(mean + sign * point * deviation, low), high), weight)
        for point, weight in (_STEPS if deviation > _WIDE else _POINTS)
        for sign in ((1.0, -1.0) if point else (1.0,))
    ]


def mapped(values: Values, function, slope=None, odd_gain: float = 1.0) -> tuple[Values, float]:  # type: ignore[no-untyped-def]
    """The moments of f(x) for Gaussian x, and the mean square of f's slope, by quadrature.

    `odd_gain` is the factor on the correlation coefficients: 1 for functions that are nearly odd.
    """
    mean = square = size = steep = lean = 0.0
    for x, weight in gaussian_points(values):
        y = function(x)
        mean += weight * y
        square += weight * y * y
        size += weight * abs(y)
        if slope is not None:
            d = slope(x)
            steep += weight * d * d
            lean += weight * d
    within, across, across_both = correlated(values, mean, square, odd_gain)
    result = Values(
        mean,
        square,
        size,
        within,
        across,
        across_both,
        function(max(values.low, -1e30)),
        function(min(values.high, 1e30)),
        values.corr_length,
        None,
        values.common * lean,
    )
    return result, steep


def gated(
    diffs: Diffs, part: float, correlation: tuple[float, float, float], gain: float = 1.0, after: Values | None = None
) -> Diffs:
    """The gradient below a rectifier that lets a share of it pass.

    `correlation` is how far two gates open together, within an item, across items and across both (see
    `sign_correlations`). `gain` is the slope of the open gate, `after` the moments of the values that pass.
    """
    g2 = gain * gain
    pair = part * part
    one = part - pair
    within, across, across_both = correlation
    return Diffs(
        diffs.second_moment * part * g2,
        diffs.mean_abs * part * abs(gain),
        diffs.corr_within_item * (pair + one * within) * g2,
        diffs.corr_across_items * (pair + one * across) * g2,
        diffs.corr_across_both * (pair + one * across_both) * g2,
        None,
        diffs.common * part * gain,
        diffs.own_value_factor * part,
        after,
        diffs.evenness * (part / root(pair + one * across_both) if part > 0 else 1.0),
        along=diffs.along,
    )


def sign_correlations(values: Values) -> tuple[float, float, float]:
    """The correlations of the signs of two Gaussian values: 2/pi times the arc sine of theirs (Sheppard 1899).

    Within an item, across items, and across both.
    """
    within, across, across_both = correlation_coefficients(values)
    return 2 / math.pi * math.asin(within), 2 / math.pi * math.asin(across), 2 / math.pi * math.asin(across_both)


def correlation_coefficients(values: Values) -> tuple[float, float, float]:
    """The correlation coefficients of two values within an item, across items and across both; 1 for values that are all alike."""
    m2 = values.mean * values.mean
    variance = values.second_moment - m2
    if not 0 < variance < INFINITE:
        return 1.0, 1.0, 1.0
    return (
        min(1.0, max(-1.0, (values.corr_within_item - m2) / variance)),
        min(1.0, max(-1.0, (values.corr_across_items - m2) / variance)),
        min(1.0, max(-1.0, (values.corr_across_both - m2) / variance)),
    )


def scaled_diffs(diffs: Diffs, factor: float) -> Diffs:
    """The moments of the gradient times a factor."""
    f2 = factor * factor
    return Diffs(
        diffs.second_moment * f2,
        diffs.mean_abs * abs(factor),
        diffs.corr_within_item * f2,
        diffs.corr_across_items * f2,
        diffs.corr_across_both * f2,
        diffs.active_share,
        diffs.common * factor,
        diffs.own_value_factor * factor * factor,
        None,
        diffs.evenness,
        balanced=diffs.balanced,
        along=diffs.along,
    )


def sum_of_diffs(a: Diffs, b: Diffs) -> Diffs:
    """The moments of the sum of two uncorrelated gradients."""
    square = a.second_moment + b.second_moment
    if a.second_moment == 0 or b.second_moment == 0:
        return (b if a.second_moment == 0 else a)._replace(active_share=None, passed_values=None)
    # Two distributions that are not alike: the mean absolute value lies between that of the larger and the sum.
    size = min(math.hypot(a.mean_abs, b.mean_abs), a.mean_abs + b.mean_abs) if math.isfinite(square) else square
    return Diffs(
        square,
        size,
        a.corr_within_item + b.corr_within_item,
        a.corr_across_items + b.corr_across_items,
        a.corr_across_both + b.corr_across_both,
        None,
        a.common + b.common,
        a.own_value_factor + b.own_value_factor,
        None,
        (a.evenness * a.second_moment + b.evenness * b.second_moment) / square if math.isfinite(square) else 1.0,
        balanced=a.balanced and b.balanced,
        along=max(a.along, b.along),
    )


def mixture(parts: Sequence[Values], sizes: Sequence[float]) -> Values:
    """The moments of several blobs taken together; `sizes` are their numbers of elements."""
    if len(parts) == 1:
        return parts[0]
    whole = sum(sizes)
    mean = square = each = within = across = across_both = common = beside = 0.0
    low, high = INFINITE, -INFINITE
    rectifies = True
    for part, size in zip(parts, sizes, strict=True):
        share = size / whole
        mean += share * part.mean
        square += share * part.second_moment
        each += share * part.mean_abs
        within += share * part.corr_within_item
        across += share * part.corr_across_items
        across_both += share * part.corr_across_both
        common += share * part.common
        beside += share * moment_at_distance(part, 1.0)
        low, high = min(low, part.low), max(high, part.high)
        rectifies = rectifies and part.pre_activation is not None
    before = (
        mixture([part.pre_activation for part in parts if part.pre_activation is not None], sizes)
        if rectifies
        else None
    )
    length = falling_length(square - within, beside - within)
    return Values(mean, square, each, within, across, across_both, low, high, length, before, common)
