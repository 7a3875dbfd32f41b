"""The two halves of a siamese net, which share their weights: gradients that cancel in them.

A loss over pairs sends opposite gradients into the halves. What they make of the weights they share is their difference, so
that only what tells the items of a pair apart is left, and of biases nothing. Two halves with the same weights are to each
other as two items of a batch are, so the moments for pairs of items hold for pairs of halves.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient, SignalModel, Step, items_of
from ...moments.statistics import share_above, sign_correlations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...moments.graph import Layer
    from ...moments.statistics import Diffs

OPPOSITE = -1.0  # the correlation of the gradients that a loss over pairs sends into the two halves


def correlation_below(layer: Layer, step: Step, correlation: float) -> float:
    """The correlation of the gradients of the two halves below a layer; rectifiers of both are not open together."""
    if not layer.traits.rectifies:
        return correlation
    before = step.bottoms[0].pre_activation or step.bottoms[0]
    part = share_above(before)
    return correlation * (part + (1 - part) * sign_correlations(before)[1]) if part else correlation


def gradients_of_both(
    layer: Layer, model: SignalModel, step: Step, diffs: Sequence[Diffs], correlation: float
) -> list[Gradient]:
    """The gradients of parameters of a layer, summed over it and the one of the other half."""
    others = max(1, items_of(layer.bottoms[0]) - 1)
    paired = [
        diff._replace(
            corr_across_items=diff.corr_across_items + correlation * diff.second_moment / others,
            corr_across_both=diff.corr_across_both + correlation * diff.corr_within_item / others,
        )
        for diff in diffs
    ]
    gradients = model.backward(step, paired)[1]
    return [
        Gradient(0.0, 0.0)
        if correlation == OPPOSITE and "bias" in param.role
        else Gradient(2 * each.second_moment, math.sqrt(2) * each.mean_abs, each.common * (1 + correlation))
        for param, each in zip(layer.params, gradients, strict=True)
    ]
