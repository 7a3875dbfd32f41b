"""The range of the values of each blob, and whether some are certainly 0 or negative, judging by what produces them.

Only what holds for every input, or for any random weights around 0, counts as known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..moments.interval import UNKNOWN_INTERVAL, Interval
from .data_facts import DataFacts, tops_facts

if TYPE_CHECKING:
    from ..moments.graph import Blob, Layer
    from .net import Net


def intervals(net: Net) -> dict[Blob, Interval]:
    """The interval of every blob of a net, including those without a producer."""
    found: dict[Blob, Interval] = {}
    for layer in net.layers:
        bottoms = [found.setdefault(blob, UNKNOWN_INTERVAL) for blob in layer.bottoms]
        if layer.traits.is_data and not layer.bottoms:
            tops = _data(layer, net.built_with.facts)
        else:
            tops = [layer.traits.range_of(layer, bottoms, i) for i in range(len(layer.tops))]
        found.update(zip(layer.tops, tops, strict=True))
    return found


def _data(layer: Layer, facts: DataFacts) -> list[Interval]:
    """The intervals of data from their facts, after transform_param; Caffe subtracts the mean before it scales."""
    found = []
    for i, (known, _) in enumerate(zip(tops_facts(layer, facts), layer.tops, strict=True)):
        if known is None or known.minimum is None or known.maximum is None:
            found.append(UNKNOWN_INTERVAL)
            continue
        interval = Interval(known.minimum, known.maximum, reached=True)
        if i == 0 and "transform_param" in layer.message.entries:
            transform = layer.message["transform_param"]
            means = list(transform["mean_value"])
            if transform["mean_file"] or len(set(means)) > 1:
                found.append(UNKNOWN_INTERVAL)
                continue
            interval = interval.times(transform["scale"], -transform["scale"] * (means[0] if means else 0.0))
        found.append(interval._replace(zero=interval.low == 0 or interval.high == 0, negative=interval.low < 0))
    return found
