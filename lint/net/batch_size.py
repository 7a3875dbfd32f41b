"""The batch size, as far as the files specify it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..moments.graph import Layer


def batch_size(layer: Layer) -> int | None:
    """The batch size of a data layer: its `batch_size`, else the first dimension of its first top."""
    for name in layer.message.entries:
        if name.endswith("data_param"):
            param = layer.message[name]
            if "batch_size" in param.type.fields:
                size = param["batch_size"]
                if isinstance(size, int) and size > 0:
                    return size
    shape = layer.tops[0].shape if layer.tops else None
    return shape[0] if shape else None


def net_batch_size(layers: Iterable[Layer]) -> int | None:
    """The batch size of the first data layer among `layers`; None if there is none, or if it is unknown."""
    for layer in layers:
        if layer.traits.is_data and layer.tops:
            return batch_size(layer)
    return None
