"""Layers that bring values to a fixed size, and the scales and biases that follow them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..proto.binder import Message
from ..shapes import Shape, axis_index, describe, shapes_differ
from .layer_type import (
    IN_PLACE_RIGHT,
    IN_PLACE_WRONG_GRADIENT,
    IN_PLACE_WRONG_VALUES,
    layer_type,
    same_shape,
)

if TYPE_CHECKING:
    from ..net import Layer


@layer_type("BatchNorm", in_place=IN_PLACE_RIGHT, normalises=True)
def batch_norm(layer: Layer) -> Sequence[Shape]:
    """Source: batch_norm_layer.cpp. Its three blobs are statistics: the solver must not learn them."""
    shape = layer.bottoms[0].shape
    channels: int | None = None
    if shape is not None:
        if len(shape) == 1:
            message = f"BatchNorm needs 2 axes or more: '{layer.bottoms[0].name}' is {describe(shape)}"
            layer.fail("axes", message, "bottom", "blob.hpp:140")
        else:
            channels = shape[1] if shape else 1
    for role, size in (("mean", channels), ("variance", channels), ("scale factor", 1)):
        layer.add_param(role, (size,)).lr_mult = 0.0
    for i, (spec, _, _) in enumerate(layer.message.entries.get("param", ())):
        if spec["lr_mult"] != 0 and "bvlc" == layer.net.dialect:
            written = "lr_mult" in spec.entries
            what = f"lr_mult {spec['lr_mult']:g}" if written else "no lr_mult, which means 1"
            message = f"param {i} of layer '{layer.name}' has {what}: BatchNorm's blobs are statistics and must have 0"
            path = f"param[{i}].lr_mult" if written else f"param[{i}]"
            layer.fail("batch-norm-learns", message, path, "batch_norm_layer.cpp:44")
            break
    return (shape,)


def _lrn_in_place(layer: Layer) -> str:
    within = layer.message["lrn_param"]["norm_region"] == "WITHIN_CHANNEL"
    return IN_PLACE_WRONG_GRADIENT if within else IN_PLACE_WRONG_VALUES


def _lrn_reads_top(layer: Layer) -> bool:
    return bool(layer.message["lrn_param"]["norm_region"] == "ACROSS_CHANNELS")


@layer_type("LRN", in_place=_lrn_in_place, reads_top=_lrn_reads_top)
def lrn(layer: Layer) -> Sequence[Shape]:
    """Source: lrn_layer.cpp."""
    size = layer.message["lrn_param"]["local_size"]
    if size % 2 == 0:
        message = f"local_size of layer '{layer.name}' must be odd, it is {size}"
        layer.fail("lrn-size", message, "lrn_param.local_size", "lrn_layer.cpp:12")
    shape = layer.bottoms[0].shape
    if shape is not None and len(shape) != 4:
        message = f"LRN needs 4 axes: '{layer.bottoms[0].name}' is {describe(shape)}"
        layer.fail("axes", message, "bottom", "lrn_layer.cpp")
    return (shape,)


def _mvn_in_place(layer: Layer) -> str:
    return IN_PLACE_WRONG_GRADIENT if layer.message["mvn_param"]["normalize_variance"] else IN_PLACE_RIGHT


def _mvn_reads_top(layer: Layer) -> bool:
    return bool(layer.message["mvn_param"]["normalize_variance"])


@layer_type("MVN", in_place=_mvn_in_place, reads_top=_mvn_reads_top, normalises=True)
def mvn(layer: Layer) -> Sequence[Shape]:
    """Source: mvn_layer.cpp; it reads and makes 4 axes of old."""
    return (legacy_shape(layer, layer.bottoms[0].shape, "mvn_layer.cpp"),)


def legacy_shape(layer: Layer, shape: Shape, source: str) -> Shape:
    """The shape as num, channels, height and width; more than 4 axes are fatal (Blob::LegacyShape)."""
    if shape is None:
        return (None, None, None, None)
    if len(shape) > 4:
        message = f"{layer.type} reads at most 4 axes: '{layer.bottoms[0].name}' is {describe(shape)}"
        layer.fail("axes", message, "bottom", source)
        return None
    return (*shape, *(1,) * (4 - len(shape)))


@layer_type("Normalize", normalises=True)
def normalize(layer: Layer) -> Sequence[Shape]:
    """SSD's, with a learned scale for each channel (normalize_layer.cpp)."""
    shape = layer.bottoms[0].shape
    param = layer.message["norm_param"]
    scale: Shape = None
    if shape is not None and len(shape) < 2:
        message = f"Normalize needs 2 axes or more: '{layer.bottoms[0].name}' is {describe(shape)}"
        layer.fail("axes", message, "bottom", "normalize_layer.cpp")
    elif param["channel_shared"]:
        scale = ()
    elif shape is not None:
        scale = (shape[1],)
    layer.add_param("scale", scale, param, "scale_filler", 1.0)
    return (shape,)


layer_type(
    "Normalize",
    normalises=True,
    dialects=frozenset({"happynear", "yjxiong-mem", "yjxiong-interp", "yjxiong-action-recog"}),
)(same_shape)


@layer_type("BN", tops=(1, 3), in_place=IN_PLACE_RIGHT, normalises=True)
def bn_segnet(layer: Layer) -> Sequence[Shape]:
    """SegNet's and ENet's, without running statistics (bn_layer.cpp)."""
    param = layer.message["bn_param"]
    channels = _channels(layer)
    layer.add_param("scale", (1, channels, 1, 1), param, "scale_filler")
    layer.add_param("shift", (1, channels, 1, 1), param, "shift_filler")
    return (layer.bottoms[0].shape, (1, channels, 1, 1), (1, channels, 1, 1))


_RUNNING_BN = frozenset(
    {
        "pspnet",
        "yjxiong-mem",
        "yjxiong-interp",
        "yjxiong-action-recog",
        "happynear",
        "brocolli",
        "cambricon",
        "ncnn",
    }
)


@layer_type("BN", dialects=_RUNNING_BN, in_place=IN_PLACE_RIGHT, normalises=True)
def bn_running(layer: Layer) -> Sequence[Shape]:
    """PSPNet's, with running statistics (bn_layer.cpp)."""
    param = layer.message["bn_param"]
    channels = _channels(layer)
    shape: Shape = (1, channels) if layer.net.dialect.startswith("yjxiong") else (1, channels, 1, 1)
    layer.add_param("slope", shape, param, "slope_filler", 1.0)
    layer.add_param("bias", shape, param, "bias_filler")
    layer.add_param("running mean", shape).lr_mult = 0.0
    layer.add_param("running variance", shape).lr_mult = 0.0
    return (layer.bottoms[0].shape,)


def _channels(layer: Layer) -> int | None:
    shape = layer.bottoms[0].shape
    return shape[1] if shape is not None and len(shape) > 1 else None


@layer_type("GRN", normalises=True, open_params=True)
def grn(layer: Layer) -> Sequence[Shape]:
    """Global response normalisation: brings the channels of each place to length 1 (grn_layer.cpp)."""
    return same_shape(layer)


# -- Scale and Bias ---------------------------------------------------------------------------------------------


@layer_type("Scale", bottoms=(1, 2), in_place=IN_PLACE_RIGHT)
def scale(layer: Layer) -> Sequence[Shape]:
    """Source: scale_layer.cpp."""
    entries = layer.message.entries
    param: Message = (
        entries["scale_param"][0][0] if "scale_param" in entries else layer.message["scale_param"]
    )
    shape = _factor_shape(layer, param, "scale_param", "scale_layer.cpp")
    if len(layer.bottoms) == 1:
        layer.add_param("scale", shape, param, "filler", 1.0)
    else:
        shape = layer.bottoms[1].shape
    if param["bias_term"]:
        layer.add_param("bias", shape, param, "bias_filler")
    return (layer.bottoms[0].shape,)


@layer_type("Bias", bottoms=(1, 2), in_place=IN_PLACE_RIGHT)
def bias(layer: Layer) -> Sequence[Shape]:
    """Source: bias_layer.cpp."""
    param = layer.message["bias_param"]
    shape = _factor_shape(layer, param, "bias_param", "bias_layer.cpp")
    if len(layer.bottoms) == 1:
        layer.add_param("bias", shape, param, "filler")
    return (layer.bottoms[0].shape,)


def _factor_shape(layer: Layer, param: Message, name: str, source: str) -> Shape:
    """The shape of the learned factor or summand; with two bottoms, checks that the second fits into the first."""
    shape = layer.bottoms[0].shape
    entries = param.entries
    written = entries["axis"][0][0] if "axis" in entries else 1
    if len(layer.bottoms) == 2:
        factor = layer.bottoms[1].shape
        if shape is None or factor is None:
            return factor
        start = axis_index(written, len(shape)) if factor else 0
        if start is None:
            _no_axis(layer, written, name, shape)
        elif len(shape) < start + len(factor):
            message = f"'{layer.bottoms[1].name}' ({describe(factor)}) has more axes than '{layer.bottoms[0].name}' from axis {start} on"
            layer.fail("axes", message, "bottom[1]", source)
        elif shapes_differ(shape[start : start + len(factor)], factor):
            sizes = f"'{layer.bottoms[0].name}' is {describe(shape)}, '{layer.bottoms[1].name}' is {describe(factor)}"
            layer.fail(
                "bottom-shapes",
                f"the bottoms of layer '{layer.name}' do not fit from axis {start} on: {sizes}",
                "bottom[1]",
                source,
            )
        return factor
    axes = entries["num_axes"][0][0] if "num_axes" in entries else 1
    if axes < -1:
        layer.fail(
            "num-axes",
            f"num_axes of layer '{layer.name}' must be -1 or more, it is {axes}",
            f"{name}.num_axes",
            source,
        )
        return None
    if axes == 0:
        return ()
    if shape is None:
        return (None,) * axes if axes > 0 else None
    start = axis_index(written, len(shape))
    if start is None:
        _no_axis(layer, written, name, shape)
        return None
    if axes == -1:
        return shape[start:]
    if start + axes > len(shape):
        message = f"layer '{layer.name}' takes {axes} axes from axis {start} on: '{layer.bottoms[0].name}' is {describe(shape)}"
        layer.fail("num-axes", message, f"{name}.num_axes", source)
        return None
    return shape[start : start + axes]


def _no_axis(layer: Layer, axis: int, name: str, shape: Shape) -> None:
    message = f"layer '{layer.name}' has axis {axis}: '{layer.bottoms[0].name}' is {describe(shape)}"
    layer.fail("axis", message, f"{name}.axis", "blob.hpp:140")
