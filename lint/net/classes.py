"""Which tops of data layers are labels: which layers read them as such, and the number of classes there."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..layers.loss import class_axis
from ..moments.graph import Blob, Layer
from ..proto.binder import Message
from ..proto.named_tuple import NamedTuple
from .label_sources import PER_ITEM, LabelSource, label_sources
from .net import Net


class LabelUse(NamedTuple):
    """A source of labels in a data layer, and a layer that reads them as class labels.

    `classes` is the number of classes of the reader's scores, None if unknown; `ignored` is the label that it ignores.
    """

    source: LabelSource
    reader: Layer
    classes: int | None
    ignored: int | None

    @property
    def top(self) -> Blob:
        """The top of the data layer."""
        return self.source.top

    @property
    def scores_of(self) -> Layer | None:
        """The layer whose `num_output` is the number of classes, None if it is not found."""
        return scores_of(self.reader)

    @property
    def is_per_item(self) -> bool:
        """Whether the top holds one label for each item."""
        return self.source.kind == PER_ITEM

    def is_valid(self, label: float) -> bool:
        """Whether a label, as it arrives, is one of the classes or is ignored. Caffe truncates fractions."""
        return self.classes is None or is_class(label, self.classes, self.ignored)


def is_class(label: float, classes: int, ignored: int | None) -> bool:
    """Whether a label is one of the classes or is ignored, after Caffe truncates its fraction."""
    return math.isfinite(label) and (0 <= int(label) < classes or int(label) == ignored)


def scores_of(reader: Layer) -> Layer | None:
    """The layer with weights that produces the scores that `reader` reads, None if it is not found."""
    blob: Blob | None = reader.bottoms[0]
    while blob is not None and blob.producer is not None:
        layer = blob.producer
        traits = layer.traits
        if traits.weighted_sum and not traits.upsampling:  # the weights of upsampling mostly interpolate
            return layer
        if not (traits.keeps_shape or traits.keeps_channels) or not layer.bottoms:
            return None
        blob = layer.bottoms[0]
    return None


def settings_of_scores(layer: Layer) -> Message:
    """The message with the `num_output` of a layer that produces scores."""
    found: Message = layer.message[layer.traits.settings]
    return found


def number_of_classes(reader: Layer) -> int | None:
    """The number of classes in the scores that a loss or an accuracy reads, None if unknown."""
    if not reader.bottoms:
        return None
    known = _classes(reader)
    return _num_output(reader) if known is None else known


def label_uses(net: Net) -> Iterator[LabelUse]:
    """Every use of a top of a data layer as class labels."""
    for layer in net.layers:
        if layer.traits.class_axis is None or len(layer.bottoms) < 2:
            continue
        for source in label_sources(layer.bottoms[1]):
            if source.top.producer is not None and not source.top.producer.bottoms:
                yield LabelUse(source, layer, number_of_classes(layer), ignored_label(layer))


def _classes(layer: Layer) -> int | None:
    shape = layer.bottoms[0].shape
    if shape is None:
        return None
    axis = class_axis(layer)
    if not layer.traits.class_axis and any(dim != 1 for dim in shape[2:]):
        return None  # such layers take all values of an item as scores
    return shape[axis] if -len(shape) <= axis < len(shape) else None


def _num_output(reader: Layer) -> int | None:
    """The number of classes if shapes are unknown: the outputs of the layer that produces the scores."""
    scores = scores_of(reader)
    if scores is None or class_axis(reader) != 1:
        return None
    param = settings_of_scores(scores)
    number = param.get("num_output")
    return number if isinstance(number, int) and number and param.get("axis", 1) == 1 else None


def ignored_label(layer: Layer) -> int | None:
    """The `ignore_label` of a loss or an accuracy, None if it has none."""
    name = layer.traits.settings if layer.traits.measures else "loss_param"
    found = layer.message[name].get("ignore_label") if name in layer.message.entries else None
    return found if isinstance(found, int) else None
