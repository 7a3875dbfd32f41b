"""Layers that crop or enlarge images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import IN_PLACE_WRONG_GRADIENT
from ..moments.shapes import Shape, axis_index, shapes_differ, truncated
from ..source.wording import counted
from . import value_ranges
from .record import REARRANGES, layer_type, missing_axis, number_of, one_or

if TYPE_CHECKING:
    from ..moments.graph import Blob, Layer


@layer_type(
    "Crop",
    "crop_layer.cpp",
    signal="passing.PassThrough",
    simulate="combining.Crop",
    reads=("crop_param",),
    bottoms=(2, 2),
    in_place=IN_PLACE_WRONG_GRADIENT,
    measures_shape_of=(1,),
    selects=True,
    value_range=value_ranges.within,
    **REARRANGES,
)
def crop(layer: Layer) -> Sequence[Shape]:
    """Crops the first bottom to the size of the second."""
    param = layer.message["crop_param"]
    shape, like = layer.bottoms[0].shape, layer.bottoms[1].shape
    if shape is None:
        return ()
    axis = axis_index(param["axis"], len(shape))
    if axis is None:
        layer.fail("axis", missing_axis(layer, param["axis"]), "crop_param.axis", "blob.hpp:122")
        return ()
    offsets = param["offset"]
    cropped = len(shape) - axis
    wrong = len(offsets) > 1 and len(offsets) != cropped
    if wrong:
        axes = counted(cropped, "cropped axis", "cropped axes")
        text = f"{number_of(len(offsets), 'offset')} for {axes}; expected {one_or(cropped)}"
        layer.fail("crop-offsets", text, "crop_param.offset[0]", ":29")
    if like is None:
        return ((*shape[:axis], *(None,) * cropped),)
    top = list(shape)
    for i in range(axis, len(shape)):
        if i >= len(like):
            text = f"cannot crop {layer.shown()} to {layer.shown(1)}, which has no axis {i}"
            layer.fail("axes", text, "bottom[1]", "blob.hpp:122")
            return ()
        offset = 0 if not offsets or wrong else offsets[0] if len(offsets) == 1 else offsets[i - axis]
        whole, part = shape[i], like[i]
        if not wrong and whole is not None and part is not None and whole - offset < part:
            text = f"cannot crop axis {i} of {layer.shown()} at offset {offset} to the size of {layer.shown(1)}"
            layer.fail("crop-size", text, "", ":63")
            wrong = True
        top[i] = part
    return (tuple(top),)


def _growth_by_scale(layer: Layer) -> float | None:
    param = layer.message.get("upsample_param")
    scale = param.get("scale", 2) if param is not None else 2
    return float(scale * scale)


def written_size(layer: Layer) -> tuple[int, int] | None:
    """The height and width to which a layer puts values back at the positions of a mask; None if they are not written."""
    param = layer.message.get("upsample_param")
    if param is None or len(layer.bottoms) != 2 or "upsample_h" not in param.entries or "upsample_w" not in param.entries:
        return None
    return param["upsample_h"], param["upsample_w"]


def unpooled(layer: Layer) -> Blob | None:
    """What the pooling reads whose mask a layer with a `written_size` takes; None if there is none."""
    pooling = layer.bottoms[1].producer if written_size(layer) is not None else None
    return pooling.bottoms[0] if pooling is not None and pooling.traits.settings == "pooling_param" else None


# Layers that enlarge feature maps, each channel on its own.
_ENLARGES: dict[str, Any] = {"upsampling": True, "keeps_channels": True}


@layer_type(
    "Upsample", "upsample_layer.cpp", signal="enlarging.Unpooling", simulate="sizes.Unpool", bottoms=(2, 2),
    growth=_growth_by_scale, **_ENLARGES,
)  # fmt: skip
def upsample_with_mask(layer: Layer) -> Sequence[Shape]:
    """SegNet: puts each value back at the position that a pooling mask gives."""
    param = layer.message["upsample_param"]
    shape = layer.bottoms[0].shape
    entries = param.entries
    if shape is None or len(shape) != 4:
        return ()
    mask = layer.bottoms[1].shape if len(layer.bottoms) > 1 else None
    if mask is not None and (len(mask) != 4 or shapes_differ(shape, mask)):
        text = f"values and mask have different shapes: {layer.shown()}, {layer.shown(1)}"
        layer.fail("bottom-shapes", text, "bottom[1]")
    written = written_size(layer)
    if written is not None:
        return ((shape[0], shape[1], *written),)
    sizes: list[int | None] = []
    for size, side in zip(shape[2:], "hw", strict=True):
        scale = param["scale"] if "scale" in entries else param.get(f"scale_{side}")
        pad = 1 if param.get(f"pad_out_{side}", False) else 0
        sizes.append(size * scale - pad if size is not None and isinstance(scale, int) else None)
    return ((shape[0], shape[1], *sizes),)


_REPEATING = frozenset({"mobilenet-yolo", "yolov3-windows", "brocolli", "ssd-chuanqi305", "ncnn", "x2paddle"})


@layer_type(
    "Upsample",
    "upsample_layer.cpp",
    signal="enlarging.Repeating",
    simulate="sizes.Repeat",
    dialects=_REPEATING,
    bottoms=(0, None),
    tops=(0, None),
    growth=_growth_by_scale,
    **_ENLARGES,
)
def upsample(layer: Layer) -> Sequence[Shape]:
    """YOLO: repeats every pixel."""
    shape = layer.bottoms[0].shape if layer.bottoms else None
    scale = layer.message["upsample_param"].get("scale")
    if shape is None or not isinstance(scale, int):
        return ()
    return ((*shape[:-2], *(None if size is None else size * scale for size in shape[-2:])),)


@layer_type(
    "UnPooling", "unpooling_layer.cpp", signal="enlarging.Unpooling", bottoms=(1, 2),
    growth=_growth_by_scale, **_ENLARGES,
)  # fmt: skip
def unpooling(layer: Layer) -> Sequence[Shape]:
    """DeconvNet: unpooling to a given size."""
    param = layer.message["unpooling_param"]
    shape = layer.bottoms[0].shape
    if shape is None or len(shape) != 4:
        return ()
    size = param.get("unpool_size")
    return ((shape[0], shape[1], size or param.get("unpool_h"), size or param.get("unpool_w")),)


@layer_type(
    "MaxUnPool",
    "max_unpool_layer.cpp",
    signal="enlarging.Unpooling",
    bottoms=(0, None),
    tops=(0, None),
    **_ENLARGES,
)
def max_unpool(layer: Layer) -> Sequence[Shape]:
    """Brocolli: unpooling to a given size."""
    shape = layer.bottoms[0].shape if layer.bottoms else None
    if shape is None or len(shape) != 4:
        return ()
    param = layer.message["max_unpool_param"]
    return ((shape[0], shape[1], param.get("dst_h"), param.get("dst_w")),)


@layer_type(
    "Interp", "interp_layer.cpp", signal="enlarging.Interpolating", simulate="sizes.Interp", linear=True, keeps_range=True,
    value_range=value_ranges.within, **_ENLARGES,
)  # fmt: skip
def interp(layer: Layer) -> Sequence[Shape]:
    """DeepLab v2 and PSPNet: bilinear resizing by one factor, to a size, or by two factors."""
    param = layer.message["interp_param"]
    shape = layer.bottoms[0].shape
    if shape is None or len(shape) != 4:
        return ()
    entries = param.entries
    shrink, zoom = param.get("shrink_factor"), param.get("zoom_factor")
    if (shrink is None) == (zoom is None) and "height" in entries and "width" in entries:
        return ((shape[0], shape[1], param["height"], param["width"]),)
    if (shrink is None and zoom is None) or 0 in (shrink, zoom):
        return ((shape[0], shape[1], None, None),)
    padding = param.get("pad_beg", 0) + param.get("pad_end", 0)
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


@layer_type("Reorg", "reorg_layer.cpp", signal="passing.PassThrough", simulate="sizes.Reorg", **REARRANGES)
def reorg(layer: Layer) -> Sequence[Shape]:
    """YOLO: moves blocks of pixels into channels, or back."""
    shape = layer.bottoms[0].shape
    if shape is None or len(shape) != 4 or "reorg_param" not in layer.message.type.fields:
        return ()
    param = layer.message["reorg_param"]
    stride = param.get("stride") or param.get("up_scale")
    channels, height, width = shape[1:]
    if not isinstance(stride, int) or channels is None or height is None or width is None:
        return ((shape[0], None, None, None),)
    if param.get("reverse", False):
        return ((shape[0], channels // (stride * stride), height * stride, width * stride),)
    return ((shape[0], channels * stride * stride, height // stride, width // stride),)
