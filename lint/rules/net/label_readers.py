"""Layers that read the same labels in ways that do not go together, and labels that no reader can take."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import set_field
from ...fixes.layer_edits import add_message
from ...moments.graph import Blob, Layer
from ...moments.layer_type import REGRESSION, SIGMOID
from ...net.classes import ignored_label, is_class, number_of_classes
from ...net.job import NetInPhase
from ...net.label_sources import COMPUTED, FILLER, LabelSource, label_sources
from ...net.names import named
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("N212", "ignore-label-mismatch", subject="net", severity="warning", fixes="unsafe")
def ignore_label_mismatch(subject: NetInPhase) -> Iterator[Hit]:
    """Flags a loss and an Accuracy that read the same labels but do not ignore the same one.

    ## What it does

    Compares the `ignore_label` in `loss_param` with the one in `accuracy_param` of Accuracy layers that read the same labels in
    the same net. The two are independent of each other.

    ## Why is this bad?

    A label such as 255 is none of the classes. A layer that does not ignore it does not check it either: Accuracy counts it as
    wrong or, in versions that read the score of the label rather than sort the scores, as right or wrong by chance; with a second
    top, it writes outside of its memory. A loss changes memory outside of its gradient.

    A label that is one of the classes, but that the loss ignores, is never learned, so all that Accuracy measures there is wrong.

    ## When it is reported

    - **warning** if the ignored label is none of the classes;
    - **advice** if the loss ignores one of them. Ignore it if you want to count these labels as errors.

    An Accuracy may ignore a class, such as the background, that the loss learns. One that alone ignores -1 is not reported either:
    detectors have it where no label is -1.

    ## Fix

    Sets the `ignore_label` of the loss in `accuracy_param`. The fix is unsafe, because the two may differ on purpose. There is none
    if only Accuracy has an `ignore_label`.

    ## References

    `Forward_cpu` in accuracy_layer.cpp and softmax_loss_layer.cpp, which check labels by a DCHECK only.
    """
    layers = [layer for layer in subject.net.layers if layer.traits.class_axis is not None and len(layer.bottoms) > 1]
    if all(ignored_label(layer) is None for layer in layers):
        return
    losses = [layer for layer in layers if not layer.traits.measures]
    for layer in layers:
        if not layer.traits.measures:
            continue
        for loss in losses:
            if ignored_label(layer) != ignored_label(loss) and _same_labels(loss.bottoms[1], layer.bottoms[1]):
                yield from _mismatch(subject, layer, loss)
                break


def _mismatch(subject: NetInPhase, measure: Layer, loss: Layer) -> Iterator[Hit]:
    ignored, own, classes = ignored_label(loss), ignored_label(measure), number_of_classes(measure)
    last = (classes if classes is not None else _MOST_LIKELY_CLASSES) - 1
    if ignored is None:
        assert own is not None
        if own > last:
            message = f"{named(loss)} reads label {own}, which '{measure.name}' ignores"
            reason = f"{own} is none of the classes, so {loss.type} reads and changes memory outside of that of the item."
            related = (Related(subject.file, measure.message["accuracy_param"].span("ignore_label"), "ignored here"),)
            yield Hit(subject.file, loss.place(), message, reason, related=related)
        return
    is_class = 0 <= ignored <= last
    instead = "" if own is None else f" and ignores {own} instead"
    message = f"{named(measure)} counts label {ignored}, which loss '{loss.name}' ignores{instead}"
    reason = (
        "What the loss ignores is never learned, so the accuracy is too low by these labels."
        if is_class
        else f"{ignored} is none of the classes: {measure.type} counts it as wrong, or by chance in versions that read its score."
    )
    related = (Related(subject.file, loss.message["loss_param"].span("ignore_label"), f"loss '{loss.name}' ignores it"),)
    fix = _same_ignored(subject, measure, ignored)
    yield Hit(subject.file, measure.place(), message, reason, "advice" if is_class else "", related, fix)


_MOST_LIKELY_CLASSES = 200  # where the number of classes is unknown: labels from there on mark what is to be ignored


def _same_ignored(subject: NetInPhase, layer: Layer, ignored: int) -> Fix | None:
    if "v0" in subject.net.upgraded.steps or layer.traits.settings not in layer.message.type.fields:
        return None
    settings = layer.traits.settings
    if settings in layer.message.entries:
        patch = set_field(subject.file.tree, layer.message[settings], "ignore_label", ignored)
    else:
        fields = (("ignore_label", ignored),)
        patch = add_message(subject.file.tree, subject.net.message, layer.message, settings, fields)
    return patch.fix(subject.file.path, f"set ignore_label: {ignored} in '{layer.name}'", safe=False)


def _same_labels(one: Blob, other: Blob) -> bool:
    return one is other or _sources(one) == _sources(other)


def _sources(blob: Blob) -> list[tuple[Blob, float, float | None]] | Blob:
    """What a blob gets its values from and how; the blob itself if these are only parts of something."""
    found = list(label_sources(blob))
    if not found or not all(source.whole for source in found):
        return blob
    return [(source.top, source.scale, source.shift) for source in found]


@rule("N214", "class-label-as-target", subject="net", severity="warning", confidence="medium")
def class_label_as_target(subject: NetInPhase) -> Iterator[Hit]:
    """Flags labels that one loss reads as classes and another as targets.

    ## What it does

    Flags a top of a data layer that a SoftmaxWithLoss or another classifier reads as class labels, and that a regression loss
    (EuclideanLoss, SmoothL1Loss) or a SigmoidCrossEntropyLoss reads unchanged as targets.

    ## Why is this bad?

    A class label is a number without an order. A regression towards it learns that class 3 lies between 2 and 4. In a
    SigmoidCrossEntropyLoss, targets above 1 let the loss fall without limit. Usually the second loss was meant to read another
    blob, such as the coordinates of a box.

    ## When it is reported

    - **warning** if there are more than two classes. Ignore it for a regression if the classes are steps of a quantity, such as an
      age;
    - **advice** for a regression towards the labels of two classes, or of an unknown number of classes.

    ## Example

    There is no fix, because only you know which blob the loss is to read.

    ## References

    softmax_loss_layer.cpp, euclidean_loss_layer.cpp and sigmoid_cross_entropy_loss_layer.cpp.
    """
    classified: dict[Blob, Layer] = {}
    for layer in subject.net.layers:
        if layer.traits.class_axis is not None and layer.traits.is_loss and len(layer.bottoms) > 1:
            for source in _unchanged(layer.bottoms[1]):
                classified.setdefault(source.top, layer)
    for layer in subject.net.layers if classified else ():
        if layer.traits.applies != SIGMOID and layer.traits.loss_family != REGRESSION:
            continue
        for bottom in layer.bottoms[1:2] if layer.traits.applies == SIGMOID else layer.bottoms[:2]:
            for source in _unchanged(bottom):
                reader = classified.get(source.top)
                if reader is None:
                    continue
                classes = number_of_classes(reader)
                if layer.traits.applies == SIGMOID and (classes is None or classes <= 2):
                    continue
                message = f"{named(layer)} reads '{source.top.name}' as targets, '{reader.name}' as class labels"
                reason = "Class labels have no order, so a regression towards them has no meaning."
                if layer.traits.applies == SIGMOID:
                    reason = f"Labels of {classes} classes reach {(classes or 0) - 1}; with targets above 1 the loss has no minimum."
                index = layer.bottoms.index(bottom)
                related = (Related(subject.file, reader.place(), f"loss '{reader.name}'"),)
                severity = "" if classes is not None and classes > 2 else "advice"
                yield Hit(subject.file, layer.message.span("bottom", index), message, reason, severity, related)


def _unchanged(blob: Blob) -> Iterator[LabelSource]:
    """The tops of data layers that reach a reader whole and unchanged."""
    for source in label_sources(blob):
        if source.kind not in (COMPUTED, FILLER) and source.whole and not source.changed_by:
            yield source


@rule("N216", "invalid-constant-label", subject="net", severity="error")
def invalid_constant_label(subject: NetInPhase) -> Iterator[Hit]:
    """Flags labels from a DummyData layer that are none of the classes.

    ## What it does

    Compares the value with which a DummyData layer fills a blob of labels with the number of classes of the losses and measures
    that read it.

    ## Why is this bad?

    A release build of Caffe does not check labels. It reads memory outside the scores, and the loss has no meaning.

    ## When it is reported

    Reported as an **error**, unless the reader ignores this label. Do not ignore it.

    ## Example

    There is no fix: the number of outputs or the value may be wrong.

    ## References

    `Forward_cpu` in softmax_loss_layer.cpp, which checks labels by a DCHECK only.
    """
    for layer in subject.net.layers:
        if layer.traits.class_axis is None or len(layer.bottoms) < 2:
            continue
        for source in label_sources(layer.bottoms[1]):
            made = source.range(subject.net) if source.kind == FILLER else None
            classes = number_of_classes(layer)
            if made is None or classes is None or is_class(made[0], classes, ignored_label(layer)):
                continue
            message = f"labels of {named(layer)} are {made[0]:g}, but it has {classes} class{'es' * (classes != 1)}"
            reason = "Caffe does not check labels: it reads memory outside the scores."
            maker = source.top.producer
            related = (Related(subject.file, maker.place(), f"'{source.top.name}' is filled here"),) if maker else ()
            yield Hit(subject.file, layer.message.span("bottom", 1), message, reason, related=related)
            break
