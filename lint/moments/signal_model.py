"""What every signal model is: how a layer maps the moments of its bottoms forward and of its gradients backward.

A layer type's record names its model, a class of `layers.models`; each layer of a net gets an object of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from .statistics import ZERO_DIFFS, Diffs, Values

if TYPE_CHECKING:
    from .blob_facts import BlobFacts
    from .graph import Blob, Layer
    from .weights import Weights


class Gradient(NamedTuple):
    """The gradient of a parameter: mean square, mean absolute value, and the part in which all items agree."""

    second_moment: float
    mean_abs: float
    common: float = 0.0


class Step(NamedTuple):
    """What a layer saw in one pass: its bottoms' values, its tops', and its parameters."""

    bottoms: Sequence[Values]
    tops: Sequence[Values]
    weights: Sequence[Weights]


class SignalContext(NamedTuple):
    """What a signal rests on besides the net: what is known of its data, and what had to be assumed of them.

    `facts` gives for each top of a data layer what is known of it, before transform_param. `assumed` collects the
    assumptions. With `unit`, data of which nothing is known are taken to have a mean square of 1.
    """

    facts: Callable[[Layer], Sequence[BlobFacts | None]]
    assumed: list[str]
    unit: bool = False

    def assume(self, what: str) -> None:
        """Notes an assumption, once."""
        if what not in self.assumed:
            self.assumed.append(what)


class SignalModel:
    """How a layer maps the moments of values forward and of gradients backward.

    A model is made once for a layer, and reads then what the files say of it, as there are many passes.
    """

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        self.layer = layer
        self.no_gradients = [Gradient(0.0, 0.0)] * len(layer.params)

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        """The values of the tops, from those of the bottoms and the parameters."""
        raise NotImplementedError

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        """The gradients of the bottoms and of the parameters, from those of the tops; here none comes through."""
        return [ZERO_DIFFS] * len(self.layer.bottoms), self.no_gradients


# What stands for dimensions that the files do not tell.
ASSUMED_ITEMS, ASSUMED_CHANNELS, ASSUMED_SIDE = 32, 3, 32


def shape_of(blob: Blob) -> tuple[int, ...]:
    """The shape of a blob, with something ordinary where it is not known."""
    shape = blob.shape
    if shape is None:
        return (ASSUMED_ITEMS, ASSUMED_CHANNELS, ASSUMED_SIDE, ASSUMED_SIDE)
    assumed = (ASSUMED_ITEMS, ASSUMED_CHANNELS)
    return tuple((assumed[i] if i < 2 else ASSUMED_SIDE) if dim is None else dim for i, dim in enumerate(shape))


def size_of(blob: Blob) -> int:
    """The number of elements of a blob, at least 1."""
    total = 1
    for dim in shape_of(blob):
        total *= dim
    return max(total, 1)


def items_of(blob: Blob) -> int:
    """The first dimension."""
    shape = shape_of(blob)
    return max(shape[0], 1) if shape else 1


def positions_of(blob: Blob) -> int:
    """The number of positions in a channel."""
    total = 1
    for dim in shape_of(blob)[2:]:
        total *= dim
    return max(total, 1)
