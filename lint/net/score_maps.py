"""Score maps: scores at several positions of an item, even where the size of the images is unknown.

A map that is larger than one position for the smallest images that a net can take is so for all images. So the net is built
with such images.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ..moments.layer_type import REGRESSION
from ..moments.shapes import Shape
from .build import rebuilt
from .label_sources import PER_ITEM, label_sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..moments.graph import Blob, NetProblem
    from .net import Net

# Problems of images that are too small for a net, and of losses, which the search for the smallest images does not heed.
_TOO_SMALL = frozenset({"empty-top", "negative-size", "pooling-outside", "spp-size"})
_OF_LOSSES = frozenset({"label-count", "target-count", "loss-shapes", "crop-too-large"})
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


def labels_per_item(net: Net) -> Iterator[tuple[tuple[int, int], Blob]]:
    """The blobs that losses and measures compare with scores, and that have one label per item: the place where each is read, and
    the top of the data layer.
    """
    for layer in net.layers:
        traits = layer.traits
        if not traits.is_loss and not traits.measures:
            continue
        for index in (0, 1) if traits.loss_family == REGRESSION else (1,):
            for source in label_sources(layer.bottoms[index]) if len(layer.bottoms) > index else ():
                if source.kind == PER_ITEM:
                    yield layer.message.span("bottom", index), source.top


def one_label_for_a_map(net: Net) -> Iterator[NetProblem]:
    """Losses and measures that compare scores at many positions with one label per item, whatever the size of the images."""
    per_item = dict(labels_per_item(net))
    is_open = any(
        blob.shape is not None and None in blob.shape[1:]
        for layer in net.layers
        if layer.traits.is_loss or layer.traits.measures
        for blob in layer.bottoms
    )
    smallest = net_of_smallest_images(net) if per_item and is_open else None
    for problem in new_problems(net, smallest) if smallest is not None else ():
        layer = net.layers[problem.layer.index] if problem.layer is not None else None
        if layer is None or problem.kind not in ("label-count", "loss-shapes", "target-count"):
            continue
        for index, bottom in enumerate(layer.bottoms[:2]):
            label = per_item.get(layer.message.span("bottom", index))
            if label is not None and label.producer is not None:
                scores = layer.bottoms[1 - index]
                what = "a map" if layer.traits.loss_family == REGRESSION else "a score map"
                text = f"'{scores.name}' is {what}, but '{bottom.name}' has one label per item"
                place, named = layer.message.span("bottom", index), f"{layer.type} layer '{layer.name}'"
                related = ((*label.producer.place(), f"{label.producer.type} layer '{label.producer.name}' gives one label per item"),)
                yield problem._replace(
                    layer=layer, start=place[0], end=place[1], message=f"{named}: {text}", related=related
                )
                break


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
