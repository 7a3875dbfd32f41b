"""Between which bounds the values of blobs lie, and whether some are surely 0 or below, by what makes them.

Only what holds for every input, or for any weights that are drawn at random around 0, is taken as known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from .data_facts import DataFacts, tops_facts

if TYPE_CHECKING:
    from ..moments.graph import Blob, Layer
    from .net import Net


class Interval(NamedTuple):
    """Bounds of values. `zero` and `negative` say that some surely are 0, or below; `reached`: some values lie at the bounds."""

    low: float = -math.inf
    high: float = math.inf
    zero: bool = False
    negative: bool = False
    reached: bool = False


UNKNOWN = Interval()
BOTH_SIGNS = Interval(negative=True)


def intervals(net: Net) -> dict[Blob, Interval]:
    """The interval of every blob of a net, also of those that no layer makes."""
    found: dict[Blob, Interval] = {}
    for layer in net.layers:
        below = [found.setdefault(blob, UNKNOWN) for blob in layer.bottoms]
        rule = _BY_TYPE.get(layer.type)
        if layer.type == "DummyData":
            tops = _dummy_data(layer)
        elif layer.kind is not None and layer.kind.is_data and not layer.bottoms:
            tops = _data(layer, net.built_with.facts)
        else:
            tops = [rule(layer, below) if rule is not None and below else UNKNOWN] * len(layer.tops)
        found.update(zip(layer.tops, tops, strict=True))
    return found


def _data(layer: Layer, facts: DataFacts) -> list[Interval]:
    """What the facts tell of data, after transform_param; Caffe subtracts first and scales then."""
    found = []
    for i, (known, _) in enumerate(zip(tops_facts(layer, facts), layer.tops, strict=True)):
        if known is None or known.minimum is None or known.maximum is None:
            found.append(UNKNOWN)
            continue
        interval = Interval(known.minimum, known.maximum, reached=True)
        if i == 0 and "transform_param" in layer.message.entries:
            transform = layer.message["transform_param"]
            means = list(transform["mean_value"])
            if transform["mean_file"] or len(set(means)) > 1:
                found.append(UNKNOWN)
                continue
            interval = _linear(interval, transform["scale"], -transform["scale"] * (means[0] if means else 0.0))
        found.append(interval._replace(zero=interval.low == 0 or interval.high == 0, negative=interval.low < 0))
    return found


def _dummy_data(layer: Layer) -> list[Interval]:
    """What constant fillers make; without any, 0 (dummy_data_layer.cpp, LayerSetUp)."""
    fillers = layer.message["dummy_data_param"]["data_filler"]
    if any(filler["type"] != "constant" for filler in fillers) or len(fillers) not in (0, 1, len(layer.tops)):
        return [UNKNOWN] * len(layer.tops)
    values = [filler["value"] for filler in fillers] or [0.0]
    if len(values) == 1:
        values *= len(layer.tops)
    return [Interval(value, value, value == 0, value < 0, reached=True) for value in values]


def _linear(x: Interval, scale: float, shift: float) -> Interval:
    """shift + scale * x."""
    if scale == 0:
        return Interval(shift, shift, shift == 0, shift < 0, True)
    low, high = sorted((shift + scale * x.low, shift + scale * x.high))
    negative = (scale > 0 and shift <= 0 and x.negative) or (x.zero and shift < 0) or (x.reached and low < 0)
    return Interval(low, high, x.zero and not shift, negative, x.reached)


def _weighted(layer: Layer, below: list[Interval]) -> Interval:
    """Sums with weights that are drawn around 0 have both signs."""
    filler = layer.params[0].filler if layer.params else None
    if filler is None:
        return UNKNOWN
    kind = filler["type"]
    around_zero = kind in ("xavier", "msra") or (kind == "gaussian" and not filler["mean"] and filler["std"] > 0)
    around_zero = around_zero or (kind == "uniform" and filler["min"] < 0 < filler["max"])
    return BOTH_SIGNS if around_zero else UNKNOWN


def _relu(layer: Layer, below: list[Interval]) -> Interval:
    x = below[0]
    if layer.message["relu_param"]["negative_slope"]:
        return Interval(negative=x.negative)
    return Interval(max(0.0, x.low), max(0.0, x.high), x.zero or x.negative, False, x.reached)


def _power(layer: Layer, below: list[Interval]) -> Interval:
    param = layer.message["power_param"]
    inner = _linear(below[0], param["scale"], param["shift"])
    power = param["power"]
    if power == 1:
        return inner
    if power == 2:
        return Interval(0.0, max(inner.low * inner.low, inner.high * inner.high), inner.zero)
    return Interval(0.0) if inner.low >= 0 else UNKNOWN


def _eltwise(layer: Layer, below: list[Interval]) -> Interval:
    param = layer.message["eltwise_param"]
    operation = param["operation"]
    if operation in ("SUM", 1) and not any(coefficient != 1 for coefficient in param["coeff"]):
        return Interval(sum(x.low for x in below), sum(x.high for x in below))
    if operation in ("MAX", 2):
        return Interval(max(x.low for x in below), max(x.high for x in below))
    if operation in ("PROD", 0) and all(x.low >= 0 for x in below):
        return Interval(0.0, zero=any(x.zero for x in below))
    return UNKNOWN


def _dropout(layer: Layer, below: list[Interval]) -> Interval:
    x, ratio = below[0], layer.message["dropout_param"]["dropout_ratio"]
    if layer.phase != "TRAIN" or not 0 < ratio < 1:
        return x
    return Interval(min(0.0, x.low / (1 - ratio)), max(0.0, x.high / (1 - ratio)), True, x.negative)


_BY_TYPE: dict[str, Callable[[Layer, list[Interval]], Interval]] = {
    "Convolution": _weighted,
    "InnerProduct": _weighted,
    "BatchNorm": lambda layer, below: BOTH_SIGNS if layer.phase == "TRAIN" else UNKNOWN,
    "ReLU": _relu,
    "Power": _power,
    "Eltwise": _eltwise,
    "Dropout": _dropout,
    "Sigmoid": lambda layer, below: Interval(0.0, 1.0),
    "Softmax": lambda layer, below: Interval(0.0, 1.0),
    "TanH": lambda layer, below: Interval(-1.0, 1.0, below[0].zero, below[0].negative),
    "AbsVal": lambda layer, below: Interval(0.0, max(abs(below[0].low), abs(below[0].high)), below[0].zero),
    "BNLL": lambda layer, below: Interval(0.0),
    "Exp": lambda layer, below: Interval(0.0),
    "Pooling": lambda layer, below: Interval(below[0].low, below[0].high),
    "LRN": lambda layer, below: Interval(min(0.0, below[0].low), zero=below[0].zero, negative=below[0].negative),
    **dict.fromkeys(("Flatten", "Reshape", "Split", "Permute"), lambda layer, below: below[0]),
    "Slice": lambda layer, below: Interval(below[0].low, below[0].high),
    "Crop": lambda layer, below: Interval(below[0].low, below[0].high),
    "Concat": lambda layer, below: Interval(
        min(x.low for x in below), max(x.high for x in below), any(x.zero for x in below), any(x.negative for x in below)
    ),
}
