"""The few numbers that stand for a blob, and what the functions of a net do to them.

The values of a blob are taken as drawn at random over channels, items (samples of the batch) and positions.
Besides the ordinary moments there are three more, of two values in one channel: in one item at two positions
(`level`), in two items at one position (`shared`), and at different items and positions (`cross`). A layer of
random weights multiplies all four alike, so they travel through the depth of a net as in He et al. (2015),
"Delving deep into rectifiers", and in the mean field theory of Poole et al. (2016), "Exponential expressivity
in deep neural networks through transient chaos". They say how far the gradients of many items and positions
add up instead of cancelling, which decides how large the gradients of weights are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..proto.named_tuple import NamedTuple

INFINITE = math.inf
GAUSSIAN_SIZE = math.sqrt(2 / math.pi)  # mean absolute value of a standard Gaussian


class Values(NamedTuple):
    """What is known of the values of a blob.

    `square` is the mean square, `size` the mean absolute value that debug_info prints, `low` and `high` bounds.
    `reach` is the distance, in positions, over which values resemble each other. `latent` are the values
    before a rectifier, for which maxima over windows are known. `drift` is the signed part that all items have
    in common because the first steps of a training put it there. `parts` are what a concatenation is made of.
    """

    mean: float
    square: float
    size: float
    level: float
    shared: float
    cross: float
    low: float = -INFINITE
    high: float = INFINITE
    reach: float = 1.0
    latent: Values | None = None
    drift: float = 0.0
    parts: tuple[tuple[float, Values], ...] = ()

    @property
    def variance(self) -> float:
        """The variance over everything."""
        return max(0.0, self.square - self.mean * self.mean)


class Diffs(NamedTuple):
    """What is known of the gradient of a blob: as `Values`, for its mean square and its correlations.

    `alive` is the part that gets through the rectifier below, where pooling chose the largest values. `echo` is
    the part that is the blob's own value times a factor, as the way back goes through the weights of the way there.
    `open` are the moments of the values where a gate let the gradient through.
    """

    square: float
    size: float
    level: float
    shared: float
    cross: float
    alive: float | None = None
    drift: float = 0.0
    echo: float = 0.0
    open: Values | None = None


NOTHING = Values(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
NO_DIFFS = Diffs(0.0, 0.0, 0.0, 0.0, 0.0)
BAD_VALUES = Values(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)
BAD_DIFFS = Diffs(math.nan, math.nan, math.nan, math.nan, math.nan)


def constant(value: float) -> Values:
    """A blob of one value."""
    square = value * value
    return Values(value, square, abs(value), square, square, square, value, value, INFINITE)


def root(x: float) -> float:
    """The square root, 0 for what rounding made negative."""
    return math.sqrt(x) if x > 0 else 0.0


def bell(x: float) -> float:
    """The density of a standard Gaussian."""
    return math.exp(-0.5 * x * x) / 2.5066282746310002 if abs(x) < 38 else 0.0


def below(x: float) -> float:
    """The part of a standard Gaussian that lies below x."""
    return 0.5 * math.erfc(-x / 1.4142135623730951)


def gaussian_size(mean: float, square: float) -> float:
    """The mean absolute value of a Gaussian."""
    if not math.isfinite(square):
        return square
    deviation = root(square - mean * mean)
    if not mean:
        return deviation * GAUSSIAN_SIZE
    if deviation <= 1e-12 * abs(mean):
        return abs(mean)
    z = mean / deviation
    return 2 * deviation * bell(z) + mean * (1 - 2 * below(-z))


def gaussian(
    mean: float, square: float, level: float, shared: float, cross: float, reach: float, drift: float = 0.0
) -> Values:
    """Values that are a sum of many, and so distributed as a Gaussian."""
    return Values(mean, square, gaussian_size(mean, square), level, shared, cross, reach=reach, drift=drift)


def scaled(values: Values, factor: float, shift: float = 0.0) -> Values:
    """The values times a factor, plus a shift."""
    mean = values.mean * factor + shift
    f2 = factor * factor
    extra = 2 * shift * factor * values.mean + shift * shift
    low, high = values.low * factor + shift, values.high * factor + shift
    if low > high or low != low:
        low, high = high, low
    if factor == 0:
        return constant(shift)
    square = values.square * f2 + extra
    if shift == 0:
        size = values.size * abs(factor)
    elif low >= 0 or high <= 0:
        size = abs(mean)
    else:
        size = _bounded_size(mean, square, low, high)
    return Values(
        mean, square, size, values.level * f2 + extra, values.shared * f2 + extra, values.cross * f2 + extra,
        low, high, values.reach, None, values.drift * factor,
    )  # fmt: skip


def _bounded_size(mean: float, square: float, low: float, high: float) -> float:
    """The mean absolute value of values within bounds: some at either bound, the others evenly between.

    Pixels are like that, with much plain black or white; three numbers fix the mixture.
    """
    span = high - low
    if not math.isfinite(span) or span <= 0 or not math.isfinite(square):
        return gaussian_size(mean, square)
    m = (mean - low) / span
    s = (square - 2 * low * mean + low * low) / (span * span)
    even = 6 * (m - s)
    top = m - even / 2
    bottom = 1 - even - top
    if not (0 <= even <= 1 and top >= 0 and bottom >= 0):
        return min(gaussian_size(mean, square), max(abs(low), abs(high)))
    zero = -low / span
    between = span * (zero * zero + (1 - zero) * (1 - zero)) / 2
    return top * abs(high) + bottom * abs(low) + even * between


def near(values: Values, distance: float) -> float:
    """The second moment of two values of one item that lie so far apart."""
    if values.reach == INFINITE:
        return values.square
    return values.level + (values.square - values.level) * math.exp(-distance / max(values.reach, 0.05))


def rectified_correlation(rho: float) -> float:
    """The correlation of two rectified Gaussians (the arc-cosine kernel of Cho and Saul 2009, centred)."""
    if rho >= 1:
        return 1.0
    rho = rho if rho > -1 else -1.0
    kernel = math.sqrt(1 - rho * rho) + rho * (math.pi - math.acos(rho))
    return (kernel - 1) / (math.pi - 1)


def correlated(values: Values, mean: float, square: float, by: float | None = None) -> tuple[float, float, float]:
    """`level`, `shared` and `cross` after a function of each value gave a new mean and square.

    `by` is an exponent-free choice of how correlations change: None for rectifiers, else they are kept.
    """
    m2 = values.mean * values.mean
    variance = values.square - m2
    least = mean * mean
    new = max(0.0, square - least)
    if not 0 < variance < INFINITE:
        return (least + new,) * 3 if by is None else (least + new * by,) * 3
    level, shared, cross = (
        (values.level - m2) / variance,
        (values.shared - m2) / variance,
        (values.cross - m2) / variance,
    )
    if by is None:
        return (
            least + new * rectified_correlation(level),
            least + new * rectified_correlation(shared),
            least + new * rectified_correlation(cross),
        )
    by *= new
    return (
        least + by * min(1.0, max(-1.0, level)),
        least + by * min(1.0, max(-1.0, shared)),
        least + by * min(1.0, max(-1.0, cross)),
    )


def rectified(values: Values, slope: float = 0.0) -> Values:
    """max(x, 0) + slope * min(x, 0) of Gaussian values."""
    if values.low >= 0:
        return values
    if not math.isfinite(values.square):
        return values
    deviation = root(values.variance)
    mean = values.mean
    if deviation <= 1e-9 * abs(mean):
        return scaled(values, 1.0 if mean >= 0 else slope)
    z = mean / deviation
    over = below(z)
    up_mean = mean * over + deviation * bell(z)
    up_square = (mean * mean + deviation * deviation) * over + mean * deviation * bell(z)
    up_mean, up_square = max(up_mean, 0.0), max(up_square, 0.0)
    if values.high <= 0:
        up_mean = up_square = 0.0
    new_mean = up_mean + slope * (mean - up_mean)
    new_square = up_square + slope * slope * max(0.0, values.square - up_square)
    # What is known of the size of values that are no Gaussians holds for their halves.
    heavy = values.size / max(gaussian_size(mean, values.square), 1e-300)
    up_size = up_mean * min(1.0, heavy) if abs(z) < 1 else up_mean
    size = up_size + abs(slope) * max(0.0, up_mean - mean)
    level, shared, cross = correlated(values, new_mean, new_square)
    return Values(
        new_mean, new_square, size, level, shared, cross, 0.0 if slope >= 0 and values.low < 0 and not slope else
        values.low, max(values.high, 0.0), values.reach, values if not slope else None, values.drift * over,
    )  # fmt: skip


def part_over(values: Values, bound: float = 0.0) -> float:
    """The part of Gaussian values that lies over a bound."""
    if values.low >= bound and values.latent is None:
        return 1.0 if values.square > 0 or values.low > bound else 0.0
    deviation = root(values.variance)
    if deviation <= 1e-9 * abs(values.mean) or not math.isfinite(deviation):
        return 1.0 if values.mean > bound else 0.0
    return below((values.mean - bound) / deviation)


# Points and weights of Gauss and Hermite's quadrature for the standard Gaussian, 9 points.
_POINTS = (
    (0.0, 0.4063492063492063), (1.0232556637891326, 0.2440975028949394), (2.0768479786778302, 0.04991640676521779),
    (3.205429002856470, 0.002789141321231769), (4.512745863399783, 2.234584400774658e-05),
)  # fmt: skip


def mapped(values: Values, function, slope=None, odd_gain: float = 1.0) -> tuple[Values, float]:  # type: ignore[no-untyped-def]
    """A smooth function of Gaussian values, and the mean square of its slope."""
    deviation = root(values.variance) if math.isfinite(values.square) else 1e18
    mean = square = size = steep = lean = 0.0
    for point, weight in _POINTS:
        for sign in (1.0, -1.0) if point else (1.0,):
            x = values.mean + sign * point * deviation
            x = min(max(x, values.low), values.high)
            y = function(x)
            mean += weight * y
            square += weight * y * y
            size += weight * abs(y)
            if slope is not None:
                d = slope(x)
                steep += weight * d * d
                lean += weight * d
    level, shared, cross = correlated(values, mean, square, odd_gain)
    result = Values(
        mean, square, size, level, shared, cross, function(max(values.low, -1e30)), function(min(values.high, 1e30)),
        values.reach, None, values.drift * lean,
    )  # fmt: skip
    return result, steep


def gated(
    diffs: Diffs, part: float, correlation: tuple[float, float, float], gain: float = 1.0, after: Values | None = None
) -> Diffs:
    """Gradients behind a gate that lets a part through; gates of related values open together."""
    g2 = gain * gain
    both = part * part
    one = part - both
    level, shared, cross = correlation
    return Diffs(
        diffs.square * part * g2, diffs.size * part * abs(gain), diffs.level * (both + one * level) * g2,
        diffs.shared * (both + one * shared) * g2, diffs.cross * (both + one * cross) * g2, None,
        diffs.drift * part * gain, diffs.echo * part, after,
    )  # fmt: skip


def gate_correlations(values: Values) -> tuple[float, float, float]:
    """How far signs of two values go together (Sheppard 1899): 2/pi times the arc sine of their correlation."""
    m2 = values.mean * values.mean
    variance = values.square - m2
    if not 0 < variance < INFINITE:
        return 1.0, 1.0, 1.0
    return (
        _sign_correlation((values.level - m2) / variance),
        _sign_correlation((values.shared - m2) / variance),
        _sign_correlation((values.cross - m2) / variance),
    )


def _sign_correlation(rho: float) -> float:
    return 2 / math.pi * math.asin(rho if -1 < rho < 1 else 1.0 if rho >= 1 else -1.0)


def times(diffs: Diffs, factor: float) -> Diffs:
    """Gradients times a factor."""
    f2 = factor * factor
    return Diffs(
        diffs.square * f2, diffs.size * abs(factor), diffs.level * f2, diffs.shared * f2, diffs.cross * f2,
        diffs.alive, diffs.drift * factor, diffs.echo * factor * factor,
    )  # fmt: skip


def added(a: Diffs, b: Diffs) -> Diffs:
    """The sum of two gradients that have nothing to do with each other."""
    square = a.square + b.square
    if a.square == 0 or b.square == 0:
        return (b if a.square == 0 else a)._replace(alive=None, open=None)
    # Two distributions that are not alike: the mean absolute value lies between that of the larger and the sum.
    size = min(math.hypot(a.size, b.size), a.size + b.size) if math.isfinite(square) else square
    return Diffs(
        square, size, a.level + b.level, a.shared + b.shared, a.cross + b.cross, None, a.drift + b.drift,
        a.echo + b.echo,
    )  # fmt: skip


def mixture(parts: Sequence[Values], sizes: Sequence[float]) -> Values:
    """Values of several blobs in one."""
    if len(parts) == 1:
        return parts[0]
    whole = sum(sizes)
    mean = square = each = level = shared = cross = drift = 0.0
    low, high, reach = INFINITE, -INFINITE, INFINITE
    rectifies = True
    for part, size in zip(parts, sizes, strict=True):
        share = size / whole
        mean += share * part.mean
        square += share * part.square
        each += share * part.size
        level += share * part.level
        shared += share * part.shared
        cross += share * part.cross
        drift += share * part.drift
        low, high, reach = min(low, part.low), max(high, part.high), min(reach, part.reach)
        rectifies = rectifies and part.latent is not None
    latent = mixture([part.latent for part in parts if part.latent is not None], sizes) if rectifies else None
    return Values(mean, square, each, level, shared, cross, low, high, reach, latent, drift)


def beside(parts: Sequence[Values], sizes: Sequence[float]) -> Values:
    """Values of several blobs in one that tells them apart. What these are made of themselves is forgotten."""
    if len(parts) == 1:
        return parts[0]
    whole = sum(sizes)
    kept = tuple((size / whole, part._replace(parts=())) for part, size in zip(parts, sizes, strict=True))
    return mixture(parts, sizes)._replace(parts=kept)
