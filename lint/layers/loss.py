"""Losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import CLASSIFICATION, DETECTION, EMBEDDING, REGRESSION, SIGMOID, SOFTMAX, UNMODELLED
from ..moments.shapes import Shape, count, counts_differ, differ, shapes_differ
from .common import check_labels, find_axis
from .record import layer_type, no_products, wrong_axes
from .vision import num_output

if TYPE_CHECKING:
    from ..moments.graph import Layer

# What a loss is divided by (LayerType.normalization).
BATCH = "batch"  # the batch size
TWICE_BATCH = "twice-batch"  # twice the batch size
LOSS_PARAM = "loss-param"  # what loss_param says: see `loss_normalization`

# The largest terms of losses that take the logarithm of a probability.
LARGEST_SOFTMAX_TERM = 87.3365  # -ln FLT_MIN, Forward_cpu in softmax_loss_layer.cpp
LARGEST_LOG_TERM = 46.0517  # -ln 1e-20, kLOG_THRESHOLD of InfogainLoss and MultinomialLogisticLoss

_LOSS: dict[str, Any] = {
    "bottoms": (2, 2), "fork_bottoms": (2, 4), "fork_tops": (1, 3), "fork_fields": None,
    "is_loss": True, "auto_top": True, "loss_weight": 1.0,
}  # fmt: skip
_REGRESSION: dict[str, Any] = {"loss_family": REGRESSION, "nonnegative": True}
_CLASSIFICATION: dict[str, Any] = {"loss_family": CLASSIFICATION, "nonnegative": True}
# The negative log probability of one class: at chance, the logarithm of the number of classes.
_LOG_LIKELIHOOD: dict[str, Any] = {**_CLASSIFICATION, "log_likelihood": True, "chance": math.log}
_LABELLED: dict[str, Any] = {**_LOSS, "refuses_gradient": (1,), "not_forced": (1,)}


def loss_normalization(layer: Layer) -> str:
    """The normalization of a loss that is normalised by `LOSS_PARAM`: FULL, VALID, BATCH_SIZE, NONE or PRE_FIXED.

    Source: SoftmaxWithLossLayer::LayerSetUp and SigmoidCrossEntropyLossLayer::LayerSetUp.
    """
    param = layer.message["loss_param"]
    if "normalization" in param.entries:
        written: str = param["normalization"]
        return written
    if "normalize" in param.entries and not layer.traits.takes_matrix:
        return "VALID" if param["normalize"] else "BATCH_SIZE"
    return "BATCH_SIZE" if layer.traits.applies == SIGMOID else "VALID"


def loss_divisor(layer: Layer, items: float, terms: float, valid: float) -> float:
    """What a loss that is normalised by `LOSS_PARAM` divides the sum of so many terms by, of which so many are valid.

    Source: LossLayer::GetNormalizer.
    """
    how = loss_normalization(layer)
    if how == "PRE_FIXED":  # the forks of R-FCN
        return max(1.0, float(layer.message["loss_param"]["pre_fixed_normalizer"]))
    return max(1.0, float({"FULL": terms, "BATCH_SIZE": items, "NONE": 1}.get(how, valid)))


def class_axis(layer: Layer) -> int:
    """The axis of the classes in the scores that a loss or an accuracy reads, as it is written: it may be negative."""
    name = layer.traits.class_axis
    return int(layer.message[name].get("axis", 1)) if name else 1


def _one_label_per_item(layer: Layer) -> None:
    labels = layer.bottoms[1].shape
    if labels is not None and any(differ(dim, 1) for dim in labels[1:]):
        layer.fail("label-count", f"expected one label per item, not {layer.shown(1)}", "bottom[1]")


def _same_first(layer: Layer) -> bool:
    """Whether both bottoms have the same number of items; reports it if not, or if one is a scalar (LossLayer::Reshape)."""
    a, b = layer.bottoms[0].shape, layer.bottoms[1].shape
    if a == () or b == ():
        index = 0 if a == () else 1
        layer.fail("axes", wrong_axes(layer, "at least 1", index), f"bottom[{index}]", "loss_layer.cpp:19")
        return False
    if a and b and differ(a[0], b[0]):
        text = f"bottoms have different first dimensions: {layer.shown()}, {layer.shown(1)}"
        layer.fail("loss-batch", text, "bottom[1]", "loss_layer.cpp")
        return False
    return True


def _legacy_axes(layer: Layer, index: int = 0, when: str = "forward") -> bool:
    """Whether a bottom has the four axes of old at most, whose names the layer reads; reports it if not (Blob::LegacyShape)."""
    shape = layer.bottoms[index].shape
    if shape is None or len(shape) <= 4:
        return True
    layer.fail("axes", wrong_axes(layer, "at most 4", index), f"bottom[{index}]", "blob.hpp:140", when=when)
    return False


@layer_type(
    "SoftmaxWithLoss",
    "softmax_loss_layer.cpp",
    signal="loss_models.SoftmaxWithLoss",
    simulate="losses.SoftmaxWithLoss",
    reads=("softmax_param", "loss_param"),
    applies=SOFTMAX,
    class_axis="softmax_param",
    hazard=("softmax-of-not-finite", "its scores are not finite, or all of a row are -inf"),
    **{**_LABELLED, "tops": (1, 2), "normalization": LOSS_PARAM, "refuses_at": "softmax_loss_layer.cpp:121"},
    **_LOG_LIKELIHOOD,
)
def softmax_with_loss(layer: Layer) -> Sequence[Shape]:
    """Softmax and the negative log probability of the label, in one layer."""
    if len(layer.tops) == 2 and layer.context.dialect == "bvlc" and len(layer.message["loss_weight"]) == 2:
        text = "a second top does not work in BVLC's Caffe"
        layer.fail("loss-second-top", text, "top[1]", "layer.hpp:392")
    scores = layer.bottoms[0].shape
    if scores is not None:
        axis = find_axis(layer, layer.message["softmax_param"]["axis"], scores, "softmax_param.axis")
        if axis is not None and _same_first(layer):
            check_labels(layer, scores, axis, ":47", same_items=True)
    return ((), scores)


@layer_type(
    "InfogainLoss",
    "infogain_loss_layer.cpp",
    signal="loss_models.InfogainLoss",
    simulate="losses.InfogainLoss",
    reads=("infogain_loss_param", "loss_param", "softmax_param"),
    applies=SOFTMAX,
    applies_since="1.0",
    takes_matrix=True,
    class_axis="infogain_loss_param",
    hazard=(
        "infogain-matrix-not-finite",
        "the infogain matrix or the scores contain a value that is not finite",
    ),
    **_LOG_LIKELIHOOD,
    **{
        **_LABELLED,
        "bottoms": (2, 3),
        "tops": (1, 2),
        "refuses_gradient": (1, 2),
        "normalization": LOSS_PARAM,
    },
)
def infogain_loss(layer: Layer) -> Sequence[Shape]:
    """The log probabilities of all classes, weighted by the label's row of a matrix; as in Caffe 1.0 and later."""
    message = layer.message
    param = message["infogain_loss_param"]
    if "normalize" in message["loss_param"].entries and layer.context.dialect == "bvlc":
        layer.fail(
            "infogain-normalize", "normalize is not supported; expected normalization", "loss_param.normalize", ":36"
        )
    if len(layer.bottoms) < 3 and not param["source"]:
        text = "no infogain matrix: neither a third bottom nor source is set"
        layer.fail("infogain-matrix", text, "infogain_loss_param.source", ":41")
    scores = layer.bottoms[0].shape
    if scores is None:
        return ((), scores)
    axis = find_axis(layer, param["axis"], scores, "infogain_loss_param.axis")
    if axis is None:
        return ((), scores)
    if _same_first(layer):
        check_labels(layer, scores, axis, same_items=True)
    classes = scores[axis]
    if len(layer.bottoms) == 3 and classes is not None and differ(layer.bottoms[2].count, classes**2):
        text = f"the infogain matrix must have {classes} x {classes} elements, not {layer.shown(2)}"
        layer.fail("infogain-matrix", text, "bottom[2]")
    return ((), scores)


@layer_type(
    "SigmoidCrossEntropyLoss",
    "sigmoid_cross_entropy_loss_layer.cpp",
    signal="loss_models.SigmoidCrossEntropyLoss",
    simulate="losses.SigmoidCrossEntropyLoss",
    reads=("loss_param",),
    settings="",
    applies=SIGMOID,
    chance=lambda classes: classes * math.log(2),
    **{**_LABELLED, "normalization": LOSS_PARAM},
    **_CLASSIFICATION,
)
def sigmoid_cross_entropy_loss(layer: Layer) -> Sequence[Shape]:
    """Sigmoid and the cross-entropy with targets between 0 and 1, in one layer."""
    if _same_first(layer) and counts_differ(layer.bottoms[0].shape, layer.bottoms[1].shape, 1):
        text = f"numbers of scores and targets differ: {layer.shown()}, {layer.shown(1)}"
        layer.fail("target-count", text, "bottom[1]", ":41")
    return ((),)


@layer_type(
    "EuclideanLoss",
    "euclidean_loss_layer.cpp",
    signal="loss_models.EuclideanLoss",
    simulate="losses.EuclideanLoss",
    reads=(),
    normalization=TWICE_BATCH,
    squared=True,
    hazard=(
        "loss-overflow",
        "the square of the difference overflows: the targets or predictions are beyond 1e19",
    ),
    **_LOSS,
    **_REGRESSION,
)
def euclidean_loss(layer: Layer) -> Sequence[Shape]:
    """Half the squared Euclidean distance of each item."""
    if _same_first(layer) and counts_differ(layer.bottoms[0].shape, layer.bottoms[1].shape, 1):
        text = f"items of the bottoms differ in size: {layer.shown()}, {layer.shown(1)}"
        layer.fail("loss-shapes", text, "bottom[1]", ":12")
    _legacy_axes(layer)
    return ((),)


@layer_type(
    "HingeLoss",
    "hinge_loss_layer.cpp",
    signal="loss_models.HingeLoss",
    simulate="losses.HingeLoss",
    reads=("hinge_loss_param",),
    normalization=BATCH,
    class_axis="",
    chance=float,
    **_LABELLED,
    **_CLASSIFICATION,
)
def hinge_loss(layer: Layer) -> Sequence[Shape]:
    """The one-versus-all hinge loss, with a margin of 1."""
    _same_first(layer)
    _legacy_axes(layer)
    return ((),)


@layer_type(
    "MultinomialLogisticLoss",
    "multinomial_logistic_loss_layer.cpp",
    signal="loss_models.MultinomialLogisticLoss",
    simulate="losses.MultinomialLogisticLoss",
    reads=(),
    normalization=BATCH,
    class_axis="",
    hazard=("loss-out-of-domain", "it expects probabilities: put a Softmax before it, or use SoftmaxWithLoss"),
    **_LABELLED,
    **_LOG_LIKELIHOOD,
)
def multinomial_logistic_loss(layer: Layer) -> Sequence[Shape]:
    """The negative log probability of the label."""
    _same_first(layer)
    if _legacy_axes(layer, 1, "setup"):
        _one_label_per_item(layer)
    _legacy_axes(layer)
    return ((),)


@layer_type(
    "ContrastiveLoss",
    "contrastive_loss_layer.cpp",
    signal="loss_models.ContrastiveLoss",
    simulate="losses.ContrastiveLoss",
    reads=("contrastive_loss_param",),
    loss_family=EMBEDDING,
    nonnegative=True,
    hazard=("contrastive-distance", "it divides by the distance between a pair, which may be 0"),
    **{
        **_LOSS,
        "bottoms": (3, 3),
        "refuses_gradient": (2,),
        "not_forced": (2,),
        "normalization": TWICE_BATCH,
    },
)
def contrastive_loss(layer: Layer) -> Sequence[Shape]:
    """The distance of similar pairs, and how far dissimilar ones are inside a margin."""
    _same_first(layer)
    if len(layer.bottoms) != 3:  # of a fork
        return ((),)
    a, b, similar = (bottom.shape for bottom in layer.bottoms)
    if a is not None and b is not None and len(a) > 1 and len(b) > 1 and differ(a[1], b[1]):
        text = f"vectors have different lengths: {layer.shown()}, {layer.shown(1)}"
        layer.fail("bottom-shapes", text, "bottom[1]")
    for i, shape in enumerate((a, b, similar)):
        if _legacy_axes(layer, i, "setup") and shape is not None and any(differ(dim, 1) for dim in shape[2:]):
            layer.fail("bottom-shapes", f"{layer.shown(i)} must have size 1 in its last axes", f"bottom[{i}]")
    if similar is not None and len(similar) > 1 and differ(similar[1], 1):
        layer.fail("bottom-shapes", f"expected one label per pair, not {layer.shown(2)}", "bottom[2]")
    return ((),)


# -- losses of forks -------------------------------------------------------------------------------------


def _smooth_l1_loss(layer: Layer) -> Sequence[Shape]:
    a, b = layer.bottoms[0].shape, layer.bottoms[1].shape
    if a is not None and b is not None and len(a) == len(b) == 4 and shapes_differ(a, b):
        text = f"bottoms have different shapes: {layer.shown()}, {layer.shown(1)}"
        layer.fail("loss-shapes", text, "bottom[1]")
    return ((),)


def _smooth_l1_model(layer: Layer) -> str:
    """Its signal model; happynear's turns elsewhere with `turn_point`."""
    return UNMODELLED if "smoothl1_param" in layer.message.entries else "loss_models.SmoothL1Loss"


_SMOOTH: dict[str, Any] = {
    "signal": _smooth_l1_model,
    "fork_bottoms": (2, 4),
    "fork_tops": (1, 2),
    "is_loss": True,
    "auto_top": True,
    "normalization": BATCH,
    **_REGRESSION,
}
# R-CNN's LayerSetUp does not call LossLayer's, so the loss has no weight unless loss_weight is set.
_RCNN = frozenset({
    "faster-rcnn", "fast-rcnn", "faster-rcnn-upstream", "pvanet", "pvanet-master", "ctpn", "frcnn",
    "happynear", "brocolli",
})  # fmt: skip
layer_type(
    "SmoothL1Loss", "smooth_L1_loss_layer.cpp", simulate="losses.SmoothL1Loss",
    bottoms=(2, 3), loss_weight=1.0, **_SMOOTH,
)(_smooth_l1_loss)
layer_type(
    "SmoothL1Loss", "smooth_L1_loss_layer.cpp", simulate="losses.SmoothL1Loss",
    dialects=_RCNN, bottoms=(2, 4), **_SMOOTH,
)(_smooth_l1_loss)
layer_type(
    "SmoothL1Loss",
    "smooth_L1_loss_layer.cpp",
    dialects=frozenset({"rfcn"}),
    bottoms=(2, 3),
    tops=(1, 2),
    **{**_SMOOTH, "normalization": LOSS_PARAM},
)(_smooth_l1_loss)
layer_type(
    "SmoothL1LossOHEM",
    "smooth_L1_loss_ohem_layer.cpp",
    bottoms=(2, 3),
    tops=(1, 2),
    **{**_SMOOTH, "normalization": LOSS_PARAM},
)(_smooth_l1_loss)


@layer_type(
    "SoftmaxWithLossOHEM",
    "softmax_loss_ohem_layer.cpp",
    signal="loss_models.SoftmaxWithLoss",
    applies=SOFTMAX,
    class_axis="softmax_param",
    **{**_LABELLED, "tops": (1, 3), "loss_weight": 0.0, "normalization": LOSS_PARAM},
    **_LOG_LIKELIHOOD,
)
def softmax_with_loss_ohem(layer: Layer) -> Sequence[Shape]:
    """R-FCN: SoftmaxWithLoss with the loss of each item as another top."""
    return ((), layer.bottoms[0].shape)


def _center_loss_signal(layer: Layer) -> str:
    return "loss_models.CenterLoss" if layer.message["center_loss_param"]["distance_type"] == "L2" else UNMODELLED


@layer_type(
    "CenterLoss",
    "center_loss_layer.cpp",
    signal=_center_loss_signal,
    simulate="losses.CenterLoss",
    reads=("center_loss_param",),
    loss_family=EMBEDDING,
    nonnegative=True,
    multiply_adds=no_products,
    **{**_LABELLED, "bottoms": (2, 2), "tops": (1, 1)},
)
def center_loss(layer: Layer) -> Sequence[Shape]:
    """ydwen/caffe-face and others: half the squared distance of each item from the centre of its class, which is learned."""
    param = layer.message["center_loss_param"]
    outputs = num_output(layer, param, "center_loss_param", "center_loss_layer.cpp")
    shape = layer.bottoms[0].shape
    axis = find_axis(layer, param["axis"], shape, "center_loss_param.axis") if shape is not None else None
    layer.add_param("centres", (outputs, count(shape, axis) if axis is not None else None), param, "center_filler")
    _same_first(layer)
    _one_label_per_item(layer)
    return ((),)


def _loss_of_fork(layer: Layer) -> Sequence[Shape]:
    return ((),)


_OPEN_LOSS: dict[str, Any] = {**_LOSS, "bottoms": (1, None), "tops": (1, None), "open_params": True}
# Some forks divide L1Loss by the number of items, others by that of elements, so it has no model either.
for _name, _source, _facts in (
    ("L1Loss", "l1_loss_layer.cpp", _REGRESSION),
    ("CtcLoss", "ctc_loss_layer.cpp", {"loss_family": CLASSIFICATION}),
    ("DiceCoefLoss", "dice_coef_loss_layer.cpp", {"loss_family": CLASSIFICATION}),
    ("FocalLoss", "focal_loss_layer.cpp", {"loss_family": CLASSIFICATION}),
    ("RegionLoss", "region_loss_layer.cpp", {"loss_family": DETECTION}),
    ("Yolov3", "yolov3_layer.cpp", {"loss_family": DETECTION}),
):
    layer_type(_name, _source, signal=UNMODELLED, **_OPEN_LOSS, **_facts)(_loss_of_fork)
