"""Layers that concatenate, split or combine blobs, Softmax, recurrent layers, and Flatten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from ...moments.concatenation import average_of_diffs, concatenated, cut
from ...moments.signal_model import Gradient, SignalModel, Step, items_of, shape_of, size_of
from ...moments.statistics import (
    Diffs,
    Values,
    correlation_coefficients,
    gaussian,
    mixture,
    root,
    scaled,
    scaled_diffs,
    sign_correlations,
)
from ..common import axis_field
from .linear import product, summed_over_positions, total, weighted
from .loss_models import apart, are_twins, difference, softmax_gradient, softmax_probabilities
from .pooling import largest_gaussian

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...moments.signal_model import SignalContext
    from ...moments.weights import Weights


class Concat(SignalModel):
    """Concatenation (concat_layer.cpp): moments are averages, weighted by the sizes of the blobs."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.sizes = [size_of(blob) for blob in layer.bottoms]
        self.edges = [0.0, *(each / sum(self.sizes) for each in accumulate(self.sizes))]
        self.of_channels = layer.bottoms[0].shape is None or _joined_axis(layer) == 1

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return [concatenated(bottoms, self.sizes) if self.of_channels else mixture(bottoms, self.sizes)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        return [cut(diffs[0], low, high) for low, high in pairwise(self.edges)], []


def _joined_axis(layer: Layer) -> int:
    """The axis along which a Concat joins its bottoms."""
    param = layer.message["concat_param"]
    axis: int = param[axis_field(param)]
    return axis if axis >= 0 else axis + len(shape_of(layer.bottoms[0]))


class Slice(SignalModel):
    """Parts of a blob (slice_layer.cpp): each has the moments of the whole; gradients are averaged by size."""

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return [bottoms[0]] * len(self.layer.tops)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        return [average_of_diffs(diffs, [size_of(blob) for blob in self.layer.tops])], []


class Eltwise(SignalModel):
    """Sums, products and maxima of blobs, element by element (eltwise_layer.cpp).

    The blobs are taken to be independent but for their means.
    """

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        number = len(layer.bottoms)
        param = layer.message["eltwise_param"]
        self.operation: str = param["operation"]
        self.coefficients = list(param["coeff"]) if len(param["coeff"]) == number else [1.0] * number
        self.again = [blob in layer.bottoms[:i] for i, blob in enumerate(layer.bottoms)]
        opposite = number == 2 and self.operation == "SUM" and self.coefficients[0] == -self.coefficients[1] != 0
        self.pairs = opposite and are_twins(*layer.bottoms)

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        if self.pairs:
            first, second = self.coefficients
            return [difference(_times(bottoms[0], first), _times(bottoms[1], -second), shares_weights=True)]
        if self.operation == "SUM":
            top = _times(bottoms[0], self.coefficients[0])
            for value, factor, again in zip(bottoms[1:], self.coefficients[1:], self.again[1:], strict=True):
                top = scaled(top, 2.0) if again else total(top, _times(value, factor))
            return [top]
        top = bottoms[0]
        if self.operation == "PROD" and self.again == [False, True]:
            return [_squares(top)]
        for part in bottoms[1:]:
            top = product(top, part) if self.operation == "PROD" else _larger(top, part)
        return [top]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff = diffs[0]
        if self.operation == "SUM":
            found = [scaled_diffs(diff, c) for c in self.coefficients]
            if self.pairs and diff.own_value_factor:
                found = [
                    below._replace(own_value_factor=below.own_value_factor * apart(part))
                    for below, part in zip(found, step.bottoms, strict=True)
                ]
            if diff.passed_values is not None:
                whole = step.tops[0]
                found = [
                    below._replace(passed_values=_passed_part(diff.passed_values, part, whole, c))
                    for below, part, c in zip(found, step.bottoms, self.coefficients, strict=True)
                ]
            return found, []
        number = len(step.bottoms)
        if self.operation == "MAX":
            part = 1 / number
            return [
                Diffs(
                    diff.second_moment * part,
                    diff.mean_abs * part,
                    diff.corr_within_item * part * part,
                    diff.corr_across_items * part * part,
                    diff.corr_across_both * part * part,
                    None,
                    diff.common * part,
                )
            ] * number, []
        found = []
        for i in range(number):
            below = diff
            for j, other in enumerate(step.bottoms):
                if j != i:
                    below = weighted(below, other)
            found.append(below)
        return found, []


def _passed_part(passed: Values, part: Values, whole: Values, coefficient: float) -> Values | None:
    """The moments of a summand where a rectifier lets its sum pass: the more of the sum it is, the more it changes with it."""
    if not 0 < whole.variance < math.inf:
        return None
    slope = coefficient * part.variance / whole.variance  # of the summand by the sum
    s2 = slope * slope
    return part._replace(
        second_moment=part.second_moment + s2 * (passed.second_moment - whole.second_moment),
        corr_within_item=part.corr_within_item + s2 * (passed.corr_within_item - whole.corr_within_item),
        corr_across_items=part.corr_across_items + s2 * (passed.corr_across_items - whole.corr_across_items),
        corr_across_both=part.corr_across_both + s2 * (passed.corr_across_both - whole.corr_across_both),
    )


def _times(values: Values, factor: float) -> Values:
    return values if factor == 1 else scaled(values, factor)


def _larger(a: Values, b: Values) -> Values:
    mean, kept = largest_gaussian(2)
    deviation = (root(a.variance) + root(b.variance)) / 2
    centre = max(a.mean, b.mean) if abs(a.mean - b.mean) > deviation else (a.mean + b.mean) / 2
    top = centre + mean * deviation
    square = top * top + kept * deviation * deviation
    t2 = top * top
    return gaussian(top, square, t2, t2, t2, min(a.corr_length, b.corr_length), (a.common + b.common) / 2)


class Axpy(SignalModel):
    """A factor for each channel, times values, plus others (axpy_layer.cpp, of SENet)."""

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        factor, values, summand = bottoms
        return [total(product(values, factor), summand)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        factor, values, _ = step.bottoms
        number = size_of(self.layer.bottoms[1]) / size_of(self.layer.bottoms[0])
        return [summed_over_positions(diffs[0], values, number), weighted(diffs[0], factor), diffs[0]], []


class Reduction(SignalModel):
    """Sums and means over the last axes (reduction_layer.cpp).

    The values of a channel resemble each other as their moments say; different channels have only their means in common.
    """

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        param = layer.message["reduction_param"]
        written = param["operation"]
        self.operation = {1: "SUM", 2: "ASUM", 3: "SUMSQ", 4: "MEAN"}.get(written, str(written))
        shape = shape_of(layer.bottoms[0])
        axis: int = param["axis"]
        axis = min(max(axis if axis >= 0 else axis + len(shape), 0), len(shape))
        # Of the values in one sum: how many items, channels and positions.
        self.items = shape[0] if axis == 0 and shape else 1
        self.channels = shape[1] if axis <= 1 < len(shape) else 1
        self.positions = math.prod(shape[max(axis, 2) :])
        self.number = self.items * self.channels * self.positions
        self.coefficient: float = param["coeff"]

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        values = bottoms[0]
        if self.operation == "SUMSQ":
            values = _squares(values)
        elif self.operation == "ASUM":
            values = _sizes(values)
        positions, others, items = self.positions, self.positions - 1, self.items
        m2 = values.mean * values.mean
        # The mean product of two values of one channel in one sum, and of values of two sums, each over all pairs.
        across = (values.corr_across_items + others * values.corr_across_both) / positions
        one = ((values.second_moment + others * values.corr_within_item) / positions + (items - 1) * across) / items
        square, beside, two = (m2 + (each - m2) / self.channels for each in (one, values.corr_within_item, across))
        beside = beside if self.channels == 1 and items == 1 else square
        factor = self.coefficient * (1.0 if self.operation == "MEAN" else self.number)
        return [scaled(gaussian(values.mean, max(square, m2), beside, two, two, math.inf), factor)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff, values = diffs[0], step.bottoms[0]
        factor = self.coefficient / (self.number if self.operation == "MEAN" else 1.0)
        every = scaled_diffs(diff, factor)  # all values in a sum get its gradient
        within = every.second_moment if self.positions > 1 else every.corr_within_item
        every = every._replace(corr_within_item=within, corr_across_both=every.corr_across_items, active_share=None)
        if self.operation == "SUMSQ":
            below = scaled_diffs(weighted(every, values), 2.0)
            return [below._replace(common=0.0, own_value_factor=2 * every.common)], []
        if self.operation == "ASUM":
            within, across, across_both = (every.second_moment * each for each in sign_correlations(values))
            return [Diffs(every.second_moment, every.mean_abs, within, across, across_both)], []
        return [every], []


def _squares(values: Values) -> Values:
    """The moments of the squares of Gaussian values: E[x^2 y^2] = E[x^2]^2 + 2 c^2 + 4 m^2 c for a mean m and a covariance c."""
    m2, square = values.mean * values.mean, values.second_moment

    def pair(moment: float) -> float:
        covariance = moment - m2
        return square * square + 2 * covariance * covariance + 4 * m2 * covariance

    return Values(
        square, pair(square), square, pair(values.corr_within_item), pair(values.corr_across_items),
        pair(values.corr_across_both), 0.0, corr_length=values.corr_length,
    )  # fmt: skip


def _sizes(values: Values) -> Values:
    """The moments of the absolute values of Gaussian ones, whose correlation is about the square of theirs."""
    size, square = values.mean_abs, values.second_moment
    s2 = size * size
    within, across, across_both = (s2 + max(0.0, square - s2) * rho * rho for rho in correlation_coefficients(values))
    return Values(size, square, size, within, across, across_both, 0.0, corr_length=values.corr_length)


class Softmax(SignalModel):
    """Probabilities of Gaussian scores (softmax_layer.cpp); their `pre_activation` are the scores."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        shape = shape_of(layer.bottoms[0])
        axis = layer.message["softmax_param"]["axis"]
        self.classes = max(1, shape[axis] if -len(shape) <= axis < len(shape) else 1)
        self.positions = max(1, size_of(layer.bottoms[0]) // (self.classes * items_of(layer.bottoms[0])))

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        values = bottoms[0]
        chances = softmax_probabilities(root(values.variance), self.classes)
        square = sum(p * p for p in chances) / len(chances)
        mean = 1 / self.classes
        m2 = mean * mean
        spread = max(0.0, square - m2) / max(values.variance, 1e-300) if values.variance else 0.0
        across, across_both, within = (
            m2 + spread * max(0.0, moment - values.mean**2)
            for moment in (values.corr_across_items, values.corr_across_both, values.corr_within_item)
        )
        return [
            Values(
                mean,
                square,
                mean,
                within,
                across,
                across_both,
                0.0,
                1.0,
                values.corr_length,
                values,
                values.common * mean,
            )
        ]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        number = self.classes
        diff, values = diffs[0], step.bottoms[0]
        sparse = diff.second_moment > 0 and diff.mean_abs * diff.mean_abs < 2 / number * diff.second_moment
        if sparse:
            # Gradients of the label's probability alone, as of -log p: together with p they are p - y.
            chances = softmax_probabilities(root(values.variance), number)
            inverse = sum(min(1 / max(p, 1e-38), 1e20) for p in chances) / len(chances)
            active = sum(min(1.0, max(p, 1e-38) * 1e20) for p in chances) / len(chances)
            by = inverse / max(number * diff.mean_abs, 1e-300)
            slope = softmax_gradient(values, number, self.positions, by)
            return [scaled_diffs(slope, math.sqrt(active))._replace(mean_abs=slope.mean_abs * active)], []
        return [scaled_diffs(diff, root(step.tops[0].second_moment))._replace(active_share=None)], []


class Flatten(SignalModel):
    """The same values under another shape (flatten_layer.cpp, reshape_layer.cpp).

    Where positions become channels, there is one position: its correlation with itself is the second moment.
    """

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.flattens = len(shape_of(layer.tops[0])) <= 2 < len(shape_of(layer.bottoms[0]))

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        values = bottoms[0]
        if self.flattens:
            before = values.pre_activation
            if before is not None:
                before = before._replace(
                    corr_within_item=before.second_moment, corr_across_both=before.corr_across_items
                )
            values = values._replace(
                corr_within_item=values.second_moment, corr_across_both=values.corr_across_items, pre_activation=before
            )
        return [values]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff = diffs[0]
        return [
            diff._replace(corr_within_item=0.0, corr_across_both=0.0, passed_values=None) if self.flattens else diff
        ], []
