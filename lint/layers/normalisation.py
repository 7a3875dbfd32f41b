"""Layers that normalise values, and the scales and biases that follow them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import IN_PLACE_RIGHT, IN_PLACE_WRONG_GRADIENT, IN_PLACE_WRONG_VALUES, UNMODELLED
from ..moments.shapes import MAX_AXES, Shape, axis_index, shapes_differ
from ..proto.binder import Message
from ..source.wording import counted
from . import value_ranges
from .record import layer_type, missing_axis, no_products, one_per_value, same_shape, wrong_axes

if TYPE_CHECKING:
    from ..moments.graph import Layer
    from ..proto.schema import MessageType


_OF_CHANNELS: dict[str, Any] = {
    "normalises": True, "keeps_shape": True, "keeps_order": True, "channel_params": True,
    "multiply_adds": one_per_value,
}  # fmt: skip


def _is_of_fork(layer: Layer) -> bool:
    return layer.context.dialect != "bvlc"


def _batch_norm_model(layer: Layer) -> str:
    """Its signal model; with a negative eps it takes roots of negative numbers (G111)."""
    return UNMODELLED if layer.message["batch_norm_param"]["eps"] < 0 else "normalising.BatchNorm"


@layer_type(
    "BatchNorm",
    "batch_norm_layer.cpp",
    signal=_batch_norm_model,
    simulate="standardising.BatchNorm",
    reads=("batch_norm_param",),
    in_place=IN_PLACE_RIGHT,
    stores_statistics=True,
    value_range=value_ranges.normalised,
    hazard=(
        "batch-norm-zero-variance",
        "BatchNorm divides by sqrt(variance + eps): with eps 0 and no variance (a batch of one) that is 0/0; and"
        " use_global_stats without trained statistics divides by almost 0",
    ),
    **_OF_CHANNELS,
    open_params=_is_of_fork,
    fork_fields=None,
)
def batch_norm(layer: Layer) -> Sequence[Shape]:
    """Mean 0 and variance 1 for each channel. Its blobs are statistics, which the solver must not update."""
    shape = layer.bottoms[0].shape
    channels: int | None = None
    if shape is not None:
        if len(shape) == 1:
            layer.fail("axes", wrong_axes(layer, "at least 2"), "bottom", "blob.hpp:122")
        else:
            channels = shape[1] if shape else 1
    for role, size in (("mean", channels), ("variance", channels), ("scale factor", 1)):
        layer.add_param(role, (size,)).lr_mult = 0.0
    if not _has_fields_of_its_own(layer):
        _check_frozen(layer)
    return (shape,)


def uses_stored_statistics(layer: Layer) -> bool:
    """Whether a BatchNorm uses stored statistics rather than those of the batch: in a test, unless `use_global_stats` is written.

    Source: BatchNormLayer::LayerSetUp.
    """
    return bool(layer.message["batch_norm_param"].get("use_global_stats", layer.phase == "TEST"))


def _has_fields_of_its_own(layer: Layer) -> bool:
    """Whether the file is for a fork with its own BatchNorm, which may learn what BVLC's must not."""
    return _has_own_fields(layer.message.type.readable["batch_norm_param"].message, layer.context.dialect)


@lru_cache(maxsize=64)
def _has_own_fields(settings: MessageType, dialect: str) -> bool:
    return any(dialect in field.dialects and "bvlc" not in field.dialects for field in settings.readable.values())


def _check_frozen(layer: Layer) -> None:
    for i, (spec, _, _) in enumerate(layer.message.entries.get("param", ())):
        rate = spec["lr_mult"]
        if rate != 0:
            written = "lr_mult" in spec.entries
            what = f"lr_mult {rate:g}" if written else "the default lr_mult 1"
            text = f"param {i} has {what}, but BatchNorm statistics need lr_mult 0"
            path = f"param[{i}].lr_mult" if written else f"param[{i}]"
            layer.fail("batch-norm-learns", text, path, ":44")
            return


def _lrn_in_place(layer: Layer) -> str:
    within = layer.message["lrn_param"]["norm_region"] == "WITHIN_CHANNEL"
    return IN_PLACE_WRONG_GRADIENT if within else IN_PLACE_WRONG_VALUES


def _lrn_reads_top(layer: Layer) -> bool:
    return bool(layer.message["lrn_param"]["norm_region"] == "ACROSS_CHANNELS")


def _lrn_model(layer: Layer) -> str:
    """Its signal model; with a negative alpha it takes powers of negative numbers (G111)."""
    return UNMODELLED if layer.message["lrn_param"]["alpha"] < 0 else "local_response.LRN"


@layer_type(
    "LRN",
    "lrn_layer.cpp",
    signal=_lrn_model,
    simulate="windows.LRN",
    reads=("lrn_param",),
    in_place=_lrn_in_place,
    reads_top=_lrn_reads_top,
    engine="lrn_param",
    by_channel=_lrn_reads_top,  # the first and the last channels have fewer neighbours
    reaches=lambda layer: layer.message["lrn_param"]["norm_region"] == "WITHIN_CHANNEL",
    keeps_shape=True,
    keeps_order=True,
    value_range=value_ranges.divided,
    hazard=("lrn-zero-base", "LRN is undefined if k + alpha/n * sum is 0 or less; k must be greater than 0"),
)
def lrn(layer: Layer) -> Sequence[Shape]:
    """Divides each value by a power of the sum of squares around it."""
    size = layer.message["lrn_param"]["local_size"]
    if size % 2 == 0:
        layer.fail("lrn-size", f"local_size must be odd, not {size}", "lrn_param.local_size", ":12")
    shape = layer.bottoms[0].shape
    if shape is not None and len(shape) != 4:
        layer.fail("axes", wrong_axes(layer, "4"), "bottom")
    return (shape,)


def _mvn_in_place(layer: Layer) -> str:
    return IN_PLACE_WRONG_GRADIENT if layer.message["mvn_param"]["normalize_variance"] else IN_PLACE_RIGHT


def _mvn_reads_top(layer: Layer) -> bool:
    return bool(layer.message["mvn_param"]["normalize_variance"])


@layer_type(
    "MVN",
    "mvn_layer.cpp",
    signal="normalising.MVN",
    simulate="standardising.MVN",
    reads=("mvn_param",),
    in_place=_mvn_in_place,
    reads_top=_mvn_reads_top,
    normalises=True,
    keeps_order=True,
    keeps_channels=True,
    hazard=("mvn-zero-variance", "MVN divides by the standard deviation of its input, which may be 0"),
)
def mvn(layer: Layer) -> Sequence[Shape]:
    """Mean 0 and variance 1 for each item; its top always has 4 axes (Blob::LegacyShape)."""
    shape = layer.bottoms[0].shape
    if shape is None:
        return ((None, None, None, None),)
    if len(shape) > 4:
        layer.fail("axes", wrong_axes(layer, "at most 4"), "bottom", "blob.hpp:140")
        return ()
    return ((*shape, *(1,) * (4 - len(shape))),)


_ZERO_VECTOR = ("normalize-zero-vector", "Normalize divides by the length of a vector that may be 0")


@layer_type(
    "Normalize", "normalize_layer.cpp", signal="normalising.Normalize", simulate="standardising.Normalize",
    hazard=_ZERO_VECTOR, **_OF_CHANNELS,
)
def normalize(layer: Layer) -> Sequence[Shape]:
    """SSD: scales vectors to length 1, then by a learned factor for each channel."""
    shape = layer.bottoms[0].shape
    param = layer.message["norm_param"]
    scale: Shape = None
    if shape is not None and len(shape) < 2:
        layer.fail("axes", wrong_axes(layer, "at least 2"), "bottom")
    elif param["channel_shared"]:
        scale = ()
    elif shape is not None:
        scale = (shape[1],)
    layer.add_param("scale", scale, param, "scale_filler", 1.0)
    return (shape,)


_WITHOUT_SCALE = frozenset({"happynear", "yjxiong-mem", "yjxiong-interp", "yjxiong-action-recog"})
layer_type(
    "Normalize",
    "normalize_layer.cpp",
    signal="normalising.Normalize",
    dialects=_WITHOUT_SCALE,
    fork_tops=(1, 2),
    fork_fields=None,
    normalises=True,
    keeps_order=True,
    hazard=_ZERO_VECTOR,
)(same_shape)


_BN: dict[str, Any] = {
    "settings": "bn_param", "in_place": IN_PLACE_RIGHT, **_OF_CHANNELS,
    "hazard": ("batch-norm-zero-variance", "the variance, a difference of two sums, was negative or 0"),
}  # fmt: skip


@layer_type("BN", "bn_layer.cpp", signal="normalising.BatchNormWithScale", simulate="standardising.BN", tops=(1, 3), **_BN)
def bn_segnet(layer: Layer) -> Sequence[Shape]:
    """SegNet and ENet: without running statistics."""
    param = layer.message["bn_param"]
    of_channels = (1, _channels(layer), 1, 1)
    layer.add_param("scale", of_channels, param, "scale_filler")
    layer.add_param("shift", of_channels, param, "shift_filler")
    return (layer.bottoms[0].shape, of_channels, of_channels)


_RUNNING = frozenset({
    "pspnet", "yjxiong-mem", "yjxiong-interp", "yjxiong-action-recog", "happynear", "brocolli", "cambricon",
    "ncnn", "synopsys", "seqface",
})  # fmt: skip


@layer_type("BN", "bn_layer.cpp", signal="normalising.BatchNormWithScale", simulate="standardising.BN", dialects=_RUNNING, **_BN)
def bn_running(layer: Layer) -> Sequence[Shape]:
    """PSPNet: with running statistics."""
    param = layer.message["bn_param"]
    channels = _channels(layer)
    shape: Shape = (1, channels) if layer.context.dialect.startswith("yjxiong") else (1, channels, 1, 1)
    layer.add_param("slope", shape, param, "slope_filler", 1.0)
    layer.add_param("bias", shape, param, "bias_filler")
    layer.add_param("running mean", shape).lr_mult = 0.0
    layer.add_param("running variance", shape).lr_mult = 0.0
    return (layer.bottoms[0].shape,)


def _channels(layer: Layer) -> int | None:
    shape = layer.bottoms[0].shape
    return shape[1] if shape is not None and len(shape) > 1 else None


# Scales the channels of each position to length 1.
layer_type("GRN", "grn_layer.cpp", signal="normalising.Normalize", normalises=True, open_params=True)(same_shape)


# -- Scale and Bias --------------------------------------------------------------------------------------


_AFFINE: dict[str, Any] = {
    "in_place": IN_PLACE_RIGHT, "keeps_shape": True, "keeps_scale": True, "keeps_order": True, "linear": True,
    "channel_params": True,
}  # fmt: skip


@layer_type(
    "Scale",
    "scale_layer.cpp",
    signal="linear.Scale",
    simulate="products.Scale",
    reads=("scale_param",),
    bottoms=(1, 2),
    multiply_adds=one_per_value,
    hazard=(
        "scale-of-not-finite",
        "its input is close to the largest float; check the BatchNorm before it, whose statistics may be all 0",
    ),
    **_AFFINE,
)
def scale(layer: Layer) -> Sequence[Shape]:
    """Multiplies by a factor, learned or the second bottom, and may add a learned bias."""
    entries = layer.message.entries
    param: Message = (
        entries["scale_param"][0][0] if "scale_param" in entries else layer.message["scale_param"]
    )
    shape = _factor_shape(layer, param, "scale_param")
    if len(layer.bottoms) == 1:
        layer.add_param("scale", shape, param, "filler", 1.0)
    if "bias_term" in param.entries and param.entries["bias_term"][0][0]:
        layer.add_param("bias", shape, param, "bias_filler")
    return (layer.bottoms[0].shape,)


@layer_type(
    "Bias", "bias_layer.cpp", signal="linear.Scale", simulate="products.Bias",
    reads=("bias_param",), bottoms=(1, 2), multiply_adds=no_products, **_AFFINE,
)
def bias(layer: Layer) -> Sequence[Shape]:
    """Adds a bias, learned or the second bottom."""
    param = layer.message["bias_param"]
    shape = _factor_shape(layer, param, "bias_param")
    if len(layer.bottoms) == 1:
        layer.add_param("bias", shape, param, "filler")
    return (layer.bottoms[0].shape,)


def _factor_shape(layer: Layer, param: Message, name: str) -> Shape:
    """The shape of the factor or bias; that of a second bottom must match part of the first."""
    shape = layer.bottoms[0].shape
    entries = param.entries
    written = entries["axis"][0][0] if "axis" in entries else 1
    if len(layer.bottoms) == 2:
        factor = layer.bottoms[1].shape
        if shape is None or factor is None:
            return factor
        start = axis_index(written, len(shape)) if factor else 0
        if start is None:
            _no_axis(layer, written, name)
        elif len(shape) < start + len(factor) or shapes_differ(shape[start : start + len(factor)], factor):
            text = f"{layer.shown(1)} does not match {layer.shown()} from axis {start}"
            layer.fail("bottom-shapes", text, "bottom[1]")
        return factor
    axes = entries["num_axes"][0][0] if "num_axes" in entries else 1
    if axes < -1:
        layer.fail("num-axes", f"num_axes must be at least -1, not {axes}", f"{name}.num_axes")
        return None
    if axes == 0:
        return ()
    if shape is None:
        return (None,) * axes if 0 < axes <= MAX_AXES else None
    start = axis_index(written, len(shape))
    if start is None:
        _no_axis(layer, written, name)
        return None
    if axes == -1:
        return shape[start:]
    if start + axes > len(shape):
        text = f"{counted(axes, 'axis', 'axes')} from axis {start} are more than {layer.shown()} has"
        layer.fail("num-axes", text, f"{name}.num_axes")
        return None
    return shape[start : start + axes]


def _no_axis(layer: Layer, axis: int, name: str) -> None:
    layer.fail("axis", missing_axis(layer, axis), f"{name}.axis", "blob.hpp:122")
