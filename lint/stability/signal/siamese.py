"""The halves of a siamese net, or the three parts of a net for triplets, which share their weights: gradients cancel in them.

A loss over pairs sends opposite gradients into the halves, and differences of three parts send gradients into them that add up
to 0. What they make of the weights they share is the sum, so that only what tells the items of a pair apart is left, and of
biases nothing. Parts with the same weights are to each other as two items of a batch are, so the moments for pairs of items hold
for pairs of parts: with gradients d that add up to 0 over the parts, and values x of which two have the mean product c, the mean
square of the sum of d x is the sum over the parts of d^2 (x^2 - c); what the gradients of two items have in common cancels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient, SignalModel, Step, items_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...moments.graph import Layer
    from ...moments.statistics import Diffs

OPPOSITE = -1.0  # the correlation of the gradient of one part with the sum of those of the others


def correlation_below(model: SignalModel, step: Step, correlation: float) -> float:
    """The correlation of the gradients of the parts below a layer: a nonlinearity has other slopes in each of them."""
    return correlation * model.slope_likeness(step)


def gradients_of_part(
    layer: Layer, model: SignalModel, step: Step, diffs: Sequence[Diffs], correlation: float
) -> list[Gradient]:
    """What a layer adds to the gradients of its parameters, less what cancels in those of the other parts."""
    others = max(1, items_of(layer.bottoms[0]) - 1)
    paired = [
        diff._replace(
            corr_across_items=(1 + correlation) * diff.corr_across_items + correlation * diff.second_moment / others,
            corr_across_both=(1 + correlation) * diff.corr_across_both + correlation * diff.corr_within_item / others,
        )
        for diff in diffs
    ]
    gradients = model.backward(step, paired)[1]
    return [
        Gradient(0.0, 0.0)
        if correlation == OPPOSITE and "bias" in param.role
        else each._replace(common=each.common * (1 + correlation) / 2)
        for param, each in zip(layer.params, gradients, strict=True)
    ]
