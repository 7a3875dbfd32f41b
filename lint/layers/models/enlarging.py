"""Layers that enlarge planes: unpooling, repeating and interpolating."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient, SignalModel, Step, size_of
from ...moments.statistics import GAUSSIAN_MEAN_ABS, ZERO_DIFFS, Diffs, Values, moment_at_distance, root
from .passing import PassThrough

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...moments.signal_model import SignalContext
    from ...moments.weights import Weights

# The sum of the squares of the two weights of linear interpolation along one axis, averaged over all places between two
# pixels: the integral of t^2 + (1 - t)^2 is 2 / 3; a plane has two axes.
_SQUARES_OF_BILINEAR = (2 / 3) ** 2


class Unpooling(PassThrough):
    """Each value at one place of its window, as a pooling's mask says, and 0 at all others (upsample_layer.cpp).

    Places of different windows and items are taken to be independent. A gradient is read at the place of its value.
    """

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.filled = min(1.0, size_of(layer.bottoms[0]) / size_of(layer.tops[0]))  # the share that is not 0

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        values, filled = bottoms[0], self.filled
        pairs = filled * filled
        top = Values(
            values.mean * filled, values.second_moment * filled, values.mean_abs * filled,
            values.corr_within_item * pairs, values.corr_across_items * pairs, values.corr_across_both * pairs,
            min(values.low, 0.0), max(values.high, 0.0), values.corr_length, None, values.common * filled,
        )  # fmt: skip
        return [top] * len(self.layer.tops)


class Repeating(SignalModel):
    """Each value several times in a block; their gradients add up (upsample_layer.cpp of the YOLO forks)."""

    squares = 1.0  # the sum of the squares of the weights that make one value of the top

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.times = size_of(layer.tops[0]) / size_of(layer.bottoms[0])

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        values = bottoms[0]
        return [values._replace(corr_length=values.corr_length * root(self.times))] * len(self.layer.tops)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff, total = diffs[0], self.times
        each = total * self.squares
        pairs = max(0.0, total * total - each)
        square = each * diff.second_moment + pairs * diff.corr_within_item
        across = each * diff.corr_across_items + pairs * diff.corr_across_both
        below = Diffs(
            square, GAUSSIAN_MEAN_ABS * root(square), total * total * diff.corr_within_item, across,
            total * total * diff.corr_across_both, None, total * diff.common,
        )  # fmt: skip
        return [below] + [ZERO_DIFFS] * (len(self.layer.bottoms) - 1), self.no_gradients


class Interpolating(Repeating):
    """Bilinear resizing (interp_layer.cpp). Where a plane becomes smaller, the values that are left are passed on."""

    squares = _SQUARES_OF_BILINEAR

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.passing = PassThrough(layer, context) if self.times <= 1 else None

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        if self.passing is not None:
            return self.passing.forward(bottoms, weights)
        values = bottoms[0]
        near = moment_at_distance(values, 1.0)
        square = self.squares * values.second_moment + (1 - self.squares) * near
        size = values.mean_abs * root(square / values.second_moment) if values.second_moment else 0.0
        if values.low >= 0 or values.high <= 0:
            size = values.mean_abs
        top = values._replace(
            second_moment=square, mean_abs=size, corr_within_item=min(values.corr_within_item, square),
            corr_across_items=self.squares * values.corr_across_items + (1 - self.squares) * values.corr_across_both,
            corr_length=values.corr_length * root(self.times), pre_activation=None, parts=(),
        )  # fmt: skip
        return [top] * len(self.layer.tops)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        return super().backward(step, diffs) if self.passing is None else self.passing.backward(step, diffs)
