"""Layers that multiply, join, split or select blobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..moments.layer_type import (
    ALL,
    IN_PLACE_CRASH,
    IN_PLACE_FATAL,
    IN_PLACE_RIGHT,
    IN_PLACE_WRONG_GRADIENT,
    IN_PLACE_WRONG_VALUES,
    LEARNED,
    SOFTMAX,
    UNMODELLED,
)
from ..moments.shapes import Dims, Shape, axis_index, count, counts_differ, differ, merge, shapes_differ
from ..proto.binder import Message
from ..source.wording import counted
from . import value_ranges
from .activation import not_in_place
from .record import REARRANGES, layer_type, missing_axis, no_products, number_of, same_shape, unknown_shapes
from .vision import num_output

if TYPE_CHECKING:
    from ..moments.graph import Layer


def find_axis(layer: Layer, axis: int, shape: Dims, path: str) -> int | None:
    """The non-negative index of an axis of the first bottom; reports one that does not exist (CanonicalAxisIndex)."""
    found = axis_index(axis, len(shape))
    if found is None:
        layer.fail("axis", missing_axis(layer, axis), path, "blob.hpp:122")
    return found


# -- weights ---------------------------------------------------------------------------------------------


def _inner_product_multiply_adds(layer: Layer) -> int | None:
    weights = count(layer.params[0].shape) if layer.params else None
    outputs = layer.tops[0].count if layer.tops else None
    width = layer.message[layer.traits.settings].get("num_output")
    return None if weights is None or outputs is None or not width else outputs * (weights // width)


@layer_type(
    "InnerProduct",
    "inner_product_layer.cpp",
    signal="linear.InnerProduct",
    simulate="products.InnerProduct",
    fork_bottoms=(1, None),
    fork_tops=(1, None),
    fork_fields=frozenset({"normalize"}),
    reads=("inner_product_param",),
    in_place=IN_PLACE_WRONG_VALUES,
    weighted_sum=True,
    value_range=value_ranges.weighted,
    multiply_adds=_inner_product_multiply_adds,
)
def inner_product(layer: Layer) -> Sequence[Shape]:
    """A fully connected layer: every output depends on every input of an item."""
    param = layer.message["inner_product_param"]
    entries = param.entries
    shape = layer.bottoms[0].shape
    outputs = num_output(layer, param, "inner_product_param", "blob.cpp:133")
    inputs: int | None = None
    axis: int | None = None
    if shape is not None:
        written = entries["axis"][0][0] if "axis" in entries else 1
        axis = find_axis(layer, written, shape, "inner_product_param.axis")
        if axis is not None:
            inputs = count(shape, axis)
    transposed = "transpose" in entries and entries["transpose"][0][0]
    layer.add_param("weight", (inputs, outputs) if transposed else (outputs, inputs), param, "weight_filler")
    if "bias_term" not in entries or entries["bias_term"][0][0]:
        layer.add_param("bias", (outputs,), param, "bias_filler")
    if shape is None or axis is None:
        return ()
    if layer.in_place and differ(inputs, outputs):
        text = f"the layer works in place, but maps {inputs} inputs to {outputs} outputs"
        layer.fail("in-place", text, "top", ":64", when="forward")
    return ((*shape[:axis], outputs),)


def _margin_inner_product(layer: Layer) -> Sequence[Shape]:
    """A fully connected layer without a bias that makes the score of the label smaller; the second top is its factor."""
    settings = layer.traits.settings
    param = layer.message[settings]
    shape = layer.bottoms[0].shape
    outputs = num_output(layer, param, settings, "")
    axis = find_axis(layer, param.get("axis", 1), shape, f"{settings}.axis") if shape is not None else None
    layer.add_param("weight", (outputs, count(shape, axis) if axis is not None else None), param, "weight_filler")
    return ((*shape[:axis], outputs), (1,)) if shape is not None and axis is not None else (None, (1,))


layer_type(
    "LargeMarginInnerProduct", "largemargin_inner_product_layer.cpp", settings="largemargin_inner_product_param",
    bottoms=(1, 2), tops=(1, 2), fork_fields=None,
)(_margin_inner_product)  # fmt: skip
layer_type(
    "MarginInnerProduct", "margin_inner_product_layer.cpp", settings="margin_inner_product_param",
    simulate="products.MarginInnerProduct", multiply_adds=_inner_product_multiply_adds,
    bottoms=(1, 2), tops=(1, 2), fork_fields=None,
)(_margin_inner_product)  # fmt: skip


@layer_type(
    "Embed", "embed_layer.cpp", signal="linear.Embed", simulate="products.Embed",
    reads=("embed_param",), refuses_gradient=(0,), multiply_adds=no_products,
)
def embed(layer: Layer) -> Sequence[Shape]:
    """A vector for each index."""
    param = layer.message["embed_param"]
    outputs = num_output(layer, param, "embed_param", "embed_layer.cpp")
    inputs: int | None = param["input_dim"]
    if inputs is not None and inputs <= 0:
        layer.fail("input-dim-missing", "input_dim must be greater than 0", "embed_param.input_dim")
        inputs = None
    layer.add_param("weight", (inputs, outputs), param, "weight_filler")
    if param["bias_term"]:
        layer.add_param("bias", (outputs,), param, "bias_filler")
    shape = layer.bottoms[0].shape
    return () if shape is None else ((*shape, outputs),)


@layer_type(
    "Parameter",
    "parameter_layer.hpp",
    signal="elementwise.Parameter",
    simulate="products.Parameter",
    reads=("parameter_param",),
    bottoms=(0, 0),
    origin=LEARNED,
    multiply_adds=no_products,
)
def parameter(layer: Layer) -> Sequence[Shape]:
    """A parameter as a blob."""
    shape: Dims = tuple(layer.message["parameter_param"]["shape"]["dim"])
    layer.add_param("value", shape)
    return (shape,)


# -- joining and splitting ---------------------------------------------------------------------------------


def _one_bottom(layer: Layer) -> bool:
    return len(layer.bottoms) == 1


def _one_top(layer: Layer) -> bool:
    return len(layer.tops) == 1


def _concat_in_place(layer: Layer) -> str:
    return IN_PLACE_RIGHT if len(layer.bottoms) == 1 else IN_PLACE_CRASH


@layer_type(
    "Concat",
    "concat_layer.cpp",
    signal="joining.Concat",
    simulate="combining.Concat",
    reads=("concat_param",),
    bottoms=(1, None),
    in_place=_concat_in_place,
    shares_memory=_one_bottom,
    joins=True,
    value_range=value_ranges.joined,
    **REARRANGES,
)
def concat(layer: Layer) -> Sequence[Shape]:
    """Its bottoms joined along an axis."""
    name, axis = _axis_or_dim(layer, "concat_param", "")
    first = next((i for i, bottom in enumerate(layer.bottoms) if bottom.shape is not None), None)
    if first is None:
        return ()
    pattern = layer.bottoms[first].shape
    assert pattern is not None
    found = axis_index(axis, len(pattern))
    if found is None:
        layer.fail("axis", missing_axis(layer, axis, first), name, "blob.hpp:122")
        return ()
    top = list(pattern)
    total: int | None = 0
    for i, bottom in enumerate(layer.bottoms):
        shape = bottom.shape
        if shape is None:
            total = None
            continue
        if len(shape) != len(pattern):
            text = f"bottoms have different numbers of axes: {layer.shown(first)}, {layer.shown(i)}"
            layer.fail("concat-axes", text, f"bottom[{i}]")
            total = None
            continue
        size = shape[found]
        total = None if total is None or size is None else total + size
        if shape == pattern:
            continue
        for j, dim in enumerate(shape):
            if j == found or dim == top[j] or dim is None:
                continue
            if top[j] is None:
                top[j] = dim
            elif pattern is not None:
                text = f"bottoms may differ only in axis {found}: {layer.shown(first)}, {layer.shown(i)}"
                layer.fail("concat-shapes", text, f"bottom[{i}]", ":42")
                return ((*(None,) * found, None, *(None,) * (len(pattern) - found - 1)),)
    top[found] = total
    return (tuple(top),)


def axis_field(param: Message) -> str:
    """The field of a Concat or Slice that sets its axis: `axis`, or a deprecated one."""
    return next((name for name in ("concat_dim", "slice_dim") if name in param.entries), "axis")


def _axis_or_dim(layer: Layer, settings: str, at: str) -> tuple[str, int]:
    """The path and the value of the field that sets the axis."""
    param = layer.message[settings]
    name = axis_field(param)
    if name != "axis" and "axis" in param.entries:
        layer.fail("axis-twice", f"both axis and {name} are set", f"{settings}.{name}", at)
    return f"{settings}.{name}", param[name]


def _slice_in_place(layer: Layer) -> str:
    return IN_PLACE_RIGHT if len(layer.tops) == 1 else IN_PLACE_WRONG_VALUES


@layer_type(
    "Slice",
    "slice_layer.cpp",
    signal="joining.Slice",
    simulate="combining.Slice",
    reads=("slice_param",),
    tops=(1, None),
    in_place=_slice_in_place,
    shares_memory=_one_top,
    selects=True,
    value_range=value_ranges.within,
    **REARRANGES,
)
def slice_(layer: Layer) -> Sequence[Shape]:
    """Slices of its bottom along an axis, between slice points or of equal size."""
    param = layer.message["slice_param"]
    name, axis = _axis_or_dim(layer, "slice_param", ":13")
    points = param["slice_point"]
    tops = len(layer.tops)
    path = "slice_param.slice_point[0]"
    right = not points or len(points) == tops - 1
    if not right:
        text = f"{number_of(len(points), 'slice_point')} for {counted(tops, 'top')}; expected {tops - 1}"
        layer.fail("slice-points", text, path)
    elif any(after <= before for before, after in zip([0, *points], points, strict=False)):
        layer.fail("slice-points", f"slice points must be positive and increasing, not {points}", path, ":50")
        right = False
    shape = layer.bottoms[0].shape
    if shape is None:
        return ()
    found = find_axis(layer, axis, shape, name)
    if found is None:
        return ()
    whole = shape[found]
    sizes: list[int | None] = [None] * tops
    if whole is not None and points and right:
        if tops > whole:
            text = f"axis {found} of {layer.shown()} cannot be split into {tops} tops"
            layer.fail("slice-tops", text, "top", ":44")
        elif points[-1] >= whole:
            text = f"slice point {points[-1]} is not below {whole}, the size of axis {found} of {layer.shown()}"
            at = "blob.cpp:133" if points[-1] == whole else "blob.cpp:32"
            layer.fail("slice-points", text, f"slice_param.slice_point[{len(points) - 1}]", at)
        if points[-1] <= whole:
            sizes = [after - before for before, after in zip([0, *points], [*points, whole], strict=True)]
    elif whole is not None and not points:
        if whole % tops:
            text = f"axis {found} of {layer.shown()} is not divisible by {tops} tops"
            layer.fail("slice-uneven", text, "top", ":61")
        else:
            sizes = [whole // tops] * tops
    return [(*shape[:found], size, *shape[found + 1 :]) for size in sizes]


@layer_type(
    "Split",
    "split_layer.cpp",
    signal="passing.PassThrough",
    simulate="combining.Split",
    reads=(),
    tops=(1, None),
    in_place=IN_PLACE_FATAL,
    shares_memory=True,
    copies=True,
    keeps_shape=True,
    value_range=value_ranges.unchanged,
    **REARRANGES,
)
def split(layer: Layer) -> Sequence[Shape]:
    """Copies of its bottom."""
    not_in_place(layer, "")
    return (layer.bottoms[0].shape,) * len(layer.tops)


def _is_product(layer: Layer) -> bool:
    return bool(layer.message["eltwise_param"]["operation"] == "PROD")


def _eltwise_in_place(layer: Layer) -> str:
    return IN_PLACE_WRONG_GRADIENT if _is_product(layer) else IN_PLACE_WRONG_VALUES


def _eltwise_reads_top(layer: Layer) -> bool:
    return _is_product(layer) and not layer.message["eltwise_param"]["stable_prod_grad"]


@layer_type(
    "Eltwise",
    "eltwise_layer.cpp",
    signal="joining.Eltwise",
    simulate="combining.Eltwise",
    reads=("eltwise_param",),
    fork_bottoms=(1, None),
    bottoms=(2, None),
    in_place=_eltwise_in_place,
    reads_top=_eltwise_reads_top,
    keeps_shape=True,
    combines=True,
    multiplies=_is_product,
    value_range=value_ranges.combined,
    hazard=("product-overflow", "a product of its inputs overflows"),
)
def eltwise(layer: Layer) -> Sequence[Shape]:
    """The element-wise sum, product or maximum of its bottoms."""
    entries = layer.message.entries
    if "eltwise_param" in entries:
        param: Message = entries["eltwise_param"][0][0]
        coefficients = len(param.entries.get("coeff", ()))
        if coefficients:
            if coefficients != len(layer.bottoms):
                text = f"{number_of(coefficients, 'coeff')} for {counted(len(layer.bottoms), 'bottom')}"
                layer.fail("eltwise-coeff", text, "eltwise_param.coeff[0]", ":12")
            if param["operation"] == "PROD":
                layer.fail("eltwise-coeff", "coeff is not allowed with operation PROD", "eltwise_param.coeff[0]", ":15")
    top = layer.bottoms[0].shape
    for i, bottom in enumerate(layer.bottoms):
        if bottom.shape == top:
            continue
        if shapes_differ(top, bottom.shape):
            text = f"bottoms have different shapes: {layer.shown()}, {layer.shown(i)}"
            layer.fail("bottom-shapes", text, f"bottom[{i}]", ":34")
            return ()
        top = merge(top, bottom.shape)
    return (top,)


@layer_type("Axpy", "axpy_layer.cpp", signal="joining.Axpy", simulate="combining.Axpy", bottoms=(3, 3))
def axpy(layer: Layer) -> Sequence[Shape]:
    """SENet: the second bottom times a factor for each channel, plus the third bottom."""
    factor, shape, summand = (bottom.shape for bottom in layer.bottoms)
    if factor is not None and shape is not None and len(factor) > 1 and len(shape) > 1:
        wrong = differ(factor[0], shape[0]) or differ(factor[1], shape[1])
        if wrong or (len(factor) == 4 and (differ(factor[2], 1) or differ(factor[3], 1))):
            text = f"{layer.shown()} does not have one factor for each channel of {layer.shown(1)}"
            layer.fail("bottom-shapes", text, "bottom[0]")
    if shapes_differ(shape, summand):
        text = f"summands have different shapes: {layer.shown(1)}, {layer.shown(2)}"
        layer.fail("bottom-shapes", text, "bottom[2]")
    return (shape,)


# -- choosing --------------------------------------------------------------------------------------------


@layer_type(
    "Softmax",
    "softmax_layer.cpp",
    signal="joining.Softmax",
    simulate="combining.Softmax",
    reads=("softmax_param",),
    in_place=IN_PLACE_RIGHT,
    reads_top=True,
    bounded=True,
    nonlinear=True,
    engine="softmax_param",
    keeps_shape=True,
    activation=SOFTMAX,
    value_range=value_ranges.between(0.0, 1.0),
)
def softmax(layer: Layer) -> Sequence[Shape]:
    """Probabilities along an axis."""
    shape = layer.bottoms[0].shape
    if shape is not None:
        find_axis(layer, layer.message["softmax_param"]["axis"], shape, "softmax_param.axis")
    return (shape,)


@layer_type(
    "ArgMax", "argmax_layer.cpp", signal="data_models.Output", simulate="combining.Report",
    reads=("argmax_param",), has_backward=False, refuses_at="argmax_layer.hpp:67"
)
def arg_max(layer: Layer) -> Sequence[Shape]:
    """The indices of the largest values."""
    param = layer.message["argmax_param"]
    top_k = param["top_k"]
    shape = layer.bottoms[0].shape
    if top_k < 1:
        layer.fail("top-k", "top_k must be at least 1", "argmax_param.top_k")
    axis: int | None = None
    if "axis" in param.entries and shape is not None:
        axis = find_axis(layer, param["axis"], shape, "argmax_param.axis")
        if axis is None:
            return ()
    if shape is None:
        return ()
    among = count(shape, 1) if axis is None else shape[axis]
    if among is not None and top_k > among:
        layer.fail("top-k", f"top_k {top_k} is greater than the number of values, {among}", "argmax_param.top_k")
    if axis is not None:
        return ((*shape[:axis], top_k, *shape[axis + 1 :]),)
    values = 2 if param["out_max_val"] else 1
    return ((shape[0] if shape else None, values, top_k, *(1,) * (len(shape) - 3)),)


@layer_type(
    "Accuracy",
    "accuracy_layer.cpp",
    signal="data_models.Output",
    simulate="combining.Report",
    reads=("accuracy_param",),
    measures=True,
    class_axis="accuracy_param",
    fork_bottoms=(2, 3),
    fork_tops=(1, None),
    bottoms=(2, 2),
    tops=(1, 2),
    has_backward=False,
    refuses_gradient=ALL,
    refuses_at="accuracy_layer.hpp:79",
)
def accuracy(layer: Layer) -> Sequence[Shape]:
    """The share of items whose label is among the `top_k` highest scores; the second top has it for each class."""
    param = layer.message["accuracy_param"]
    scores = layer.bottoms[0].shape
    given, labels = layer.bottoms[0].count, layer.bottoms[1].count
    if given is not None and labels and param["top_k"] > given // labels:
        text = f"top_k {param['top_k']} is greater than the number of scores per label, {given // labels}"
        layer.fail("top-k", f"{text}: {layer.shown()}, {layer.shown(1)}", "accuracy_param.top_k", ":25")
    if scores is None:
        return ((),)
    axis = find_axis(layer, param["axis"], scores, "accuracy_param.axis")
    if axis is None:
        return ((),)
    check_labels(layer, scores, axis)
    return ((), (scores[axis],))


def check_labels(layer: Layer, scores: Dims, axis: int, at: str = "", *, same_items: bool = False) -> None:
    """Report a label blob that does not have one element for each position of the scores.

    `same_items`: both are known to have as many items, so that their number does not matter.
    """
    labels = layer.bottoms[1]
    positions = (*scores[:axis], *scores[axis + 1 :])
    wanted, given = count(positions), labels.count
    if wanted is not None and given is not None:
        if wanted != given:
            text = f"{layer.shown()} needs {counted(wanted, 'label')}, but {layer.shown(1)} has {given}"
            layer.fail("label-count", text, "bottom[1]", at, subject=labels.name)
    elif counts_differ(positions, labels.shape, 1 if same_items and axis > 0 else 0):
        text = f"{layer.shown()} needs one label for each position, but {layer.shown(1)} has a different number"
        layer.fail("label-count", text, "bottom[1]", at, subject=labels.name)


@layer_type(
    "Silence", "silence_layer.cpp", signal="data_models.Output", simulate="combining.Silence",
    reads=(), bottoms=(1, None), tops=(0, 0), discards=True,
)
def silence(layer: Layer) -> Sequence[Shape]:
    """Consumes blobs so that they are not outputs of the net."""
    return ()


@layer_type(
    "Filter",
    "filter_layer.cpp",
    signal="passing.PassThrough",
    simulate="combining.Filter",
    reads=(),
    bottoms=(2, None),
    tops=(1, None),
    refuses_gradient=(-1,),
    selects=True,
)
def filter_(layer: Layer) -> Sequence[Shape]:
    """The items whose selector, in the last bottom, is not 0: all of them at setup, later as the data says."""
    last = len(layer.bottoms) - 1
    if len(layer.tops) != last:
        text = f"{counted(len(layer.tops), 'top')}; expected {last}, one for each bottom except the last"
        layer.fail("top-count", text, "top")
    selector = layer.bottoms[last].shape
    if selector is not None and any(differ(dim, 1) for dim in selector[1:]):
        layer.fail("bottom-shapes", f"the selector must have one value per item, not {layer.shown(last)}", f"bottom[{last}]")
    for i, bottom in enumerate(layer.bottoms[:-1]):
        if selector and bottom.shape and differ(selector[0], bottom.shape[0]):
            text = f"numbers of items and of selectors differ: {layer.shown(i)}, {layer.shown(last)}"
            layer.fail("bottom-shapes", text, f"bottom[{i}]")
    return [bottom.shape for bottom in layer.bottoms[:-1]]


@layer_type(
    "BatchReindex",
    "batch_reindex_layer.cpp",
    signal="passing.PassThrough",
    simulate="combining.BatchReindex",
    reads=(),
    bottoms=(2, 2),
    refuses_gradient=(1,),
    selects=True,
    value_range=value_ranges.within,
    **REARRANGES,
)
def batch_reindex(layer: Layer) -> Sequence[Shape]:
    """The items that the second bottom names."""
    shape, indices = layer.bottoms[0].shape, layer.bottoms[1].shape
    if indices is not None and len(indices) != 1:
        layer.fail("axes", f"the indices must have 1 axis, not {layer.shown(1)}", "bottom[1]")
        return ()
    return () if shape is None else ((indices[0] if indices else None, *shape[1:]),)


def _python_signal(layer: Layer) -> str:
    """A Python layer without bottoms is a data layer; what one with bottoms computes is unknown."""
    return UNMODELLED if layer.bottoms else "data_models.DataSource"


@layer_type(
    "Python",
    "python_layer.hpp",
    signal=_python_signal,
    reads=("python_param",),
    bottoms=(0, None),
    tops=(0, None),
    is_data=True,
    open_params=True,
    opaque=True,
)
def python(layer: Layer) -> Sequence[Shape]:
    """Whatever its class does."""
    param = layer.message["python_param"]
    for name in ("module", "layer"):
        if not param[name]:
            layer.fail("python-class-missing", f"python_param.{name} is not set", f"python_param.{name}")
    return ()


_OPEN = {"bottoms": (1, None), "open_params": True}
layer_type("DenseCRF", "dense_crf_layer.cpp", signal=UNMODELLED, **_OPEN)(same_shape)
layer_type("DomainTransform", "domain_transform_layer.cpp", signal=UNMODELLED, **_OPEN)(same_shape)
layer_type("SpatialProduct", "spatial_product_layer.cpp", signal=UNMODELLED, **_OPEN)(same_shape)
layer_type("MatWrite", "mat_write_layer.cpp", signal=UNMODELLED, bottoms=(1, None), tops=(0, None))(unknown_shapes)
layer_type("ContinuationIndicator", "continuation_indicator_layer.cpp", signal=UNMODELLED, bottoms=(0, None), stops_gradient=True)(
    unknown_shapes
)
