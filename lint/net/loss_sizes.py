"""How large the losses of a net are in iteration 0, as far as the files tell, and which of them dominate others.

A loss in Caffe is a sum of terms over items, positions and elements, divided by a normaliser and multiplied by its weight.
The normaliser depends on the layer type and on `loss_param`: see `layers.loss`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..layers.loss import LOSS_PARAM, class_axis, loss_normalization
from ..moments.layer_type import REGRESSION, SIGMOID
from ..moments.shapes import Shape, axis_index, count
from ..proto.named_tuple import NamedTuple
from .batch_size import net_batch_size
from .rounding import one_digit

if TYPE_CHECKING:
    from ..moments.graph import Blob, Layer, Loss
    from .net import Net

HALF_MEAN_SQUARE = 0.1  # half the mean square of targets between 0 and 1, roughly
DOMINANT = 10.0  # times as large as another loss: from there on a loss dominates it


class SizedLoss(NamedTuple):
    """A loss and its size, as far as the files tell it.

    `terms` is the number of terms per unit of the normaliser: 1 for a mean. `first` is its value in iteration 0 before its
    weight, for scores near 0 and targets of magnitude 1. Both are None if unknown.
    """

    loss: Loss
    terms: float | None
    first: float | None

    @property
    def layer(self) -> Layer:
        """The layer whose top it is."""
        return self.loss.layer

    @property
    def weighted(self) -> float | None:
        """Its share of the net's loss in iteration 0."""
        return None if self.first is None else abs(self.loss.weight) * self.first

    @property
    def unnormalised(self) -> bool:
        """Whether it sums over many terms instead of averaging."""
        return self.terms is not None and self.terms > 1

    @property
    def sort(self) -> tuple[str, str]:
        """Its type and normaliser: losses that share both have the same size, even if that size is unknown."""
        kind = self.layer.kind
        divided = kind.normalization if kind else ""
        return self.layer.type, loss_normalization(self.layer) if divided == LOSS_PARAM else divided


class Dominance(NamedTuple):
    """A loss that dominates another: by what factor, and the weight that would make the two equal."""

    loss: SizedLoss
    other: SizedLoss
    times: float
    balanced: float


def sized_losses(net: Net) -> list[SizedLoss]:
    """The losses of a net that train something, in the order of the file."""
    return [
        SizedLoss(loss, terms(loss.layer), first_value(loss.layer))
        for loss in net.losses
        if loss.weight and loss.layer.runs_backward
    ]


def has_own_weight(loss: Loss) -> bool:
    """Whether the weight of a loss can be written into its layer.

    V0 nets have no weights, and Caffe rejects a layer whose number of weights differs from its number of tops.
    """
    layer = loss.layer
    written = layer.message["loss_weight"]
    was_v0 = "v0" in layer.context.upgrades
    return not was_v0 and not loss.blob.consumers and (not written or len(written) == len(layer.tops))


def maximised_losses(net: Net) -> Iterator[Loss]:
    """The losses with a negative weight that train the nearest layer with parameters before them to be wrong."""
    for loss in net.losses:
        if loss.weight < 0 and loss.layer.traits.is_loss:
            learners = (above for above in loss.layer.upstream() if above.params and not above.traits.stores_statistics)
            nearest = next(learners, None)
            if nearest is not None and any(param.lr_mult for param in nearest.params):
                yield loss


def terms(layer: Layer) -> float | None:
    """The number of terms per unit of a loss's normaliser: see `SizedLoss`.

    For classifiers a term is a position, whatever the number of classes. Source: LossLayer's children,
    `get_normalizer`: FULL and VALID divide by the positions, BATCH_SIZE by the items, NONE by 1. Euclidean,
    smooth L1 and hinge losses divide by the items.
    """
    kind = layer.kind
    if kind is None or not layer.bottoms or not kind.normalization:
        return None
    shape = known_shape(layer.bottoms[0])
    if kind.normalization == LOSS_PARAM:
        how = loss_normalization(layer)
        if how not in ("BATCH_SIZE", "NONE"):
            return 1.0
        if shape is None or kind.chance is None:
            return None
        axis = _class_axis(layer, len(shape))
        return count(shape[how == "BATCH_SIZE" : axis] + shape[axis + 1 :])
    if kind.log_likelihood:
        return 1.0
    if kind.chance is not None:  # HingeLoss, which has one label for the scores at all positions of an item
        return count(shape, 2) if shape is not None else None
    if kind.loss_family == REGRESSION and len(layer.bottoms) > 2:  # weights choose which elements count
        return None
    return count(shape, 1) if shape is not None else None


def first_value(layer: Layer) -> float | None:
    """The value of a loss in iteration 0, before its weight: see `SizedLoss`.

    With scores near 0 a classification loss has the value of its record's `chance` for each term (sigmoids that the normaliser
    counts one by one, that of one class), and a regression loss half the mean square of its targets.
    """
    number = terms(layer)
    if number is None:
        return None
    traits = layer.traits
    if traits.loss_family == REGRESSION:
        pixels = pixel_range(layer.bottoms[1]) if len(layer.bottoms) > 1 else None
        return number * (HALF_MEAN_SQUARE if pixels is None else HALF_MEAN_SQUARE * max(1.0, pixels * pixels))
    if traits.chance is None:
        return None
    if traits.applies == SIGMOID and loss_normalization(layer) not in ("BATCH_SIZE", "NONE"):
        return traits.chance(1)
    shape = known_shape(layer.bottoms[0])
    classes = shape[_class_axis(layer, len(shape))] if shape is not None and len(shape) > 1 else None
    if not classes:
        return None
    return number * traits.chance(classes) or None


def _class_axis(layer: Layer, axes: int) -> int:
    return axis_index(class_axis(layer), axes) or 1


def dominant_losses(net: Net, times: float) -> list[Dominance]:
    """The losses that are at least `times` as large as another, because of their weight or a missing normaliser.

    They are compared with the largest of the ordinary losses, those that are means with a weight of at most 1, or if there are
    none with the smallest of all. So a loss that merely has small ones beside it (weights of 1 and 0.01) does not count. Empty
    if there is only one loss, or if the files do not tell enough.
    """
    losses = sized_losses(net)
    alike = len({each.sort for each in losses}) == 1
    sizes = {each: abs(each.loss.weight) if alike else each.weighted for each in losses}
    known = {each: size for each, size in sizes.items() if size}
    if len(known) < 2:
        return []
    ordinary = [each for each in known if _is_ordinary(each, alike)]
    other = max(ordinary, key=lambda each: known[each]) if ordinary else min(known, key=lambda each: known[each])
    found = []
    for each, size in known.items():
        if not _is_ordinary(each, alike) and size >= times * known[other]:
            balanced = one_digit(abs(each.loss.weight) * known[other] / size)
            found.append(Dominance(each, other, size / known[other], math.copysign(balanced, each.loss.weight)))
    return found


def _is_ordinary(loss: SizedLoss, alike: bool) -> bool:
    return abs(loss.loss.weight) <= 1 and (alike or not loss.unnormalised)


def known_shape(blob: Blob) -> Shape:
    """The shape of a blob; for scores of unknown input, as far as the layer that produces them tells it."""
    producer = blob.producer
    while blob.shape is None and producer is not None and producer.bottoms and producer.traits.keeps_shape:
        blob = producer.bottoms[0]
        producer = blob.producer
    if blob.shape is None and producer is not None and producer.traits.weighted_sum and not producer.traits.slides:
        param = producer.message[producer.traits.settings]
        if param["axis"] == 1 and param["num_output"]:
            return (net_batch_size(producer.context.layers), param["num_output"])
    return blob.shape


def pixel_range(blob: Blob) -> float | None:
    """The range of the values of an image from a data layer: 255 times its `scale`.

    None for blobs that do not come directly from a data layer of images.
    """
    scale = 1.0
    producer = blob.producer
    while producer is not None:
        traits = producer.traits
        if traits.images:
            return 255 * scale * abs(producer.message["transform_param"]["scale"]) if blob.top_index == 0 else None
        factor = traits.factor(producer) if traits.factor is not None else 1.0 if traits.keeps_range else None
        if factor is None:
            return None
        scale *= factor
        if not producer.bottoms:
            return None
        blob = producer.bottoms[0]
        producer = blob.producer
    return None
