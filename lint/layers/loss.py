"""Losses (loss_layer.cpp and its kin)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..shapes import Shape, count, describe, differ, shapes_differ
from .common import check_labels, find_axis
from .layer_type import layer_type

if TYPE_CHECKING:
    from ..net import Layer

# Divisors of the loss that a layer's fields cannot change.
BATCH = "batch"  # the first dimension
TWICE_BATCH = "twice-batch"  # twice that
LOSS_PARAM = "loss-param"  # as loss_param says: see `loss_normalization`

# BVLC gives its default to these where neither `normalization` nor `normalize` is written.
_DEFAULT_NORMALIZATION = {"SigmoidCrossEntropyLoss": "BATCH_SIZE"}

_LOSS = {"bottoms": (2, 2), "is_loss": True, "auto_top": True, "loss_weight": 1.0}
_LABELLED = {**_LOSS, "refuses_gradient": (1,), "not_forced": (1,)}


def loss_normalization(layer: Layer) -> str:
    """What a loss of kind `LOSS_PARAM` is divided by: FULL, VALID, BATCH_SIZE or NONE.

    Source: SoftmaxWithLossLayer::LayerSetUp and SigmoidCrossEntropyLossLayer::LayerSetUp.
    """
    param = layer.message["loss_param"]
    if "normalization" in param.entries:
        written: str = param["normalization"]
        return written
    if "normalize" in param.entries and layer.type != "InfogainLoss":
        return "VALID" if param["normalize"] else "BATCH_SIZE"
    return _DEFAULT_NORMALIZATION.get(layer.type, "VALID")


def _same_first(layer: Layer, other: int = 1) -> bool:
    """Source: LossLayer::Reshape."""
    a, b = layer.bottoms[0].shape, layer.bottoms[other].shape
    if a and b and differ(a[0], b[0]):
        sizes = f"'{layer.bottoms[0].name}' is {describe(a)}, '{layer.bottoms[other].name}' is {describe(b)}"
        message = f"the bottoms of layer '{layer.name}' must have one first dimension: {sizes}"
        layer.fail("loss-batch", message, f"bottom[{other}]", "loss_layer.cpp")
        return False
    return True


def _second_top(layer: Layer, source: str) -> None:
    if len(layer.tops) == 2 and layer.net.dialect == "bvlc" and layer.type == "SoftmaxWithLoss":
        written = len(layer.message["loss_weight"])
        if written == 2:
            message = f"BVLC's SoftmaxWithLoss cannot have 2 tops: '{layer.name}' hands its 2 loss_weight on to a softmax of 1 top"
            layer.fail("loss-second-top", message, "top[1]", source)


@layer_type("SoftmaxWithLoss", **{**_LABELLED, "tops": (1, 2), "normalization": LOSS_PARAM})
def softmax_with_loss(layer: Layer) -> Sequence[Shape]:
    """Source: softmax_loss_layer.cpp."""
    _second_top(layer, "layer.hpp:392")
    scores = layer.bottoms[0].shape
    if scores is not None:
        axis = find_axis(layer, layer.message["softmax_param"]["axis"], scores, "softmax_param.axis")
        if axis is not None and _same_first(layer):
            check_labels(layer, scores, axis, "softmax_loss_layer.cpp:47")
    return ((), scores)


@layer_type(
    "InfogainLoss",
    **{
        **_LABELLED,
        "bottoms": (2, 3),
        "tops": (1, 2),
        "refuses_gradient": (1, 2),
        "not_forced": (1, 2),
        "normalization": LOSS_PARAM,
    },
)
def infogain_loss(layer: Layer) -> Sequence[Shape]:
    """Source: infogain_loss_layer.cpp, as it is since Caffe 1.0."""
    message = layer.message
    if "normalize" in message["loss_param"].entries and layer.net.dialect == "bvlc":
        text = f"InfogainLoss takes no 'normalize', it takes 'normalization': layer '{layer.name}'"
        layer.fail("infogain-normalize", text, "loss_param.normalize", "infogain_loss_layer.cpp:36")
    if len(layer.bottoms) < 3 and not message["infogain_loss_param"]["source"]:
        text = f"layer '{layer.name}' has no infogain matrix: neither a third bottom nor a source"
        layer.fail("infogain-matrix", text, "infogain_loss_param.source", "infogain_loss_layer.cpp:41")
    scores = layer.bottoms[0].shape
    param = message["infogain_loss_param"]
    if scores is None:
        return ((), scores)
    axis = find_axis(
        layer, param["axis"] if "axis" in param.type.fields else 1, scores, "infogain_loss_param.axis"
    )
    if axis is None:
        return ((), scores)
    if _same_first(layer):
        check_labels(layer, scores, axis, "infogain_loss_layer.cpp:63")
    if len(layer.bottoms) == 3:
        classes, size = scores[axis], layer.bottoms[2].count
        if classes is not None and differ(size, classes * classes):
            text = f"the infogain matrix '{layer.bottoms[2].name}' of layer '{layer.name}' must have {classes} x {classes} elements, it has {size}"
            layer.fail("infogain-matrix", text, "bottom[2]", "infogain_loss_layer.cpp:72")
    return ((), scores)


@layer_type("SigmoidCrossEntropyLoss", **{**_LABELLED, "normalization": LOSS_PARAM})
def sigmoid_cross_entropy_loss(layer: Layer) -> Sequence[Shape]:
    """Source: sigmoid_cross_entropy_loss_layer.cpp."""
    scores, targets = layer.bottoms[0], layer.bottoms[1]
    if _same_first(layer) and differ(scores.count, targets.count):
        sizes = f"'{scores.name}' is {describe(scores.shape)}, '{targets.name}' is {describe(targets.shape)}"
        message = f"layer '{layer.name}' wants one target for each score: {sizes}"
        layer.fail("target-count", message, "bottom[1]", "sigmoid_cross_entropy_loss_layer.cpp:51")
    return ((),)


def _same_items(layer: Layer, source: str) -> None:
    a, b = layer.bottoms[0].shape, layer.bottoms[1].shape
    if _same_first(layer) and differ(count(a, 1), count(b, 1)):
        sizes = f"'{layer.bottoms[0].name}' is {describe(a)}, '{layer.bottoms[1].name}' is {describe(b)}"
        layer.fail(
            "loss-shapes",
            f"both bottoms of layer '{layer.name}' must have items of one size: {sizes}",
            "bottom[1]",
            source,
        )


@layer_type("EuclideanLoss", **{**_LOSS, "normalization": TWICE_BATCH})
def euclidean_loss(layer: Layer) -> Sequence[Shape]:
    """Source: euclidean_loss_layer.cpp."""
    _same_items(layer, "euclidean_loss_layer.cpp:12")
    return ((),)


@layer_type("L1Loss", **{**_LOSS, "normalization": BATCH})
def l1_loss(layer: Layer) -> Sequence[Shape]:
    """The sum of absolute differences, in several forks."""
    return ((),)


@layer_type("HingeLoss", **{**_LABELLED, "normalization": BATCH})
def hinge_loss(layer: Layer) -> Sequence[Shape]:
    """Source: hinge_loss_layer.cpp."""
    _same_first(layer)
    shape = layer.bottoms[0].shape
    if shape is not None and len(shape) > 4:
        message = f"HingeLoss reads at most 4 axes: '{layer.bottoms[0].name}' is {describe(shape)}"
        layer.fail("axes", message, "bottom[0]", "blob.hpp", when="forward")
    return ((),)


@layer_type("MultinomialLogisticLoss", **{**_LABELLED, "normalization": BATCH})
def multinomial_logistic_loss(layer: Layer) -> Sequence[Shape]:
    """Source: multinomial_logistic_loss_layer.cpp."""
    _same_first(layer)
    labels = layer.bottoms[1].shape
    if labels is not None and any(differ(dim, 1) for dim in labels[1:]):
        message = f"the labels '{layer.bottoms[1].name}' of layer '{layer.name}' must be one for each item, they are {describe(labels)}"
        layer.fail("label-count", message, "bottom[1]", "multinomial_logistic_loss_layer.cpp")
    return ((),)


@layer_type(
    "ContrastiveLoss",
    **{
        **_LOSS,
        "bottoms": (3, 3),
        "refuses_gradient": (2,),
        "not_forced": (2,),
        "normalization": TWICE_BATCH,
    },
)
def contrastive_loss(layer: Layer) -> Sequence[Shape]:
    """Source: contrastive_loss_layer.cpp."""
    _same_first(layer)
    shapes = [bottom.shape for bottom in layer.bottoms]
    a, b, similar = shapes
    if a is not None and b is not None and len(a) > 1 and len(b) > 1 and differ(a[1], b[1]):
        sizes = f"'{layer.bottoms[0].name}' is {describe(a)}, '{layer.bottoms[1].name}' is {describe(b)}"
        layer.fail(
            "bottom-shapes",
            f"layer '{layer.name}' compares vectors of one length: {sizes}",
            "bottom[1]",
            "contrastive_loss_layer.cpp",
        )
    for i, shape in enumerate(shapes):
        if shape is not None and any(differ(dim, 1) for dim in shape[2:]):
            message = f"'{layer.bottoms[i].name}' of layer '{layer.name}' must be 1 x 1 in its last axes, it is {describe(shape)}"
            layer.fail("bottom-shapes", message, f"bottom[{i}]", "contrastive_loss_layer.cpp")
    if similar is not None and len(similar) > 1 and differ(similar[1], 1):
        message = f"'{layer.bottoms[2].name}' of layer '{layer.name}' must be one label for each pair, it is {describe(similar)}"
        layer.fail("bottom-shapes", message, "bottom[2]", "contrastive_loss_layer.cpp")
    return ((),)


# -- losses of forks --------------------------------------------------------------------------------------------

_RCNN = frozenset({
    "faster-rcnn", "fast-rcnn", "faster-rcnn-upstream", "pvanet", "pvanet-master", "ctpn", "frcnn", "happynear", "brocolli",
})  # fmt: skip


def _smooth_l1(layer: Layer) -> Sequence[Shape]:
    first, second = layer.bottoms[0].shape, layer.bottoms[1].shape
    if first is not None and second is not None and shapes_differ(_four(first), _four(second)):
        sizes = (
            f"'{layer.bottoms[0].name}' is {describe(first)}, '{layer.bottoms[1].name}' is {describe(second)}"
        )
        layer.fail(
            "loss-shapes",
            f"the bottoms of layer '{layer.name}' must have one shape: {sizes}",
            "bottom[1]",
            "smooth_L1_loss_layer.cpp",
        )
    return ((),)


def _four(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    return (*shape, *(1,) * (4 - len(shape)))


layer_type(
    "SmoothL1Loss",
    bottoms=(2, 3),
    is_loss=True,
    auto_top=True,
    loss_weight=1.0,
    ignores_gradient=(2,),
    normalization=BATCH,
)(_smooth_l1)
# Its set-up does not call that of the losses, so it has no weight unless one is written.
layer_type(
    "SmoothL1Loss",
    dialects=_RCNN,
    bottoms=(2, 4),
    is_loss=True,
    auto_top=True,
    ignores_gradient=(2, 3),
    normalization=BATCH,
)(_smooth_l1)
layer_type(
    "SmoothL1Loss",
    dialects=frozenset({"rfcn"}),
    bottoms=(2, 3),
    tops=(1, 2),
    is_loss=True,
    auto_top=True,
    normalization=BATCH,
)(_smooth_l1)
layer_type(
    "SmoothL1LossOHEM", bottoms=(2, 3), tops=(1, 2), is_loss=True, auto_top=True, normalization=LOSS_PARAM
)(_smooth_l1)


@layer_type(
    "SoftmaxWithLossOHEM", **{**_LABELLED, "tops": (1, 3), "loss_weight": 0.0, "normalization": LOSS_PARAM}
)
def softmax_with_loss_ohem(layer: Layer) -> Sequence[Shape]:
    """R-FCN's, with the loss of each item as a further top."""
    return ((), layer.bottoms[0].shape)


def _loss_of_fork(layer: Layer) -> Sequence[Shape]:
    return ((),)


for _name in (
    "CenterLoss",
    "FocalLoss",
    "RegionLoss",
    "CtcLoss",
    "Yolov3",
    "ManhattanLoss",
    "WeightedEuclideanLoss",
    "DiceCoefLoss",
):
    layer_type(_name, bottoms=(1, None), tops=(1, None), is_loss=True, auto_top=True, loss_weight=1.0, open_params=True,
               ignores_gradient=(1,))(_loss_of_fork)  # fmt: skip
