"""What a loss reads: the layer that computed its scores or probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..moments.graph import Layer


def producer_of_values(layer: Layer) -> Layer | None:
    """Return the layer that computed the values of the first bottom, past layers that only reshape them."""
    producer = layer.bottoms[0].producer
    while producer is not None and producer.traits.is_alias(producer) and producer.bottoms:
        producer = producer.bottoms[0].producer
    return producer


def scores_as_probabilities(layer: Layer) -> Layer | None:
    """Return the layer whose values below 0 and above 1 a loss reads as probabilities; None if there is none."""
    if not layer.traits.wants_probabilities or not layer.bottoms:
        return None
    producer = producer_of_values(layer)
    return producer if producer is not None and _outputs_scores(producer) else None


def _outputs_scores(layer: Layer) -> bool:
    """Return whether a layer outputs values below 0 and above 1: scores, not probabilities."""
    traits = layer.traits
    return traits.is_affine or traits.stores_statistics or traits.combines
