"""Which blobs share memory, and which in-place layers overwrite a top that the backward pass of its layer reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..moments.interval import UNKNOWN_INTERVAL

if TYPE_CHECKING:
    from ..moments.graph import Blob, Layer
    from .net import Net


def overwritten_tops(net: Net) -> Iterator[tuple[Blob, Layer, int]]:
    """The tops that the backward pass of their layer reads after an in-place layer changed them.

    With each, the in-place layer and the index of its top. A ReLU changes no values that are never negative.
    """
    for layer in net.layers:
        for index, top in enumerate(layer.tops):
            if top.below is None or not changes_values(layer):
                continue
            for blob in same_memory(top.below):
                producer = blob.producer
                if producer is None or not producer.traits.needs_its_top(producer) or not any(producer.gradient_bottoms):
                    continue
                if not (layer.traits.cuts_negatives(layer) and _is_positive(producer)):
                    yield blob, layer, index


def changes_values(layer: Layer) -> bool:
    """Whether an in-place layer may change the values of its blob; Dropout does not in phase TEST."""
    return not (layer.traits.trains_only and layer.phase == "TEST")


def _is_positive(layer: Layer) -> bool:
    """Whether a layer never outputs a negative value, whatever it reads, so that a ReLU after it changes nothing."""
    return layer.traits.range_of(layer, [UNKNOWN_INTERVAL] * len(layer.bottoms)).low >= 0


def same_memory(blob: Blob) -> list[Blob]:
    """The blob, and the blobs before it that share its memory under another name."""
    blobs = [blob]
    while True:
        producer = blobs[-1].producer
        if producer is None or producer.kind is None or not producer.bottoms:
            return blobs
        if producer.in_place or not producer.kind.is_alias(producer):
            return blobs
        blobs.append(producer.bottoms[0])
