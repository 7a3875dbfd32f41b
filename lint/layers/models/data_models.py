"""Data layers: values as the facts of the data say, else as images, labels and tables commonly are."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from ...moments.layer_type import MADE_UP, REGRESSION
from ...moments.signal_model import AssumedData, SignalContext, SignalModel
from ...moments.statistics import ZERO_VALUES, Values, constant, gaussian, scaled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...moments.blob_facts import BlobFacts
    from ...moments.graph import Blob, Layer
    from ...moments.weights import Weights
    from ...proto.binder import Message

PIXEL_MAX = 255.0
# The distance in pixels over which those of one image resemble each other, in patches of 32 pixels; larger images are
# smoother still. Not fitted: a rough estimate.
PIXEL_CORR_LENGTH = 3.0
# Parts of an image's variance, not fitted: rough estimates. What all pixels of one image share (its brightness), what
# all images share at one place (the mean image), and what both share.
_SHARE_WITHIN_IMAGE, _SHARE_OF_MEAN_IMAGE, _SHARE_OF_BOTH = 0.35, 0.12, 0.02
# Columns of a table: the part of the variance that is that of the columns' means, where the mean square of all values is
# more than so many times the variance. Not fitted: rough estimates.
_SHARE_OF_COLUMN_MEANS, _COLUMNS_HAVE_MEANS = 0.3, 0.05
# Values of which nothing is known: mean 0 and variance 1 by definition; their correlations within an item, across items
# and across both, and their length in positions are rough estimates that were not fitted.
_UNKNOWN_DATA = gaussian(0.0, 1.0, 0.3, 0.1, 0.05, 2.0)
_CORR_LENGTH_OF_NOISE = 0.1  # in positions: independent values, for which a length of 0 would divide by 0
_ASSUMED_CLASSES = 10  # of labels whose scores are not found

# What may be known of a top of a data layer (`data_kind`): all that is needed; that they are labels, which lie between 0 and
# the number of scores that they are compared with; that they are bytes, before transform_param; or nothing.
KNOWN, LABELS, BYTES = "known", "labels", "bytes"
UNKNOWN_IMAGES, UNKNOWN_VALUES = "unknown images", "unknown values"
_FOR_IMAGES = ("crop_size", "mirror", "mean_file", "mean_value", "force_color", "force_gray", "resize_param")


_LABEL_NAME = re.compile(r"label(?!l?ed)", re.IGNORECASE)  # of a top with labels, but not of "labeled_data"


def range_of(
    mean: float, std: float, low: float, high: float, *, within: float = _SHARE_WITHIN_IMAGE,
    across: float = _SHARE_OF_MEAN_IMAGE,
    length: float = PIXEL_CORR_LENGTH, size: float | None = None,
) -> Values:  # fmt: skip
    """Values with that mean and standard deviation.

    `within` and `across` are the parts of the variance that all values of an item, and those of all items at one
    position, have in common. `length` is over how many positions values resemble each other, `size` the mean absolute
    value if it is known.
    """
    m2, variance = mean * mean, std * std
    values = Values(
        mean,
        m2 + variance,
        abs(mean),
        m2 + within * variance,
        m2 + across * variance,
        m2 + _SHARE_OF_BOTH * variance,
        low,
        high,
        length,
    )
    if size is None:
        size = abs(mean) if low >= 0 else scaled(values, 1.0, 1e-300).mean_abs
    return values._replace(mean_abs=size)


def transformed(values: Values, param: Message) -> Values:
    """What DataTransformer makes of pixels: minus the mean, times the scale (data_transformer.cpp)."""
    means = param["mean_value"]
    shift = sum(means) / len(means) if means else 0.0
    if param["mean_file"]:
        shift = values.mean
    if shift:
        values = scaled(values, 1.0, -shift)
    factor = param["scale"]
    return scaled(values, factor) if factor != 1 else values


def pixels(assumed: AssumedData) -> Values:
    """8-bit pixels."""
    return range_of(assumed.pixel_mean, assumed.pixel_std, 0.0, PIXEL_MAX)


def labels(low: float, high: float) -> Values:
    """Labels: the whole numbers from `low` to `high`, each equally often."""
    mean = (low + high) / 2
    number = high - low + 1
    square = mean * mean + (number * number - 1) / 12
    m2 = mean * mean
    return Values(mean, square, abs(mean), square, m2, m2, low, high, math.inf)


class DataSource(SignalModel):
    """A layer that reads data: as the facts say, or as images and labels commonly are, after transform_param."""

    assumes_data = True

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        facts = context.facts(layer)
        self.given = [_values(layer, i, facts[i], context.assumed) for i in range(len(layer.tops))]

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return self.given

    def scaled(self, factor: float) -> DataSource:
        """The same data, of which the first top is times a factor."""
        from copy import copy  # only what is tried in place of the files scales data

        found = copy(self)
        found.given = [scaled(values, factor) if i == 0 else values for i, values in enumerate(self.given)]
        return found


def data_kind(layer: Layer, index: int, facts: BlobFacts | None) -> str:
    """What is known of a top of a data layer: KNOWN, LABELS, BYTES, or else UNKNOWN_IMAGES or UNKNOWN_VALUES."""
    if layer.traits.origin == MADE_UP or (facts is not None and facts.mean is not None and facts.std is not None):
        return KNOWN
    top = layer.tops[index]
    from_program = layer.traits.base in ("Input", "Python")
    if index and facts is not None and facts.minimum is not None and facts.maximum is not None:
        return LABELS
    is_labelled = bool(_LABEL_NAME.search(top.name))
    if (index or is_labelled) and any(
        reader.traits.loss_family == REGRESSION or reader.traits.weighted_sum for reader in _readers(top)
    ):
        return UNKNOWN_VALUES
    if is_labelled or (index and not from_program):
        return LABELS
    if index or layer.traits.base == "HDF5Data":
        return UNKNOWN_VALUES
    return BYTES if layer.traits.images and _reads_bytes(layer) else UNKNOWN_IMAGES


def _readers(blob: Blob) -> Iterator[Layer]:
    """The layers that read the values of a blob, also in another shape or order."""
    for reader in blob.consumers:
        yield reader
        if reader.traits.rearranges or reader.traits.copies:
            for top in reader.tops:
                yield from _readers(top)


def _reads_bytes(layer: Layer) -> bool:
    """Whether a layer of images surely reads them as bytes.

    A database may also hold features, or images that were scaled when it was written. It holds bytes if they are transformed
    as those of images are, with fields that are of no use for other data, or would make them tiny.
    """
    if "data_param" not in layer.message.entries:
        return True
    transform = layer.message["transform_param"]
    return any(name in transform.entries for name in _FOR_IMAGES) or transform["scale"] < 1


def _values(layer: Layer, index: int, facts: BlobFacts | None, assumed: AssumedData) -> Values:
    """The values of a top of a data layer, after transform_param."""
    kind = data_kind(layer, index, facts)
    if kind == KNOWN:
        assert facts is not None
        values = _described(layer.tops[index].shape or (), facts)
    elif kind == LABELS:
        low, high = 0.0, float(_classes(layer) - 1)
        if facts is not None and facts.minimum is not None and facts.maximum is not None:
            low, high = facts.minimum, facts.maximum
        values = labels(low, high)
    elif kind == UNKNOWN_VALUES:
        size = assumed.size or 1.0
        return scaled(_UNKNOWN_DATA, size) if size != 1 else _UNKNOWN_DATA
    else:
        values = pixels(assumed)
    if index == 0 and "transform_param" in layer.message.entries:
        values = transformed(values, layer.message["transform_param"])
    if kind == UNKNOWN_IMAGES and assumed.size is not None and values.second_moment > 0:
        values = scaled(values, assumed.size / math.sqrt(values.second_moment))
    return values


def _described(shape: Sequence[int | None], facts: BlobFacts) -> Values:
    """The values that the facts describe, before transform_param."""
    assert facts.mean is not None
    assert facts.std is not None
    low = -math.inf if facts.minimum is None else facts.minimum
    high = math.inf if facts.maximum is None else facts.maximum
    values = range_of(facts.mean, facts.std, low, high, size=facts.mean_abs)
    if len(shape) > 2:
        return values
    # Columns of a table: each has its own mean, which items share.
    m2, variance = values.mean**2, values.variance
    common = m2 + (_SHARE_OF_COLUMN_MEANS * variance if m2 > _COLUMNS_HAVE_MEANS * variance else 0.0)
    if tuple(shape[1:]) in ((), (1,)):
        common = m2
    return values._replace(
        corr_within_item=values.second_moment, corr_across_items=common, corr_across_both=common, corr_length=math.inf
    )


def _classes(layer: Layer) -> int:
    """How many classes the scores have that are held against the layer's labels."""
    for top in layer.tops[1:]:
        for reader in top.consumers:
            if reader.bottoms and reader.bottoms[0] is not top:
                shape = reader.bottoms[0].shape
                if shape is not None and len(shape) > 1 and shape[1]:
                    return max(2, shape[1])
    return _ASSUMED_CLASSES


class DummyData(SignalModel):
    """Made-up data, as its fillers make them (dummy_data_layer.cpp)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        fillers = layer.message["dummy_data_param"]["data_filler"]
        self.given = [_made(fillers[min(i, len(fillers) - 1)] if fillers else None) for i in range(len(layer.tops))]

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return self.given


def _made(filler: Message | None) -> Values:
    """What a filler makes."""
    if filler is None:
        return constant(0.0)
    kind = filler["type"]
    if kind == "constant":
        return constant(filler["value"])
    if kind == "uniform":
        low, high = filler["min"], filler["max"]
        return range_of((low + high) / 2, (high - low) / math.sqrt(12), low, high, within=0, across=0)
    mean, std = filler["mean"], filler["std"]
    m2 = mean * mean
    return gaussian(mean, m2 + std * std, m2, m2, m2, _CORR_LENGTH_OF_NOISE)


class Output(SignalModel):
    """A layer whose tops only report something, such as Accuracy: they are taken for 0, and no gradient comes back."""

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return [ZERO_VALUES] * len(self.layer.tops)
