"""Convolution and pooling: layers that move a window over an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import ge
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import IN_PLACE_CRASH, IN_PLACE_WRONG_VALUES, UNMODELLED, Count
from ..moments.shapes import Dims, Shape, count, describe, shapes_differ
from ..proto.binder import Message
from . import value_ranges
from .record import layer_type, wrong_axes
from .sliding_windows import Window, convolution_sizes, pooling_window, pyramid, window_of

if TYPE_CHECKING:
    from ..moments.graph import Layer

# -- Convolution and its variants: base_conv_layer.cpp, conv_layer.cpp, deconv_layer.cpp ----------------------


def _convolution(layer: Layer, transposed: bool) -> Sequence[Shape]:
    param = layer.message["convolution_param"]
    entries = param.entries
    shape = layer.bottoms[0].shape
    sizes = convolution_sizes(layer, shape, layer.fail)
    axis = sizes.axis
    outputs = num_output(layer, param, "convolution_param", "base_conv_layer.cpp:119")
    channels = shape[axis] if shape is not None and axis is not None else None
    group: int | None = entries["group"][0][0] if "group" in entries else 1
    if group == 0:
        text = "group must not be 0, because Caffe divides by it"
        layer.fail("group-zero", text, "convolution_param.group", "base_conv_layer.cpp", how="crash")
        group = None
    elif group is not None and group != 1:
        if channels is not None and channels % group:
            text = f"the {channels} channels of '{layer.bottoms[0].name}' are not divisible by {group} groups"
            layer.fail("group", text, "convolution_param.group", "base_conv_layer.cpp:121")
        if outputs is not None and outputs % group:
            text = f"num_output {outputs} is not divisible by {group} groups"
            layer.fail("group", text, "convolution_param.group", "base_conv_layer.cpp")
    if "engine" in entries:
        _engine(layer, param["engine"], sizes.dilation)
    kernel: Dims | None = sizes.kernel
    if kernel is None and sizes.axes is not None:
        kernel = (None,) * sizes.axes
    first, second = (channels, outputs) if transposed else (outputs, channels)
    part = second // group if second is not None and group else None
    layer.add_param("weight", None if kernel is None else (first, part, *kernel), param, "weight_filler")
    if "bias_term" not in entries or entries["bias_term"][0][0]:
        layer.add_param("bias", (outputs,), param, "bias_filler")
    for i, other in enumerate(layer.bottoms[1:], 1):
        if shapes_differ(shape, other.shape):
            text = f"bottoms have different shapes: {layer.shown()}, {layer.shown(i)}"
            layer.fail("bottom-shapes", text, f"bottom[{i}]", "base_conv_layer.cpp")
    if shape is None or axis is None:
        return ()
    sides = _top_sides(sizes.window, shape[axis + 1 :], transposed)
    top = without_negative(layer, (*shape[:axis], outputs, *sides), sizes.kernel)
    empty_top(layer, top, shape)
    return (top,) * len(layer.bottoms)


def _top_sides(window: Window | None, sides: Dims, transposed: bool = False) -> Dims:
    """The spatial dimensions of the output."""
    if window is None or window.is_whole:
        return (None if window is None else 1,) * len(sides)
    size = window.side if transposed else window.number
    return tuple(None if side is None else size(axis, side) for axis, side in enumerate(sides))


def num_output(layer: Layer, param: Message, path: str, at: str) -> int | None:
    """The number of outputs; reports one that is missing or not positive."""
    entries = param.entries
    if "num_output" in entries:
        outputs: int = entries["num_output"][0][0]
        if outputs > 0:
            return outputs
        text = f"num_output must be greater than 0, not {outputs}"
        layer.fail("num-output-missing", text, f"{path}.num_output", at)
    else:
        layer.fail("num-output-missing", "num_output is not set", f"{path}.num_output", at)
    return None


def empty_top(layer: Layer, top: Dims, shape: Dims) -> None:
    """Report a top with an axis of size 0 where the bottom has none."""
    if 0 in top and 0 not in shape:
        name = layer.tops[0].name if layer.tops else ""
        text = f"output '{name}' is empty: {layer.shown()} becomes {describe(top)}"
        layer.fail("empty-top", text, "", "blob.cpp:133", subject=name)


def without_negative(layer: Layer, top: Dims, kernel: Sequence[int] | None) -> Dims:
    """A top, with sizes unknown where they are negative; reports these, whatever the other sizes are."""
    if not any(size is not None and size < 0 for size in top):
        return top
    name = layer.tops[0].name if layer.tops else ""
    why = f"; a kernel of {describe(tuple(kernel))} does not fit {layer.shown()}" if kernel else ""
    text = f"'{name}' would have a negative size: {describe(top)}{why}"
    layer.fail("negative-size", text, "", "blob.cpp:32", subject=name)
    return tuple(None if size is not None and size < 0 else size for size in top)


def _engine(layer: Layer, engine: str, dilation: Sequence[int] | None) -> None:
    if engine != "CUDNN":
        return
    if dilation is not None and max(dilation, default=1) > 1:
        text = f"engine CUDNN does not support a dilation of {describe(tuple(dilation))}"
        layer.fail("engine-dilation", text, "convolution_param.engine", "layer_factory.cpp")
    else:
        needs_gpu(layer, "engine CUDNN", "convolution_param.engine", "layer_factory.cpp:72")


def needs_gpu(layer: Layer, what: str, path: str, at: str = "") -> None:
    """Report what a CPU-only build of Caffe rejects."""
    layer.fail("gpu-only-layer", f"{what} is not available in a CPU-only build of Caffe", path, at, when="cpu")


def _convolution_multiply_adds(layer: Layer) -> int | None:
    weights = count(layer.params[0].shape, 1) if layer.params else None
    outputs = layer.tops[0].count if layer.tops else None
    return None if weights is None or outputs is None else weights * outputs


def _deconvolution_multiply_adds(layer: Layer) -> int | None:
    weights = count(layer.params[0].shape, 1) if layer.params else None
    inputs = layer.bottoms[0].count if layer.bottoms else None
    return None if weights is None or inputs is None else weights * inputs


def _deconvolution_growth(layer: Layer) -> float | None:
    window, shape = window_of(layer), layer.bottoms[0].shape
    channels = shape[1] if shape is not None and len(shape) > 1 else None
    if window is None or not channels:
        return None
    return float(math.prod(window.stride) * layer.message["convolution_param"]["num_output"] / channels)


_WEIGHTED: dict[str, Any] = {
    "settings": "convolution_param", "signal": "linear.Convolution", "weighted_sum": True, "slides": True,
    "value_range": value_ranges.weighted,
}  # fmt: skip
_EACH: dict[str, Any] = {
    **_WEIGHTED, "in_place": IN_PLACE_WRONG_VALUES, "bottoms": (1, None), "tops": (1, None), "same_count": True,
}  # fmt: skip


@layer_type(
    "Convolution",
    "conv_layer.cpp",
    simulate="convolution.Convolution",
    reads=("convolution_param",),
    multiply_adds=_convolution_multiply_adds,
    **_EACH,
)
def convolution(layer: Layer) -> Sequence[Shape]:
    """A convolution with the same weights for all its bottoms."""
    return _convolution(layer, False)


@layer_type(
    "Deconvolution",
    "deconv_layer.cpp",
    simulate="convolution.Deconvolution",
    reads=("convolution_param",),
    upsampling=True,
    growth=_deconvolution_growth,
    multiply_adds=_deconvolution_multiply_adds,
    **_EACH,
)
def deconvolution(layer: Layer) -> Sequence[Shape]:
    """A transposed convolution: its stride enlarges."""
    return _convolution(layer, True)


@layer_type(
    "DepthwiseConvolution", "depthwise_conv_layer.cpp", simulate="convolution.Convolution",
    multiply_adds=_convolution_multiply_adds, **_EACH,
)
def depthwise_convolution(layer: Layer) -> Sequence[Shape]:
    """A grouped convolution, from yonghenglh6/DepthwiseConvolution."""
    return _convolution(layer, False)


@layer_type(
    "ConvolutionDepthwise", "conv_dw_layer.cpp", simulate="convolution.DepthwiseConvolution",
    multiply_adds=_convolution_multiply_adds, by_channel=True, **_WEIGHTED,
)
def convolution_depthwise(layer: Layer) -> Sequence[Shape]:
    """As many outputs as channels, whatever num_output and group say; from farmingyard/caffe-mobilenet."""
    param = layer.message["convolution_param"]
    shape = layer.bottoms[0].shape
    if shape is not None and len(shape) != 4:
        shape = None
    channels = shape[1] if shape is not None else None
    sizes = convolution_sizes(layer, shape, layer.fail)
    kernel = (None, None) if sizes.kernel is None else sizes.kernel
    layer.add_param("weight", (channels, 1, *kernel), param, "weight_filler")
    if param["bias_term"]:
        layer.add_param("bias", (channels,), param, "bias_filler")
    if shape is None or sizes.axis is None:
        return ()
    return ((shape[0], channels, *_top_sides(sizes.window, shape[sizes.axis + 1 :])),)


@layer_type(
    "Im2col", "im2col_layer.cpp", signal=UNMODELLED, simulate="convolution.Im2col",
    reads=("convolution_param",), in_place=IN_PLACE_CRASH, slides=True,
)
def im2col(layer: Layer) -> Sequence[Shape]:
    """The windows of a convolution, as channels."""
    shape = layer.bottoms[0].shape
    sizes = convolution_sizes(layer, shape, layer.fail)
    axis = sizes.axis
    if sizes.axes == 0:
        layer.fail("axes", f"{layer.shown()} has no spatial axes", "bottom")
        return ()
    if shape is None or axis is None:
        return ()
    channels = count((shape[axis], *sizes.kernel)) if sizes.kernel is not None else None
    return ((*shape[:axis], channels, *_top_sides(sizes.window, shape[axis + 1 :])),)


# -- Pooling: pooling_layer.cpp --------------------------------------------------------------------------


def _pooling_counts(layer: Layer) -> tuple[Count, Count]:
    entries = layer.message.entries
    method = entries["pooling_param"][0][0]["pool"] if "pooling_param" in entries else "MAX"
    return (1, 1), (1, 2 if method == "MAX" else 1)


@layer_type(
    "Pooling",
    "pooling_layer.cpp",
    signal="pooling.Pooling",
    simulate="windows.Pooling",
    reads=("pooling_param",),
    tops=(1, 2),
    counts=_pooling_counts,
    fork_fields=frozenset({"ceil_mode", "engine"}),
    in_place=IN_PLACE_WRONG_VALUES,
    engine="pooling_param",
    slides=True,
    by_channel=lambda layer: layer.message["pooling_param"]["pool"] == "STOCHASTIC",
    keeps_channels=True,
    keeps_scale=True,
    keeps_range=True,
    keeps_order=True,
    value_range=value_ranges.within,
    hazard=("pooling-in-place", "MAX pooling in place overwrites what it still has to read"),
)
def pooling(layer: Layer) -> Sequence[Shape]:
    """The maximum or mean of each window; the second top holds the indices of the maxima."""
    param = layer.message["pooling_param"]
    shape = layer.bottoms[0].shape
    window = pooling_window(layer, shape, layer.fail)
    if param["pool"] == "STOCHASTIC":
        needs_gpu(layer, "stochastic pooling", "pooling_param.pool", ":235")
    if shape is None:
        return ()
    if len(shape) != 4:
        if layer.context.dialect != "opencl":  # which pools along any number of axes
            of_fork = " (in the fork opencl, any number)" if len(shape) > 4 else ""
            layer.fail("axes", wrong_axes(layer, "4") + of_fork, "bottom", ":82")
        return ()
    top = without_negative(layer, (*shape[:2], *_top_sides(window, shape[2:])), window.kernel if window is not None else None)
    empty_top(layer, top, shape)
    return (top,) * len(layer.tops)


@layer_type("SPP", "spp_layer.cpp", signal="pooling.SPP", simulate="windows.SPP", reads=("spp_param",), keeps_range=True)
def spp(layer: Layer) -> Sequence[Shape]:
    """Spatial pyramid pooling: 1, 4, 16 ... bins, whatever the size of the image."""
    height = layer.message["spp_param"]["pyramid_height"]
    path = "spp_param.pyramid_height"
    shape = layer.bottoms[0].shape
    if not height:
        layer.fail("spp-height", "pyramid_height must be at least 1", path, "layer.hpp:369")
        return ()
    if shape is None:
        return ()
    if len(shape) != 4:
        layer.fail("axes", wrong_axes(layer, "4"), "bottom")
        return ()
    for level, window in enumerate(pyramid([side for side in shape[2:] if side is not None], height)):
        if any(map(ge, window.pad, window.kernel)):
            text = f"{layer.shown()} is too small for the {2**level} x {2**level} bins of level {level}"
            layer.fail("spp-size", text, path, "pooling_layer.cpp:74")
            return ()
    if height == 1:
        return ((shape[0], shape[1], 1, 1),)
    channels = shape[1]
    return ((shape[0], None if channels is None else channels * ((4**height - 1) // 3)),)
