"""The Split layers that Caffe inserts for blobs that are read more than once (util/insert_splits.cpp)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple

if TYPE_CHECKING:
    from ..moments.graph import Blob, Layer
    from ..moments.shapes import Shape


class SplitLayer(NamedTuple):
    """A layer of a net with its splits; `layer` is None for a Split that Caffe inserts."""

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    layer: Layer | None


def split_name(blob: Blob) -> str:
    """The name of the Split layer for a blob."""
    producer = blob.producer.name if blob.producer else ""
    return f"{blob.name}_{producer}_{blob.top_index}_split"


def loss_split(blob: Blob) -> str:
    """The name of the split top that has the written loss weight of a blob, empty if there is none."""
    producer = blob.producer
    if producer is None or not blob.consumers or "loss_weight" not in producer.message.entries:
        return ""
    weights = producer.message.entries["loss_weight"]
    if blob.top_index >= len(weights) or weights[blob.top_index][0] == 0:
        return ""
    return f"{split_name(blob)}_0"


def with_splits(net_layers: Iterable[Layer]) -> tuple[list[SplitLayer], dict[str, Shape]]:
    """The layers of a net as in Caffe, with Split layers, and the shape of every blob by its name."""
    layers: list[SplitLayer] = []
    shapes: dict[str, Shape] = {}
    given: dict[Blob, int] = {}
    for layer in net_layers:
        bottoms = []
        for blob in layer.bottoms:
            if blob in given:
                bottoms.append(f"{split_name(blob)}_{given[blob]}")
                given[blob] += 1
            else:
                bottoms.append(blob.name)
        layers.append(SplitLayer(layer.name, layer.type, bottoms, [blob.name for blob in layer.tops], layer))
        for blob in layer.tops:
            shapes[blob.name] = blob.shape
            loss_tops = 1 if loss_split(blob) else 0
            uses = len(blob.consumers) + loss_tops
            if uses > 1:
                name = split_name(blob)
                tops = [f"{name}_{i}" for i in range(uses)]
                layers.append(SplitLayer(name, "Split", [blob.name], tops, None))
                shapes.update((top, blob.shape) for top in tops)
                given[blob] = loss_tops
    return layers, shapes
