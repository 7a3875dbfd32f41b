"""The number of classes: too few to choose among, or not the same everywhere in a detector."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...fixes.fields import set_field
from ...moments.graph import Layer
from ...moments.layer_type import SOFTMAX
from ...net.classes import number_of_classes, scores_of, settings_of_scores
from ...net.job import NetInPhase
from ...net.names import named
from ...net.net import Net
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("N601", "single-class", subject="net", severity="error", fixes="unsafe")
def single_class(subject: NetInPhase) -> Iterator[Hit]:
    """A softmax has one class to choose from.

    ## What it does

    SoftmaxWithLoss in nets for training, and Softmax anywhere, over scores of a single class: `num_output: 1` in the
    layer before, or an `axis` of size 1. It is an error for the only loss of a net, else a warning.

    ## Why is this bad?

    The probability of the only class is 1, whatever the score: the loss is 0 and so is every gradient. Nothing learns,
    and Caffe goes on to the end. A label of 1 is read beyond the scores.

    ## When it is reported

    Never for a loss.

    ## Fix

    The fix writes `num_output: 2`, for the two classes that one output is mostly meant for. It is unsafe: there may be
    more, and SigmoidCrossEntropyLoss takes one output for yes and no.

    ## References

    softmax_layer.cpp and softmax_loss_layer.cpp, Forward_cpu and Backward_cpu: probability minus 1 for the right class.
    """
    net = subject.net
    for layer in net.layers:
        is_loss = layer.traits.applies == SOFTMAX and not layer.traits.applies_since
        if not layer.bottoms or not ((is_loss and net.phase == "TRAIN") or layer.traits.activation == SOFTMAX):
            continue
        if (number_of_classes(layer) if is_loss else _over_axis(layer)) != 1:
            continue
        message = f"{named(layer)}: its scores {layer.shown()} are of one class only, which gets a probability of 1"
        if (axis := layer.message["softmax_param"]["axis"]) != 1:
            message = f"{named(layer)}: axis {axis} of its scores {layer.shown()} has one class only, of probability 1"
        reason = "Its loss is 0, and so is every gradient." if is_loss else "What comes in does not matter."
        alone = is_loss and sum(bool(loss.weight) for loss in net.losses) == 1
        related: tuple[Related, ...] = ()
        fix = None
        scores = scores_of(layer)
        if scores is not None and settings_of_scores(scores).get("num_output") == 1:
            settings = settings_of_scores(scores)
            related = (Related(subject.file, settings.span("num_output"), f"{named(scores)} makes one score"),)
            if "v0" not in net.upgraded.steps:
                patch = set_field(subject.file.tree, settings, "num_output", 2)
                fix = patch.fix(subject.file.path, "write num_output: 2", safe=False)
        yield Hit(subject.file, layer.place(), message, reason, "" if alone else "warning", related, fix)


@rule("N602", "class-count-mismatch", subject="net", severity="warning")
def class_count_mismatch(subject: NetInPhase) -> Iterator[Hit]:
    """A detector says at one place that there are so many classes, and otherwise at another.

    ## What it does

    Where a net for Fast R-CNN or its kin has an InnerProduct `cls_score` and a `bbox_pred` beside it, a number of boxes
    that is neither four for each class nor four or eight for all of them together; a Python layer whose `num_classes`
    is not the number of `cls_score`. In a net for SSD, a DetectionOutput whose scores are parted by a Reshape into
    another number of classes, or a DetectionEvaluate with another number.

    ## Why is this bad?

    A net is taken over for other classes and one of the numbers is forgotten. Where shapes do not show it, Caffe says
    nothing: boxes of one class are taken for those of another, or a softmax goes over the wrong scores.

    ## When it is reported

    The layers only bear these names.

    ## Example

    No fix: only you know how many classes there are. One of them is the background.

    ## References

    R. Girshick: Fast R-CNN, 2015, section 2.3: four numbers for each class. detection_output_layer.cpp, LayerSetUp.
    """
    yield from _boxes_of_classes(subject)
    for layer in subject.net.layers:
        if layer.traits.settings == "detection_output_param" and len(layer.bottoms) > 1:
            yield from _detection_output(subject, layer)


def _over_axis(layer: Layer) -> int | None:
    """The size of the axis that a Softmax goes over."""
    shape = layer.bottoms[0].shape
    axis = layer.message["softmax_param"]["axis"]
    return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None


def _boxes_of_classes(subject: NetInPhase) -> Iterator[Hit]:
    """The numbers of `cls_score`, of the `bbox_pred` beside it and of Python layers."""
    net = subject.net
    scores = [layer for layer in net.layers if _is_named(layer, "cls_score")]
    for score in scores:
        classes = settings_of_scores(score).get("num_output")
        where = (Related(subject.file, settings_of_scores(score).span("num_output"), f"{named(score)}: {classes}"),)
        for boxes in net.layers:
            beside = _is_named(boxes, "bbox_pred") and boxes.bottoms[0] is score.bottoms[0]
            number = settings_of_scores(boxes).get("num_output") if beside else None
            if number is None or number in (4 * classes, 4, 8):
                continue
            message = f"{named(boxes)}: num_output {number} is not four for each of the {classes} classes of '{score.name}'"
            place = settings_of_scores(boxes).span("num_output")
            yield Hit(subject.file, place, message, f"{classes} classes have {4 * classes} numbers.", related=where)
        if len(scores) == 1:
            yield from _python_layers(subject, net, classes, where)


def _python_layers(subject: NetInPhase, net: Net, classes: int, where: tuple[Related, ...]) -> Iterator[Hit]:
    for layer in net.layers:
        if not layer.traits.opaque:
            continue
        told = re.search(r"['\"]num_classes['\"]\s*:\s*(\d+)", layer.message["python_param"]["param_str"])
        if told and int(told[1]) not in (classes, 2):  # 2: an object or none
            message = f"{named(layer)}: num_classes {told[1]}, but the net has {classes} classes"
            place = layer.message["python_param"].span("param_str")
            yield Hit(subject.file, place, message, "Labels and boxes are made for other classes.", related=where)


def _is_named(layer: Layer, name: str) -> bool:
    """Whether a layer is an InnerProduct of that name with a written num_output."""
    if layer.name != name or not layer.traits.weighted_sum or layer.traits.slides or not layer.bottoms:
        return False
    return bool(settings_of_scores(layer).get("num_output"))


def _gives_another_form(layer: Layer) -> bool:
    """Whether a layer gives scores another form, other than the one that parts them into classes."""
    traits = layer.traits
    return (traits.rearranges or traits.bounded) and traits.settings != "reshape_param"


def _detection_output(subject: NetInPhase, layer: Layer) -> Iterator[Hit]:
    """The number of classes of SSD's DetectionOutput, of the Reshape before it and of what judges it."""
    settings = layer.message[layer.traits.settings]
    classes = settings["num_classes"]
    if not classes:
        return
    where = (Related(subject.file, settings.span("num_classes"), f"{named(layer)}: {classes}"),)
    blob = layer.bottoms[1]
    while blob.producer is not None and blob.producer.bottoms and _gives_another_form(blob.producer):
        blob = blob.producer.bottoms[0]
    reshape = blob.producer
    if reshape is not None and reshape.traits.settings == "reshape_param":
        shape = reshape.message["reshape_param"]["shape"]
        dims = shape["dim"]
        if len(dims) == 3 and dims[:2] == [0, -1] and dims[2] != classes:
            message = f"{named(reshape)}: it parts the scores into {dims[2]} classes, '{layer.name}' into {classes}"
            reason = "The softmax goes over scores of different boxes."
            yield Hit(subject.file, shape.span("dim", 2), message, reason, related=where)
    for reader in layer.tops[0].consumers if layer.tops else ():
        if reader.traits.settings == "detection_evaluate_param":
            judged = reader.message[reader.traits.settings]
            if judged["num_classes"] not in (0, classes):
                message = f"{named(reader)}: num_classes {judged['num_classes']}, but '{layer.name}' has {classes}"
                place = judged.span("num_classes")
                yield Hit(subject.file, place, message, "It judges other classes than are found.", related=where)
