"""The Split layers that Caffe inserts where a blob is read more than once (util/insert_splits.cpp)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .net import Blob, Layer, Net
    from .shapes import Shape


class SplitLayer(NamedTuple):
    """A layer of the net with its splits: `layer` is None for a Split that Caffe inserts."""

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    layer: Layer | None


def loss_split(blob: Blob) -> str | None:
    """The name of the split that carries the blob's written loss weight, if the blob is also read."""
    producer = blob.producer
    if producer is None or not blob.consumers:
        return None
    weights = producer.message["loss_weight"]
    if blob.top_index >= len(weights) or weights[blob.top_index] == 0:
        return None
    return f"{split_name(blob)}_0"


def split_name(blob: Blob) -> str:
    """The name of the Split layer for a blob."""
    producer = blob.producer.name if blob.producer else ""
    return f"{blob.name}_{producer}_{blob.top_index}_split"


def with_splits(net: Net) -> tuple[list[SplitLayer], dict[str, Shape]]:
    """The layers of the net as Caffe has them, with Split layers, and the shape of every blob by its name."""
    layers: list[SplitLayer] = []
    shapes: dict[str, Shape] = {}
    given: dict[Blob, int] = {}
    for layer in net.layers:
        bottoms = []
        for blob in layer.bottoms:
            taken = given.get(blob, 0)
            if loss_split(blob):
                bottoms.append(f"{split_name(blob)}_{taken + 1}")
            elif len(blob.consumers) > 1:
                bottoms.append(f"{split_name(blob)}_{taken}")
            else:
                bottoms.append(blob.name)
            given[blob] = taken + 1
        layers.append(SplitLayer(layer.name, layer.type, bottoms, [blob.name for blob in layer.tops], layer))
        for blob in layer.tops:
            shapes[blob.name] = blob.shape
            uses = len(blob.consumers) + (1 if loss_split(blob) else 0)
            if uses > 1:
                name = split_name(blob)
                tops = [f"{name}_{i}" for i in range(uses)]
                layers.append(SplitLayer(name, "Split", [blob.name], tops, None))
                for top in tops:
                    shapes[top] = blob.shape
    return layers, shapes
