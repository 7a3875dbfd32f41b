"""Numbers of classes: a single one, or different ones in the layers of a detector."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...data.image_list import labels_near
from ...fixes.fields import set_field
from ...moments.graph import Layer
from ...moments.layer_type import SOFTMAX
from ...net.classes import ignored_label, number_of_classes, scores_of, settings_of_scores
from ...net.job import NetInPhase
from ...net.label_sources import PER_ITEM, LabelSource, label_sources
from ...net.names import named
from ...net.net import Net
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ...source.wording import counted


@rule("N601", "single-class", subject="net", severity="error", fixes="unsafe")
def single_class(subject: NetInPhase) -> Iterator[Hit]:
    """Flags softmax layers that have only one class.

    ## What it does

    Flags SoftmaxWithLoss layers in nets for training, and Softmax layers anywhere, whose scores have a single class:
    because of `num_output: 1` in the layer before, or an `axis` of size 1. Flags Accuracy layers whose scores come from a layer
    with `num_output: 1`, unless a softmax reads them too.

    ## Why is this bad?

    The probability of the only class is 1, whatever the score: the loss and all its gradients are 0. Nothing learns,
    and Caffe runs to the end without a message. A label of 1 makes Caffe read past the end of the scores. Accuracy is the
    share of items whose label is 0, whatever the score.

    ## When it is reported

    - **error** for the only loss of a net;
    - **warning** otherwise.

    Do not ignore it for a loss.

    ## Fix

    Sets the `num_output` that the labels need, if `caffe-lint.data.json` has them, or an image list is beside the net. The fix is
    unsafe, because the data may not have all classes, and because SigmoidCrossEntropyLoss needs only one output for yes and no.
    Without the labels there is no fix: `caffe-lint inputs` counts them.

    ## References

    `Forward_cpu` and `Backward_cpu` in softmax_layer.cpp and softmax_loss_layer.cpp: the gradient is the probability,
    minus 1 for the right class.
    """
    net = subject.net
    for layer in net.layers:
        traits = layer.traits
        is_loss = traits.applies == SOFTMAX and not traits.applies_since
        is_measure = traits.measures and traits.class_axis is not None
        if not layer.bottoms or not ((is_loss and net.phase == "TRAIN") or is_measure or traits.activation == SOFTMAX):
            continue
        if (number_of_classes(layer) if is_loss or is_measure else _over_axis(layer)) != 1:
            continue
        if is_measure and (
            scores_of(layer) is None or any(reader.traits.applies == SOFTMAX for reader in layer.bottoms[0].consumers)
        ):
            continue
        message = f"{named(layer)} has only one class in {layer.shown()}"
        if not is_measure and (axis := layer.message["softmax_param"]["axis"]) != 1:
            message = f"{named(layer)} has only one class on axis {axis} of {layer.shown()}"
        effect = "the loss and all its gradients are 0" if is_loss else "the scores have no effect"
        reason = f"The only class always has probability 1, so {effect}."
        if is_measure:
            reason = f"The only class is always the best, so {layer.type} is the share of items whose label is 0."
        alone = is_loss and sum(bool(loss.weight) for loss in net.losses) == 1
        if alone and net.phase == "TRAIN":
            from ...training_log.symptoms import Seen  # only for a mistake that is rare

            reason += f" {Seen('zero-loss').expected}"
        related: tuple[Related, ...] = ()
        fix = None
        scores = scores_of(layer)
        if scores is not None and settings_of_scores(scores).get("num_output") == 1:
            settings = settings_of_scores(scores)
            related = (Related(subject.file, settings.span("num_output"), f"{named(scores)} has one output"),)
            needed = _classes_of_labels(subject, layer)
            if needed:
                reason += f" Its labels reach {needed - 1}, which needs num_output: {needed}."
            elif is_loss:
                reason += " `caffe-lint inputs` tells how many classes the labels need."
            if needed and "v0" not in net.upgraded.steps:
                patch = set_field(subject.file.tree, settings, "num_output", needed)
                fix = patch.fix(subject.file.path, f"set num_output: {needed}", safe=False)
        yield Hit(subject.file, layer.place(), message, reason, "" if alone else "warning", related, fix)


def _classes_of_labels(subject: NetInPhase, layer: Layer) -> int | None:
    """The number of classes that the labels of a layer need, None if they are not known, or need only one."""
    sources = list(label_sources(layer.bottoms[1])) if len(layer.bottoms) > 1 else []
    ranges = [source.range(subject.net) or _listed(subject, source) for source in sources]
    ends = [end for one in ranges if one is not None for end in one]
    if not ends or len(ends) < 2 * len(ranges) or not all(end >= 0 and float(end).is_integer() for end in ends):
        return None
    return int(max(ends)) + 1 if max(ends) > 0 else None


def _listed(subject: NetInPhase, source: LabelSource) -> tuple[float, float] | None:
    """The smallest and the largest label in an image list that is beside the net, as they arrive; None if there is none."""
    producer = source.top.producer
    if source.kind != PER_ITEM or producer is None or producer.traits.settings != "image_data_param" or not source.whole:
        return None
    labels = [label for label, _, _ in labels_near(subject.file.path, producer.message["image_data_param"]["source"])]
    return source.arriving(min(labels), max(labels)) if labels else None


@rule("N603", "single-class-left", subject="net", severity="warning")
def single_class_left(subject: NetInPhase) -> Iterator[Hit]:
    """Flags losses that ignore one of their two classes.

    ## What it does

    Flags losses of classifiers with two classes in nets for training, whose `ignore_label` is one of these classes.

    ## Why is this bad?

    Only labels of the other class are left to learn from. The net learns to predict it whatever the input is: the loss falls to 0,
    and Caffe prints no message.

    ## When it is reported

    Reported as a **warning**. Do not ignore it: such a loss cannot learn to tell the classes apart.

    ## Example

    There is no fix. If the label marks pixels that belong to neither class, use a number that is no class, such as 255; if it is
    the background, do not ignore it.

    ## References

    `Forward_cpu` and `Backward_cpu` in softmax_loss_layer.cpp skip these labels.
    """
    for layer in subject.net.layers if subject.net.phase == "TRAIN" else ():
        ignored = ignored_label(layer) if layer.traits.class_axis is not None and layer.traits.is_loss else None
        if ignored in (0, 1) and number_of_classes(layer) == 2 and any(map(layer.loss_weight, range(len(layer.tops)))):
            message = f"{named(layer)} ignores label {ignored} of two classes, so only class {1 - ignored} is left"
            reason = f"The net learns to predict class {1 - ignored}, whatever the input is."
            yield Hit(subject.file, layer.message["loss_param"].span("ignore_label"), message, reason)


@rule("N604", "class-weight-count", subject="net", severity="error")
def class_weight_count(subject: NetInPhase) -> Iterator[Hit]:
    """Flags a `class_weighting` with a number of weights that differs from the number of classes.

    ## What it does

    Compares the number of `class_weighting` entries of a loss with the number of classes in its scores.

    ## Why is this bad?

    Caffe forks with this field (SegNet, ENet) stop when they build the net: `Number of class weight values does not match the
    number of classes.`

    ## When it is reported

    - **error** if `weight_by_label_freqs` is true;
    - **advice** otherwise: the weights are not read.

    Nothing is reported if the number of classes is unknown. An `ignore_label` that is none of the classes needs no weight.

    ## Example

    There is no fix, because only you know the weights.

    ## References

    `SoftmaxWithLossLayer::LayerSetUp` in softmax_loss_layer.cpp of caffe-segnet.
    """
    for layer in subject.net.layers:
        param = layer.message["loss_param"] if "loss_param" in layer.message.entries and layer.bottoms else None
        weights = param.get("class_weighting", []) if param is not None else []
        classes = number_of_classes(layer) if layer.traits.class_axis is not None else None
        if param is None or not weights or classes is None or len(weights) == classes:
            continue
        number = counted(len(weights), "class_weighting value")
        message = f"{named(layer)} has {number} for {_classes(classes)}"
        read = param.get("weight_by_label_freqs", False)
        reason = "Caffe stops: Number of class weight values does not match the number of classes."
        if not read:
            reason = "It would stop with weight_by_label_freqs: true; without it the weights are not read."
        scores = scores_of(layer)
        related: tuple[Related, ...] = ()
        if scores is not None and "num_output" in settings_of_scores(scores):
            place = settings_of_scores(scores).span("num_output")
            related = (Related(subject.file, place, f"{named(scores)} has {_classes(classes)}"),)
        yield Hit(subject.file, param.span("class_weighting"), message, reason, "" if read else "advice", related)


@rule("N602", "class-count-mismatch", subject="net", severity="warning")
def class_count_mismatch(subject: NetInPhase) -> Iterator[Hit]:
    """Flags detectors that give different numbers of classes in different places.

    ## What it does

    In nets for Fast R-CNN and related detectors that have an InnerProduct `cls_score`, flags

    - a `bbox_pred` on the same bottom whose `num_output` is neither 4 per class nor 4 or 8 for all classes together;
    - if there is only one `cls_score`: Python layers with another `num_classes` (2, object or not, is allowed).

    In nets for SSD, flags a Reshape that splits the scores of a DetectionOutput into another number of classes, and a
    DetectionEvaluate with another number.

    Flags a CenterLoss with another number of centres than a classification loss of the same labels has classes.

    ## Why is this bad?

    Usually the net was adapted to other classes, and one of the numbers was forgotten. Unless the shapes show it,
    Caffe prints no message: the boxes of one class are used for another, or the softmax is computed over the wrong
    scores. For a label without a centre, a CenterLoss reads and changes memory outside of its centres.

    ## When it is reported

    - **warning**, which may be ignored if the layers only happen to have these names;
    - **advice** if a CenterLoss has centres to spare.

    ## Example

    No fix is offered, because only you know the number of classes. The background counts as one.

    ## References

    Girshick: Fast R-CNN, 2015, section 2.3, for four numbers per class; `LayerSetUp` in detection_output_layer.cpp.
    """
    yield from _boxes_of_classes(subject)
    for layer in subject.net.layers:
        if layer.traits.settings == "detection_output_param" and len(layer.bottoms) > 1:
            yield from _detection_output(subject, layer)
        elif layer.traits.settings == "center_loss_param" and len(layer.bottoms) > 1:
            yield from _centres(subject, layer)


def _centres(subject: NetInPhase, layer: Layer) -> Iterator[Hit]:
    """Compare the centres of a CenterLoss with the classes of the losses that read the same labels."""
    settings = layer.message[layer.traits.settings]
    centres = settings["num_output"]
    for loss in layer.bottoms[1].consumers if centres > 0 else ():
        if loss.traits.class_axis is None or not loss.traits.is_loss or loss.bottoms[1:2] != layer.bottoms[1:2]:
            continue
        classes = number_of_classes(loss)
        if classes is None or classes == centres:
            continue
        message = f"{named(layer)} has {counted(centres, 'centre')}, but '{loss.name}' has {_classes(classes)}"
        reason, severity = f"Centres of {classes} and above are never used.", "advice"
        if centres < classes:
            reason, severity = f"For a label of {centres} or more, Caffe reads and changes memory outside of the centres.", ""
        related = (Related(subject.file, loss.place(), f"{named(loss)} reads the same labels"),)
        yield Hit(subject.file, settings.span("num_output"), message, reason, severity, related)
        return


def _classes(number: int) -> str:
    return f"{number} class{'es' * (number != 1)}"


def _over_axis(layer: Layer) -> int | None:
    """Return the size of the axis of a Softmax, or None if it is unknown."""
    shape = layer.bottoms[0].shape
    axis = layer.message["softmax_param"]["axis"]
    return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None


def _boxes_of_classes(subject: NetInPhase) -> Iterator[Hit]:
    """Compare `cls_score` with the `bbox_pred` on the same bottom and with Python layers."""
    net = subject.net
    scores = [layer for layer in net.layers if _is_named(layer, "cls_score")]
    for score in scores:
        classes = settings_of_scores(score).get("num_output")
        where = (Related(subject.file, settings_of_scores(score).span("num_output"), f"{named(score)} has {_classes(classes)}"),)
        for boxes in net.layers:
            has_same_bottom = _is_named(boxes, "bbox_pred") and boxes.bottoms[0] is score.bottoms[0]
            number = settings_of_scores(boxes).get("num_output") if has_same_bottom else None
            if number is None or number in (4 * classes, 4, 8):
                continue
            message = f"num_output {number} of '{boxes.name}' is not 4 per class: '{score.name}' has {_classes(classes)}"
            place = settings_of_scores(boxes).span("num_output")
            reason = f"Each class has 4 box coordinates, {4 * classes} outputs in all."
            yield Hit(subject.file, place, message, reason, related=where)
        if len(scores) == 1:
            yield from _python_layers(subject, net, classes, where)


def _python_layers(subject: NetInPhase, net: Net, classes: int, where: tuple[Related, ...]) -> Iterator[Hit]:
    for layer in net.layers:
        if not layer.traits.opaque:
            continue
        found = re.search(r"['\"]num_classes['\"]\s*:\s*(\d+)", layer.message["python_param"]["param_str"])
        if found and int(found[1]) not in (classes, 2):  # 2: object or not
            message = f"{named(layer)} has num_classes {found[1]}, but the net has {_classes(classes)}"
            place = layer.message["python_param"].span("param_str")
            yield Hit(subject.file, place, message, "It makes labels and boxes for another number of classes.", related=where)


def _is_named(layer: Layer, name: str) -> bool:
    """Return whether a layer is an InnerProduct of that name that sets num_output."""
    if layer.name != name or not layer.traits.weighted_sum or layer.traits.slides or not layer.bottoms:
        return False
    return bool(settings_of_scores(layer).get("num_output"))


def _rearranges(layer: Layer) -> bool:
    """Return whether a layer rearranges or bounds scores, but is not the Reshape that splits them into classes."""
    traits = layer.traits
    return (traits.rearranges or traits.bounded) and traits.settings != "reshape_param"


def _detection_output(subject: NetInPhase, layer: Layer) -> Iterator[Hit]:
    """Compare SSD's DetectionOutput with the Reshape before it and the DetectionEvaluate after it."""
    settings = layer.message[layer.traits.settings]
    classes = settings["num_classes"]
    if not classes:
        return
    where = (Related(subject.file, settings.span("num_classes"), f"{named(layer)} has {_classes(classes)}"),)
    blob = layer.bottoms[1]
    while blob.producer is not None and blob.producer.bottoms and _rearranges(blob.producer):
        blob = blob.producer.bottoms[0]
    reshape = blob.producer
    if reshape is not None and reshape.traits.settings == "reshape_param":
        shape = reshape.message["reshape_param"]["shape"]
        dims = shape["dim"]
        if len(dims) == 3 and dims[:2] == [0, -1] and dims[2] != classes:
            message = f"{named(reshape)} splits the scores into {dims[2]} classes, but '{layer.name}' has {classes}"
            reason = "The softmax is computed over scores of different boxes."
            yield Hit(subject.file, shape.span("dim", 2), message, reason, related=where)
    for reader in layer.tops[0].consumers if layer.tops else ():
        if reader.traits.settings == "detection_evaluate_param":
            evaluated = reader.message[reader.traits.settings]
            if evaluated["num_classes"] not in (0, classes):
                number = evaluated["num_classes"]
                message = f"{named(reader)} has num_classes {number}, but '{layer.name}' has {classes}"
                place = evaluated.span("num_classes")
                reason = "It evaluates other classes than are detected."
                yield Hit(subject.file, place, message, reason, related=where)
