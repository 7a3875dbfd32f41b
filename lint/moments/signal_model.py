"""What every signal model is: how a layer maps the moments of its bottoms forward and of its gradients backward.

A layer type's record names its model, a class of `layers.models`; each layer of a net gets an object of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from .statistics import ZERO_DIFFS, Diffs, Values

if TYPE_CHECKING:
    from .blob_facts import BlobFacts
    from .graph import Blob, Layer
    from .weights import Weights


class Gradient(NamedTuple):
    """The moments of a parameter's gradient, over its elements.

    `common` is the signed part of each in which all items of the batch agree.
    """

    second_moment: float
    mean_abs: float
    common: float = 0.0


def sum_of_gradients(a: Gradient, b: Gradient) -> Gradient:
    """The moments of the sum of two gradients of one parameter: what either has in common over its items adds up or cancels.

    So do the two losses of a net that tells real images from made ones. The rest is uncorrelated.
    """
    square = a.second_moment + b.second_moment
    size = math.hypot(a.mean_abs, b.mean_abs)
    both = 2 * a.common * b.common
    if not both or not 0 < square < math.inf or a.common**2 > a.second_moment or b.common**2 > b.second_moment:
        return Gradient(square, size, a.common + b.common)
    found = max(square + both, 0.0)
    return Gradient(found, size * math.sqrt(found / square), a.common + b.common)


class Step(NamedTuple):
    """What a layer reads and makes in one forward pass: the moments of its bottoms and tops, and its parameters."""

    bottoms: Sequence[Values]
    tops: Sequence[Values]
    weights: Sequence[Weights]


class AssumedData(NamedTuple):
    """What is taken for data that the files do not describe: one point in the range of what they may be.

    `pixel_mean` and `pixel_std` are of 8-bit images, before transform_param. `size` is the root mean square of values of
    which nothing is known; None: 8-bit images where images are read, else 1. `image` is the shape of images of unknown size
    (items, channels, height, width). `class_weight` is the entry of each class in an infogain matrix.
    """

    pixel_mean: float
    pixel_std: float
    size: float | None
    image: tuple[int, int, int, int]
    class_weight: float


class SignalContext(NamedTuple):
    """What a signal rests on besides the net: what is known of its data, and what is taken for the others.

    `facts` gives for each top of a data layer what is known of it, before transform_param.
    """

    facts: Callable[[Layer], Sequence[BlobFacts | None]]
    assumed: AssumedData


class SignalModel:
    """Maps the moments of a layer's bottoms to those of its tops, and those of gradients back.

    There are many passes through a net, so a model is made once for each layer and reads the layer's settings then. One that
    `knows_in_place` computes what Caffe computes where it is wrong in place, one that `knows_dropout` what it computes where
    Dropout overwrites a top that the backward pass reads. One that `assumes_data` looks at what is known or assumed of data; all
    others are the same for all data. One that `pairs` gets its first two bottoms from layers that share their weights, and sends
    opposite gradients into them.
    """

    assumes_data = False
    knows_in_place = False
    knows_dropout = False
    pairs = False

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        self.layer = layer
        self.no_gradients = [Gradient(0.0, 0.0)] * len(layer.params)

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        """The moments of each top, from those of each bottom and of each parameter."""
        raise NotImplementedError

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        """The gradient of each bottom and of each parameter, from that of each top; here they are 0."""
        return [ZERO_DIFFS] * len(self.layer.bottoms), self.no_gradients

    def slope_likeness(self, step: Step) -> float:
        """The mean product of a nonlinearity's slopes at two items, as a part of their mean square; 1 for all other layers."""
        return 1.0


# What stands for dimensions that the files do not tell.
ASSUMED_ITEMS, ASSUMED_CHANNELS, ASSUMED_SIDE = 32, 3, 32


def shape_of(blob: Blob) -> tuple[int, ...]:
    """The shape of a blob, with 32 items, 3 channels and 32 positions a side in place of what is not known."""
    shape = blob.shape
    if shape is None:
        return (ASSUMED_ITEMS, ASSUMED_CHANNELS, ASSUMED_SIDE, ASSUMED_SIDE)
    if None not in shape:
        return shape  # type: ignore[return-value]
    assumed = (ASSUMED_ITEMS, ASSUMED_CHANNELS)
    return tuple((assumed[i] if i < 2 else ASSUMED_SIDE) if dim is None else dim for i, dim in enumerate(shape))


def size_of(blob: Blob) -> int:
    """The number of elements of a blob, at least 1."""
    total = 1
    for dim in shape_of(blob):
        total *= dim
    return max(total, 1)


def items_of(blob: Blob) -> int:
    """The number of items: the first dimension."""
    shape = shape_of(blob)
    return max(shape[0], 1) if shape else 1


def positions_of(blob: Blob) -> int:
    """The number of positions in a channel: the product of all dimensions but the first two."""
    total = 1
    for dim in shape_of(blob)[2:]:
        total *= dim
    return max(total, 1)
