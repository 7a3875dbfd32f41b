"""Activations: layers that work on each element by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..moments.layer_type import IN_PLACE_FATAL, IN_PLACE_RIGHT, IN_PLACE_WRONG_GRADIENT
from ..moments.shapes import Shape
from .record import layer_type, one_per_value, same_shape

if TYPE_CHECKING:
    from ..moments.graph import Layer


def _relu_in_place(layer: Layer) -> str:
    return IN_PLACE_RIGHT if layer.message["relu_param"]["negative_slope"] >= 0 else IN_PLACE_WRONG_GRADIENT


def _elu_in_place(layer: Layer) -> str:
    return IN_PLACE_RIGHT if layer.message["elu_param"]["alpha"] >= 0 else IN_PLACE_WRONG_GRADIENT


def _power_reads_top(layer: Layer) -> bool:
    param = layer.message["power_param"]
    return param["power"] not in (0, 1, 2) and param["power"] * param["scale"] != 0


_SQUASHING = {"in_place": IN_PLACE_RIGHT, "reads_top": True, "nonlinear": True, "bounded": True}

layer_type("ReLU", "relu_layer.cpp", in_place=_relu_in_place, nonlinear=True, engine="relu_param")(same_shape)
layer_type("ReLU6", "relu6_layer.cpp", in_place=IN_PLACE_RIGHT, nonlinear=True, bounded=True)(same_shape)
layer_type("Sigmoid", "sigmoid_layer.cpp", engine="sigmoid_param", **_SQUASHING)(same_shape)
layer_type("TanH", "tanh_layer.cpp", engine="tanh_param", **_SQUASHING)(same_shape)
layer_type("ELU", "elu_layer.cpp", in_place=_elu_in_place, reads_top=True, nonlinear=True)(same_shape)
layer_type("Swish", "swish_layer.cpp", in_place=IN_PLACE_RIGHT, reads_top=True, nonlinear=True)(same_shape)
layer_type("Mish", "mish_layer.cpp", nonlinear=True)(same_shape)
layer_type("BNLL", "bnll_layer.cpp", in_place=IN_PLACE_WRONG_GRADIENT, nonlinear=True)(same_shape)
layer_type("Clip", "clip_layer.cpp", in_place=IN_PLACE_WRONG_GRADIENT, nonlinear=True, bounded=True)(
    same_shape
)
layer_type("Power", "power_layer.cpp", in_place=IN_PLACE_WRONG_GRADIENT, reads_top=_power_reads_top)(
    same_shape
)
layer_type(
    "Threshold",
    "threshold_layer.cpp",
    in_place=IN_PLACE_RIGHT,
    bounded=True,
    has_backward=False,
    refuses_at="threshold_layer.hpp:56",
)(same_shape)
layer_type("Insanity", "insanity_layer.cpp", nonlinear=True, open_params=True)(same_shape)


@layer_type("Dropout", "dropout_layer.cpp", in_place=IN_PLACE_RIGHT)
def dropout(layer: Layer) -> Sequence[Shape]:
    """The ratio is looked at by debug builds only; what draws the mask wants a probability."""
    if layer.phase == "TRAIN" and "dropout_param" in layer.message.entries:
        ratio = layer.message["dropout_param"]["dropout_ratio"]
        if ratio < 0 or ratio > 1:
            text = f"dropout_ratio must lie between 0 and 1, it is {ratio:g}"
            at = "math_functions.cpp:323" if ratio < 0 else "math_functions.cpp:322"
            layer.fail("dropout-ratio", text, "dropout_param.dropout_ratio", at, when="forward")
    return same_shape(layer)


@layer_type("AbsVal", "absval_layer.cpp", in_place=IN_PLACE_FATAL)
def abs_val(layer: Layer) -> Sequence[Shape]:
    """Refuses to work in place."""
    not_in_place(layer, ":12")
    return same_shape(layer)


@layer_type("Exp", "exp_layer.cpp", in_place=IN_PLACE_RIGHT, reads_top=True)
def exp(layer: Layer) -> Sequence[Shape]:
    """base ^ (shift + scale x)."""
    _base(layer, "exp_param", ":14")
    return same_shape(layer)


@layer_type("Log", "log_layer.cpp", in_place=IN_PLACE_WRONG_GRADIENT)
def log(layer: Layer) -> Sequence[Shape]:
    """The logarithm of shift + scale x to a base."""
    if _base(layer, "log_param", "") and layer.message["log_param"]["base"] == 1:
        layer.fail("base", "base must not be 1: there is no logarithm to that base", "log_param.base", ":26")
    return same_shape(layer)


def _base(layer: Layer, param: str, at: str) -> bool:
    base = layer.message[param]["base"]
    if base == -1 or (base > 0 and math.isfinite(base)):
        return True
    layer.fail("base", f"base must be over 0, or -1 for e; it is {base:g}", f"{param}.base", at)
    return False


@layer_type("PReLU", "prelu_layer.cpp", in_place=IN_PLACE_RIGHT, nonlinear=True, multiply_adds=one_per_value)
def prelu(layer: Layer) -> Sequence[Shape]:
    """A learned slope for the negative side, of each channel or of all."""
    shape = layer.bottoms[0].shape
    param = layer.message["prelu_param"]
    slope: Shape = None
    if shape is not None and len(shape) < 2:
        layer.fail("axes", f"it needs 2 axes or more, not {layer.shown()}", "bottom", ":14")
    elif param["channel_shared"]:
        slope = ()
    elif shape is not None:
        slope = (shape[1],)
    layer.add_param("slope", slope, param, "filler", 0.25)
    return (shape,)


def not_in_place(layer: Layer, at: str) -> None:
    """Reports a layer that must not work in place."""
    if layer.tops and layer.tops[0].below is not None:
        name = layer.tops[0].name
        layer.fail(
            "in-place", f"it must not work in place, but writes '{name}', its bottom", "top", at, subject=name
        )
