"""Images whose pixels are labels: what transform_param does to them, and whether they stay aligned with the input."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...layers.loss import class_axis
from ...moments.graph import Layer
from ...moments.layer_type import REGRESSION, SIGMOID
from ...net.classes import ignored_label, number_of_classes
from ...net.data_facts import tops_facts
from ...net.job import NetInPhase
from ...net.label_sources import PIXELS, LabelSource, label_sources
from ...net.names import named
from ...net.score_maps import is_score_map
from ...rule.finding import Hit, Related
from ...rule.registry import rule

_BYTES = range(256)
# The settings that change values, and what leaves these as they are.
_CHANGING: dict[str, object] = {"scale": 1, "mean_value": [0], "mean_file": "", "power": 1, "shift": 0}


@rule("N213", "transformed-labels", subject="net", severity="warning")
def transformed_labels(subject: NetInPhase) -> Iterator[Hit]:
    """Flags class labels in images that are scaled, or from which a mean is subtracted.

    ## What it does

    Flags layers that read label images as class labels after `scale`, `mean_value` or `mean_file` of their `transform_param`, or
    a Power layer, if bytes from 0 to 255 then cannot be all the classes.

    ## Why is this bad?

    Caffe truncates labels to whole numbers without a message. Labels scaled by 1/256 are all 0, so the net learns a single
    class. Labels minus a mean are negative, and Caffe reads memory outside the scores.

    ## When it is reported

    - **error** if at most one class is left;
    - **warning** if some of the classes cannot occur, or the labels become negative. Ignore it if the database stores floats.

    A mean of 1, which turns labels from 1 to K into 0 to K - 1, is not reported, nor is a scale that makes 1 of 255 for two
    classes.

    ## Example

    There is no fix: without the `transform_param` the labels may still be other ones than meant.

    ## References

    `Transform` in data_transformer.cpp; `static_cast<int>` in `Forward_cpu` of softmax_loss_layer.cpp.
    """
    for layer in subject.net.layers:
        if layer.traits.class_axis is None or len(layer.bottoms) < 2:
            continue
        for source in label_sources(layer.bottoms[1]):
            fault = _fault(layer, source) if source.kind == PIXELS and source.changed_by else None
            if fault is None:
                continue
            what, reason, severity = fault
            changer = source.changed_by[0]
            message = f"class labels of '{layer.name}' are {what} by {named(changer)}"
            related = (Related(subject.file, layer.place(), f"'{layer.name}' reads them as classes"),)
            yield Hit(subject.file, _place(changer), message, reason, severity, related)


def _fault(layer: Layer, source: LabelSource) -> tuple[str, str, str] | None:
    """What is wrong with labels as they arrive: what is done to them, the reason and the severity."""
    negative = "Labels below the mean become negative, and Caffe does not check them."
    if source.shift is None:
        return "reduced by a mean", negative, ""
    arriving = [source.arrives(byte) for byte in _BYTES]
    labels = {int(label) for label in arriving if label is not None and math.isfinite(label)}
    classes = number_of_classes(layer)
    valid = {label for label in labels if label >= 0 and (classes is None or label < classes)}
    steps = [f"multiplied by {source.scale:.6g}"] if source.scale != 1 else []
    steps += [f"{'raised' if source.shift > 0 else 'reduced'} by {abs(source.shift):.6g}"] if source.shift else []
    changed = " and ".join(steps)
    if len(valid) <= 1:
        left = f"all are {valid.pop()}" if valid else "none is a class"
        return changed, f"Of bytes from 0 to 255, {left} after Caffe truncates them.", "error"
    if source.shift < -1:
        return changed, negative, ""
    missing = set(range(classes)) - labels - {ignored_label(layer)} if classes is not None and classes <= len(_BYTES) else set()
    if missing:
        return changed, f"Caffe truncates them, so class {max(missing)} of {classes} cannot occur.", ""
    return None


def _place(changer: Layer) -> tuple[int, int]:
    """The first setting by which a layer changes its values."""
    for name in ("transform_param", "power_param"):
        if name in changer.message.entries:
            settings = changer.message[name]
            changing = (field for field, neutral in _CHANGING.items() if field in settings and settings[field] != neutral)
            return next(map(settings.span, changing), changer.message.span(name))
    return changer.place()


@rule("N215", "misaligned-label-map", subject="net", severity="warning")
def misaligned_label_map(subject: NetInPhase) -> Iterator[Hit]:
    """Flags images and label maps that two layers mirror or crop at random, each for itself.

    ## What it does

    Flags a data layer with `mirror: true`, or with a `crop_size` in a net for training, if its images are compared with a label
    map that another data layer reads.

    ## Why is this bad?

    Each layer draws its own random numbers. Half of the images are mirrored and their labels are not, or the other way round; crops
    lie at different places. The net learns from labels of other pixels, and its loss stays high.

    ## When it is reported

    - **warning** for `mirror`, and for a `crop_size` if `caffe-lint.data.json` says that the images are larger;
    - **advice** for a `crop_size` in both layers if the size of the images is unknown. Ignore it if it is the `crop_size`.

    Nothing is reported where scores have a single position for each item.

    ## Example

    There is no fix: without `mirror` the net sees less variety. Layers of forks (DenseImageData, ImageSegData) and Python layers
    transform both alike; or mirror and crop when the data are written.

    ## References

    `DataTransformer::InitRand` in data_transformer.cpp: each layer has a random number generator of its own.
    """
    said: set[tuple[int, int]] = set()
    for reader in subject.net.layers:
        if len(reader.bottoms) < 2 or not _compares(reader):
            continue
        maps = {
            source.top.producer
            for source in label_sources(reader.bottoms[1])
            if source.kind == PIXELS and source.top.producer is not None and source.top.producer.traits.transforms
        }
        images = [
            layer for layer in reader.upstream() if layer.traits.images and layer.traits.transforms and layer not in maps
        ] if maps else []  # fmt: skip
        for labels in maps:
            for image in images:
                pair = (image.index, labels.index)
                if pair in said or not _reads(reader, image):
                    continue
                found = _random(subject, image, labels)
                if found is None or not is_score_map(subject.net, reader.bottoms[0], _axis(reader)):
                    continue
                said.add(pair)
                layer, field, message, severity = found
                related = (Related(subject.file, labels.place(), f"'{reader.name}' reads labels from here"),)
                reason = "Each layer draws its own random numbers, so labels belong to other pixels."
                yield Hit(subject.file, layer.message["transform_param"].span(field), message, reason, severity, related)


def _compares(reader: Layer) -> bool:
    traits = reader.traits
    return (traits.class_axis is not None and traits.is_loss) or traits.applies == SIGMOID or traits.loss_family == REGRESSION


def _axis(reader: Layer) -> int:
    """The axis of the scores that is no position: that of the classes."""
    return class_axis(reader) if reader.traits.class_axis is not None else 1


def _reads(reader: Layer, image: Layer) -> bool:
    """Whether the scores of a reader are computed from the images of a layer."""
    producer = reader.bottoms[0].producer
    return producer is not None and (producer is image or any(layer is image for layer in producer.upstream()))


def _random(subject: NetInPhase, image: Layer, labels: Layer) -> tuple[Layer, str, str, str] | None:
    """What two layers do at random: the layer and its field to point to, a message and a severity."""
    mirrored = [layer for layer in (image, labels) if layer.message["transform_param"]["mirror"]]
    names = f"'{image.name}' and '{labels.name}'"
    if len(mirrored) == 2:
        return image, "mirror", f"layers {names} mirror images and labels independently of each other", ""
    if mirrored:
        other = labels if mirrored[0] is image else image
        return mirrored[0], "mirror", f"layer '{mirrored[0].name}' is mirrored at random, but '{other.name}' is not", ""
    crops = [layer.message["transform_param"]["crop_size"] for layer in (image, labels)]
    if subject.phase != "TRAIN" or not all(crops) or "v0" in subject.net.upgraded.steps:
        return None
    sizes = [facts.shape for layer in (image, labels) if (facts := tops_facts(layer, subject.net.built_with.facts)[0]) and facts.shape]
    if sizes and all(len(size) == 3 and size[1:] == (crop, crop) for size, crop in zip(sizes, crops, strict=False)):
        return None
    message = f"layers {names} crop images and labels at random, independently of each other"
    return image, "crop_size", message, "" if sizes else "advice"
