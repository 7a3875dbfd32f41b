"""Activations: layers that work on each element by itself (src/caffe/layers/*_layer.cpp of Caffe's neuron layers)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..shapes import Shape, describe
from .layer_type import (
    IN_PLACE_FATAL,
    IN_PLACE_RIGHT,
    IN_PLACE_WRONG_GRADIENT,
    layer_type,
    same_shape,
)

if TYPE_CHECKING:
    from ..net import Layer


def _relu_in_place(layer: Layer) -> str:
    return IN_PLACE_RIGHT if layer.message["relu_param"]["negative_slope"] >= 0 else IN_PLACE_WRONG_GRADIENT


def _elu_in_place(layer: Layer) -> str:
    return IN_PLACE_RIGHT if layer.message["elu_param"]["alpha"] >= 0 else IN_PLACE_WRONG_GRADIENT


def _power_reads_top(layer: Layer) -> bool:
    param = layer.message["power_param"]
    return param["power"] not in (0, 1, 2) and param["power"] * param["scale"] != 0


layer_type("ReLU", in_place=_relu_in_place, nonlinear=True)(same_shape)
layer_type("ReLU6", in_place=IN_PLACE_RIGHT, nonlinear=True, bounded=True)(same_shape)
layer_type("Sigmoid", in_place=IN_PLACE_RIGHT, reads_top=True, nonlinear=True, bounded=True)(same_shape)
layer_type("TanH", in_place=IN_PLACE_RIGHT, reads_top=True, nonlinear=True, bounded=True)(same_shape)
layer_type("ELU", in_place=_elu_in_place, reads_top=True, nonlinear=True)(same_shape)
layer_type("Swish", in_place=IN_PLACE_RIGHT, reads_top=True, nonlinear=True)(same_shape)
layer_type("BNLL", in_place=IN_PLACE_WRONG_GRADIENT, nonlinear=True)(same_shape)
layer_type("Clip", in_place=IN_PLACE_WRONG_GRADIENT, nonlinear=True, bounded=True)(same_shape)
layer_type("Power", in_place=IN_PLACE_WRONG_GRADIENT, reads_top=_power_reads_top)(same_shape)
layer_type("Threshold", in_place=IN_PLACE_RIGHT, has_backward=False, bounded=True)(same_shape)
layer_type("Insanity", in_place=IN_PLACE_RIGHT, nonlinear=True, open_params=True)(same_shape)
layer_type("Mish", nonlinear=True)(same_shape)


@layer_type("Dropout", in_place=IN_PLACE_RIGHT)
def dropout(layer: Layer) -> Sequence[Shape]:
    """Source: dropout_layer.cpp; the ratio is only checked by debug builds."""
    if layer.phase == "TRAIN":
        ratio = layer.message["dropout_param"]["dropout_ratio"]
        if ratio < 0 or ratio > 1:
            message = f"dropout_ratio of layer '{layer.name}' must lie between 0 and 1, it is {ratio:g}"
            layer.fail(
                "dropout-ratio",
                message,
                "dropout_param.dropout_ratio",
                "math_functions.cpp:322",
                when="forward",
            )
    return same_shape(layer)


@layer_type("AbsVal", in_place=IN_PLACE_FATAL)
def abs_val(layer: Layer) -> Sequence[Shape]:
    """Source: absval_layer.cpp."""
    not_in_place(layer, "absval_layer.cpp:12")
    return same_shape(layer)


@layer_type("Exp", in_place=IN_PLACE_RIGHT, reads_top=True)
def exp(layer: Layer) -> Sequence[Shape]:
    """Source: exp_layer.cpp."""
    _base(layer, "exp_param", "exp_layer.cpp:14")
    return same_shape(layer)


@layer_type("Log", in_place=IN_PLACE_WRONG_GRADIENT)
def log(layer: Layer) -> Sequence[Shape]:
    """Source: log_layer.cpp."""
    if _base(layer, "log_param", "log_layer.cpp:14") and layer.message["log_param"]["base"] == 1:
        message = f"base of layer '{layer.name}' must not be 1: there is no logarithm to that base"
        layer.fail("base", message, "log_param.base", "log_layer.cpp:26")
    return same_shape(layer)


def _base(layer: Layer, param: str, source: str) -> bool:
    base = layer.message[param]["base"]
    if base == -1 or (base > 0 and math.isfinite(base)):
        return True
    message = f"base of layer '{layer.name}' must be over 0, or -1 for e; it is {base:g}"
    layer.fail("base", message, f"{param}.base", source)
    return False


@layer_type("PReLU", in_place=IN_PLACE_RIGHT, nonlinear=True)
def prelu(layer: Layer) -> Sequence[Shape]:
    """Source: prelu_layer.cpp."""
    shape = layer.bottoms[0].shape
    param = layer.message["prelu_param"]
    slope: Shape = None
    if shape is not None and len(shape) < 2:
        message = f"PReLU needs 2 axes or more: '{layer.bottoms[0].name}' is {describe(shape)}"
        layer.fail("axes", message, "bottom", "prelu_layer.cpp:14")
    elif param["channel_shared"]:
        slope = ()
    elif shape is not None:
        slope = (shape[1],)
    layer.add_param("slope", slope, param, "filler", 0.25)
    return (shape,)


def not_in_place(layer: Layer, source: str) -> None:
    """Reports a layer that must not work in place."""
    if layer.tops and layer.tops[0].below is not None:
        message = (
            f"{layer.type} must not work in place: '{layer.name}' writes its bottom '{layer.tops[0].name}'"
        )
        layer.fail("in-place", message, "top", source, subject=layer.tops[0].name)
