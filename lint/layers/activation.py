"""Activations: layers that compute each element on its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import IN_PLACE_FATAL, IN_PLACE_RIGHT, IN_PLACE_WRONG_GRADIENT, SIGMOID
from ..moments.shapes import Shape
from . import value_ranges
from .record import layer_type, one_per_value, same_shape, wrong_axes

if TYPE_CHECKING:
    from ..moments.graph import Layer


def _relu_in_place(layer: Layer) -> str:
    return IN_PLACE_RIGHT if layer.message["relu_param"]["negative_slope"] >= 0 else IN_PLACE_WRONG_GRADIENT


def _relu_cuts(layer: Layer) -> bool:
    return not layer.message["relu_param"]["negative_slope"]


def _elu_in_place(layer: Layer) -> str:
    return IN_PLACE_RIGHT if layer.message["elu_param"]["alpha"] >= 0 else IN_PLACE_WRONG_GRADIENT


def _power_reads_top(layer: Layer) -> bool:
    param = layer.message["power_param"]
    return param["power"] not in (0, 1, 2) and param["power"] * param["scale"] != 0


def _power_factor(layer: Layer) -> float | None:
    param = layer.message["power_param"]
    return abs(param["scale"]) if param["power"] == 1 else None


_SATURATING: dict[str, Any] = {"in_place": IN_PLACE_RIGHT, "reads_top": True, "nonlinear": True, "bounded": True}

# An activation that maps negative values to 0 or to small values.
_RECTIFIER: dict[str, Any] = {"nonlinear": True, "rectifies": True, "keeps_scale": True}

layer_type(
    "ReLU", "relu_layer.cpp", signal="elementwise.ReLU", simulate="functions.ReLU",
    reads=("relu_param",), in_place=_relu_in_place, engine="relu_param", cuts=_relu_cuts,
    value_range=value_ranges.rectified, **_RECTIFIER,
)(same_shape)  # fmt: skip
layer_type(
    "ReLU6", "relu6_layer.cpp", signal="elementwise.ReLU", simulate="functions.ReLU6",
    in_place=IN_PLACE_RIGHT, bounded=True, cuts=True,
    value_range=value_ranges.between(0.0, 6.0), **_RECTIFIER,
)(same_shape)  # fmt: skip
layer_type(
    "Sigmoid", "sigmoid_layer.cpp", signal="elementwise.ElementwiseFunction", simulate="functions.Sigmoid",
    reads=("sigmoid_param",), engine="sigmoid_param", activation=SIGMOID, unsaturated=(0.03, 0.97),
    value_range=value_ranges.between(0.0, 1.0), **_SATURATING,
)(same_shape)  # fmt: skip
layer_type(
    "TanH", "tanh_layer.cpp", signal="elementwise.ElementwiseFunction", simulate="functions.TanH",
    reads=("tanh_param",), engine="tanh_param", unsaturated=(0.0, 0.9),
    value_range=value_ranges.squashed, **_SATURATING,
)(same_shape)  # fmt: skip
layer_type(
    "ELU", "elu_layer.cpp", signal="elementwise.ElementwiseFunction", simulate="functions.ELU",
    reads=("elu_param",), in_place=_elu_in_place, reads_top=True, **_RECTIFIER
)(same_shape)  # fmt: skip
layer_type(
    "Swish", "swish_layer.cpp", signal="elementwise.ElementwiseFunction", simulate="functions.Swish",
    reads=("swish_param",), in_place=IN_PLACE_RIGHT, reads_top=True, **_RECTIFIER
)(same_shape)  # fmt: skip
layer_type("Mish", "mish_layer.cpp", signal="elementwise.ElementwiseFunction", simulate="functions.Mish", **_RECTIFIER)(same_shape)
layer_type(
    "BNLL", "bnll_layer.cpp", signal="elementwise.ElementwiseFunction", simulate="functions.BNLL",
    reads=(), in_place=IN_PLACE_WRONG_GRADIENT, nonlinear=True, keeps_scale=True,
    value_range=value_ranges.between(0.0),
)(same_shape)  # fmt: skip
layer_type(
    "Clip", "clip_layer.cpp", signal="elementwise.ElementwiseFunction", simulate="functions.Clip",
    reads=("clip_param",), in_place=IN_PLACE_WRONG_GRADIENT, nonlinear=True, bounded=True, value_range=value_ranges.clipped,
)(same_shape)  # fmt: skip
layer_type(
    "Power", "power_layer.cpp", signal="elementwise.ElementwiseFunction", simulate="functions.Power",
    reads=("power_param",), in_place=IN_PLACE_WRONG_GRADIENT, reads_top=_power_reads_top,
    keeps_scale=True, factor=_power_factor, value_range=value_ranges.power,
    hazard=(
        "power-out-of-domain",
        "Power is undefined for a negative base with a fractional power, and for 0 with a negative power",
    ),
)(same_shape)  # fmt: skip
layer_type(
    "Threshold", "threshold_layer.cpp", signal="data_models.Output", simulate="functions.Threshold",
    reads=("threshold_param",), in_place=IN_PLACE_RIGHT, bounded=True,
    has_backward=False, refuses_at="threshold_layer.hpp:56",
)(same_shape)  # fmt: skip
layer_type(
    "Insanity", "insanity_layer.cpp", signal="elementwise.ReLU", simulate="functions.Insanity", settings="insanity_param",
    by_channel=True, in_place=IN_PLACE_RIGHT, **_RECTIFIER,
)(same_shape)  # fmt: skip


@layer_type(
    "Dropout",
    "dropout_layer.cpp",
    signal="elementwise.Dropout",
    simulate="functions.Dropout",
    reads=("dropout_param",),
    in_place=IN_PLACE_RIGHT,
    keeps_shape=True,
    keeps_scale=True,
    keeps_order=True,
    linear=True,
    trains_only=True,
    by_channel=lambda layer: layer.phase == "TRAIN" and layer.message["dropout_param"]["dropout_ratio"] > 0,
    value_range=value_ranges.dropped,
    hazard=("dropout-ratio-1", "Dropout multiplies by 1/(1 - dropout_ratio): with a ratio of 1 that is 0 * inf"),
)
def dropout(layer: Layer) -> Sequence[Shape]:
    """Only debug builds check the ratio, but drawing the mask needs a probability."""
    if layer.phase == "TRAIN" and "dropout_param" in layer.message.entries:
        ratio = layer.message["dropout_param"]["dropout_ratio"]
        if ratio < 0 or ratio > 1:
            text = f"dropout_ratio must be between 0 and 1, not {ratio:g}"
            at = "math_functions.cpp:323" if ratio < 0 else "math_functions.cpp:322"
            layer.fail("dropout-ratio", text, "dropout_param.dropout_ratio", at, when="forward")
    return same_shape(layer)


@layer_type(
    "AbsVal",
    "absval_layer.cpp",
    signal="elementwise.ElementwiseFunction",
    simulate="functions.AbsVal",
    reads=(),
    in_place=IN_PLACE_FATAL,
    keeps_shape=True,
    keeps_scale=True,
    takes_absolute=True,
    value_range=value_ranges.absolute,
    hazard=("abs-gradient", "AbsVal's gradient is the sign of its input"),
)
def abs_val(layer: Layer) -> Sequence[Shape]:
    """The absolute value, not in place."""
    not_in_place(layer, ":12")
    return same_shape(layer)


@layer_type(
    "Exp",
    "exp_layer.cpp",
    signal="elementwise.ElementwiseFunction",
    simulate="functions.Exp",
    reads=("exp_param",),
    in_place=IN_PLACE_RIGHT,
    reads_top=True,
    keeps_shape=True,
    value_range=value_ranges.between(0.0),
    hazard=("exp-overflow", "Exp overflows above about 88.7; scale its input down"),
)
def exp(layer: Layer) -> Sequence[Shape]:
    """base ^ (shift + scale x)."""
    _base(layer, "exp_param", ":14")
    return same_shape(layer)


@layer_type(
    "Log",
    "log_layer.cpp",
    signal="elementwise.ElementwiseFunction",
    simulate="functions.Log",
    reads=("log_param",),
    in_place=IN_PLACE_WRONG_GRADIENT,
    keeps_shape=True,
    hazard=(
        "log-of-nonpositive",
        "Log is undefined if shift + scale * x is 0 or less; add a shift, or clip its input",
    ),
)
def log(layer: Layer) -> Sequence[Shape]:
    """The logarithm of shift + scale x to a base."""
    if _base(layer, "log_param", "") and layer.message["log_param"]["base"] == 1:
        layer.fail("base", "base must not be 1", "log_param.base", ":26")
    return same_shape(layer)


def _base(layer: Layer, param: str, at: str) -> bool:
    base = layer.message[param]["base"]
    if base == -1 or (base > 0 and math.isfinite(base)):
        return True
    layer.fail("base", f"base must be greater than 0, or -1 for e, not {base:g}", f"{param}.base", at)
    return False


@layer_type(
    "PReLU",
    "prelu_layer.cpp",
    signal="elementwise.ReLU",
    simulate="functions.PReLU",
    reads=("prelu_param",),
    in_place=IN_PLACE_RIGHT,
    keeps_shape=True,
    channel_params=True,
    multiply_adds=one_per_value,
    **_RECTIFIER,
)
def prelu(layer: Layer) -> Sequence[Shape]:
    """A learned slope for negative values, one for each channel or one for all."""
    shape = layer.bottoms[0].shape
    param = layer.message["prelu_param"]
    slope: Shape = None
    if shape is not None and len(shape) < 2:
        layer.fail("axes", wrong_axes(layer, "at least 2"), "bottom", ":14")
    elif param["channel_shared"]:
        slope = ()
    elif shape is not None:
        slope = (shape[1],)
    layer.add_param("slope", slope, param, "filler", 0.25)
    return (shape,)


def not_in_place(layer: Layer, at: str) -> None:
    """Report a layer that works in place though its type cannot."""
    if layer.tops and layer.tops[0].below is not None:
        name = layer.tops[0].name
        text = f"'{name}' is both top and bottom, but {layer.type} cannot work in place"
        layer.fail("in-place", text, "top", at, subject=name)
