"""The signal in the order and units of debug_info: one value for each line that Caffe would print."""

from __future__ import annotations

import math

from ...moments.statistics import ZERO_DIFFS, ZERO_VALUES
from ...moments.weights import Weights
from ...net.splits import with_splits
from ...proto.named_tuple import NamedTuple
from .passes import Back, Pass, weight_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ...moments.graph import Blob, Layer, Param


class Line(NamedTuple):
    """A mean absolute value: of a layer's blob, or of its parameter with that index. NaN: unknown, or not a number."""

    layer: str
    blob: str | None
    param: int | None
    mean_abs: float


def forward_lines(forward: Pass, weights: Mapping[Param, Weights], unknown: Collection[Layer] = ()) -> list[Line]:
    """The lines `[Forward] Layer …`; `unknown` are layers of which nothing is known."""
    found: list[Line] = []
    current: dict[str, float] = {}
    for row in with_splits(forward.net.layers)[0]:
        layer = row.layer
        if layer is None:
            size = current.get(row.bottoms[0], 0.0)
            found += [Line(row.name, top, None, size) for top in row.tops]
            continue
        for blob, name in zip(layer.tops, row.tops, strict=True):
            size = math.nan if layer in unknown else forward.values.get(blob, ZERO_VALUES).mean_abs
            current[name] = size
            found.append(Line(layer.name, name, None, size))
        sizes = weight_rows(forward, weights, layer)
        found += [Line(layer.name, None, i, math.nan if layer in unknown else size) for i, size in enumerate(sizes)]
    return found


def backward_lines(forward: Pass, back: Back) -> list[Line]:
    """The lines `[Backward] Layer …`, from the last layer to the first."""
    found: list[Line] = []
    splits: dict[str, Blob] = {}
    rows = with_splits(forward.net.layers)[0]
    forced = forward.net.message["force_backward"]
    for row in rows:
        if row.layer is not None:
            splits.update(zip(row.tops, row.layer.tops, strict=True))
        else:
            splits[row.name] = splits[row.bottoms[0]]
    for row in reversed(rows):
        layer = row.layer
        if layer is None:
            blob = splits[row.name]
            if blob in back.tops:
                found.append(Line(row.name, row.bottoms[0], None, back.tops[blob].mean_abs))
            continue
        if not layer.runs_backward:
            continue
        diffs = back.bottoms[layer.index] or [ZERO_DIFFS] * len(layer.bottoms)
        for computes, name, diff in zip(layer.gradient_bottoms, row.bottoms, diffs, strict=False):
            if computes:
                found.append(Line(layer.name, name, None, diff.mean_abs))
        for i, (param, gradient) in enumerate(zip(layer.params, back.of_layer[layer.index], strict=False)):
            if param.lr_mult != 0 or param.role in _STATISTICS or forced:
                found.append(Line(layer.name, None, i, gradient.mean_abs))
    return found


_STATISTICS = frozenset({"mean", "variance", "scale factor"})
