"""Score maps: scores at several positions of an item, even where the size of the images is unknown.

A map that is larger than one position for the smallest images that a net can take is so for all images. So the net is built
with such images.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ..moments.layer_type import REGRESSION
from ..moments.shapes import Shape
from ..proto.named_tuple import NamedTuple
from .build import rebuilt
from .label_sources import PER_ITEM, label_sources
from .names import named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..moments.graph import Blob, Layer, NetProblem
    from .net import Net

# Problems of images that are too small for a net, and of losses, which the search for the smallest images does not heed.
_TOO_SMALL = frozenset({"empty-top", "negative-size", "spp-size"})
_OF_LABELS = frozenset({"label-count", "target-count", "loss-shapes"})
_OF_LOSSES = _OF_LABELS | {"crop-too-large"}
_SMALLEST = 3  # pixels: smaller images have no neighbourhoods, so a net for them is no net for images
_LARGEST = 1024
_GRID = 32  # sizes that nets with skip connections take are multiples of a power of 2, which is rarely larger


def is_score_map(net: Net, scores: Blob, axis: int = 1) -> bool:
    """Whether an item surely has scores at more than one position; `axis` is that of the classes."""
    if scores.shape is not None and all(dim is not None for dim in scores.shape[1:]):
        return _has_positions(scores.shape, axis)
    if _has_positions(scores.shape, axis):
        return True
    smallest = net_of_smallest_images(net)
    if smallest is None or scores.producer is None:
        return False
    return _has_positions(smallest.layers[scores.producer.index].tops[scores.top_index].shape, axis)


class LabelPerItem(NamedTuple):
    """A bottom of a loss or measure with one label per item: its reader, its position there, and the top of the data layer."""

    reader: Layer
    position: int
    top: Blob

    @property
    def place(self) -> tuple[int, int]:
        """Where the reader names the bottom."""
        return self.reader.message.span("bottom", self.position)

    @property
    def scores(self) -> Blob:
        """What the reader compares it with."""
        return self.reader.bottoms[1 - self.position]


def labels_per_item(net: Net) -> Iterator[LabelPerItem]:
    """The bottoms of losses and measures that have one label per item, because of the data layer that they come from."""
    for layer in net.layers:
        traits = layer.traits
        if (traits.is_loss or traits.measures) and len(layer.bottoms) > 1:
            for index in (0, 1) if traits.loss_family == REGRESSION else (1,):
                for source in label_sources(layer.bottoms[index]):
                    if source.kind == PER_ITEM:
                        yield LabelPerItem(layer, index, source.top)


def one_label_for_a_map(net: Net) -> Iterator[NetProblem]:
    """Losses and measures that compare scores at many positions with one label per item, whatever the size of the images."""
    per_item = list(labels_per_item(net))
    is_open = any(one.scores.shape is not None and None in one.scores.shape[1:] for one in per_item)
    smallest = net_of_smallest_images(net) if is_open else None
    found = new_problems(net, smallest) if smallest is not None else []
    readers = {problem.layer.index: problem for problem in found if problem.layer is not None and problem.kind in _OF_LABELS}
    for one in per_item:
        problem = readers.pop(one.reader.index, None)
        producer = one.top.producer
        if problem is not None and producer is not None:
            reader, label = one.reader, one.reader.bottoms[one.position]
            what = "a map" if reader.traits.loss_family == REGRESSION else "a score map"
            text = f"'{one.scores.name}' is {what}, but '{label.name}' has one label per item"
            start, end = one.place
            related = ((*producer.place(), f"{named(producer)} gives one label per item"),)
            yield problem._replace(
                layer=reader, start=start, end=end, message=f"{named(reader)}: {text}", related=related
            )


def _has_positions(shape: Shape, axis: int) -> bool:
    if shape is None or not -len(shape) <= axis < len(shape):
        return False
    return any(dim is not None and dim > 1 for i, dim in enumerate(shape) if i not in (0, axis % len(shape)))


def new_problems(net: Net, other: Net) -> list[NetProblem]:
    """The problems of a net that is built from the same file with other shapes, without those that the net itself has."""
    known = {(problem.kind, problem.start) for problem in net.problems}
    return [problem for problem in other.problems if (problem.kind, problem.start) not in known]


@lru_cache(maxsize=4)
def net_of_smallest_images(net: Net) -> Net | None:
    """The net, built with the smallest images that it can take; None if their size is known or no such size is found."""
    open_tops = [
        layer.tops[0].name
        for layer in net.layers
        if layer.traits.images and layer.tops and _is_open(layer.tops[0].shape)
    ]
    if not open_tops:
        return None

    def built(size: int) -> tuple[Net, frozenset[str]]:
        other = rebuilt(net, dict.fromkeys(open_tops, (0, 0, size, size)))
        return other, frozenset(problem.kind for problem in new_problems(net, other)) - _OF_LOSSES

    size = _SMALLEST
    found, problems = built(size)
    if problems & _TOO_SMALL:
        low, size = size, _LARGEST
        found, problems = built(size)
        while size - low > 1 and not problems & _TOO_SMALL:
            middle = (low + size) // 2
            other, its = built(middle)
            if its & _TOO_SMALL:
                low = middle
            else:
                size, found, problems = middle, other, its
    if problems and not problems & _TOO_SMALL:
        found, problems = built(-(-size // _GRID) * _GRID)
    return None if problems else found


def _is_open(shape: Shape) -> bool:
    return shape is not None and len(shape) == 4 and shape[2] is None and shape[3] is None
