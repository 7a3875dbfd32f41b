"""The layers of a net as rows for the table, JSON and the graph."""

from __future__ import annotations

from collections.abc import Sequence

from ..layers.sliding_windows import Window, window_of
from ..moments.graph import Layer, Param
from ..moments.shapes import Shape
from ..net.costs import SHARED, multiply_adds, whose_memory
from ..net.net import Net
from ..net.splits import with_splits
from ..proto.named_tuple import NamedTuple


class Top(NamedTuple):
    """A top of a row. `memory` says which memory it uses: see `costs.whose_memory`."""

    name: str
    shape: Shape
    memory: str


class Row(NamedTuple):
    """A layer, or a Split inserted by Caffe."""

    name: str
    type: str
    bottoms: list[str]
    tops: list[Top]
    params: Sequence[Param]
    multiply_adds: int | None
    kind: str  # "data", "loss", "split", "unknown" or nothing
    window: Window | None


def rows_of(net: Net, *, splits: bool) -> list[Row]:
    """Return the layers of a net in order, with `splits` including the Split layers that Caffe inserts."""
    if not splits:
        return [
            Row(
                layer.name,
                layer.type,
                [blob.name for blob in layer.bottoms],
                [Top(blob.name, blob.shape, whose_memory(blob)) for blob in layer.tops],
                layer.params,
                multiply_adds(layer),
                kind_of(layer),
                window_of(layer),
            )
            for layer in net.layers
        ]
    layers, shapes = with_splits(net.layers)
    rows = []
    for name, type_name, bottoms, tops, layer in layers:
        if layer is None:
            split_tops = [Top(top, shapes[top], SHARED) for top in tops]
            rows.append(Row(name, type_name, bottoms, split_tops, [], 0, "split", None))
        else:
            own_tops = [Top(blob.name, blob.shape, whose_memory(blob)) for blob in layer.tops]
            kind = kind_of(layer)
            rows.append(
                Row(name, type_name, bottoms, own_tops, layer.params, multiply_adds(layer), kind, window_of(layer))
            )
    return rows


def kind_of(layer: Layer) -> str:
    """What a layer is shown as: `data`, `loss`, `unknown` or nothing."""
    if layer.kind is None:
        return "unknown"
    if layer.kind.is_loss or any(layer.loss_weights):
        return "loss"
    return "data" if not layer.bottoms else ""
