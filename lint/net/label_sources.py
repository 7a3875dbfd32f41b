"""Where the labels and targets that a layer reads come from, and which values can be among them.

Traced back through layers that only move values (Slice, Concat, Reshape, Flatten, Permute, Split) or scale and shift them
(Power with an exponent of 1), up to a data layer or to a layer that computes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..moments.blob_facts import BlobFacts
from ..moments.layer_type import FROM_PROGRAM, MADE_UP
from ..proto.named_tuple import NamedTuple
from .data_facts import tops_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..moments.graph import Blob, Layer
    from .net import Net

# What holds the values (LabelSource.kind).
PER_ITEM = "per-item"  # the label of each item of a database or list: one integer
PIXELS = "pixels"  # the images of a database or list: bytes, unless they are stored as floats
ARRAY = "array"  # a dataset of an HDF5 file
FILLER = "filler"  # DummyData
PROGRAM = "program"  # a program that runs the net
COMPUTED = "computed"  # another layer of the net, which may be of an unknown type

_HDF5 = "hdf5_data_param"
_MOST = 1000  # blobs to visit: more lie before labels only in nets made to be slow


class LabelSource(NamedTuple):
    """A blob whose values reach a reader of labels or targets, and what happens to them on the way.

    `kind` is one of the constants above. `whole` is False if only a part of the blob reaches the reader. A value v of the
    blob arrives as `scale` * v + `shift`; `shift` is None if it differs between values (mean files, several mean values).
    `changed_by` are the layers that scale or shift it, the first of which may be the data layer, by its `transform_param`.
    """

    top: Blob
    kind: str
    whole: bool
    scale: float
    shift: float | None
    changed_by: tuple[Layer, ...]

    def arrives(self, value: float) -> float | None:
        """What the reader gets for a value of the source, before rounding; None if that is unknown."""
        return None if self.shift is None else self.scale * value + self.shift

    def arriving(self, low: float, high: float) -> tuple[float, float] | None:
        """The range that arrives of a range of values of the source; None if it is unknown."""
        ends = [end for end in map(self.arrives, (low, high)) if end is not None]
        return (min(ends), max(ends)) if ends else None

    def stored(self, net: Net) -> BlobFacts | None:
        """What is known of the values at the source: from the facts about the data, or the filler of DummyData."""
        producer = self.top.producer
        if producer is None:
            return None
        if self.kind == FILLER:
            made = producer.traits.range_of(producer, (), self.top.top_index)
            return BlobFacts(minimum=made.low, maximum=made.high) if made.reached else None
        return tops_facts(producer, net.built_with.facts)[self.top.top_index]

    def range(self, net: Net) -> tuple[float, float] | None:
        """The smallest and the largest value that surely arrive; None if they are unknown."""
        stored = self.stored(net)
        if stored is None or stored.minimum is None or stored.maximum is None or not self.whole:
            return None
        return self.arriving(stored.minimum, stored.maximum)


def label_sources(blob: Blob) -> Iterator[LabelSource]:
    """The sources of the values of a blob, each once."""
    todo: list[tuple[Blob, bool, float, float, tuple[Layer, ...]]] = [(blob, True, 1.0, 0.0, ())]
    seen = {blob}
    for at, whole, scale, shift, changed_by in todo:
        producer = at.producer
        if producer is None:
            continue
        bottoms: Sequence[Blob] = ()
        if producer.bottoms and producer.traits.rearranges:
            bottoms = producer.bottoms if producer.traits.joins else producer.bottoms[:1]
            whole = whole and not producer.traits.selects
        elif producer.bottoms and producer.traits.settings == "power_param" and producer.message["power_param"]["power"] == 1:
            bottoms = producer.bottoms[:1]
            param = producer.message["power_param"]
            shift, scale = shift + scale * param["shift"], scale * param["scale"]
            changed_by = (producer, *changed_by)
        if not bottoms or len(todo) > _MOST:
            yield _source(at, producer, whole, scale, shift, changed_by)
        for bottom in bottoms:
            if bottom not in seen and len(todo) <= _MOST:
                seen.add(bottom)
                todo.append((bottom, whole, scale, shift, changed_by))


def _source(
    top: Blob, producer: Layer, whole: bool, scale: float, shift: float, changed_by: tuple[Layer, ...]
) -> LabelSource:
    kind = _kind(top, producer)
    if kind != PIXELS or not producer.traits.transforms or "transform_param" not in producer.message.entries:
        return LabelSource(top, kind, whole, scale, shift, changed_by)
    transform = producer.message["transform_param"]
    own, means = transform["scale"], set(transform["mean_value"])
    if own != 1 or means - {0.0} or transform["mean_file"]:
        changed_by = (producer, *changed_by)
    if len(means) > 1 or transform["mean_file"]:
        return LabelSource(top, kind, whole, scale * own, None, changed_by)
    return LabelSource(top, kind, whole, scale * own, shift - scale * own * sum(means), changed_by)


def _kind(top: Blob, producer: Layer) -> str:
    traits = producer.traits
    if producer.bottoms or not traits.is_data:
        return FILLER if traits.origin == MADE_UP and not producer.bottoms else COMPUTED
    if traits.origin == FROM_PROGRAM:
        return PROGRAM
    if traits.settings == _HDF5:
        return ARRAY
    if traits.images and top.top_index == 0:
        return PIXELS
    return PER_ITEM if top.shape is not None and len(top.shape) == 1 else COMPUTED
