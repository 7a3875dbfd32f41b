"""The intervals of the values of layers, given those of their bottoms.

An interval is known only if it holds for every input, or for any random weights around 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..moments.interval import BOTH_SIGNS, UNKNOWN_INTERVAL, Interval

if TYPE_CHECKING:
    from ..moments.graph import Layer
    from ..moments.layer_type import ValueRange


def between(low: float, high: float = math.inf) -> ValueRange:
    """A layer whose values lie between two bounds, whatever its input."""
    return lambda layer, bottoms, top: Interval(low, high)


def unchanged(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """A layer whose values are all those of its first bottom."""
    return bottoms[0]


def within(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """A layer that selects or averages values of its first bottom."""
    return Interval(bottoms[0].low, bottoms[0].high)


def joined(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """A layer that has all values of all its bottoms."""
    return Interval(
        min(x.low for x in bottoms),
        max(x.high for x in bottoms),
        any(x.zero for x in bottoms),
        any(x.negative for x in bottoms),
    )


def filled(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """DummyData with a constant filler, or without any, which gives 0 (dummy_data_layer.cpp, LayerSetUp)."""
    fillers = layer.message["dummy_data_param"]["data_filler"]
    if len(fillers) not in (0, 1, len(layer.tops)):
        return UNKNOWN_INTERVAL
    filler = fillers[top if len(fillers) > 1 else 0] if fillers else None
    if filler is not None and filler["type"] != "constant":
        return UNKNOWN_INTERVAL
    return _only(filler["value"] if filler is not None else 0.0)


def weighted(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """Weighted sums: with random weights around 0, they have both signs."""
    filler = layer.params[0].filler if layer.params else None
    if filler is None:
        return UNKNOWN_INTERVAL
    kind = filler["type"]
    around_zero = kind in ("xavier", "msra") or (kind == "gaussian" and not filler["mean"] and filler["std"] > 0)
    around_zero = around_zero or (kind == "uniform" and filler["min"] < 0 < filler["max"])
    return BOTH_SIGNS if around_zero else UNKNOWN_INTERVAL


def normalised(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """BatchNorm: in training, its values have mean 0."""
    return BOTH_SIGNS if layer.phase == "TRAIN" else UNKNOWN_INTERVAL


def divided(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """LRN: divides by positive values."""
    x = bottoms[0]
    return Interval(min(0.0, x.low), zero=x.zero, negative=x.negative)


def rectified(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """ReLU: 0 for negative values, unless `negative_slope` is set."""
    x = bottoms[0]
    if layer.message["relu_param"]["negative_slope"]:
        return Interval(negative=x.negative)
    return Interval(max(0.0, x.low), max(0.0, x.high), x.zero or x.negative, False, x.reached)


def _only(value: float) -> Interval:
    return Interval(value, value, value == 0, value < 0, reached=True)


def clipped(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """Clip: between two bounds, of which the lower wins if they cross; both are 0 without clip_param (clip_layer.cpp)."""
    x, param = bottoms[0], layer.message["clip_param"]
    low, high = param["min"], param["max"]
    if low >= high:
        return _only(low)
    least, most = (max(low, min(value, high)) for value in (x.low, x.high))
    return Interval(least, most, x.zero and low <= 0 <= high, most < 0 or (x.negative and low < 0), x.reached)


def absolute(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """AbsVal."""
    return Interval(0.0, max(abs(bottoms[0].low), abs(bottoms[0].high)), bottoms[0].zero)


def power(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """Power: (shift + scale * x) ^ power; 1 with a power of 0, whatever x is (power_layer.cpp)."""
    param = layer.message["power_param"]
    inner = bottoms[0].times(param["scale"], param["shift"])
    exponent = param["power"]
    if exponent == 0:
        return _only(1.0)
    if exponent == 1:
        return inner
    if exponent == 2:
        return Interval(0.0, max(inner.low * inner.low, inner.high * inner.high), inner.zero)
    return Interval(0.0) if inner.low >= 0 else UNKNOWN_INTERVAL


def combined(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """Eltwise: a sum, a maximum, or a product of values that are never negative."""
    param = layer.message["eltwise_param"]
    operation = param["operation"]
    if operation == "SUM" and not any(coefficient != 1 for coefficient in param["coeff"]):
        return Interval(sum(x.low for x in bottoms), sum(x.high for x in bottoms))
    if operation == "MAX":
        return Interval(max(x.low for x in bottoms), max(x.high for x in bottoms))
    if operation == "PROD" and all(x.low >= 0 for x in bottoms):
        return Interval(0.0, zero=any(x.zero for x in bottoms))
    return UNKNOWN_INTERVAL


def dropped(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """Dropout: in training, some values are 0, and the others are scaled up to compensate."""
    x, ratio = bottoms[0], layer.message["dropout_param"]["dropout_ratio"]
    if layer.phase != "TRAIN" or not 0 < ratio < 1:
        return x
    return Interval(min(0.0, x.low / (1 - ratio)), max(0.0, x.high / (1 - ratio)), True, x.negative)


def squashed(layer: Layer, bottoms: Sequence[Interval], top: int) -> Interval:
    """TanH: between -1 and 1, with the sign of its input."""
    return Interval(-1.0, 1.0, bottoms[0].zero, bottoms[0].negative)
