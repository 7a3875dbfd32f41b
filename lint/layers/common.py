"""Layers that join, part, reshape, multiply or select blobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..proto.binder import Message
from ..shapes import Dims, Shape, axis_index, count, describe, differ, shapes_differ
from .activation import not_in_place
from .layer_type import (
    ALL,
    IN_PLACE_FATAL,
    IN_PLACE_RIGHT,
    IN_PLACE_WRONG_GRADIENT,
    IN_PLACE_WRONG_VALUES,
    layer_type,
    same_shape,
    unknown_shapes,
)

if TYPE_CHECKING:
    from ..net import Layer


def find_axis(layer: Layer, axis: int, shape: Dims, path: str) -> int | None:
    """The axis from the front; one that is not there is reported (Blob::CanonicalAxisIndex)."""
    found = axis_index(axis, len(shape))
    if found is None:
        message = f"layer '{layer.name}' has axis {axis}: '{layer.bottoms[0].name}' is {describe(shape)}"
        layer.fail("axis", message, path, "blob.hpp:122")
    return found


# -- weights ----------------------------------------------------------------------------------------------------


def _inner_product_multiply_adds(layer: Layer) -> int | None:
    if not layer.params or not layer.tops:
        return None
    weights = count(layer.params[0].shape)
    shape = layer.bottoms[0].shape
    inputs = count(shape)
    if weights is None or inputs is None or shape is None:
        return None
    outputs = layer.tops[0].count
    per_output = layer.params[0].shape
    if outputs is None or per_output is None or per_output[0] is None or weights == 0:
        return None
    width = layer.message["inner_product_param"]["num_output"]
    return outputs * (weights // width) if width else None


@layer_type("InnerProduct", in_place=IN_PLACE_WRONG_VALUES, multiply_adds=_inner_product_multiply_adds)
def inner_product(layer: Layer) -> Sequence[Shape]:
    """Source: inner_product_layer.cpp."""
    param = layer.message["inner_product_param"]
    entries = param.entries
    shape = layer.bottoms[0].shape
    outputs: int | None = entries["num_output"][0][0] if "num_output" in entries else 0
    if not outputs:
        message = (
            f"layer '{layer.name}' has no num_output"
            if "num_output" not in entries
            else f"num_output of layer '{layer.name}' is 0"
        )
        layer.fail("num-output-missing", message, "inner_product_param.num_output", "filler.hpp")
        outputs = None
    inputs: int | None = None
    axis: int | None = None
    if shape is not None:
        axis = find_axis(
            layer, entries["axis"][0][0] if "axis" in entries else 1, shape, "inner_product_param.axis"
        )
        if axis is not None:
            inputs = count(shape, axis)
    transposed = "transpose" in entries and entries["transpose"][0][0]
    layer.add_param("weight", (inputs, outputs) if transposed else (outputs, inputs), param, "weight_filler")
    if "bias_term" not in entries or entries["bias_term"][0][0]:
        layer.add_param("bias", (outputs,), param, "bias_filler")
    if shape is None or axis is None:
        return ()
    return ((*shape[:axis], outputs),)


@layer_type("Embed", refuses_gradient=(0,))
def embed(layer: Layer) -> Sequence[Shape]:
    """Source: embed_layer.cpp."""
    param = layer.message["embed_param"]
    sizes: list[int | None] = []
    for name, word in (("num_output", "num-output-missing"), ("input_dim", "input-dim-missing")):
        size: int | None = param[name]
        if not size:
            layer.fail(
                word, f"layer '{layer.name}' needs an {name} over 0", f"embed_param.{name}", "embed_layer.cpp"
            )
            size = None
        sizes.append(size)
    outputs, inputs = sizes
    layer.add_param("weight", (inputs, outputs), param, "weight_filler")
    if param["bias_term"]:
        layer.add_param("bias", (outputs,), param, "bias_filler")
    shape = layer.bottoms[0].shape
    return () if shape is None else ((*shape, outputs),)


@layer_type("Parameter", bottoms=(0, 0))
def parameter(layer: Layer) -> Sequence[Shape]:
    """Source: parameter_layer.hpp."""
    shape: Dims = tuple(layer.message["parameter_param"]["shape"]["dim"])
    layer.add_param("value", shape)
    return (shape,)


# -- joining and parting ----------------------------------------------------------------------------------------


def _one_bottom(layer: Layer) -> bool:
    return len(layer.bottoms) == 1


def _one_top(layer: Layer) -> bool:
    return len(layer.tops) == 1


def _concat_in_place(layer: Layer) -> str:
    return IN_PLACE_RIGHT if len(layer.bottoms) == 1 else IN_PLACE_FATAL


@layer_type("Concat", bottoms=(1, None), in_place=_concat_in_place, shares_memory=_one_bottom)
def concat(layer: Layer) -> Sequence[Shape]:
    """Source: concat_layer.cpp."""
    param = layer.message["concat_param"]
    entries = param.entries
    old = "concat_dim" in entries
    if old and "axis" in entries:
        layer.fail(
            "axis-twice",
            f"layer '{layer.name}' has both axis and concat_dim",
            "concat_param.concat_dim",
            "concat_layer.cpp:13",
        )
    shapes = [bottom.shape for bottom in layer.bottoms]
    first = next((shape for shape in shapes if shape is not None), None)
    if first is None:
        return ()
    axis: int | None = (
        entries["concat_dim"][0][0] if old else entries["axis"][0][0] if "axis" in entries else 1
    )
    assert axis is not None
    path = "concat_param.concat_dim" if old else "concat_param.axis"
    axis = find_axis(layer, axis, first, path)
    if axis is None:
        return ()
    top = list(first)
    total: int | None = 0
    wrong: tuple[int, int] | None = None
    of_first = next(bottom for bottom in layer.bottoms if bottom.shape is not None)
    for i, shape in enumerate(shapes):
        if shape is None:
            total = None
            continue
        if len(shape) != len(first):
            sizes = f"'{of_first.name}' is {describe(first)}, '{layer.bottoms[i].name}' is {describe(shape)}"
            layer.fail(
                "concat-axes",
                f"all bottoms of layer '{layer.name}' must have as many axes: {sizes}",
                f"bottom[{i}]",
                "concat_layer.cpp:38",
            )
            total = None
            continue
        size = shape[axis]
        total = None if total is None or size is None else total + size
        if shape is first:
            continue
        for j, dim in enumerate(shape):
            if j != axis and dim != top[j]:
                if top[j] is None:
                    top[j] = dim
                elif dim is not None and wrong is None:
                    wrong = (i, j)
    if wrong is not None:
        i, j = wrong
        sizes = f"'{of_first.name}' is {describe(first)}, '{layer.bottoms[i].name}' is {describe(shapes[i])}"
        message = f"layer '{layer.name}' joins along axis {axis}, all other sizes must be equal: {sizes}"
        layer.fail("concat-shapes", message, f"bottom[{i}]", "concat_layer.cpp:42")
        top[j] = None
    top[axis] = total
    return (tuple(top),)


@layer_type("Slice", tops=(1, None), shares_memory=_one_top, in_place=IN_PLACE_RIGHT)
def slice_(layer: Layer) -> Sequence[Shape]:
    """Source: slice_layer.cpp."""
    param = layer.message["slice_param"]
    entries = param.entries
    old = "slice_dim" in entries
    if old and "axis" in entries:
        layer.fail(
            "axis-twice",
            f"layer '{layer.name}' has both axis and slice_dim",
            "slice_param.slice_dim",
            "slice_layer.cpp:13",
        )
    points = param["slice_point"]
    tops = len(layer.tops)
    path = "slice_param.slice_point[0]"
    right = True
    if points and len(points) != tops - 1:
        message = (
            f"layer '{layer.name}' has {len(points)} slice_point for {tops} tops: Caffe wants {tops - 1}"
        )
        layer.fail("slice-points", message, path, "slice_layer.cpp:50")
        right = False
    elif any(after <= before for before, after in zip([0, *points], points, strict=False)):
        layer.fail(
            "slice-points",
            f"the slice points of layer '{layer.name}' must rise from over 0: {points}",
            path,
            "slice_layer.cpp:55",
        )
        right = False
    shape = layer.bottoms[0].shape
    if shape is None:
        return ()
    axis = find_axis(
        layer,
        param["slice_dim"] if old else param["axis"],
        shape,
        "slice_param.slice_dim" if old else "slice_param.axis",
    )
    if axis is None:
        return ()
    whole = shape[axis]
    sizes: list[int | None] = [None] * tops
    if whole is not None and right:
        if tops > whole:
            message = f"layer '{layer.name}' parts axis {axis} of '{layer.bottoms[0].name}' ({describe(shape)}) into {tops} tops"
            layer.fail("slice-tops", message, "top", "slice_layer.cpp:44")
        elif points:
            ends = [*points, whole]
            if points[-1] >= whole:
                message = f"the last slice point of layer '{layer.name}' must be under {whole}, the size of axis {axis}"
                layer.fail(
                    "slice-points", message, f"slice_param.slice_point[{len(points) - 1}]", "blob.cpp:32"
                )
            else:
                sizes = [after - before for before, after in zip([0, *points], ends, strict=True)]
        elif whole % tops:
            message = f"layer '{layer.name}' cannot part axis {axis} of '{layer.bottoms[0].name}' ({describe(shape)}) into {tops} equal tops"
            layer.fail("slice-uneven", message, "top", "slice_layer.cpp:61")
        else:
            sizes = [whole // tops] * tops
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


@layer_type("Split", tops=(1, None), in_place=IN_PLACE_FATAL, shares_memory=True)
def split(layer: Layer) -> Sequence[Shape]:
    """Source: split_layer.cpp."""
    if layer.in_place:
        not_in_place(layer, "split_layer.cpp:17")
    return (layer.bottoms[0].shape,) * len(layer.tops)


def _eltwise_in_place(layer: Layer) -> str:
    product = layer.message["eltwise_param"]["operation"] == "PROD"
    return IN_PLACE_WRONG_GRADIENT if product else IN_PLACE_WRONG_VALUES


def _eltwise_reads_top(layer: Layer) -> bool:
    param = layer.message["eltwise_param"]
    return bool(param["operation"] == "PROD" and not param["stable_prod_grad"])


@layer_type("Eltwise", bottoms=(2, None), in_place=_eltwise_in_place, reads_top=_eltwise_reads_top)
def eltwise(layer: Layer) -> Sequence[Shape]:
    """Source: eltwise_layer.cpp."""
    entries = layer.message.entries
    if "eltwise_param" in entries:
        param: Message = entries["eltwise_param"][0][0]
        coefficients = param.entries.get("coeff")
        if coefficients:
            if len(coefficients) != len(layer.bottoms):
                message = (
                    f"layer '{layer.name}' has {len(coefficients)} coeff for {len(layer.bottoms)} bottoms"
                )
                layer.fail("eltwise-coeff", message, "eltwise_param.coeff[0]", "eltwise_layer.cpp:12")
            if param["operation"] == "PROD":
                message = f"layer '{layer.name}' multiplies: PROD takes no coeff"
                layer.fail("eltwise-coeff", message, "eltwise_param.coeff[0]", "eltwise_layer.cpp:15")
    bottoms = layer.bottoms
    top = bottoms[0].shape
    for i in range(1, len(bottoms)):
        other = bottoms[i].shape
        if other == top:
            continue
        if shapes_differ(top, other):
            sizes = f"'{bottoms[0].name}' is {describe(bottoms[0].shape)}, '{bottoms[i].name}' is {describe(other)}"
            layer.fail(
                "bottom-shapes",
                f"all bottoms of layer '{layer.name}' must have one shape: {sizes}",
                f"bottom[{i}]",
                "eltwise_layer.cpp:34",
            )
            return (
                ()
                if top is None or other is None or len(top) != len(other)
                else (tuple(a if a == b else None for a, b in zip(top, other, strict=True)),)
            )
        if top is None:
            top = other
        elif other is not None:
            top = tuple(b if a is None else a for a, b in zip(top, other, strict=True))
    return (top,)


@layer_type("Axpy", bottoms=(3, 3))
def axpy(layer: Layer) -> Sequence[Shape]:
    """A factor for each channel, times the second bottom, plus the third (axpy_layer.cpp of SENet)."""
    factor, shape, summand = (bottom.shape for bottom in layer.bottoms)
    if factor is not None and shape is not None and len(factor) > 1 and len(shape) > 1:
        if differ(factor[0], shape[0]) or differ(factor[1], shape[1]):
            sizes = f"'{layer.bottoms[0].name}' is {describe(factor)}, '{layer.bottoms[1].name}' is {describe(shape)}"
            layer.fail(
                "bottom-shapes",
                f"layer '{layer.name}' wants one factor for each channel: {sizes}",
                "bottom[0]",
                "axpy_layer.cpp",
            )
        if len(factor) == 4 and (differ(factor[2], 1) or differ(factor[3], 1)):
            message = f"'{layer.bottoms[0].name}' must be 1 x 1 in its last axes for layer '{layer.name}', it is {describe(factor)}"
            layer.fail("bottom-shapes", message, "bottom[0]", "axpy_layer.cpp")
    if shapes_differ(shape, summand):
        sizes = f"'{layer.bottoms[1].name}' is {describe(shape)}, '{layer.bottoms[2].name}' is {describe(summand)}"
        layer.fail(
            "bottom-shapes",
            f"layer '{layer.name}' adds blobs of one shape: {sizes}",
            "bottom[2]",
            "axpy_layer.cpp",
        )
    return (shape,)


# -- changing the shape -----------------------------------------------------------------------------------------


@layer_type("Reshape", in_place=IN_PLACE_FATAL, shares_memory=True)
def reshape(layer: Layer) -> Sequence[Shape]:
    """Source: reshape_layer.cpp."""
    not_in_place(layer, "reshape_layer.cpp:10")
    param = layer.message["reshape_param"]
    dims = param["shape"]["dim"]
    if dims.count(-1) > 1:
        message = f"layer '{layer.name}' infers more than one dimension: -1 may stand once"
        layer.fail("reshape-infer", message, "reshape_param.shape", "reshape_layer.cpp:22")
        return ()
    shape = layer.bottoms[0].shape
    if shape is None:
        whole = param["axis"] == 0 and param["num_axes"] == -1
        return (tuple(dim if dim > 0 else None for dim in dims),) if whole else ()
    axes = len(shape)
    written, num_axes = param["axis"], param["num_axes"]
    start = written if written >= 0 else axes + written + 1
    if not 0 <= start <= axes:
        message = f"layer '{layer.name}' has axis {written}: '{layer.bottoms[0].name}' is {describe(shape)}"
        layer.fail(
            "axis",
            message,
            "reshape_param.axis",
            "reshape_layer.cpp:37" if start < 0 else "reshape_layer.cpp:38",
        )
        return ()
    if num_axes < -1:
        layer.fail(
            "num-axes",
            f"num_axes of layer '{layer.name}' must be -1 or more",
            "reshape_param.num_axes",
            "reshape_layer.cpp",
        )
        return ()
    end = axes if num_axes == -1 else start + num_axes
    if end > axes:
        message = f"layer '{layer.name}' replaces {num_axes} axes from axis {start} on: '{layer.bottoms[0].name}' is {describe(shape)}"
        layer.fail("num-axes", message, "reshape_param.num_axes", "reshape_layer.cpp:44")
        return ()
    middle: list[int | None] = []
    inferred: int | None = None
    for i, dim in enumerate(dims):
        if dim == 0:
            if start + i >= axes:
                message = f"layer '{layer.name}' copies axis {start + i} of '{layer.bottoms[0].name}', which is {describe(shape)}"
                layer.fail("reshape-copy", message, f"reshape_param.shape.dim[{i}]", "reshape_layer.cpp:64")
                return ()
            middle.append(shape[start + i])
        elif dim == -1:
            inferred = i
            middle.append(None)
        else:
            middle.append(dim)
    top: list[int | None] = [*shape[:start], *middle, *shape[end:]]
    total = count(shape)
    if inferred is not None:
        # The axes that only copy their bottom's cancel out, known or not.
        copied = {start + i for i, dim in enumerate(dims) if dim == 0 and start + i < end}
        rest = count(
            tuple(size for axis, size in enumerate(shape) if start <= axis < end and axis not in copied)
        )
        known = count(
            tuple(
                dim
                for i, dim in enumerate(middle)
                if i != inferred and not (dims[i] == 0 and start + i < end)
            )
        )
        if rest is not None and known is not None:
            if known == 0 or rest % known:
                message = f"layer '{layer.name}' cannot infer a dimension: '{layer.bottoms[0].name}' is {describe(shape)}, {rest} is no multiple of {known}"
                layer.fail("reshape-count", message, "reshape_param.shape", "reshape_layer.cpp:80")
                return ()
            top[start + inferred] = rest // known
    elif total is not None and differ(count(tuple(top)), total):
        sizes = f"'{layer.bottoms[0].name}' is {describe(shape)}, {total} elements; {describe(tuple(top))} has {count(tuple(top))}"
        layer.fail(
            "reshape-count",
            f"layer '{layer.name}' must keep the number of elements: {sizes}",
            "reshape_param.shape",
            "reshape_layer.cpp:87",
        )
    return (tuple(top),)


@layer_type("Flatten", in_place=IN_PLACE_FATAL, shares_memory=True)
def flatten(layer: Layer) -> Sequence[Shape]:
    """Source: flatten_layer.cpp."""
    not_in_place(layer, "flatten_layer.cpp:10")
    shape = layer.bottoms[0].shape
    if shape is None:
        return ()
    param = layer.message["flatten_param"]
    start = find_axis(layer, param["axis"], shape, "flatten_param.axis")
    end = find_axis(layer, param["end_axis"], shape, "flatten_param.end_axis")
    if start is None or end is None:
        return ()
    if start > end + 1:
        message = f"layer '{layer.name}' flattens from axis {start} to axis {end}"
        layer.fail("flatten-axes", message, "flatten_param.end_axis", "blob.hpp")
        return ()
    return ((*shape[:start], count(shape, start, end + 1), *shape[end + 1 :]),)


@layer_type("Permute")
def permute(layer: Layer) -> Sequence[Shape]:
    """Source: permute_layer.cpp of SSD."""
    shape = layer.bottoms[0].shape
    order = layer.message["permute_param"]["order"]
    if len(set(order)) != len(order):
        layer.fail(
            "permute-order",
            f"layer '{layer.name}' names an axis twice: {order}",
            "permute_param.order[0]",
            "permute_layer.cpp",
        )
        return ()
    if shape is None:
        return ()
    if any(axis >= len(shape) for axis in order):
        message = (
            f"layer '{layer.name}' moves axis {max(order)}: '{layer.bottoms[0].name}' is {describe(shape)}"
        )
        layer.fail("axis", message, "permute_param.order[0]", "permute_layer.cpp")
        return ()
    return (tuple(shape[axis] for axis in [*order, *(i for i in range(len(shape)) if i not in order)]),)


@layer_type("Transpose")
def transpose(layer: Layer) -> Sequence[Shape]:
    """Moves axes as `transpose_param.dim` says (transpose_layer.cpp)."""
    shape = layer.bottoms[0].shape
    fields = layer.message.type.fields
    order = layer.message["transpose_param"].get("dim", []) if "transpose_param" in fields else []
    if shape is None or sorted(order) != list(range(len(shape))):
        return ()
    return (tuple(shape[axis] for axis in order),)


layer_type("Reverse")(same_shape)
layer_type("Flip")(same_shape)


@layer_type("ShuffleChannel", bottoms=(0, None), tops=(0, None))
def shuffle_channel(layer: Layer) -> Sequence[Shape]:
    """Source: shuffle_channel_layer.cpp of ShuffleNet."""
    shape = layer.bottoms[0].shape if layer.bottoms else None
    group = layer.message["shuffle_channel_param"].get("group", 1)
    if group == 0:
        layer.fail(
            "group-zero",
            f"group of layer '{layer.name}' must be over 0",
            "shuffle_channel_param.group",
            "shuffle_channel_layer.cpp",
        )
    elif shape is not None and len(shape) > 1 and shape[1] is not None and shape[1] % group:
        message = f"layer '{layer.name}' cannot part the {shape[1]} channels of '{layer.bottoms[0].name}' into {group} groups"
        layer.fail(
            "group", message, "shuffle_channel_param.group", "shuffle_channel_layer.cpp", when="forward"
        )
    return (shape,)


@layer_type("Tile", in_place=IN_PLACE_RIGHT)
def tile(layer: Layer) -> Sequence[Shape]:
    """Source: tile_layer.cpp."""
    param = layer.message["tile_param"]
    tiles = param["tiles"]
    if "tiles" not in param.entries or tiles <= 0:
        layer.fail(
            "tiles", f"layer '{layer.name}' needs tiles over 0", "tile_param.tiles", "tile_layer.cpp:13"
        )
        tiles = None
    shape = layer.bottoms[0].shape
    if shape is None:
        return ()
    axis = find_axis(layer, param["axis"], shape, "tile_param.axis")
    if axis is None:
        return ()
    size = shape[axis]
    return ((*shape[:axis], None if size is None or tiles is None else size * tiles, *shape[axis + 1 :]),)


@layer_type("Reduction", in_place=IN_PLACE_WRONG_VALUES)
def reduction(layer: Layer) -> Sequence[Shape]:
    """Source: reduction_layer.cpp."""
    axis = layer.message["reduction_param"]["axis"]
    shape = layer.bottoms[0].shape
    if shape is None:
        return ((),) if axis == 0 else ()
    found = find_axis(layer, axis, shape, "reduction_param.axis")
    return () if found is None else (shape[:found],)


# -- choosing ---------------------------------------------------------------------------------------------------


@layer_type("Softmax", in_place=IN_PLACE_RIGHT, reads_top=True, bounded=True, nonlinear=True)
def softmax(layer: Layer) -> Sequence[Shape]:
    """Source: softmax_layer.cpp."""
    shape = layer.bottoms[0].shape
    if shape is not None:
        find_axis(layer, layer.message["softmax_param"]["axis"], shape, "softmax_param.axis")
    return (shape,)


@layer_type("ArgMax", has_backward=False)
def arg_max(layer: Layer) -> Sequence[Shape]:
    """Source: argmax_layer.cpp."""
    param = layer.message["argmax_param"]
    top_k = param["top_k"]
    shape = layer.bottoms[0].shape
    if top_k < 1:
        layer.fail(
            "top-k",
            f"top_k of layer '{layer.name}' must be 1 or more",
            "argmax_param.top_k",
            "argmax_layer.cpp",
        )
    if "axis" in param.entries:
        if shape is None:
            return ()
        axis = find_axis(layer, param["axis"], shape, "argmax_param.axis")
        if axis is None:
            return ()
        size = shape[axis]
        _check_top_k(layer, top_k, size)
        return ((*shape[:axis], top_k, *shape[axis + 1 :]),)
    _check_top_k(layer, top_k, count(shape, 1))
    if shape is None:
        return ()
    values = 2 if param["out_max_val"] else 1
    axes = max(3, len(shape))
    return ((shape[0] if shape else None, values, top_k, *(1,) * (axes - 3)),)


def _check_top_k(layer: Layer, top_k: int, size: int | None) -> None:
    if size is not None and top_k > size:
        message = f"layer '{layer.name}' takes the best {top_k} of {size}"
        layer.fail("top-k", message, "argmax_param.top_k", "argmax_layer.cpp")


@layer_type("Accuracy", bottoms=(2, 2), tops=(1, 2), has_backward=False, refuses_gradient=ALL)
def accuracy(layer: Layer) -> Sequence[Shape]:
    """Source: accuracy_layer.cpp."""
    param = layer.message["accuracy_param"]
    scores, labels = layer.bottoms[0].shape, layer.bottoms[1].shape
    top_k = param["top_k"]
    predictions, given = count(scores), count(labels)
    if predictions is not None and given and top_k > predictions // given:
        message = f"layer '{layer.name}' looks into the best {top_k}, '{layer.bottoms[0].name}' ({describe(scores)}) has {predictions // given} for each label"
        layer.fail("top-k", message, "accuracy_param.top_k", "accuracy_layer.cpp:25")
    if scores is None:
        return ((),)
    axis = find_axis(layer, param["axis"], scores, "accuracy_param.axis")
    if axis is None:
        return ((),)
    check_labels(layer, scores, axis, "accuracy_layer.cpp:32")
    return ((), (scores[axis],))


def check_labels(layer: Layer, scores: Dims, axis: int, source: str) -> None:
    """Reports a label blob that has not one element for each place of the scores."""
    wanted = count((*scores[:axis], *scores[axis + 1 :]))
    given = layer.bottoms[1].count
    if differ(wanted, given):
        sizes = f"'{layer.bottoms[0].name}' ({describe(scores)}) has {wanted} places, '{layer.bottoms[1].name}' ({describe(layer.bottoms[1].shape)}) {given}"
        layer.fail(
            "label-count",
            f"layer '{layer.name}' wants one label for each place: {sizes}",
            "bottom[1]",
            source,
        )


@layer_type("Silence", bottoms=(1, None), tops=(0, 0))
def silence(layer: Layer) -> Sequence[Shape]:
    """Source: silence_layer.cpp."""
    return ()


@layer_type("Filter", bottoms=(2, None), tops=(1, None), refuses_gradient=(-1,))
def filter_(layer: Layer) -> Sequence[Shape]:
    """Source: filter_layer.cpp. How many items pass depends on the data; at setup all do."""
    if len(layer.tops) != len(layer.bottoms) - 1:
        message = f"Filter makes one top for each bottom but the last: '{layer.name}' has {len(layer.bottoms)} and {len(layer.tops)}"
        layer.fail("top-count", message, "top", "filter_layer.cpp")
    selector = layer.bottoms[-1].shape
    if selector is not None and any(differ(dim, 1) for dim in selector[1:]):
        message = f"the selector '{layer.bottoms[-1].name}' of layer '{layer.name}' must be a list, it is {describe(selector)}"
        layer.fail("bottom-shapes", message, f"bottom[{len(layer.bottoms) - 1}]", "filter_layer.cpp")
    for i, bottom in enumerate(layer.bottoms[:-1]):
        if selector and bottom.shape and differ(selector[0], bottom.shape[0]):
            sizes = f"'{bottom.name}' is {describe(bottom.shape)}, '{layer.bottoms[-1].name}' is {describe(selector)}"
            layer.fail(
                "bottom-shapes",
                f"layer '{layer.name}' selects from as many items as it has: {sizes}",
                f"bottom[{i}]",
                "filter_layer.cpp",
            )
    return [bottom.shape for bottom in layer.bottoms[:-1]]


@layer_type("BatchReindex", bottoms=(2, 2), refuses_gradient=(1,))
def batch_reindex(layer: Layer) -> Sequence[Shape]:
    """Source: batch_reindex_layer.cpp."""
    shape, indices = layer.bottoms[0].shape, layer.bottoms[1].shape
    if indices is not None and len(indices) != 1:
        message = f"'{layer.bottoms[1].name}' of layer '{layer.name}' must be a list of indices, it is {describe(indices)}"
        layer.fail("axes", message, "bottom[1]", "batch_reindex_layer.cpp")
        return ()
    if shape is None:
        return ()
    return ((indices[0] if indices else None, *shape[1:]),)


@layer_type("Python", bottoms=(0, None), tops=(0, None), open_params=True, is_data=True)
def python(layer: Layer) -> Sequence[Shape]:
    """Whatever its class does (python_layer.hpp)."""
    param = layer.message["python_param"]
    for name in ("module", "layer"):
        if not param[name]:
            layer.fail(
                "python-class-missing",
                f"layer '{layer.name}' does not say its {name}",
                "python_param",
                "python_layer.hpp",
            )
    return ()


layer_type("DenseCRF", bottoms=(2, None), open_params=True)(same_shape)
layer_type("DomainTransform", bottoms=(1, None), open_params=True)(same_shape)
layer_type("SpatialProduct", bottoms=(2, 2), open_params=True)(same_shape)
layer_type("MatWrite", bottoms=(1, None), tops=(0, None))(unknown_shapes)
layer_type("ContinuationIndicator", bottoms=(0, None))(unknown_shapes)
