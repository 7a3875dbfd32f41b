"""Losses: their value in the first iteration, the gradient they send down, and their curvature.

The divisors are those of facts that were read from Caffe's source: see `layers.loss.loss_divisor`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient, SignalModel, shape_of
from ...moments.statistics import (
    BAD_DIFFS,
    GAUSSIAN_MEAN_ABS,
    ZERO_DIFFS,
    Diffs,
    Values,
    constant,
    correlated,
    gaussian_mean_abs,
    mapped,
    rectified,
    root,
    scaled,
    share_above,
    sign_correlations,
)
from ...moments.weights import dims, filled
from ..loss import LARGEST_LOG_TERM, LARGEST_SOFTMAX_TERM, LOSS_PARAM, class_axis, loss_divisor
from .elementwise import sigmoid, softplus
from .linear import chosen_rows, product

if TYPE_CHECKING:
    from ...moments.graph import Blob, Layer, Param
    from ...moments.signal_model import SignalContext
    from ...moments.weights import Weights

FLOAT_STEP = 6e-8  # smaller differences are lost beside 1
_QUANTILES = 48  # quantiles that stand for any larger number of classes, or for a Gaussian, to keep passes fast
_LEAST_PROBABILITY = 1e-20  # kLOG_THRESHOLD, multinomial_logistic_loss_layer.cpp
# The part of the squared gradient of scores that the positions of an item share beside that of their scores, as their
# labels are often the same. Not fitted: a rough estimate.
_SHARE_OF_EQUAL_LABELS = 0.2
_CONTRASTIVE_STEP = 1e-4  # is added to the distance that is divided by, contrastive_loss_layer.cpp
# A sigmoid of Gaussian scores of variance v is one of their mean over sqrt(1 + v pi / 8): MacKay 1992, "The evidence
# framework applied to classification networks".
_PROBIT = math.pi / 8
_EXP_UNDERFLOWS = -700.0  # of a double, with a margin
_LARGEST_DEVIATION = 1e30  # of scores; larger ones would overflow in a square


@lru_cache(maxsize=256)
def normal_quantiles(number: int) -> tuple[float, ...]:
    """The medians of so many equally likely parts of a standard Gaussian, scaled to variance 1."""
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


def softmax_probabilities(deviation: float, classes: int) -> list[float]:
    """The softmax of Gaussian scores with this standard deviation; with more than 48 classes each stands for several."""
    number = min(classes, _QUANTILES)
    points = normal_quantiles(number)
    deviation = min(deviation, _LARGEST_DEVIATION)
    top = points[-1] * deviation
    each = [math.exp(max(_EXP_UNDERFLOWS, x * deviation - top)) for x in points]
    whole = sum(each) * classes / number
    return [x / whole for x in each]


def score_sizes(layer_shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """The numbers of items, classes and positions of scores of this shape, whose classes are along `axis`."""
    if not layer_shape:
        return 1, 1, 1
    axis = axis if axis >= 0 else axis + len(layer_shape)
    if axis >= len(layer_shape):  # one number of each item
        return math.prod(layer_shape) or 1, 1, 1
    axis = max(axis, 0)
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
        self.items, self.outputs, self.positions = score_sizes(self.shape, self.axis())
        self.number = self.items * self.outputs * self.positions
        self.divisor = self.read_divisor()

    def axis(self) -> int:
        """The axis of the outputs."""
        return 1

    def read_divisor(self) -> float:
        """What Caffe divides the sum over all terms by; the half before each square counts as part of the term."""
        kind = self.layer.kind
        if kind is None or kind.normalization != LOSS_PARAM:
            return float(self.items)
        number = self.number_of_terms()
        return loss_divisor(self.layer, self.items, number, number)

    def number_of_terms(self) -> int:
        """The number of terms that FULL and VALID divide by, all labels taken for valid."""
        return self.items * self.positions

    def value(self, bottoms: Sequence[Values]) -> float:
        """The loss before its weight."""
        return 0.0

    def constant_answer_value(self, bottoms: Sequence[Values]) -> float:
        """The loss, before its weight, of the best answer that is the same for every item."""
        return 0.0

    def target_size(self, bottoms: Sequence[Values]) -> float:
        """The root mean square of outputs that tell items apart."""
        return 1.0

    def score_gradient(self, bottoms: Sequence[Values]) -> Diffs:
        """The gradient of the first bottom, for a loss weight of 1."""
        return ZERO_DIFFS

    def curvature(self, bottoms: Sequence[Values]) -> float:
        """The second derivative by one output of the net, all items moved alike, before divisor and weight."""
        return 1.0

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return [constant(self.value(bottoms))] * len(self.layer.tops)

    def gradients(self, bottoms: Sequence[Values], weight: float) -> list[Diffs]:
        """The gradient of each bottom, for a loss weight."""
        slope = self.score_gradient(bottoms)
        w2 = weight * weight
        first = Diffs(
            slope.second_moment * w2,
            slope.mean_abs * abs(weight),
            slope.corr_within_item * w2,
            slope.corr_across_items * w2,
            slope.corr_across_both * w2,
            None,
            slope.common * weight,
            slope.own_value_factor * weight,
            balanced=slope.balanced,
        )
        return self.for_all_bottoms(first)

    def of_params(self, bottoms: Sequence[Values]) -> list[Gradient]:
        """The gradient of each parameter; most losses have none."""
        return []

    def for_all_bottoms(self, first: Diffs) -> list[Diffs]:
        """The gradient of each bottom, from that of the first: of most losses only that one has a gradient."""
        return [first] + [ZERO_DIFFS] * (len(self.layer.bottoms) - 1)

    def curvature_probe(self, bottoms: Sequence[Values], weight: float) -> list[Diffs]:
        """Gradients whose parameter gradients have the sum of squares that is the loss's curvature.

        The direction is the steepest of ordinary nets: one in which the outputs of all items move together.
        By Gauss and Newton the curvature by the weights is that by the outputs times the square of the
        outputs' slopes, and these are what a gradient of 1 at the output becomes on its way down.
        """
        terms = self.items * self.positions
        square = abs(weight) * self.curvature(bottoms) / (self.outputs * terms * self.divisor)
        size = root(square)
        return self.for_all_bottoms(Diffs(square, size, square, square, square, None, size))


class Scores(Loss):
    """Losses over the scores of classes."""

    def axis(self) -> int:
        return class_axis(self.layer)

    def chance(self) -> float:
        """The loss of one item if all scores are 0, as the record of the type gives it."""
        chance = self.layer.traits.chance
        assert chance is not None, self.layer.type
        return chance(self.outputs)


def shared_error_moment(values: Values, moment: float, classes: int) -> float:
    """The mean square of what the probabilities of items have in common, over an even distribution."""
    m2 = values.mean * values.mean
    spread = max(0.0, min(moment, values.second_moment) - m2)
    own = max(0.0, values.variance - spread)
    chances = softmax_probabilities(
        math.sqrt(spread / (1 + own * _PROBIT)) if math.isfinite(spread) else _LARGEST_DEVIATION, classes
    )
    even = 1 / classes
    return sum((p - even) ** 2 for p in chances) / len(chances)


def shared_error(values: Values, classes: int) -> float:
    """The signed size of what the probabilities of all items have in common, over an even distribution.

    It pushes back the scores that all items have in common: those that the first weights happen to give them, and
    what training has moved since.
    """
    given = root(values.corr_across_both - values.mean * values.mean - values.common * values.common)
    common_moment = given + values.common
    square = max(values.second_moment, common_moment * common_moment)
    each = shared_error_moment(values._replace(mean=0.0, second_moment=square), common_moment * common_moment, classes)
    return math.copysign(root(each), common_moment)


class SoftmaxWithLoss(Scores):
    """The mean of -log p (softmax_loss_layer.cpp)."""

    def value(self, bottoms: Sequence[Values]) -> float:
        return softmax_loss(bottoms[0], self.outputs, LARGEST_SOFTMAX_TERM) * self.items * self.positions / self.divisor

    def constant_answer_value(self, bottoms: Sequence[Values]) -> float:
        return self.chance() * self.items * self.positions / self.divisor

    def score_gradient(self, bottoms: Sequence[Values]) -> Diffs:
        return softmax_gradient(bottoms[0], self.outputs, self.positions, self.divisor, likeness_within(bottoms[1]))

    def curvature(self, bottoms: Sequence[Values]) -> float:
        return 1.0 / self.outputs


def softmax_loss(values: Values, classes: int, largest: float) -> float:
    """The mean of -log p over Gaussian scores."""
    if not math.isfinite(values.second_moment):
        return math.nan
    number = min(classes, _QUANTILES)
    points = normal_quantiles(number)
    deviation = root(values.variance)
    top = points[-1] * deviation
    whole = top + math.log(sum(math.exp(max(_EXP_UNDERFLOWS, x * deviation - top)) for x in points) * classes / number)
    return sum(min(largest, whole - x * deviation) for x in points) / number


def softmax_gradient(values: Values, classes: int, positions: int, by: float, likeness: float = 1.0) -> Diffs:
    """p - y, for labels that have nothing to do with the scores; `likeness` is the correlation of those of an item."""
    if not math.isfinite(values.second_moment):
        return BAD_DIFFS
    deviation = root(values.variance)
    chances = softmax_probabilities(deviation, classes)
    number = len(chances)
    even = 1 / classes
    square = sum(p * p * (1 - even) + (1 - p) ** 2 * even for p in chances) / number
    size = 2 * (1 - even) * even
    across = shared_error_moment(values, values.corr_across_items, classes)
    if positions > 1:
        within = min(
            square,
            shared_error_moment(values, values.corr_within_item, classes) + _SHARE_OF_EQUAL_LABELS * likeness * square,
        )
        across_both = shared_error_moment(values, values.corr_across_both, classes)
    else:
        within, across_both = square, across
    common = shared_error(values, classes)
    b2 = by * by
    # How far p rises with the score: that part of the gradient is the score itself.
    rises = sum((p - even) * x for p, x in zip(chances, normal_quantiles(number), strict=True)) / number
    own_value = rises / deviation if deviation else 0.0
    found = Diffs(square / b2, size / by, within / b2, across / b2, across_both / b2, None, common / by, own_value / by)
    return found._replace(balanced=True)


def likeness_within(labels: Values) -> float:
    """The correlation of the labels of an item: 0 where made-up labels are independent, else 1."""
    spread = labels.corr_within_item - labels.mean * labels.mean
    return min(1.0, max(0.0, spread / labels.variance)) if labels.variance else 1.0


class InfogainLoss(Scores):
    """All logarithms, weighted by the label's row of a matrix (infogain_loss_layer.cpp).

    The gradient is the probabilities times the sum of the row, minus the row. A matrix whose moments are those of a diagonal
    one is taken for one; the entries of others are taken as independent of each other. The matrix is the third bottom, or in
    a file that is not read: then it is diagonal with an assumed entry.
    """

    assumes_data = True

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        part = context.assumed.class_weight / self.outputs
        square = part * context.assumed.class_weight
        self.assumed = Values(part, square, part, square, square, square)

    def matrix(self, bottoms: Sequence[Values]) -> Values:
        """The entries of the matrix."""
        return bottoms[2] if len(bottoms) > 2 else self.assumed

    def row_sum(self, bottoms: Sequence[Values]) -> float:
        """The sum of a row of the matrix."""
        return self.outputs * self.matrix(bottoms).mean

    def value(self, bottoms: Sequence[Values]) -> float:
        loss = softmax_loss(bottoms[0], self.outputs, LARGEST_LOG_TERM) * self.items * self.positions / self.divisor
        return loss * self.row_sum(bottoms)

    def constant_answer_value(self, bottoms: Sequence[Values]) -> float:
        return self.chance() * self.items * self.positions / self.divisor * self.row_sum(bottoms)

    def score_gradient(self, bottoms: Sequence[Values]) -> Diffs:
        values, likeness, matrix = bottoms[0], likeness_within(bottoms[1]), self.matrix(bottoms)
        classes, positions = self.outputs, self.positions
        if not math.isfinite(values.second_moment):
            return BAD_DIFFS
        row_sum = abs(self.row_sum(bottoms))
        if row_sum and math.isclose(matrix.second_moment, classes * matrix.mean * matrix.mean):
            return softmax_gradient(values, classes, positions, self.divisor / row_sum, likeness)
        # The entries of a row without their mean. Columns have means of their own, whatever the labels.
        row, column = matrix.variance, matrix.variance / classes
        if row == 0 and values.variance <= FLOAT_STEP * FLOAT_STEP:
            return ZERO_DIFFS  # an even distribution is what it pulls to
        r2, even = row_sum * row_sum, 1 / classes
        uneven = [p - even for p in softmax_probabilities(root(values.variance), classes)]
        square = r2 * sum(x * x for x in uneven) / len(uneven) + row
        size = math.hypot(row_sum * sum(abs(x) for x in uneven) / len(uneven), GAUSSIAN_MEAN_ABS * root(row))
        across = r2 * shared_error_moment(values, values.corr_across_items, classes) + column
        within, across_both = square, across
        if positions > 1:
            same_row = row * _SHARE_OF_EQUAL_LABELS * likeness
            within = min(square, r2 * shared_error_moment(values, values.corr_within_item, classes) + same_row + column)
            across_both = r2 * shared_error_moment(values, values.corr_across_both, classes) + column
        by = self.divisor
        b2, common = by * by, row_sum * shared_error(values, classes) / by
        return Diffs(square / b2, size / by, within / b2, across / b2, across_both / b2, None, common)

    def curvature(self, bottoms: Sequence[Values]) -> float:
        return abs(self.matrix(bottoms).mean)


class MultinomialLogisticLoss(Scores):
    """-log of what it is given for the label; 1e-20 stands for less (multinomial_logistic_loss_layer.cpp)."""

    def value(self, bottoms: Sequence[Values]) -> float:
        values = bottoms[0]
        if values.pre_activation is not None and values.high <= 1:
            return softmax_loss(values.pre_activation, self.outputs, LARGEST_LOG_TERM)
        dead = 1 - share_above(values)
        return dead * LARGEST_LOG_TERM - (1 - dead) * math.log(max(values.mean_abs, _LEAST_PROBABILITY))

    def constant_answer_value(self, bottoms: Sequence[Values]) -> float:
        return self.chance()

    def score_gradient(self, bottoms: Sequence[Values]) -> Diffs:
        values = bottoms[0]
        classes, items = self.outputs, self.items
        across = common = 0.0
        if values.pre_activation is not None and values.high <= 1:
            chances = softmax_probabilities(root(values.pre_activation.variance), classes)
            inverse = sum(1 / max(p, _LEAST_PROBABILITY) for p in chances) / len(chances)
            inverse_square = sum(1 / max(p, _LEAST_PROBABILITY) ** 2 for p in chances) / len(chances)
        else:
            dead = 1 - share_above(values)
            given = 1 / max(values.mean_abs, _LEAST_PROBABILITY)
            inverse, inverse_square = dead * 1e20 + (1 - dead) * given, dead * 1e40 + (1 - dead) * given * given
        size = inverse / (classes * items)
        square = inverse_square / (classes * items * items)
        if values.pre_activation is not None:
            # Behind a softmax, what items have in common is again what their probabilities have.
            factor = classes / items
            across = (
                shared_error_moment(values.pre_activation, values.pre_activation.corr_across_items, classes)
                * factor
                * factor
            )
            common = shared_error(values.pre_activation, classes) * factor
        return Diffs(square, size, square, across, across, None, common)

    def curvature(self, bottoms: Sequence[Values]) -> float:
        values = bottoms[0]
        if values.pre_activation is not None and values.high <= 1:
            return float(self.outputs)  # the softmax below takes two factors 1 / classes
        return 1 / max(values.mean_abs, _LEAST_PROBABILITY) ** 2 / self.outputs


class SigmoidCrossEntropyLoss(Loss):
    """log(1 + exp(-x)) and its like (sigmoid_cross_entropy_loss_layer.cpp)."""

    compares = True

    def number_of_terms(self) -> int:
        return self.number

    def value(self, bottoms: Sequence[Values]) -> float:
        values, targets = bottoms[0], bottoms[1]
        if not math.isfinite(values.second_moment):
            return math.nan
        mean = mapped(values, softplus)[0].mean - values.mean * targets.mean
        return mean * self.number / self.divisor

    def constant_answer_value(self, bottoms: Sequence[Values]) -> float:
        part = min(max(bottoms[1].mean, 0.0), 1.0)
        entropy = -sum(p * math.log(p) for p in (part, 1 - part) if p > 0)
        return entropy * self.number / self.divisor

    def score_gradient(self, bottoms: Sequence[Values]) -> Diffs:
        values, targets = bottoms[0], bottoms[1]
        if not math.isfinite(values.second_moment):
            return BAD_DIFFS
        chance, _ = mapped(values, sigmoid)
        gap = difference(chance, targets)
        if math.isclose(targets.second_moment, targets.mean):  # of 0 and 1 alone
            gap = gap._replace(mean_abs=chance.mean + targets.mean - 2 * chance.mean * targets.mean)
        return towards(gap, chance, targets, 1 / self.divisor)

    def curvature(self, bottoms: Sequence[Values]) -> float:
        return 0.25  # the largest slope of a sigmoid


def difference(a: Values, b: Values, *, shares_weights: bool = False) -> Values:
    """The moments of a - b, for values that have only their means to do with each other.

    With the same weights, two blobs resemble each other as two items of one blob do.
    """
    mean, extra = a.mean - b.mean, -2 * a.mean * b.mean
    near = far = extra
    if shares_weights:
        near, far = -a.corr_across_items - b.corr_across_items, -a.corr_across_both - b.corr_across_both
    square, within, across, across_both = (
        max(0.0, x + y + both)
        for x, y, both in (
            (a.second_moment, b.second_moment, near),
            (a.corr_within_item, b.corr_within_item, far),
            (a.corr_across_items, b.corr_across_items, near),
            (a.corr_across_both, b.corr_across_both, far),
        )
    )
    size = max(abs(mean), gaussian_mean_abs(mean, square) * _size_by_gaussian(a, b))
    length = min(a.corr_length, b.corr_length)
    return Values(mean, square, size, within, across, across_both, a.low - b.high, a.high - b.low, length)


def apart(values: Values) -> float:
    """How much of a value is its own in its difference from that of a twin, which resembles it as another item does."""
    return 1 - values.corr_across_items / values.second_moment if 0 < values.second_moment < math.inf else 1.0


def _size_by_gaussian(a: Values, b: Values) -> float:
    """The mean absolute value of the difference of two values, relative to that of a Gaussian with its moments.

    Each of the two has a part in it by its own distribution, as large as its part in the variance.
    """
    whole = a.variance + b.variance
    if not 0 < whole < math.inf:
        return 1.0
    return sum(
        each.variance / whole * each.mean_abs / (gaussian_mean_abs(each.mean, each.second_moment) or 1.0)
        for each in (a, b)
        if each.variance
    )


def towards(slope: Values, a: Values, b: Values, factor: float, own_value: float = 0.0) -> Diffs:
    """The gradient of a with these slopes, times a factor, where a loss pulls a to b."""
    f2 = factor * factor
    both = max(0.0, slope.corr_across_both) * f2
    # The force on what all items have in common: towards the mean of the targets.
    common = math.copysign(root(both), a.common - b.mean if a.common else -b.mean or 1.0)
    return Diffs(
        slope.second_moment * f2,
        slope.mean_abs * factor,
        max(0.0, slope.corr_within_item) * f2,
        max(0.0, slope.corr_across_items) * f2,
        both,
        None,
        common,
        own_value * factor,
    )


class Comparison(Loss):
    """A loss that grows with the differences of two bottoms; both get a gradient."""

    compares = True

    def target_size(self, bottoms: Sequence[Values]) -> float:
        return root(bottoms[1].second_moment)

    def for_all_bottoms(self, first: Diffs) -> list[Diffs]:
        second = first._replace(common=-first.common)
        return [first, second, *[ZERO_DIFFS] * (len(self.layer.bottoms) - 2)]


class EuclideanLoss(Comparison):
    """Half the sum of squares, by item (euclidean_loss_layer.cpp)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.pairs = are_twins(layer.bottoms[0], layer.bottoms[1])

    def gap(self, bottoms: Sequence[Values]) -> Values:
        """The differences."""
        return difference(bottoms[0], bottoms[1], shares_weights=self.pairs)

    def value(self, bottoms: Sequence[Values]) -> float:
        return self.gap(bottoms).second_moment / 2 * self.number / self.divisor

    def constant_answer_value(self, bottoms: Sequence[Values]) -> float:
        targets = bottoms[1]
        return max(0.0, targets.second_moment - targets.corr_across_both) / 2 * self.number / self.divisor

    def score_gradient(self, bottoms: Sequence[Values]) -> Diffs:
        a, b = bottoms[0], bottoms[1]
        return towards(self.gap(bottoms), a, b, 1 / self.divisor, apart(a) if self.pairs else 1.0)


class CenterLoss(Loss):
    """Half the squared distance of each item from the centre of its class, a row of its parameter (center_loss_layer.cpp of forks).

    The centres are taken as their filler leaves them.
    """

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.classes = max(1, dims(layer.params[0])[0])
        self.centers = chosen_rows(filled(layer.params[0]), self.classes)

    def gap(self, bottoms: Sequence[Values]) -> Values:
        """The differences from the centres."""
        return difference(bottoms[0], self.centers)

    def value(self, bottoms: Sequence[Values]) -> float:
        return self.gap(bottoms).second_moment / 2 * self.number / self.divisor

    def score_gradient(self, bottoms: Sequence[Values]) -> Diffs:
        return towards(self.gap(bottoms), bottoms[0], self.centers, 1 / self.divisor)

    def of_params(self, bottoms: Sequence[Values]) -> list[Gradient]:
        """That of a centre is the sum over the items of its class, divided by their number plus 1, whatever the loss weight."""
        gap = self.gap(bottoms)
        met = self.classes * (1 - (1 - 1 / self.classes) ** self.items)  # of the classes, on average
        each = self.items / met
        alike = max(0.0, gap.corr_across_items)
        square = (each * (gap.second_moment - alike) + each * each * alike) / (each + 1) ** 2
        part = met / self.classes
        return [Gradient(square * part, GAUSSIAN_MEAN_ABS * root(square) * part)]


class SmoothL1Loss(Comparison):
    """Half the square of small differences, and the absolute value of larger ones (smooth_L1_loss_layer.cu of Fast R-CNN).

    With `sigma` s the square is s^2 times as steep and ends at 1 / s^2. A third bottom weights the differences and a fourth
    the terms; both are taken as independent of the differences.
    """

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.steepness: float = layer.message["smooth_l1_loss_param"]["sigma"] ** 2

    def gap(self, bottoms: Sequence[Values]) -> Values:
        """The weighted differences."""
        gap = difference(bottoms[0], bottoms[1])
        return product(gap, bottoms[2]) if len(bottoms) > 2 else gap

    def term(self, gap: float) -> float:
        """The term of a difference."""
        end = 1 / self.steepness
        return self.steepness * gap * gap / 2 if abs(gap) < end else abs(gap) - end / 2

    def slope(self, gap: float) -> float:
        """The slope of the term."""
        return min(1.0, max(-1.0, self.steepness * gap))

    def of_gap(self, gap: Values, function: Callable[[float], float]) -> Values:
        """The moments of a function of Gaussian differences."""
        deviation = root(gap.variance)
        found = [function(gap.mean + x * deviation) for x in normal_quantiles(_QUANTILES)]
        mean, square, size = (
            sum(each) / len(found) for each in (found, [y * y for y in found], [abs(y) for y in found])
        )
        return Values(mean, square, size, *correlated(gap, mean, square, 1.0))

    def value(self, bottoms: Sequence[Values]) -> float:
        gap = self.gap(bottoms)
        if not math.isfinite(gap.second_moment):
            return math.nan
        size = bottoms[3].mean if len(bottoms) > 3 else 1.0
        return self.of_gap(gap, self.term).mean * size * self.number / self.divisor

    def constant_answer_value(self, bottoms: Sequence[Values]) -> float:
        return self.value([constant(bottoms[1].mean), *bottoms[1:]])

    def score_gradient(self, bottoms: Sequence[Values]) -> Diffs:
        gap = self.gap(bottoms)
        if not math.isfinite(gap.second_moment):
            return BAD_DIFFS
        slope = self.of_gap(gap, self.slope)
        for weights in bottoms[2:]:
            slope = product(slope, weights)
        return towards(slope, bottoms[0], bottoms[1], 1 / self.divisor)


class HingeLoss(Scores):
    """How far scores are inside a margin of 1, or the square of that (hinge_loss_layer.cpp).

    An item has one label among all its scores; positions have none of their own.
    """

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.squared = layer.message["hinge_loss_param"]["norm"] == "L2"
        self.labelled = 1 / (self.outputs * self.positions)  # the share of scores that are to be above 1, not below -1

    def inside(self, values: Values) -> tuple[Values, Values]:
        """How far the scores of wrong classes and that of the right one are inside the margin."""
        free = values._replace(pre_activation=None, parts=())
        return rectified(scaled(free, 1.0, 1.0)), rectified(scaled(free, -1.0, 1.0))

    def value(self, bottoms: Sequence[Values]) -> float:
        wrong, right = self.inside(bottoms[0])
        part = self.labelled
        if self.squared:
            each = (1 - part) * wrong.second_moment + part * right.second_moment
        else:
            each = (1 - part) * wrong.mean + part * right.mean
        return each / part

    def constant_answer_value(self, bottoms: Sequence[Values]) -> float:
        # Of the squares, all scores are best at -1 + 2 / n for n scores; else at -1 from two on.
        return 4 * (1 - self.labelled) if self.squared else 2.0 * (self.labelled < 1)

    def score_gradient(self, bottoms: Sequence[Values]) -> Diffs:
        values = bottoms[0]
        if not math.isfinite(values.second_moment):
            return BAD_DIFFS
        wrong, right = self.inside(values)
        part = self.labelled
        alike = (1 - 2 * part) ** 2  # the mean product of two signs of labels
        if self.squared:
            square, size = (
                (1 - part) * getattr(wrong, field) + part * getattr(right, field) for field in ("second_moment", "mean")
            )
            square, size = 4 * square, 2 * size
            within, across, across_both = (
                4 * alike * pair for pair in (wrong.corr_within_item, wrong.corr_across_items, wrong.corr_across_both)
            )
        else:
            active = share_above(values._replace(pre_activation=None), -1.0)
            square = size = (1 - part) * active + part * share_above(scaled(values, -1.0), -1.0)
            within, across, across_both = (
                alike * (active * active + active * (1 - active) * pair) for pair in sign_correlations(values)
            )
        by = self.divisor
        b2 = by * by
        common = root(across_both) / by
        return Diffs(square / b2, size / by, within / b2, across / b2, across_both / b2, None, common)

    def curvature(self, bottoms: Sequence[Values]) -> float:
        return 2.0 if self.squared else 0.5


class ContrastiveLoss(Loss):
    """Pairs of vectors: similar ones are to be near, others farther apart than a margin (contrastive_loss_layer.cpp)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        param = layer.message["contrastive_loss_param"]
        self.margin: float = param["margin"]
        self.legacy: bool = param["legacy_version"]
        self.pairs = share_weights(layer.bottoms[0], layer.bottoms[1])
        self.length = self.number // self.items  # of the vectors
        # The mean absolute value of the elements of a unit vector that points anywhere.
        n = self.length
        self.mean_abs_of_unit = math.exp(math.lgamma(n / 2) - math.lgamma((n + 1) / 2)) / math.sqrt(math.pi)

    def squared_gap(self, bottoms: Sequence[Values]) -> float:
        """The mean square of the difference of two elements.

        With the same weights two vectors resemble each other as two items of one blob do.
        """
        a, b = bottoms[0], bottoms[1]
        product = (a.corr_across_items + b.corr_across_items) / 2 if self.pairs else a.mean * b.mean
        return max(0.0, a.second_moment + b.second_moment - 2 * product)

    def over_distances(self, gap: float, function: Callable[[float], float]) -> float:
        """The mean of a function of the distance of a pair, whose elements differ by Gaussians of that mean square."""
        # Its square has a chi-squared distribution, whose cube root is near a Gaussian (Wilson and Hilferty 1931).
        n = self.length
        variance = 2 / (9 * n)
        roots = (max(0.0, 1 - variance + x * math.sqrt(variance)) for x in normal_quantiles(_QUANTILES))
        return sum(function(math.sqrt(gap * n * x**3)) for x in roots) / _QUANTILES

    def inside(self, distance: float) -> float:
        """How far a pair is inside the margin."""
        return max(0.0, self.margin - (distance * distance if self.legacy else distance))

    def value(self, bottoms: Sequence[Values]) -> float:
        gap, similar = self.squared_gap(bottoms), similar_share(bottoms[2])
        if not math.isfinite(gap):
            return math.nan
        far = self.over_distances(gap, lambda distance: self.inside(distance) ** (1 if self.legacy else 2))
        return (similar * gap * self.length + (1 - similar) * far) / 2

    def constant_answer_value(self, bottoms: Sequence[Values]) -> float:
        return (1 - similar_share(bottoms[2])) * (self.margin if self.legacy else self.margin**2) / 2

    def score_gradient(self, bottoms: Sequence[Values]) -> Diffs:
        gap, similar = self.squared_gap(bottoms), similar_share(bottoms[2])
        if not math.isfinite(gap):
            return BAD_DIFFS

        def push(distance: float) -> float:
            """By what the difference of a dissimilar pair is multiplied."""
            if self.legacy:
                return float(self.inside(distance) > 0)
            return self.inside(distance) / (distance + _CONTRASTIVE_STEP)

        by = self.items
        pushed = self.over_distances(gap, lambda distance: (push(distance) * distance) ** 2) / self.length
        pushed_size = self.over_distances(gap, lambda distance: push(distance) * distance) * self.mean_abs_of_unit
        square = similar * gap + (1 - similar) * pushed
        size = similar * GAUSSIAN_MEAN_ABS * root(gap) + (1 - similar) * pushed_size
        # Halves with weights of their own differ in the same direction for all items.
        across = 0.0
        if not self.pairs:
            across = bottoms[0].corr_across_items + bottoms[1].corr_across_items - 2 * bottoms[0].mean * bottoms[1].mean
            across *= (similar - (1 - similar) * self.over_distances(gap, push)) ** 2
        across = min(max(0.0, across), square) / by**2
        return Diffs(square / by**2, size / by, square / by**2, across, across)

    def for_all_bottoms(self, first: Diffs) -> list[Diffs]:
        return [first, first, *[ZERO_DIFFS] * (len(self.layer.bottoms) - 2)]


def share_weights(a: Blob, b: Blob) -> bool:
    """Whether two blobs come from layers that share their weights, or from one layer."""
    return [param.owner for param in _nearest_params(a)] == [param.owner for param in _nearest_params(b)]


def are_twins(a: Blob, b: Blob) -> bool:
    """Whether two blobs come from two layers that share their weights, as the halves of a siamese net do."""
    first, second = _nearest_params(a), _nearest_params(b)
    return first != second and share_weights(a, b)


def _nearest_params(blob: Blob) -> list[Param]:
    """The parameters of the nearest layer, from the one that makes a blob upward, that has any."""
    producer = blob.producer
    nearest = () if producer is None else (producer, *producer.upstream())
    return next((list(layer.params) for layer in nearest if layer.params), [])


def similar_share(labels: Values) -> float:
    """The share of labels that are not 0 as whole numbers, which call a pair similar.

    Of 0 and 1 alone it is their mean; other labels are taken to be spread evenly between their bounds.
    """
    low, high = labels.low, labels.high
    if low == high:
        return float(abs(low) >= 1)
    if math.isclose(labels.second_moment, labels.mean):
        return labels.mean
    if not math.isfinite(low) or not math.isfinite(high):
        return min(1.0, share_above(labels, 1.0) + share_above(scaled(labels, -1.0), 1.0))
    return 1 - (min(high, 1.0) - max(low, -1.0)) / (high - low)
