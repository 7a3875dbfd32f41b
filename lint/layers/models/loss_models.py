"""Losses: their value in the first iteration, the gradient they send down, and their curvature.

The divisors are those of facts that were read from Caffe's source: see `layers.loss.loss_normalization`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ...moments.signal_model import SignalModel, shape_of
from ...moments.statistics import BAD_DIFFS, NO_DIFFS, NOTHING, Diffs, Values, constant, mapped, part_over, root
from ..loss import LOSS_PARAM, TWICE_BATCH, loss_normalization
from .elementwise import sigmoid, softplus

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...moments.signal_model import SignalContext
    from ...moments.weights import Weights

LARGEST_TERM = 87.3365  # -log(FLT_MIN), softmax_loss_layer.cpp
_LARGEST_INFOGAIN = 46.0517  # -log(1e-20), infogain_loss_layer.cpp
FLOAT_STEP = 6e-8  # smaller differences are lost beside 1
_CLASSES = 48  # as many quantiles stand for more classes


@lru_cache(maxsize=256)
def quantiles(number: int) -> tuple[float, ...]:
    """The middle values of so many equal parts of a standard Gaussian, made to have variance 1."""
    if number < 2:
        return (0.0,) * number
    found = []
    for i in range(number):
        wanted = (i + 0.5) / number
        low, high = -8.0, 8.0
        for _ in range(40):
            middle = (low + high) / 2
            if 0.5 * math.erfc(-middle / math.sqrt(2)) < wanted:
                low = middle
            else:
                high = middle
        found.append((low + high) / 2)
    spread = math.sqrt(sum(x * x for x in found) / number)
    return tuple(x / spread for x in found)


def shares(deviation: float, classes: int) -> list[float]:
    """Probabilities that a softmax makes of Gaussian scores; each stands for as many classes as any other."""
    number = min(classes, _CLASSES)
    points = quantiles(number)
    deviation = min(deviation, 1e30)
    top = points[-1] * deviation
    each = [math.exp(max(-700.0, x * deviation - top)) for x in points]
    whole = sum(each) * classes / number
    return [x / whole for x in each]


def scores_of(layer_shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """Items, classes and positions of scores."""
    if not layer_shape:
        return 1, 1, 1
    axis = axis if axis >= 0 else axis + len(layer_shape)
    axis = min(max(axis, 0), len(layer_shape) - 1)
    return math.prod(layer_shape[:axis]) or 1, max(1, layer_shape[axis]), math.prod(layer_shape[axis + 1 :]) or 1


class Loss(SignalModel):
    """What losses have in common: the `items`, `outputs` and `positions` of their scores, and the `divisor`.

    One that `compares` has two bottoms of one shape, of which that from a file may have none that is known.
    """

    compares = False

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        alike = layer.bottoms[:2] if self.compares else ()
        self.shape = shape_of(next((blob for blob in alike if blob.count is not None), layer.bottoms[0]))
        self.items, self.outputs, self.positions = scores_of(self.shape, self.axis())
        self.number = self.items * self.outputs * self.positions
        self.divisor = self.read_divisor()

    def axis(self) -> int:
        """The axis of outputs."""
        return 1

    def read_divisor(self) -> float:
        """What the sum is divided by."""
        kind = self.layer.kind
        if kind is not None and kind.normalization == LOSS_PARAM:
            how = loss_normalization(self.layer)
            how = {0: "FULL", 1: "VALID", 2: "BATCH_SIZE", 3: "NONE"}.get(how, how)  # type: ignore[call-overload]
            by = {"BATCH_SIZE": self.items, "NONE": 1}.get(how, self.items * self.positions)
            return float(by)
        if kind is not None and kind.normalization == TWICE_BATCH:
            return 2.0 * self.items
        return float(self.items)

    def value(self, bottoms: Sequence[Values]) -> float:
        """The loss before its weight."""
        return 0.0

    def floor(self, bottoms: Sequence[Values]) -> float:
        """The loss, before its weight, of a net that gives the same best answer to every item."""
        return 0.0

    def answer(self, bottoms: Sequence[Values]) -> float:
        """How large outputs are, by their root mean square, that tell items apart."""
        return 1.0

    def slope(self, bottoms: Sequence[Values]) -> Diffs:
        """The gradient of the first bottom, for a weight of 1."""
        return NO_DIFFS

    def curvature(self, bottoms: Sequence[Values]) -> float:
        """The second derivative by one output of the net, all items moved alike, before divisor and weight."""
        return 1.0

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return [constant(self.value(bottoms))] * len(self.layer.tops)

    def down(self, bottoms: Sequence[Values], weight: float) -> list[Diffs]:
        """The gradients of the bottoms, for a loss weight."""
        slope = self.slope(bottoms)
        w2 = weight * weight
        first = Diffs(
            slope.square * w2, slope.size * abs(weight), slope.level * w2, slope.shared * w2, slope.cross * w2, None,
            slope.drift * weight, slope.echo * weight,
        )  # fmt: skip
        return self.each(first)

    def each(self, first: Diffs) -> list[Diffs]:
        """The gradients of all bottoms: of most losses only the first has one."""
        return [first] + [NO_DIFFS] * (len(self.layer.bottoms) - 1)

    def probe(self, bottoms: Sequence[Values], weight: float) -> list[Diffs]:
        """Gradients whose parameter gradients have the sum of squares that is the loss's curvature.

        The direction is the steepest of ordinary nets: one in which the outputs of all items move together.
        By Gauss and Newton the curvature by the weights is that by the outputs times the square of the
        outputs' slopes, and these are what a gradient of 1 at the output becomes on its way down.
        """
        terms = self.items * self.positions
        square = abs(weight) * self.curvature(bottoms) / (self.outputs * terms * self.divisor)
        size = root(square)
        return self.each(Diffs(square, size, square, square, square, None, size))


class Scores(Loss):
    """Losses over the scores of classes."""

    def axis(self) -> int:
        name = "infogain_loss_param" if self.layer.type == "InfogainLoss" else "softmax_param"
        param = self.layer.message.get(name)
        return 1 if param is None else int(param["axis"])


def common_square(values: Values, moment: float, classes: int) -> float:
    """The mean square of what the probabilities of items have in common, over an even distribution."""
    m2 = values.mean * values.mean
    spread = max(0.0, min(moment, values.square) - m2)
    own = max(0.0, values.variance - spread)
    chances = shares(math.sqrt(spread / (1 + own * math.pi / 8)) if math.isfinite(spread) else 1e30, classes)
    even = 1 / classes
    return sum((p - even) ** 2 for p in chances) / len(chances)


def common_drift(values: Values, classes: int) -> float:
    """The signed size of what the probabilities of all items have in common, over an even distribution.

    It pushes back the scores that all items have in common: those that the first weights happen to give them, and
    what training has moved since.
    """
    given = root(values.cross - values.mean * values.mean - values.drift * values.drift)
    common = given + values.drift
    square = max(values.square, common * common)
    each = common_square(values._replace(mean=0.0, square=square), common * common, classes)
    return math.copysign(root(each), common)


class SoftmaxWithLoss(Scores):
    """The mean of -log p (softmax_loss_layer.cpp)."""

    def value(self, bottoms: Sequence[Values]) -> float:
        return softmax_loss(bottoms[0], self.outputs, LARGEST_TERM) * self.items * self.positions / self.divisor

    def floor(self, bottoms: Sequence[Values]) -> float:
        return math.log(self.outputs) * self.items * self.positions / self.divisor

    def slope(self, bottoms: Sequence[Values]) -> Diffs:
        return softmax_slope(bottoms[0], self.outputs, self.positions, self.divisor)

    def curvature(self, bottoms: Sequence[Values]) -> float:
        return 1.0 / self.outputs


def softmax_loss(values: Values, classes: int, largest: float) -> float:
    """The mean of -log p over Gaussian scores."""
    if not math.isfinite(values.square):
        return math.nan
    number = min(classes, _CLASSES)
    points = quantiles(number)
    deviation = root(values.variance)
    top = points[-1] * deviation
    whole = top + math.log(sum(math.exp(max(-700.0, x * deviation - top)) for x in points) * classes / number)
    return sum(min(largest, whole - x * deviation) for x in points) / number


def softmax_slope(values: Values, classes: int, positions: int, by: float) -> Diffs:
    """p - y, for labels that have nothing to do with the scores."""
    if not math.isfinite(values.square):
        return BAD_DIFFS
    deviation = root(values.variance)
    chances = shares(deviation, classes)
    number = len(chances)
    even = 1 / classes
    square = sum(p * p * (1 - even) + (1 - p) ** 2 * even for p in chances) / number
    size = 2 * (1 - even) * even
    shared = common_square(values, values.shared, classes)
    if positions > 1:
        level = min(square, common_square(values, values.level, classes) + 0.2 * square)
        cross = common_square(values, values.cross, classes)
    else:
        level, cross = square, shared
    drift = common_drift(values, classes)
    b2 = by * by
    # How far p rises with the score: that part of the gradient is the score itself.
    rises = sum((p - even) * x for p, x in zip(chances, quantiles(number), strict=True)) / number
    echo = rises / deviation if deviation else 0.0
    return Diffs(square / b2, size / by, level / b2, shared / b2, cross / b2, None, drift / by, echo / by)


class InfogainLoss(Scores):
    """All logarithms, weighted by a row of the matrix (infogain_loss_layer.cpp).

    A matrix of one value pulls to an even distribution, whatever the labels; any other is taken for diagonal.
    """

    def level(self, bottoms: Sequence[Values]) -> float | None:
        """The value of a matrix that has only one."""
        if len(bottoms) < 3:
            return None
        matrix = bottoms[2]
        return matrix.mean if matrix.low == matrix.high else None

    def scale(self, bottoms: Sequence[Values]) -> float:
        """The size of the entries that are not 0."""
        matrix = bottoms[2] if len(bottoms) > 2 else NOTHING
        return matrix.square / abs(matrix.mean) if matrix.mean else 1.0

    def value(self, bottoms: Sequence[Values]) -> float:
        level = self.level(bottoms)
        factor = self.items * self.positions / self.divisor
        loss = softmax_loss(bottoms[0], self.outputs, _LARGEST_INFOGAIN) * factor
        return loss * (self.scale(bottoms) if level is None else level * self.outputs)

    def floor(self, bottoms: Sequence[Values]) -> float:
        level = self.level(bottoms)
        even = math.log(self.outputs) * self.items * self.positions / self.divisor
        return even * (self.scale(bottoms) if level is None else level * self.outputs)

    def slope(self, bottoms: Sequence[Values]) -> Diffs:
        values = bottoms[0]
        classes, positions, by = self.outputs, self.positions, self.divisor
        level = self.level(bottoms)
        if level is None:
            return softmax_slope(values, classes, positions, by / self.scale(bottoms))
        if not math.isfinite(values.square):
            return BAD_DIFFS
        chances = shares(root(values.variance), classes)
        if values.variance <= FLOAT_STEP * FLOAT_STEP:
            return NO_DIFFS  # an even distribution is what it pulls to
        factor = abs(level) * classes / by
        f2 = factor * factor
        even = 1 / classes
        square = sum((p - even) ** 2 for p in chances) / len(chances) * f2
        size = sum(abs(p - even) for p in chances) / len(chances) * factor
        shared = common_square(values, values.shared, classes) * f2
        among = square if positions == 1 else common_square(values, values.level, classes) * f2
        cross = shared if positions == 1 else common_square(values, values.cross, classes) * f2
        drift = common_drift(values, classes) * factor
        return Diffs(square, size, among, shared, cross, None, drift)

    def curvature(self, bottoms: Sequence[Values]) -> float:
        level = self.level(bottoms)
        return abs(level) if level is not None else self.scale(bottoms) / self.outputs


class MultinomialLogisticLoss(Scores):
    """-log of what it is given for the label; 1e-20 stands for less (multinomial_logistic_loss_layer.cpp)."""

    def value(self, bottoms: Sequence[Values]) -> float:
        values = bottoms[0]
        if values.latent is not None and values.high <= 1:
            return softmax_loss(values.latent, self.outputs, _LARGEST_INFOGAIN)
        dead = 1 - part_over(values)
        return dead * _LARGEST_INFOGAIN - (1 - dead) * math.log(max(values.size, 1e-20))

    def floor(self, bottoms: Sequence[Values]) -> float:
        return math.log(self.outputs)

    def slope(self, bottoms: Sequence[Values]) -> Diffs:
        values = bottoms[0]
        classes, items = self.outputs, self.items
        shared = drift = 0.0
        if values.latent is not None and values.high <= 1:
            chances = shares(root(values.latent.variance), classes)
            inverse = sum(1 / max(p, 1e-20) for p in chances) / len(chances)
            inverse_square = sum(1 / max(p, 1e-20) ** 2 for p in chances) / len(chances)
        else:
            dead = 1 - part_over(values)
            given = 1 / max(values.size, 1e-20)
            inverse, inverse_square = dead * 1e20 + (1 - dead) * given, dead * 1e40 + (1 - dead) * given * given
        size = inverse / (classes * items)
        square = inverse_square / (classes * items * items)
        if values.latent is not None:
            # Behind a softmax, what items have in common is again what their probabilities have.
            factor = classes / items
            shared = common_square(values.latent, values.latent.shared, classes) * factor * factor
            drift = common_drift(values.latent, classes) * factor
        return Diffs(square, size, square, shared, shared, None, drift)

    def curvature(self, bottoms: Sequence[Values]) -> float:
        values = bottoms[0]
        if values.latent is not None and values.high <= 1:
            return float(self.outputs)  # the softmax below takes two factors 1 / classes
        return 1 / max(values.size, 1e-20) ** 2 / self.outputs


class SigmoidCrossEntropyLoss(Loss):
    """log(1 + exp(-x)) and its like (sigmoid_cross_entropy_loss_layer.cpp)."""

    compares = True

    def read_divisor(self) -> float:
        how = loss_normalization(self.layer)
        how = {0: "FULL", 1: "VALID", 2: "BATCH_SIZE", 3: "NONE"}.get(how, how)  # type: ignore[call-overload]
        items = max(1, self.shape[0]) if self.shape else 1
        return float({"BATCH_SIZE": items, "NONE": 1}.get(how, self.number))

    def value(self, bottoms: Sequence[Values]) -> float:
        values, targets = bottoms[0], bottoms[1]
        if not math.isfinite(values.square):
            return math.nan
        mean = mapped(values, softplus)[0].mean - values.mean * targets.mean
        return mean * self.number / self.divisor

    def floor(self, bottoms: Sequence[Values]) -> float:
        part = min(max(bottoms[1].mean, 0.0), 1.0)
        entropy = -sum(p * math.log(p) for p in (part, 1 - part) if p > 0)
        return entropy * self.number / self.divisor

    def slope(self, bottoms: Sequence[Values]) -> Diffs:
        values, targets = bottoms[0], bottoms[1]
        if not math.isfinite(values.square):
            return BAD_DIFFS
        chance, _ = mapped(values, sigmoid)
        return difference(chance, targets, 1 / self.divisor)

    def curvature(self, bottoms: Sequence[Values]) -> float:
        return 0.25


def difference(a: Values, b: Values, factor: float) -> Diffs:
    """The gradient (a - b) times a factor, for values that have only their means to do with each other."""
    extra = -2 * a.mean * b.mean
    f2 = factor * factor
    square, level, shared, cross = (
        max(0.0, (x + y + extra)) * f2
        for x, y in ((a.square, b.square), (a.level, b.level), (a.shared, b.shared), (a.cross, b.cross))
    )
    mean = (a.mean - b.mean) * factor
    size = max(abs(mean), 0.82 * root(square)) if mean * mean < square else abs(mean)
    # The force on what all items have in common: towards the mean of the targets.
    drift = math.copysign(root(cross), a.drift - b.mean if a.drift else -b.mean or 1.0)
    return Diffs(square, size, level, shared, cross, None, drift)


class EuclideanLoss(Loss):
    """Half the sum of squares by item (euclidean_loss_layer.cpp); smooth L1 is that near 0."""

    compares = True

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.is_square = layer.type == "EuclideanLoss"

    def value(self, bottoms: Sequence[Values]) -> float:
        gap = self.gap(bottoms)
        number = self.number / self.divisor
        return (gap.square / 2 if self.is_square else min(gap.square / 2, gap.size)) * number

    def floor(self, bottoms: Sequence[Values]) -> float:
        if len(bottoms) < 2:
            return 0.0
        square = max(0.0, bottoms[1].square - bottoms[1].cross)
        number = self.number / self.divisor
        return (square / 2 if self.is_square else min(square / 2, root(square))) * number

    def answer(self, bottoms: Sequence[Values]) -> float:
        return root(bottoms[1].square) if len(bottoms) > 1 else 1.0

    def gap(self, bottoms: Sequence[Values]) -> Diffs:
        """The differences."""
        return difference(bottoms[0], bottoms[1] if len(bottoms) > 1 else constant(0.0), 1.0)

    def slope(self, bottoms: Sequence[Values]) -> Diffs:
        gap = self.gap(bottoms)
        by = self.divisor
        if not self.is_square and gap.square > 1:
            by *= root(gap.square)  # the slope ends at 1
        b2 = by * by
        return Diffs(
            gap.square / b2, gap.size / by, gap.level / b2, gap.shared / b2, gap.cross / b2, None, gap.drift / by,
            1 / by,
        )  # fmt: skip

    def each(self, first: Diffs) -> list[Diffs]:
        return [first, first, *[NO_DIFFS] * len(self.layer.bottoms)][: len(self.layer.bottoms)]


class HingeLoss(Scores):
    """Margins of 1 (hinge_loss_layer.cpp)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.squared = layer.message["hinge_loss_param"]["norm"] in ("L2", 2)

    def value(self, bottoms: Sequence[Values]) -> float:
        values = bottoms[0]
        each = 1 + values.square if self.squared else 1 + max(0.0, values.size - 1)
        return each * self.outputs * self.positions

    def floor(self, bottoms: Sequence[Values]) -> float:
        return (4.0 if self.squared else 2.0) * self.positions  # all scores at -1

    def slope(self, bottoms: Sequence[Values]) -> Diffs:
        values = bottoms[0]
        by = self.divisor
        deviation = max(root(values.variance), 1e-9)
        mean = values.mean + 1
        active = part_over(values._replace(mean=mean, square=deviation**2 + mean**2, low=-math.inf, latent=None))
        each = 4 * (1 + values.square) * active if self.squared else active
        common = (1 - 2 / self.outputs) ** 2 * each
        size = 2 * root(1 + values.square) * active if self.squared else active
        b2 = by * by
        drift = root(common) / by
        return Diffs(each / b2, size / by, each / b2, common / b2, common / b2, None, drift)

    def curvature(self, bottoms: Sequence[Values]) -> float:
        return 2.0 if self.squared else 0.5


class ContrastiveLoss(Loss):
    """Pairs that should be near or far (contrastive_loss_layer.cpp)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.margin: float = layer.message["contrastive_loss_param"]["margin"]

    def value(self, bottoms: Sequence[Values]) -> float:
        a, b = bottoms[0], bottoms[1]
        far = self.number / self.items * max(0.0, a.square + b.square - 2 * a.shared)
        return (0.5 * far + 0.5 * max(0.0, self.margin - root(far)) ** 2) / 2

    def slope(self, bottoms: Sequence[Values]) -> Diffs:
        gap = max(0.0, bottoms[0].square + bottoms[1].square - 2 * bottoms[0].shared)
        square = gap / (self.items * self.items)
        return Diffs(square, 0.8 * root(square), square, 0.0, 0.0)

    def each(self, first: Diffs) -> list[Diffs]:
        return [first, first, *[NO_DIFFS] * len(self.layer.bottoms)][: len(self.layer.bottoms)]
