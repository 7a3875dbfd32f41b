"""The table of layer types: how each carries values forward and gradients backward. The other files fill it.

A type is described by one class with `forward` and, unless gradients end there, `backward`; each layer of a net
gets an object of it. What nobody
described passes its first bottom on as it is, which is right for all that only moves values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from .statistics import NO_DIFFS, NOTHING, Diffs, Values

if TYPE_CHECKING:
    from ..layers.models.data_models import Surroundings
    from .graph import Blob, Layer
    from .weights import Weights


class Gradient(NamedTuple):
    """The gradient of a parameter: mean square, mean absolute value, and the part in which all items agree."""

    square: float
    size: float
    drift: float = 0.0


class Step(NamedTuple):
    """What a layer saw in one pass: its bottoms' values, its tops', and its parameters."""

    bottoms: Sequence[Values]
    tops: Sequence[Values]
    weights: Sequence[Weights]


class Carrier:
    """How a layer carries the signal; this one passes it on.

    It is made once for a layer and reads then what the files say of it, as there are many passes.
    """

    def __init__(self, layer: Layer, around: Surroundings) -> None:
        self.layer = layer
        self.no_gradients = [Gradient(0.0, 0.0)] * len(layer.params)

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        """The values of the tops."""
        return [bottoms[0] if bottoms else NOTHING] * len(self.layer.tops)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        """The gradients of the bottoms and of the parameters, from those of the tops."""
        layer = self.layer
        passed = diffs[0] if diffs else NO_DIFFS
        factor = size_of(layer.tops[0]) / size_of(layer.bottoms[0]) if layer.tops and layer.bottoms else 1.0
        if factor < 1:  # only some elements were read
            passed = Diffs(
                passed.square * factor, passed.size * factor, passed.level * factor * factor,
                passed.shared * factor, passed.cross * factor * factor, None, passed.drift * factor,
            )  # fmt: skip
        return [passed] * len(layer.bottoms), self.no_gradients


CARRIERS: dict[str, type[Carrier]] = {}


def carries(*types: str) -> Callable[[type[Carrier]], type[Carrier]]:
    """Enters a carrier for layer types."""

    def enter(carrier: type[Carrier]) -> type[Carrier]:
        for name in types:
            CARRIERS[name] = carrier
        return carrier

    return enter


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
