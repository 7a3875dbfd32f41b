"""Losses: their value in the first iteration, the gradient they send down, and their curvature.

The divisors are those of facts that were read from Caffe's source: see `layers.loss.loss_normalization`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from ..layers.loss import LOSS_PARAM, TWICE_BATCH, loss_normalization
from .carriers import Carrier, Gradient, Step, carries, shape_of, size_of
from .statistics import NO_DIFFS, Diffs, Values, constant, part_over, root

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


def shares(deviation: float, classes: int) -> tuple[list[float], list[float]]:
    """Probabilities that a softmax makes of Gaussian scores, and how much of the classes each stands for."""
    number = min(classes, _CLASSES)
    points = quantiles(number)
    deviation = min(deviation, 1e30)
    top = points[-1] * deviation
    each = [math.exp(max(-700.0, x * deviation - top)) for x in points]
    whole = sum(each) * classes / number
    return [x / whole for x in each], [1 / number] * number


def scores_of(layer_shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """Items, classes and positions of scores."""
    if not layer_shape:
        return 1, 1, 1
    axis = axis if axis >= 0 else axis + len(layer_shape)
    axis = min(max(axis, 0), len(layer_shape) - 1)
    return math.prod(layer_shape[:axis]) or 1, max(1, layer_shape[axis]), math.prod(layer_shape[axis + 1 :]) or 1


class Loss(Carrier):
    """What losses have in common; `weight` is the loss weight of the top."""

    def value(self, step: Step) -> float:
        """The loss before its weight."""
        return 0.0

    def slope(self, step: Step) -> Diffs:
        """The gradient of the first bottom, for a weight of 1."""
        return NO_DIFFS

    def curvature(self, step: Step) -> float:
        """The second derivative by one output of the net, all items moved alike, before divisor and weight."""
        return 1.0

    def places(self, step: Step) -> tuple[int, int, int]:
        """Items, outputs and positions."""
        return scores_of(shape_of(step.layer.bottoms[0]), 1)

    def divisor(self, step: Step) -> float:
        """What the sum is divided by."""
        items, _, positions = self.places(step)
        kind = step.layer.kind
        if kind is not None and kind.normalization == LOSS_PARAM:
            how = loss_normalization(step.layer)
            how = {0: "FULL", 1: "VALID", 2: "BATCH_SIZE", 3: "NONE"}.get(how, how)  # type: ignore[call-overload]
            by = {"BATCH_SIZE": items, "NONE": 1}.get(how, items * positions)
            return float(by)
        if kind is not None and kind.normalization == TWICE_BATCH:
            return 2.0 * items
        return float(items)

    def forward(self, step: Step) -> list[Values]:
        return [constant(self.value(step))] * len(step.layer.tops)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        weight = diffs[0].drift if diffs else 1.0  # how Caffe hands it down: as the gradient of the top
        slope = self.slope(step)
        w2 = weight * weight
        down = Diffs(
            slope.square * w2, slope.size * abs(weight), slope.level * w2, slope.shared * w2, slope.cross * w2, None,
            slope.drift * weight, slope.echo * weight,
        )  # fmt: skip
        return [down] + [self.second(step, down)] + [NO_DIFFS] * max(0, len(step.layer.bottoms) - 2), []

    def second(self, step: Step, down: Diffs) -> Diffs:
        """The gradient of the second bottom."""
        return NO_DIFFS

    def probe(self, step: Step, weight: float) -> Diffs:
        """A gradient whose parameter gradients have the sum of squares that is the loss's curvature.

        The direction is the steepest of ordinary nets: one in which the outputs of all items move together.
        By Gauss and Newton the curvature by the weights is that by the outputs times the square of the
        outputs' slopes, and these are what a gradient of 1 at the output becomes on its way down.
        """
        items, outputs, positions = self.places(step)
        terms = items * positions
        square = abs(weight) * self.curvature(step) / (outputs * terms * self.divisor(step))
        size = root(square)
        return Diffs(square, size, square, square, square, None, size)


class Scores(Loss):
    """Losses over the scores of classes."""

    def places(self, step: Step) -> tuple[int, int, int]:
        name = "infogain_loss_param" if step.layer.type == "InfogainLoss" else "softmax_param"
        param = step.layer.message.get(name)
        return scores_of(shape_of(step.layer.bottoms[0]), 1 if param is None else param["axis"])

    def common(self, values: Values, moment: float, classes: int) -> float:
        """The mean square of what the probabilities of items have in common, over an even distribution."""
        m2 = values.mean * values.mean
        spread = max(0.0, min(moment, values.square) - m2)
        own = max(0.0, values.variance - spread)
        chances, _ = shares(math.sqrt(spread / (1 + own * math.pi / 8)) if math.isfinite(spread) else 1e30, classes)
        even = 1 / classes
        return sum((p - even) ** 2 for p in chances) / len(chances)


def common_drift(loss: Scores, values: Values, classes: int) -> float:
    """The signed size of what the probabilities of all items have in common, over an even distribution.

    It pushes back the scores that all items have in common: those that the first weights happen to give them, and
    what training has moved since.
    """
    given = root(values.cross - values.mean * values.mean - values.drift * values.drift)
    common = given + values.drift
    square = max(values.square, common * common)
    each = loss.common(values._replace(mean=0.0, square=square), common * common, classes)
    return math.copysign(root(each), common)


@carries("SoftmaxWithLoss", "SoftmaxWithLossOHEM")
class SoftmaxWithLoss(Scores):
    """The mean of -log p (softmax_loss_layer.cpp)."""

    def value(self, step: Step) -> float:
        values = step.bottoms[0]
        items, classes, positions = self.places(step)
        return softmax_loss(values, classes, LARGEST_TERM) * items * positions / self.divisor(step)

    def slope(self, step: Step) -> Diffs:
        values = step.bottoms[0]
        _, classes, positions = self.places(step)
        by = self.divisor(step)
        return softmax_slope(self, values, classes, positions, by)

    def curvature(self, step: Step) -> float:
        return 1.0 / self.places(step)[1]


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


def softmax_slope(loss: Scores, values: Values, classes: int, positions: int, by: float) -> Diffs:
    """p - y, for labels that have nothing to do with the scores."""
    if not math.isfinite(values.square):
        return Diffs(math.nan, math.nan, math.nan, math.nan, math.nan)
    chances, weights = shares(root(values.variance), classes)
    even = 1 / classes
    square = sum(w * (p * p * (1 - even) + (1 - p) ** 2 * even) for p, w in zip(chances, weights, strict=True))
    size = 2 * (1 - even) * even
    shared = loss.common(values, values.shared, classes)
    if positions > 1:
        level = min(square, loss.common(values, values.level, classes) + 0.2 * square)
        cross = loss.common(values, values.cross, classes)
    else:
        level, cross = square, shared
    drift = common_drift(loss, values, classes)
    b2 = by * by
    # How far p rises with the score: that part of the gradient is the score itself.
    points = quantiles(len(chances))
    deviation = root(values.variance)
    echo = (
        sum((p - even) * x for p, x in zip(chances, points, strict=True)) / len(points) / deviation
        if deviation
        else 0.0
    )
    return Diffs(square / b2, size / by, level / b2, shared / b2, cross / b2, None, drift / by, echo / by)


@carries("InfogainLoss")
class InfogainLoss(Scores):
    """All logarithms, weighted by a row of the matrix (infogain_loss_layer.cpp).

    A matrix of one value pulls to an even distribution, whatever the labels; any other is taken for diagonal.
    """

    def matrix(self, step: Step) -> Values:
        """The matrix."""
        return step.bottoms[2] if len(step.bottoms) > 2 else constant(0.0)

    def level(self, step: Step) -> float | None:
        """The value of a matrix that has only one."""
        matrix = self.matrix(step)
        return matrix.mean if len(step.bottoms) > 2 and matrix.low == matrix.high else None

    def scale(self, step: Step) -> float:
        """The size of the entries that are not 0."""
        matrix = self.matrix(step)
        return matrix.square / abs(matrix.mean) if matrix.mean else 1.0

    def value(self, step: Step) -> float:
        values = step.bottoms[0]
        items, classes, positions = self.places(step)
        level = self.level(step)
        factor = items * positions / self.divisor(step)
        loss = softmax_loss(values, classes, _LARGEST_INFOGAIN) * factor
        return loss * (self.scale(step) if level is None else level * classes)

    def slope(self, step: Step) -> Diffs:
        values = step.bottoms[0]
        _, classes, positions = self.places(step)
        level = self.level(step)
        by = self.divisor(step)
        if level is None:
            return softmax_slope(self, values, classes, positions, by / self.scale(step))
        if not math.isfinite(values.square):
            return Diffs(math.nan, math.nan, math.nan, math.nan, math.nan)
        chances, weights = shares(root(values.variance), classes)
        if values.variance <= FLOAT_STEP * FLOAT_STEP:
            return NO_DIFFS  # an even distribution is what it pulls to
        factor = abs(level) * classes / by
        f2 = factor * factor
        even = 1 / classes
        square = sum(w * (p - even) ** 2 for p, w in zip(chances, weights, strict=True)) * f2
        size = sum(w * abs(p - even) for p, w in zip(chances, weights, strict=True)) * factor
        shared = self.common(values, values.shared, classes) * f2
        among = square if positions == 1 else self.common(values, values.level, classes) * f2
        cross = shared if positions == 1 else self.common(values, values.cross, classes) * f2
        drift = common_drift(self, values, classes) * factor
        return Diffs(square, size, among, shared, cross, None, drift)

    def curvature(self, step: Step) -> float:
        level = self.level(step)
        return abs(level) if level is not None else self.scale(step) / self.places(step)[1]


@carries("MultinomialLogisticLoss")
class MultinomialLogisticLoss(Scores):
    """-log of what it is given for the label; 1e-20 stands for less (multinomial_logistic_loss_layer.cpp)."""

    def value(self, step: Step) -> float:
        values = step.bottoms[0]
        _, classes, _ = self.places(step)
        if values.latent is not None and values.high <= 1:
            return softmax_loss(values.latent, classes, _LARGEST_INFOGAIN)
        dead = 1 - part_over(values)
        return dead * _LARGEST_INFOGAIN - (1 - dead) * math.log(max(values.size, 1e-20))

    def slope(self, step: Step) -> Diffs:
        values = step.bottoms[0]
        items, classes, _ = self.places(step)
        if values.latent is not None and values.high <= 1:
            chances, weights = shares(root(values.latent.variance), classes)
            inverse = [1 / max(p, 1e-20) for p in chances]
        else:
            dead = 1 - part_over(values)
            inverse, weights = [1e20, 1 / max(values.size, 1e-20)], [dead, 1 - dead]
        size = sum(w * x for x, w in zip(inverse, weights, strict=True)) / (classes * items)
        square = sum(w * x * x for x, w in zip(inverse, weights, strict=True)) / (classes * items * items)
        # Behind a softmax, what items have in common is again what their probabilities have.
        shared = 0.0
        drift = 0.0
        if values.latent is not None:
            factor = (classes / items) ** 2
            shared = self.common(values.latent, values.latent.shared, classes) * factor
            drift = common_drift(self, values.latent, classes) * classes / items
        return Diffs(square, size, square, shared, shared, None, drift)

    def curvature(self, step: Step) -> float:
        values = step.bottoms[0]
        classes = self.places(step)[1]
        if values.latent is not None and values.high <= 1:
            return float(classes)  # the softmax below takes two factors 1 / classes
        return 1 / max(values.size, 1e-20) ** 2 / classes


@carries("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(Loss):
    """log(1 + exp(-x)) and its like (sigmoid_cross_entropy_loss_layer.cpp)."""

    def divisor(self, step: Step) -> float:
        shape = shape_of(step.layer.bottoms[0])
        how = loss_normalization(step.layer)
        how = {0: "FULL", 1: "VALID", 2: "BATCH_SIZE", 3: "NONE"}.get(how, how)  # type: ignore[call-overload]
        items = max(1, shape[0]) if shape else 1
        return float({"BATCH_SIZE": items, "NONE": 1}.get(how, size_of(step.layer.bottoms[0])))

    def value(self, step: Step) -> float:
        from .elementwise import _softplus
        from .statistics import mapped

        values, targets = step.bottoms[0], step.bottoms[1]
        if not math.isfinite(values.square):
            return math.nan
        mean = mapped(values, _softplus)[0].mean - values.mean * targets.mean
        return mean * size_of(step.layer.bottoms[0]) / self.divisor(step)

    def slope(self, step: Step) -> Diffs:
        from .elementwise import _sigmoid
        from .statistics import mapped

        values, targets = step.bottoms[0], step.bottoms[1]
        if not math.isfinite(values.square):
            return Diffs(math.nan, math.nan, math.nan, math.nan, math.nan)
        chance, _ = mapped(values, _sigmoid)
        return difference(chance, targets, 1 / self.divisor(step))

    def curvature(self, step: Step) -> float:
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


@carries("EuclideanLoss", "L1Loss", "ManhattanLoss", "SmoothL1Loss", "SmoothL1LossOHEM", "WeightedEuclideanLoss")
class EuclideanLoss(Loss):
    """Half the sum of squares by item (euclidean_loss_layer.cpp); smooth L1 is that near 0."""

    def value(self, step: Step) -> float:
        gap = self.gap(step)
        number = size_of(step.layer.bottoms[0]) / self.divisor(step)
        if step.layer.type in ("EuclideanLoss", "WeightedEuclideanLoss"):
            return gap.square * number / 2
        return min(gap.square / 2, gap.size) * number

    def gap(self, step: Step) -> Diffs:
        """The differences."""
        a = step.bottoms[0]
        b = step.bottoms[1] if len(step.bottoms) > 1 else constant(0.0)
        return difference(a, b, 1.0)

    def slope(self, step: Step) -> Diffs:
        gap = self.gap(step)
        by = self.divisor(step)
        if step.layer.type not in ("EuclideanLoss", "WeightedEuclideanLoss") and gap.square > 1:
            factor = 1 / root(gap.square)  # the slope ends at 1
            by /= factor
        b2 = by * by
        return Diffs(
            gap.square / b2,
            gap.size / by,
            gap.level / b2,
            gap.shared / b2,
            gap.cross / b2,
            None,
            gap.drift / by,
            1 / by,
        )

    def second(self, step: Step, down: Diffs) -> Diffs:
        return down


@carries("HingeLoss")
class HingeLoss(Scores):
    """Margins of 1 (hinge_loss_layer.cpp)."""

    def squared(self, step: Step) -> bool:
        """Whether its norm is L2."""
        return bool(step.layer.message["hinge_loss_param"]["norm"] in ("L2", 2))

    def value(self, step: Step) -> float:
        values = step.bottoms[0]
        _, classes, positions = self.places(step)
        each = 1 + max(0.0, values.size - 1) if not self.squared(step) else 1 + values.square
        return each * classes * positions

    def slope(self, step: Step) -> Diffs:
        values = step.bottoms[0]
        _, classes, _ = self.places(step)
        by = self.divisor(step)
        deviation = max(root(values.variance), 1e-9)
        mean = values.mean + 1
        active = part_over(values._replace(mean=mean, square=deviation**2 + mean**2, low=-math.inf, latent=None))
        each = active if not self.squared(step) else 4 * (1 + values.square) * active
        common = (1 - 2 / classes) ** 2 * each
        size = active if not self.squared(step) else 2 * root(1 + values.square) * active
        b2 = by * by
        drift = root(common) / by
        return Diffs(each / b2, size / by, each / b2, common / b2, common / b2, None, drift)

    def curvature(self, step: Step) -> float:
        return 2.0 if self.squared(step) else 0.5


@carries("ContrastiveLoss")
class ContrastiveLoss(Loss):
    """Pairs that should be near or far (contrastive_loss_layer.cpp)."""

    def distance(self, step: Step) -> float:
        """The mean square of the distance of two items."""
        a, b = step.bottoms[0], step.bottoms[1]
        outputs = size_of(step.layer.bottoms[0]) / self.places(step)[0]
        return outputs * max(0.0, a.square + b.square - 2 * a.shared)

    def value(self, step: Step) -> float:
        margin: float = step.layer.message["contrastive_loss_param"]["margin"]
        far = self.distance(step)
        return (0.5 * far + 0.5 * max(0.0, margin - root(far)) ** 2) / 2

    def slope(self, step: Step) -> Diffs:
        items = self.places(step)[0]
        gap = max(0.0, step.bottoms[0].square + step.bottoms[1].square - 2 * step.bottoms[0].shared)
        square = gap / (items * items)
        return Diffs(square, 0.8 * root(square), square, 0.0, 0.0)

    def second(self, step: Step, down: Diffs) -> Diffs:
        return down


CARRIER_OF_SCORES = SoftmaxWithLoss()
