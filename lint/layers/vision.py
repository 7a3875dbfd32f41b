"""Convolution, pooling and other layers that move a window over an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..proto.binder import Message
from ..shapes import Dims, Shape, axis_index, count, describe, shapes_differ, truncated
from .layer_type import Count, layer_type

if TYPE_CHECKING:
    from ..net import Layer

# -- Convolution and its kin: base_conv_layer.cpp, conv_layer.cpp, deconv_layer.cpp -----------------------------


def spatial(
    layer: Layer, param: Message, name: str, spatial_axes: int | None, otherwise: int | None
) -> Sequence[int] | None:
    """One of kernel_size, stride, pad, dilation for each spatial axis, None where it is wrong or cannot be known.

    Source: BaseConvolutionLayer::LayerSetUp.
    """
    entries = param.entries
    stem = "kernel" if name == "kernel_size" else name
    written = entries.get(name)
    if name != "dilation" and (f"{stem}_h" in entries or f"{stem}_w" in entries):
        path = f"convolution_param.{stem}_h" if f"{stem}_h" in entries else f"convolution_param.{stem}_w"
        if spatial_axes is not None and spatial_axes != 2:
            message = f"{stem}_h and {stem}_w are for 2 spatial axes: layer '{layer.name}' has {spatial_axes}"
            layer.fail("kernel-axes", message, path, "base_conv_layer.cpp:29")
            return None
        if written:
            message = (
                f"layer '{layer.name}' has both {name} and {stem}_h or {stem}_w: Caffe takes one or the other"
            )
            layer.fail("kernel-twice", message, path, "base_conv_layer.cpp:32")
            return None
        return param[f"{stem}_h"], param[f"{stem}_w"]
    if not written:
        if otherwise is not None:
            return (otherwise,) * spatial_axes if spatial_axes is not None else None
        if spatial_axes != 0:
            message = f"layer '{layer.name}' has no kernel_size"
            layer.fail("kernel-missing", message, "convolution_param", "base_conv_layer.cpp:35")
        return None
    if spatial_axes is None:
        return None
    if len(written) == 1:
        return (written[0][0],) * spatial_axes
    if len(written) != spatial_axes:
        message = f"layer '{layer.name}' has {len(written)} {name} for {spatial_axes} spatial axes: Caffe wants 1 or {spatial_axes}"
        layer.fail("kernel-count", message, f"convolution_param.{name}[0]", "base_conv_layer.cpp:35")
        return None
    return [entry[0] for entry in written]


class Geometry:
    """The windows of a convolution; an attribute is None where it is wrong or not known."""

    __slots__ = ("axis", "dilation", "kernel", "pad", "spatial_axes", "stride")

    def __init__(self, layer: Layer, param: Message, shape: Shape) -> None:
        self.axis: int | None = 1
        self.spatial_axes: int | None = None
        if shape is not None:
            self.axis = axis_index(param["axis"] if "axis" in param.entries else 1, len(shape))
            if self.axis is None:
                message = f"layer '{layer.name}' has axis {param['axis']}, its bottom {len(shape)} axes ({describe(shape)})"
                layer.fail("axis", message, "convolution_param.axis", "blob.hpp:140")
            else:
                self.spatial_axes = len(shape) - self.axis - 1
        axes = self.spatial_axes
        self.kernel = spatial(layer, param, "kernel_size", axes, None)
        self.stride = spatial(layer, param, "stride", axes, 1)
        self.pad = spatial(layer, param, "pad", axes, 0)
        self.dilation = spatial(layer, param, "dilation", axes, 1)
        if self.kernel is not None and 0 in self.kernel:
            message = (
                f"layer '{layer.name}' has a kernel of size {describe(tuple(self.kernel))}: it must not be 0"
            )
            layer.fail("kernel-zero", message, _written_size(param, "kernel"), "base_conv_layer.cpp:45")
            self.kernel = None
        if self.stride is not None and 0 in self.stride:
            paired = "stride_h" in param.entries or "stride_w" in param.entries
            message = f"layer '{layer.name}' has a stride of {describe(tuple(self.stride))}: it must not be 0"
            how = "crash" if paired else "fatal"
            layer.fail(
                "stride-zero", message, _written_size(param, "stride"), "base_conv_layer.cpp:66", how=how
            )
            self.stride = None

    def sizes(self, shape: Dims, transposed: bool = False) -> Dims | None:
        """The spatial dimensions of the output."""
        if self.axis is None or self.spatial_axes is None:
            return None
        if self.kernel is None or self.stride is None or self.pad is None or self.dilation is None:
            return (None,) * self.spatial_axes
        sizes = []
        for i, size in enumerate(shape[self.axis + 1 :]):
            if size is None:
                sizes.append(None)
                continue
            extent = self.dilation[i] * (self.kernel[i] - 1) + 1
            if transposed:
                sizes.append(self.stride[i] * (size - 1) + extent - 2 * self.pad[i])
            else:
                room = size + 2 * self.pad[i] - extent
                sizes.append((room // self.stride[i] if room >= 0 else truncated(room, self.stride[i])) + 1)
        return tuple(sizes)


def _written_size(param: Message, stem: str) -> str:
    for name in (f"{stem}_size", stem, f"{stem}_h", f"{stem}_w"):
        if name in param.entries:
            return f"convolution_param.{name}"
    return "convolution_param"


def _convolution(layer: Layer, transposed: bool) -> Sequence[Shape]:
    param = layer.message["convolution_param"]
    entries = param.entries
    bottom = layer.bottoms[0]
    shape = bottom.shape
    geometry = Geometry(layer, param, shape)
    outputs: int | None = entries["num_output"][0][0] if "num_output" in entries else 0
    if not outputs:
        message = (
            f"layer '{layer.name}' has no num_output"
            if "num_output" not in entries
            else f"num_output of layer '{layer.name}' is 0"
        )
        layer.fail("num-output-missing", message, "convolution_param.num_output", "base_conv_layer.cpp:119")
        outputs = None
    group: int | None = entries["group"][0][0] if "group" in entries else 1
    axis = geometry.axis
    channels = shape[axis] if shape is not None and axis is not None else None
    if group == 0:
        message = f"group of layer '{layer.name}' is 0: Caffe divides by it"
        layer.fail("group-zero", message, "convolution_param.group", "base_conv_layer.cpp:120", how="crash")
        group = None
    elif group is not None and group != 1:
        if channels is not None and channels % group:
            message = f"layer '{layer.name}' cannot part the {channels} channels of '{bottom.name}' into {group} groups"
            layer.fail("group", message, "convolution_param.group", "base_conv_layer.cpp:119")
        if outputs is not None and outputs % group:
            message = f"layer '{layer.name}' cannot part its num_output {outputs} into {group} groups"
            layer.fail("group", message, "convolution_param.group", "base_conv_layer.cpp:121")
    engine(layer, param, "convolution_param", geometry.dilation)
    kernel: Dims | None = tuple(geometry.kernel) if geometry.kernel is not None else None
    if kernel is None and geometry.spatial_axes is not None:
        kernel = (None,) * geometry.spatial_axes
    first, second = (channels, outputs) if transposed else (outputs, channels)
    part = second // group if second is not None and group else None
    weight: Shape = None if kernel is None else (first, part, *kernel)
    layer.add_param("weight", weight, param, "weight_filler")
    if "bias_term" not in entries or entries["bias_term"][0][0]:
        layer.add_param("bias", (outputs,), param, "bias_filler")
    for other in layer.bottoms[1:]:
        if shapes_differ(shape, other.shape):
            sizes = f"'{bottom.name}' is {describe(shape)}, '{other.name}' is {describe(other.shape)}"
            layer.fail(
                "bottom-shapes",
                f"all bottoms of layer '{layer.name}' must have one shape: {sizes}",
                "bottom",
                "base_conv_layer.cpp:194",
            )
    if shape is None or axis is None:
        return ()
    sizes = geometry.sizes(shape, transposed)
    if sizes is None:
        return ()
    top = (*shape[:axis], outputs, *sizes)
    empty_top(layer, top, shape)
    return (top,) * len(layer.bottoms)


def empty_top(layer: Layer, top: Dims, shape: Dims) -> None:
    """Reports a top that has an axis of size 0 though its bottom has none."""
    if 0 in top and 0 not in shape:
        message = f"nothing is left of '{layer.bottoms[0].name}' ({describe(shape)}) after layer '{layer.name}': {describe(top)}"
        layer.fail("empty-top", message, "", "blob.cpp:133", subject=layer.tops[0].name if layer.tops else "")


def engine(layer: Layer, param: Message, path: str, dilation: Sequence[int] | None = None) -> None:
    """Source: layer_factory.cpp. CUDNN is refused where a dilation is over 1, in every build."""
    if (
        "engine" in param.entries
        and param["engine"] == "CUDNN"
        and dilation is not None
        and max(dilation, default=1) > 1
    ):
        message = f"engine CUDNN takes no dilation: layer '{layer.name}' has {describe(tuple(dilation))}"
        layer.fail("engine-dilation", message, f"{path}.engine", "layer_factory.cpp:72")


def _convolution_multiply_adds(layer: Layer) -> int | None:
    if not layer.params or not layer.tops:
        return None
    weights = count(layer.params[0].shape, 1)
    outputs = layer.tops[0].count
    return None if weights is None or outputs is None else weights * outputs


def _deconvolution_multiply_adds(layer: Layer) -> int | None:
    weights = count(layer.params[0].shape, 1) if layer.params else None
    inputs = layer.bottoms[0].count
    return None if weights is None or inputs is None else weights * inputs


@layer_type(
    "Convolution",
    bottoms=(1, None),
    tops=(1, None),
    same_count=True,
    multiply_adds=_convolution_multiply_adds,
)
def convolution(layer: Layer) -> Sequence[Shape]:
    """Source: conv_layer.cpp."""
    return _convolution(layer, False)


@layer_type(
    "Deconvolution", bottoms=(1, None), tops=(1, None), same_count=True, upsampling=True,
    multiply_adds=_deconvolution_multiply_adds,
)  # fmt: skip
def deconvolution(layer: Layer) -> Sequence[Shape]:
    """Source: deconv_layer.cpp."""
    return _convolution(layer, True)


@layer_type(
    "DepthwiseConvolution",
    bottoms=(1, None),
    tops=(1, None),
    same_count=True,
    multiply_adds=_convolution_multiply_adds,
)
def depthwise_convolution(layer: Layer) -> Sequence[Shape]:
    """Source: depthwise_conv_layer.cpp of yonghenglh6/DepthwiseConvolution."""
    return _convolution(layer, False)


@layer_type("ConvolutionDepthwise", multiply_adds=_convolution_multiply_adds)
def convolution_depthwise(layer: Layer) -> Sequence[Shape]:
    """As many outputs as channels, whatever num_output and group say (conv_dw_layer.cpp)."""
    param = layer.message["convolution_param"]
    shape = layer.bottoms[0].shape
    channels = shape[1] if shape is not None and len(shape) == 4 else None
    geometry = Geometry(layer, param, shape if shape is None or len(shape) == 4 else None)
    kernel: Dims = tuple(geometry.kernel) if geometry.kernel is not None else (None, None)
    layer.add_param("weight", (channels, 1, *kernel), param, "weight_filler")
    if param["bias_term"]:
        layer.add_param("bias", (channels,), param, "bias_filler")
    if shape is None or len(shape) != 4:
        return ()
    sizes = geometry.sizes(shape)
    return () if sizes is None else ((shape[0], channels, *sizes),)


@layer_type("Im2col")
def im2col(layer: Layer) -> Sequence[Shape]:
    """Source: im2col_layer.cpp."""
    param = layer.message["convolution_param"]
    shape = layer.bottoms[0].shape
    geometry = Geometry(layer, param, shape)
    if geometry.spatial_axes == 0:
        layer.fail(
            "axes",
            f"layer '{layer.name}' has no spatial axis in {describe(shape)}",
            "bottom",
            "im2col_layer.cpp",
        )
        return ()
    if shape is None or geometry.axis is None:
        return ()
    sizes = geometry.sizes(shape)
    if sizes is None:
        return ()
    channels = shape[geometry.axis]
    if channels is not None and geometry.kernel is not None:
        for size in geometry.kernel:
            channels *= size
    else:
        channels = None
    return ((*shape[: geometry.axis], channels, *sizes),)


# -- Pooling: pooling_layer.cpp ---------------------------------------------------------------------------------


def _pooling_counts(layer: Layer) -> tuple[Count, Count]:
    entries = layer.message.entries
    method = entries["pooling_param"][0][0]["pool"] if "pooling_param" in entries else "MAX"
    return (1, 1), (1, 2 if method == "MAX" else 1)


@layer_type("Pooling", tops=(1, 2), counts=_pooling_counts)
def pooling(layer: Layer) -> Sequence[Shape]:
    """Source: PoolingLayer::LayerSetUp and Reshape."""
    param = layer.message["pooling_param"]
    shape = layer.bottoms[0].shape
    window = _pooling_window(layer, param)
    if shape is None:
        return ()
    if len(shape) != 4:
        message = f"Pooling needs 4 axes: '{layer.bottoms[0].name}' is {describe(shape)}"
        layer.fail("axes", message, "bottom", "pooling_layer.cpp:82")
        return ()
    channels = shape[:2]
    if param["global_pooling"]:
        top: Dims = (*channels, 1, 1)
    elif window is None:
        top = (*channels, None, None)
    else:
        top = (*channels, *_pooled_sizes(layer, param, window, shape))
    empty_top(layer, top, shape)
    return (top,) * len(layer.tops)


def _pooling_window(
    layer: Layer, param: Message
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None:
    """Kernel, pad and stride as height and width, None where they are wrong or the whole plane is pooled."""
    entries = param.entries
    name = layer.name
    whole = param["global_pooling"]
    kernel_h, kernel_w = "kernel_h" in entries, "kernel_w" in entries
    size = "kernel_size" in entries
    path = (
        "pooling_param.kernel_size"
        if size
        else "pooling_param.kernel_h"
        if kernel_h
        else "pooling_param.kernel_w"
    )
    if whole:
        if size or kernel_h or kernel_w:
            layer.fail(
                "pooling-kernel",
                f"layer '{name}' pools the whole plane: it takes no kernel size",
                path,
                "pooling_layer.cpp:18",
            )
    elif size and kernel_h and kernel_w:
        layer.fail(
            "pooling-kernel",
            f"layer '{name}' has kernel_size and kernel_h and kernel_w: Caffe takes one form",
            path,
            "pooling_layer.cpp:22",
        )
        return None
    elif not size and not (kernel_h and kernel_w):
        layer.fail(
            "pooling-kernel", f"layer '{name}' has no kernel_size", "pooling_param", "pooling_layer.cpp:22"
        )
        return None
    pad = _pair(layer, param, "pad", 0, "pooling_layer.cpp:28")
    stride = _pair(layer, param, "stride", 1, "pooling_layer.cpp:32")
    if whole:
        if (pad is not None and pad != (0, 0)) or (stride is not None and stride != (1, 1)):
            which = "pad" if pad != (0, 0) else "stride"
            layer.fail(
                "pooling-global",
                f"layer '{name}' pools the whole plane: it takes no {which}",
                "pooling_param",
                "pooling_layer.cpp:65",
            )
        return None
    kernel = (param["kernel_size"],) * 2 if size else (param["kernel_h"], param["kernel_w"])
    if 0 in kernel:
        layer.fail("kernel-zero", f"the kernel of layer '{name}' must not be 0", path, "pooling_layer.cpp:48")
        return None
    if pad is None or stride is None:
        return None
    if pad != (0, 0):
        if param["pool"] not in ("MAX", "AVE"):
            layer.fail(
                "pooling-pad",
                f"layer '{name}' pools {param['pool']}: only MAX and AVE take a pad",
                "pooling_param.pad",
                "pooling_layer.cpp:70",
            )
        if pad[0] >= kernel[0] or pad[1] >= kernel[1]:
            sizes = f"pad {describe(pad)}, kernel {describe(kernel)}"
            layer.fail(
                "pooling-pad",
                f"the pad of layer '{name}' must be smaller than its kernel: {sizes}",
                _written(param, "pad"),
                "pooling_layer.cpp:74",
            )
            return None
    return kernel, pad, stride


def _pair(layer: Layer, param: Message, stem: str, otherwise: int, source: str) -> tuple[int, int] | None:
    entries = param.entries
    both, height, width = stem in entries, f"{stem}_h" in entries, f"{stem}_w" in entries
    if not height and not width:
        value = entries[stem][0][0] if both else otherwise
        return value, value
    if both or not (height and width):
        what = f"{stem} and {stem}_h or {stem}_w" if both else f"only one of {stem}_h and {stem}_w"
        message = f"layer '{layer.name}' has {what}: Caffe takes {stem} alone, or both of the others"
        layer.fail("pooling-pair", message, _written(param, stem), source)
        return None
    return param[f"{stem}_h"], param[f"{stem}_w"]


def _written(param: Message, stem: str) -> str:
    for name in (stem, f"{stem}_h", f"{stem}_w"):
        if name in param.entries:
            return f"pooling_param.{name}"
    return "pooling_param"


def _pooled_sizes(
    layer: Layer,
    param: Message,
    window: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    shape: Dims,
) -> Dims:
    kernel, pad, stride = window
    round_down = _rounds_down(param)
    padded = pad != (0, 0)
    sizes: list[int | None] = []
    for i, size in enumerate(shape[2:]):
        if size is None:
            sizes.append(None)
            continue
        if stride[i] == 0:
            message = f"the stride of layer '{layer.name}' must not be 0"
            layer.fail("stride-zero", message, _written(param, "stride"), "blob.cpp:32")
            sizes.append(None)
            continue
        room = size + 2 * pad[i] - kernel[i]
        pooled = (room // stride[i] if round_down else -(-room // stride[i])) + 1
        if padded:
            if (pooled - 1) * stride[i] >= size + pad[i]:
                pooled -= 1
            if (pooled - 1) * stride[i] >= size + pad[i]:
                message = f"the last window of layer '{layer.name}' starts outside the image of {size}"
                layer.fail("pooling-outside", message, _written(param, "pad"), "pooling_layer.cpp:125")
                sizes.append(None)
                continue
        sizes.append(pooled)
    return tuple(sizes)


def _rounds_down(param: Message) -> bool:
    """Whether sizes are rounded down: `round_mode` of BVLC, `ceil_mode` of forks that have that."""
    entries = param.entries
    if "round_mode" in entries:
        return bool(entries["round_mode"][0][0] == "FLOOR")
    if "ceil_mode" in entries:
        return entries["ceil_mode"][0][0] is False
    return False


@layer_type("SPP")
def spp(layer: Layer) -> Sequence[Shape]:
    """Source: spp_layer.cpp."""
    height = layer.message["spp_param"]["pyramid_height"]
    shape = layer.bottoms[0].shape
    if not height:
        layer.fail(
            "spp-height",
            f"layer '{layer.name}' needs a pyramid_height of 1 or more",
            "spp_param.pyramid_height",
            "spp_layer.cpp",
        )
        return ()
    if shape is None:
        return ()
    if len(shape) != 4:
        layer.fail(
            "axes",
            f"SPP needs 4 axes: '{layer.bottoms[0].name}' is {describe(shape)}",
            "bottom",
            "spp_layer.cpp",
        )
        return ()
    for level in range(height if height < 32 else 32):
        bins = 2**level
        for size in shape[2:]:
            if size is not None:
                kernel = -(-size // bins)
                if (kernel * bins - size + 1) // 2 >= kernel:
                    message = f"level {level} of layer '{layer.name}' parts an image side of {size} into {bins}: too small"
                    layer.fail("spp-size", message, "spp_param.pyramid_height", "pooling_layer.cpp:74")
                    return ()
    if height == 1:
        return ((shape[0], shape[1], 1, 1),)
    channels = shape[1]
    return ((shape[0], None if channels is None else channels * ((4**height - 1) // 3)),)


# -- Crop and resizing ------------------------------------------------------------------------------------------


@layer_type("Crop", bottoms=(2, 2), ignores_gradient=(1,))
def crop(layer: Layer) -> Sequence[Shape]:
    """Source: crop_layer.cpp."""
    param = layer.message["crop_param"]
    shape, like = layer.bottoms[0].shape, layer.bottoms[1].shape
    if shape is None:
        return ()
    axis = axis_index(param["axis"], len(shape))
    if axis is None:
        message = f"layer '{layer.name}' crops from axis {param['axis']}: '{layer.bottoms[0].name}' is {describe(shape)}"
        layer.fail("axis", message, "crop_param.axis", "blob.hpp:140")
        return ()
    offsets = param["offset"]
    cropped = len(shape) - axis
    if len(offsets) > 1 and len(offsets) != cropped:
        message = f"layer '{layer.name}' has {len(offsets)} offsets for {cropped} cropped axes: Caffe wants 1 or {cropped}"
        layer.fail("crop-offsets", message, "crop_param.offset[0]", "crop_layer.cpp:29")
        offsets = None
    if like is None:
        return ((*shape[:axis], *(None,) * cropped),)
    top = list(shape)
    for i in range(axis, len(shape)):
        if i >= len(like):
            message = f"'{layer.bottoms[1].name}' ({describe(like)}) has no axis {i} to crop '{layer.bottoms[0].name}' to"
            layer.fail("axes", message, "bottom[1]", "blob.hpp:140")
            return ()
        offset = 0 if not offsets else offsets[0] if len(offsets) == 1 else offsets[i - axis]
        whole, part = shape[i], like[i]
        if offsets is not None and whole is not None and part is not None and whole - offset < part:
            message = f"layer '{layer.name}' cannot crop axis {i} of '{layer.bottoms[0].name}' from {whole} to {part} at offset {offset}"
            layer.fail("crop-size", message, "", "crop_layer.cpp:63")
        top[i] = part
    return (tuple(top),)


@layer_type("Upsample", bottoms=(2, 2), upsampling=True, refuses_gradient=(), ignores_gradient=(1,))
def upsample_with_mask(layer: Layer) -> Sequence[Shape]:
    """SegNet's: spreads a pooled blob over the places that a mask names (upsample_layer.cpp)."""
    param = layer.message["upsample_param"]
    shape = layer.bottoms[0].shape
    entries = param.entries
    if shape is None or len(shape) != 4:
        return ()
    if "upsample_h" in entries and "upsample_w" in entries:
        return ((shape[0], shape[1], param["upsample_h"], param["upsample_w"]),)
    heights: list[int | None] = []
    for size, side in zip(shape[2:], "hw", strict=True):
        scale = param["scale"] if "scale" in entries else param.get(f"scale_{side}")
        pad = 1 if param.get(f"pad_out_{side}", False) else 0
        heights.append(None if size is None or scale is None else size * scale - pad)
    return ((shape[0], shape[1], *heights),)


@layer_type(
    "Upsample", bottoms=(0, None), tops=(0, None), upsampling=True,
    dialects=frozenset({"mobilenet-yolo", "yolov3-windows", "brocolli", "ssd-chuanqi305", "ncnn", "x2paddle"}),
)  # fmt: skip
def upsample(layer: Layer) -> Sequence[Shape]:
    """YOLO's: repeats every pixel (upsample_layer.cpp of MobileNet-YOLO)."""
    shape = layer.bottoms[0].shape if layer.bottoms else None
    scale = layer.message["upsample_param"].get("scale")
    if shape is None or not isinstance(scale, int):
        return ()
    return ((*shape[:-2], *(None if size is None else size * scale for size in shape[-2:])),)


@layer_type("Unpooling", bottoms=(1, 2), upsampling=True, ignores_gradient=(1,))
def unpooling(layer: Layer) -> Sequence[Shape]:
    """DeconvNet's (unpooling_layer.cpp of HyeonwooNoh/caffe)."""
    param = layer.message["unpooling_param"]
    shape = layer.bottoms[0].shape
    if shape is None or len(shape) != 4:
        return ()
    size = param.get("unpool_size")
    return ((shape[0], shape[1], size or param.get("unpool_h"), size or param.get("unpool_w")),)


@layer_type("MaxUnPool", bottoms=(0, None), tops=(0, None), upsampling=True, ignores_gradient=(1,))
def max_unpool(layer: Layer) -> Sequence[Shape]:
    """Brocolli's (max_unpool_layer.cpp)."""
    shape = layer.bottoms[0].shape if layer.bottoms else None
    if shape is None or len(shape) != 4:
        return ()
    param = layer.message["max_unpool_param"]
    return ((shape[0], shape[1], param.get("dst_h"), param.get("dst_w")),)


@layer_type("Interp", upsampling=True)
def interp(layer: Layer) -> Sequence[Shape]:
    """Bilinear resizing (interp_layer.cpp of DeepLab v2 and PSPNet)."""
    param = layer.message["interp_param"]
    shape = layer.bottoms[0].shape
    if shape is None or len(shape) != 4:
        return ()
    entries = param.entries
    shrink, zoom = param.get("shrink_factor"), param.get("zoom_factor")
    if (shrink is None) == (zoom is None) and "height" in entries and "width" in entries:
        return ((shape[0], shape[1], param["height"], param["width"]),)
    padding = param.get("pad_beg", 0) + param.get("pad_end", 0)
    if (shrink is None and zoom is None) or 0 in (shrink, zoom):
        return ((shape[0], shape[1], None, None),)
    sizes: list[int | None] = []
    for size in shape[2:]:
        if size is None:
            sizes.append(None)
            continue
        size += padding
        if shrink is not None:
            size = truncated(size - 1, shrink) + 1
        if zoom is not None:
            size += (size - 1) * (zoom - 1)
        sizes.append(size)
    return ((shape[0], shape[1], *sizes),)


@layer_type("Reorg")
def reorg(layer: Layer) -> Sequence[Shape]:
    """Moves blocks of pixels into channels, or back (reorg_layer.cpp of the YOLO forks)."""
    fields = layer.message.type.fields
    param = layer.message["reorg_param"] if "reorg_param" in fields else None
    shape = layer.bottoms[0].shape
    if shape is None or len(shape) != 4 or param is None:
        return ()
    stride = param.get("stride") or param.get("up_scale")
    channels, height, width = shape[1:]
    if not isinstance(stride, int) or channels is None or height is None or width is None:
        return ((shape[0], None, None, None),)
    if param.get("reverse", False):
        return ((shape[0], channels // (stride * stride), height * stride, width * stride),)
    return ((shape[0], channels * stride * stride, height // stride, width // stride),)
