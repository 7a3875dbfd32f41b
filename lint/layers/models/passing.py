"""Layers that pass their values on as they are: whole, in part, repeated, or in another order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

from ...moments.concatenation import sum_with_parts
from ...moments.signal_model import Gradient, SignalModel, Step, size_of
from ...moments.statistics import ZERO_DIFFS, Diffs, Values

if TYPE_CHECKING:
    from ...moments.weights import Weights


class PassThrough(SignalModel):
    """The values of the first bottom; the gradients of all tops add up (split_layer.cpp).

    Where only some of the values are read, as by Crop, the others get a gradient of 0.
    """

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return [bottoms[0]] * len(self.layer.tops)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        layer = self.layer
        passed = reduce(sum_with_parts, diffs) if diffs else ZERO_DIFFS
        factor = size_of(layer.tops[0]) / size_of(layer.bottoms[0]) if layer.tops else 1.0
        if factor < 1:
            passed = Diffs(
                passed.second_moment * factor,
                passed.mean_abs * factor,
                passed.corr_within_item * factor * factor,
                passed.corr_across_items * factor,
                passed.corr_across_both * factor * factor,
                None,
                passed.common * factor,
                balanced=passed.balanced,
                along=passed.along,
            )
        return [passed, *[ZERO_DIFFS] * (len(layer.bottoms) - 1)], self.no_gradients
