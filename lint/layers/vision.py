"""Convolution and pooling: layers that move a window over an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import IN_PLACE_CRASH, IN_PLACE_WRONG_VALUES, UNMODELLED, Count
from ..moments.shapes import Dims, Shape, axis_index, count, describe, shapes_differ, truncated
from ..proto.binder import Message
from ..source.wording import counted
from . import value_ranges
from .record import layer_type, missing_axis, number_of, one_or, wrong_axes

if TYPE_CHECKING:
    from ..moments.graph import Layer

# -- Convolution and its variants: base_conv_layer.cpp, conv_layer.cpp, deconv_layer.cpp ----------------------


class Geometry:
    """The kernel, stride, pad and dilation of a convolution along the spatial axes, each None if wrong or unknown.

    Source: BaseConvolutionLayer::LayerSetUp.
    """

    __slots__ = ("axes", "axis", "dilation", "kernel", "layer", "pad", "param", "stride")

    def __init__(self, layer: Layer, param: Message, shape: Shape) -> None:
        self.layer = layer
        self.param = param
        self.axis: int | None = 1
        self.axes: int | None = None
        if shape is not None:
            written = param.entries["axis"][0][0] if "axis" in param.entries else 1
            self.axis = axis_index(written, len(shape))
            if self.axis is None:
                layer.fail("axis", missing_axis(layer, written), "convolution_param.axis", "blob.hpp:122")
            else:
                self.axes = len(shape) - self.axis - 1
        self.kernel = self.sizes_of("kernel_size", "kernel", None)
        self.stride = self.sizes_of("stride", "stride", 1)
        self.pad = self.sizes_of("pad", "pad", 0)
        self.dilation = self.sizes_of("dilation", "", 1)
        if self.kernel is not None and 0 in self.kernel:
            text = f"kernel sizes must be greater than 0, not {describe(tuple(self.kernel))}"
            layer.fail("kernel-zero", text, self.path("kernel"), "base_conv_layer.cpp:45")
            self.kernel = None
        if self.stride is not None and 0 in self.stride:
            text = f"strides must be greater than 0, not {describe(tuple(self.stride))}"
            how = "fatal" if "stride" in param.entries else "crash"
            layer.fail("stride-zero", text, self.path("stride"), "base_conv_layer.cpp", how=how)
            self.stride = None

    def sizes_of(self, name: str, stem: str, otherwise: int | None) -> Sequence[int] | None:
        """One of kernel_size, stride, pad, dilation for each spatial axis; `stem` is that of _h and _w."""
        entries = self.param.entries
        written = entries.get(name)
        axes = self.axes
        fail = self.layer.fail
        if stem and (f"{stem}_h" in entries or f"{stem}_w" in entries):
            path = f"convolution_param.{stem}_h" if f"{stem}_h" in entries else f"convolution_param.{stem}_w"
            if axes is not None and axes != 2:
                text = f"{stem}_h and {stem}_w need 2 spatial axes, not {axes}"
                fail("kernel-axes", text, path, "base_conv_layer.cpp")
                return None
            if written:
                text = f"both {name} and {stem}_h or {stem}_w are set"
                fail("kernel-twice", text, path, "base_conv_layer.cpp")
                return None
            return self.param[f"{stem}_h"], self.param[f"{stem}_w"]
        if not written:
            if otherwise is not None:
                return None if axes is None else (otherwise,) * axes
            if axes != 0:
                fail("kernel-missing", "kernel_size is not set", self.path("kernel"), "base_conv_layer.cpp:35")
            return None
        if axes is None:
            return None
        if len(written) == 1:
            return (written[0][0],) * axes
        if len(written) != axes:
            text = f"{number_of(len(written), name)} for {counted(axes, 'spatial axis', 'spatial axes')}; expected {one_or(axes)}"
            fail("kernel-count", text, f"convolution_param.{name}[0]", "base_conv_layer.cpp:35")
            return None
        return [entry[0] for entry in written]

    def path(self, stem: str) -> str:
        """The path of the field that sets a size."""
        for name in (f"{stem}_size", stem, f"{stem}_h", f"{stem}_w"):
            if name in self.param.entries:
                return f"convolution_param.{name}"
        return f"convolution_param.{stem if stem != 'kernel' else 'kernel_size'}"

    def top_sizes(self, shape: Dims, transposed: bool = False) -> Dims | None:
        """The spatial dimensions of the output."""
        if self.axis is None or self.axes is None:
            return None
        kernel, stride, pad, dilation = self.kernel, self.stride, self.pad, self.dilation
        if kernel is None or stride is None or pad is None or dilation is None:
            return (None,) * self.axes
        sizes: list[int | None] = []
        for i, size in enumerate(shape[self.axis + 1 :]):
            if size is None:
                sizes.append(None)
                continue
            extent = dilation[i] * (kernel[i] - 1) + 1
            if transposed:
                sizes.append(stride[i] * (size - 1) + extent - 2 * pad[i])
            else:
                room = size + 2 * pad[i] - extent
                sizes.append((room // stride[i] if room >= 0 else truncated(room, stride[i])) + 1)
        return tuple(sizes)


def _convolution(layer: Layer, transposed: bool) -> Sequence[Shape]:
    param = layer.message["convolution_param"]
    entries = param.entries
    shape = layer.bottoms[0].shape
    geometry = Geometry(layer, param, shape)
    axis = geometry.axis
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
        _engine(layer, param["engine"], geometry.dilation)
    kernel: Dims | None = None
    if geometry.kernel is not None:
        kernel = tuple(geometry.kernel)
    elif geometry.axes is not None:
        kernel = (None,) * geometry.axes
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
    sizes = geometry.top_sizes(shape, transposed)
    if sizes is None:
        return ()
    top = without_negative(layer, (*shape[:axis], outputs, *sizes), geometry.kernel)
    empty_top(layer, top, shape)
    return (top,) * len(layer.bottoms)


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
    param = layer.message["convolution_param"]
    strides = param["stride"] or [param.get("stride_h", 1), param.get("stride_w", 1)]
    shape = layer.bottoms[0].shape
    channels = shape[1] if shape is not None and len(shape) > 1 else None
    return strides[0] * strides[-1] * param["num_output"] / channels if channels else None


_WEIGHTED: dict[str, Any] = {
    "settings": "convolution_param", "weighted_sum": True, "slides": True, "value_range": value_ranges.weighted,
}  # fmt: skip
_EACH: dict[str, Any] = {
    **_WEIGHTED, "in_place": IN_PLACE_WRONG_VALUES, "bottoms": (1, None), "tops": (1, None), "same_count": True,
}  # fmt: skip


@layer_type(
    "Convolution",
    "conv_layer.cpp",
    signal="linear.Convolution",
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
    signal="linear.Convolution",
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
    "DepthwiseConvolution", "depthwise_conv_layer.cpp", signal="linear.Convolution", simulate="convolution.Convolution",
    multiply_adds=_convolution_multiply_adds, **_EACH,
)
def depthwise_convolution(layer: Layer) -> Sequence[Shape]:
    """A grouped convolution, from yonghenglh6/DepthwiseConvolution."""
    return _convolution(layer, False)


@layer_type(
    "ConvolutionDepthwise", "conv_dw_layer.cpp", signal="linear.Convolution", simulate="convolution.DepthwiseConvolution",
    multiply_adds=_convolution_multiply_adds, **_WEIGHTED,
)
def convolution_depthwise(layer: Layer) -> Sequence[Shape]:
    """As many outputs as channels, whatever num_output and group say; from farmingyard/caffe-mobilenet."""
    param = layer.message["convolution_param"]
    shape = layer.bottoms[0].shape
    if shape is not None and len(shape) != 4:
        shape = None
    channels = shape[1] if shape is not None else None
    geometry = Geometry(layer, param, shape)
    kernel: Dims = tuple(geometry.kernel) if geometry.kernel is not None else (None, None)
    layer.add_param("weight", (channels, 1, *kernel), param, "weight_filler")
    if param["bias_term"]:
        layer.add_param("bias", (channels,), param, "bias_filler")
    sizes = geometry.top_sizes(shape) if shape is not None else None
    return () if shape is None or sizes is None else ((shape[0], channels, *sizes),)


@layer_type(
    "Im2col", "im2col_layer.cpp", signal=UNMODELLED, simulate="convolution.Im2col",
    reads=("convolution_param",), in_place=IN_PLACE_CRASH, slides=True,
)
def im2col(layer: Layer) -> Sequence[Shape]:
    """The windows of a convolution, as channels."""
    shape = layer.bottoms[0].shape
    geometry = Geometry(layer, layer.message["convolution_param"], shape)
    if geometry.axes == 0:
        layer.fail("axes", f"{layer.shown()} has no spatial axes", "bottom")
        return ()
    if shape is None or geometry.axis is None:
        return ()
    sizes = geometry.top_sizes(shape)
    if sizes is None:
        return ()
    channels = shape[geometry.axis] if geometry.kernel is not None else None
    if channels is not None and geometry.kernel is not None:
        for size in geometry.kernel:
            channels *= size
    return ((*shape[: geometry.axis], channels, *sizes),)


# -- Pooling: pooling_layer.cpp --------------------------------------------------------------------------

Pair = tuple[int, int]


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
    window = _pooling_window(layer, param)
    if param["pool"] == "STOCHASTIC":
        needs_gpu(layer, "stochastic pooling", "pooling_param.pool", ":235")
    if shape is None:
        return ()
    if len(shape) != 4:
        if layer.context.dialect != "opencl":  # which pools along any number of axes
            layer.fail("axes", wrong_axes(layer, "4"), "bottom", ":82")
        return ()
    if param["global_pooling"]:
        top: Dims = (*shape[:2], 1, 1)
    elif window is None:
        top = (*shape[:2], None, None)
    else:
        top = without_negative(layer, (*shape[:2], *_pooled_sizes(layer, param, window, shape)), window[0])
    empty_top(layer, top, shape)
    return (top,) * len(layer.tops)


def _pooling_window(layer: Layer, param: Message) -> tuple[Pair, Pair, Pair] | None:
    """Kernel, pad and stride as height and width, None if they are wrong or with global pooling."""
    entries = param.entries
    whole = param["global_pooling"]
    kernel_h, kernel_w, size = "kernel_h" in entries, "kernel_w" in entries, "kernel_size" in entries
    path = _written(param, "kernel")
    if whole:
        if size or kernel_h or kernel_w:
            layer.fail("pooling-kernel", "kernel sizes are not allowed with global_pooling", path, ":18")
    elif size and kernel_h and kernel_w:
        layer.fail("pooling-kernel", "both kernel_size and kernel_h and kernel_w are set", path, ":22")
        return None
    elif not size and not (kernel_h and kernel_w):
        layer.fail("pooling-kernel", "kernel_size is not set", path)
        return None
    pad = _pair(layer, param, "pad", 0)
    stride = _pair(layer, param, "stride", 1)
    if whole:
        for name, pair, neutral in (("pad", pad, (0, 0)), ("stride", stride, (1, 1))):
            if pair is not None and pair != neutral:
                text = f"{name} must be {neutral[0]} with global_pooling"
                layer.fail("pooling-global", text, _written(param, name), ":65")
        return None
    kernel = (param["kernel_size"],) * 2 if size else (param["kernel_h"], param["kernel_w"])
    if 0 in kernel:
        layer.fail("kernel-zero", "kernel sizes must be greater than 0", path)
        return None
    if pad is None or stride is None:
        return None
    if pad != (0, 0):
        if param["pool"] not in ("MAX", "AVE"):
            text = f"pad works with MAX and AVE pooling only, not with {param['pool']}"
            layer.fail("pooling-pad", text, _written(param, "pad"))
        if pad[0] >= kernel[0] or pad[1] >= kernel[1]:
            text = f"pad {describe(pad)} must be smaller than the kernel, {describe(kernel)}"
            layer.fail("pooling-pad", text, _written(param, "pad"), ":74")
            return None
    return kernel, pad, stride


def _pair(layer: Layer, param: Message, stem: str, otherwise: int) -> Pair | None:
    entries = param.entries
    both, height, width = stem in entries, f"{stem}_h" in entries, f"{stem}_w" in entries
    if not height and not width:
        value = entries[stem][0][0] if both else otherwise
        return value, value
    if both or not (height and width):
        both_set = f"both {stem} and {stem}_h or {stem}_w are set"
        text = both_set if both else f"only one of {stem}_h and {stem}_w is set"
        layer.fail("pooling-pair", text, _written(param, stem))
        return None
    return param[f"{stem}_h"], param[f"{stem}_w"]


def _written(param: Message, stem: str) -> str:
    for name in (stem, f"{stem}_size", f"{stem}_h", f"{stem}_w"):
        if name in param.entries:
            return f"pooling_param.{name}"
    return f"pooling_param.{stem if stem != 'kernel' else 'kernel_size'}"


def _pooled_sizes(layer: Layer, param: Message, window: tuple[Pair, Pair, Pair], shape: Dims) -> Dims:
    kernel, pad, stride = window
    round_down = _rounds_down(param)
    if 0 in stride:
        layer.fail("stride-zero", "strides must be greater than 0", _written(param, "stride"), "blob.cpp:32")
        return (None, None)
    sizes: list[int | None] = []
    for i, size in enumerate(shape[2:]):
        if size is None:
            sizes.append(None)
            continue
        room = size + 2 * pad[i] - kernel[i]
        pooled: int | None = (room // stride[i] if round_down else -(-room // stride[i])) + 1
        if pad != (0, 0) and pooled is not None:
            if (pooled - 1) * stride[i] >= size + pad[i]:
                pooled -= 1
            if (pooled - 1) * stride[i] >= size + pad[i]:
                text = f"the last window starts outside {layer.shown()}"
                layer.fail("pooling-outside", text, _written(param, "pad"))
                pooled = None
        sizes.append(pooled)
    return tuple(sizes)


def _rounds_down(param: Message) -> bool:
    """Whether sizes are rounded down: by BVLC's `round_mode`, or `ceil_mode` in forks that have it."""
    entries = param.entries
    if "round_mode" in entries:
        return bool(entries["round_mode"][0][0] == "FLOOR")
    return "ceil_mode" in entries and entries["ceil_mode"][0][0] is False


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
    for level in range(min(height, 32)):
        bins = 2**level
        for size in shape[2:]:
            if size is not None:
                kernel = -(-size // bins)
                if (kernel * bins - size + 1) // 2 >= kernel:
                    text = f"{layer.shown()} is too small for the {bins} x {bins} bins of level {level}"
                    layer.fail("spp-size", text, path, "pooling_layer.cpp:74")
                    return ()
    if height == 1:
        return ((shape[0], shape[1], 1, 1),)
    channels = shape[1]
    return ((shape[0], None if channels is None else channels * ((4**height - 1) // 3)),)
