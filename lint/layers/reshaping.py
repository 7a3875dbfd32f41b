"""Layers that change the shape of a blob or the order of its axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import IN_PLACE_CRASH, IN_PLACE_FATAL, IN_PLACE_RIGHT, IN_PLACE_WRONG_VALUES
from ..moments.shapes import Shape, count, counts_differ, describe
from ..proto.binder import Message
from ..source.wording import counted
from . import value_ranges
from .activation import not_in_place
from .common import find_axis
from .record import REARRANGES, layer_type, missing_axis, same_shape

if TYPE_CHECKING:
    from ..moments.graph import Layer


_REORDERS: dict[str, Any] = {**REARRANGES, "value_range": value_ranges.unchanged}
_RESHAPES: dict[str, Any] = {**_REORDERS, "in_place": IN_PLACE_FATAL, "shares_memory": True}


@layer_type(
    "Reshape", "reshape_layer.cpp", signal="joining.Flatten", simulate="combining.Reshape",
    reads=("reshape_param",), **_RESHAPES,
)
def reshape(layer: Layer) -> Sequence[Shape]:
    """The same elements in another shape: 0 copies a dimension, -1 infers one."""
    not_in_place(layer, ":10")
    param = layer.message["reshape_param"]
    dims = param["shape"]["dim"]
    path = "reshape_param.shape"
    if dims.count(-1) > 1:
        layer.fail("reshape-infer", "only one dimension may be -1", path, ":22")
        return ()
    shape = layer.bottoms[0].shape
    if shape is None:
        whole = param["axis"] == 0 and param["num_axes"] == -1
        return (tuple(dim if dim > 0 else None for dim in dims),) if whole else ()
    replaced = _replaced_axes(layer, param, len(shape))
    if replaced is None:
        return ()
    start, end = replaced
    middle: list[int | None] = []
    for i, dim in enumerate(dims):
        if dim == 0 and start + i >= len(shape):
            text = f"dim 0 cannot copy axis {start + i}: {layer.shown()} has {counted(len(shape), 'axis', 'axes')}"
            layer.fail("reshape-copy", text, f"{path}.dim[{i}]", ":64")
            return ()
        middle.append(shape[start + i] if dim == 0 else None if dim == -1 else dim)
    top: list[int | None] = [*shape[:start], *middle, *shape[end:]]
    # Copied dimensions cancel out, known or not.
    kept = {start + i for i, dim in enumerate(dims) if dim == 0 and start + i < end}
    replaced_dims = tuple(shape[axis] for axis in range(start, end) if axis not in kept)
    left = count(replaced_dims)
    if -1 not in dims:
        new_dims = tuple(size for i, size in enumerate(middle) if start + i not in kept)
        if counts_differ(replaced_dims, new_dims):
            total, made = count(shape), count(tuple(top))
            numbers = f": {total} and {made} elements" if total is not None and made is not None else ""
            text = f"cannot reshape {layer.shown()} to {describe(tuple(top))}{numbers}"
            layer.fail("reshape-count", text, path, ":87")
        return (tuple(top),)
    inferred = dims.index(-1)
    known = count(tuple(size for i, size in enumerate(middle) if i != inferred and start + i not in kept))
    if left is not None and known is not None:
        if known == 0 or left % known:
            text = f"cannot infer a dimension of {layer.shown()}: {left} is not divisible by {known}"
            layer.fail("reshape-count", text, path, ":80")
            return ()
        top[start + inferred] = left // known
    return (tuple(top),)


def _replaced_axes(layer: Layer, param: Message, axes: int) -> tuple[int, int] | None:
    """The first of the replaced axes, and the one after the last."""
    written, number = param["axis"], param["num_axes"]
    start = written if written >= 0 else axes + written + 1
    if not 0 <= start <= axes:
        layer.fail("axis", missing_axis(layer, written), "reshape_param.axis", ":37" if start < 0 else ":38")
        return None
    if number < -1:
        layer.fail("num-axes", f"num_axes must be at least -1, not {number}", "reshape_param.num_axes")
        return None
    end = axes if number == -1 else start + number
    if end > axes:
        text = f"{counted(number, 'axis', 'axes')} from axis {start} are more than {layer.shown()} has"
        layer.fail("num-axes", text, "reshape_param.num_axes", ":44")
        return None
    return start, end


@layer_type(
    "Flatten", "flatten_layer.cpp", signal="joining.Flatten", simulate="combining.Flatten",
    reads=("flatten_param",), **_RESHAPES,
)
def flatten(layer: Layer) -> Sequence[Shape]:
    """Several axes merged into one."""
    not_in_place(layer, "")
    shape = layer.bottoms[0].shape
    if shape is None:
        return ()
    param = layer.message["flatten_param"]
    start = find_axis(layer, param["axis"], shape, "flatten_param.axis")
    end = find_axis(layer, param["end_axis"], shape, "flatten_param.end_axis")
    if start is None or end is None:
        return ()
    if start > end + 1:
        text = f"end_axis {end} is before axis {start}"
        layer.fail("flatten-axes", text, "flatten_param.end_axis", "blob.hpp:86")
        return ()
    return ((*shape[:start], count(shape, start, end + 1), *shape[end + 1 :]),)


@layer_type("Permute", "permute_layer.cpp", signal="passing.PassThrough", simulate="combining.Permute", **_REORDERS)
def permute(layer: Layer) -> Sequence[Shape]:
    """SSD: its bottom with the axes in another order; those not named come last."""
    shape = layer.bottoms[0].shape
    order = layer.message["permute_param"]["order"]
    path = "permute_param.order[0]"
    if len(set(order)) != len(order):
        layer.fail("permute-order", f"order names an axis twice: {order}", path)
        return ()
    if shape is None:
        return ()
    if any(axis >= len(shape) for axis in order):
        layer.fail("axis", missing_axis(layer, max(order)), path)
        return ()
    return (tuple(shape[axis] for axis in [*order, *(i for i in range(len(shape)) if i not in order)]),)


@layer_type("Transpose", "transpose_layer.cpp", signal="passing.PassThrough", **_REORDERS)
def transpose(layer: Layer) -> Sequence[Shape]:
    """Its bottom with the axes in the order of `transpose_param.dim`."""
    shape = layer.bottoms[0].shape
    if shape is None or "transpose_param" not in layer.message.type.fields:
        return ()
    order = layer.message["transpose_param"].get("dim", [])
    return (tuple(shape[axis] for axis in order),) if sorted(order) == list(range(len(shape))) else ()


layer_type("Reverse", "reverse_layer.cpp", signal="passing.PassThrough", **_REORDERS)(same_shape)
layer_type("Flip", "flip_layer.cpp", signal="passing.PassThrough", **_REORDERS)(same_shape)


@layer_type(
    "ShuffleChannel", "shuffle_channel_layer.cpp", signal="passing.PassThrough", simulate="combining.ShuffleChannel",
    bottoms=(0, None), tops=(0, None), keeps_shape=True, **_REORDERS
)
def shuffle_channel(layer: Layer) -> Sequence[Shape]:
    """ShuffleNet: shuffles channels between groups."""
    if not layer.bottoms:
        return ()
    shape = layer.bottoms[0].shape
    group = layer.message["shuffle_channel_param"].get("group", 1)
    path = "shuffle_channel_param.group"
    if group == 0:
        layer.fail("group-zero", "group must be greater than 0", path)
    elif shape is not None and len(shape) > 1 and shape[1] is not None and shape[1] % group:
        text = f"the {shape[1]} channels of '{layer.bottoms[0].name}' are not divisible by {group} groups"
        layer.fail("group", text, path, when="forward")
    return (shape,)


def _tile_in_place(layer: Layer) -> str:
    return IN_PLACE_RIGHT if layer.message["tile_param"]["tiles"] == 1 else IN_PLACE_CRASH


@layer_type(
    "Tile", "tile_layer.cpp", signal="passing.PassThrough", simulate="combining.Tile",
    reads=("tile_param",), in_place=_tile_in_place, **_REORDERS,
)
def tile(layer: Layer) -> Sequence[Shape]:
    """Its bottom repeated along an axis."""
    param = layer.message["tile_param"]
    tiles: int | None = param["tiles"]
    if tiles is not None and tiles <= 0:
        layer.fail("tiles", "tiles must be greater than 0", "tile_param.tiles", ":13")
        tiles = None
    shape = layer.bottoms[0].shape
    if shape is None:
        return ()
    axis = find_axis(layer, param["axis"], shape, "tile_param.axis")
    if axis is None:
        return ()
    size = shape[axis]
    return ((*shape[:axis], None if size is None or tiles is None else size * tiles, *shape[axis + 1 :]),)


@layer_type(
    "Reduction", "reduction_layer.cpp", signal="joining.Reduction", simulate="combining.Reduction",
    reads=("reduction_param",), in_place=IN_PLACE_WRONG_VALUES,
)
def reduction(layer: Layer) -> Sequence[Shape]:
    """Sum or mean over the last axes."""
    axis = layer.message["reduction_param"]["axis"]
    shape = layer.bottoms[0].shape
    if shape is None:
        return ((),) if axis == 0 else ()
    found = find_axis(layer, axis, shape, "reduction_param.axis")
    return () if found is None else (shape[:found],)
