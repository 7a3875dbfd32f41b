"""The table of layer types, which the other files here fill, and what many of their records share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import UNKNOWN_TYPE, UNMODELLED, Infer, LayerType
from ..moments.shapes import Shape
from ..source.wording import counted

if TYPE_CHECKING:
    from ..moments.graph import Layer

TYPES: dict[str, list[LayerType]] = {}


def layer_type(
    name: str, source: str = "", *, signal: str | Callable[[Layer], str] = UNMODELLED, **facts: Any
) -> Callable[[Infer], Infer]:
    """Enters a type with the decorated function, which infers its shapes.

    `source` is Caffe's file that has it. `signal` names the class of `layers.models` that computes its signal, as
    `module.Class`, or is UNMODELLED. `facts` are other fields of LayerType. The first of what it `reads` are its own
    `settings`, unless others are given.
    """
    if facts.get("reads"):
        facts.setdefault("settings", facts["reads"][0])

    def enter(infer: Infer) -> Infer:
        if infer is same_shape:
            facts["keeps_shape"] = True
        described = [kind for kind in TYPES.get(name, ()) if kind.described]
        TYPES[name] = [*described, LayerType(name, infer, source, signal=signal, **facts)]
        return infer

    return enter


def described_names() -> list[str]:
    """The names of the types of which more than the name is known."""
    return [name for name, kinds in TYPES.items() if kinds[0].described]


def find_type(name: str, dialect: str, bottoms: int) -> LayerType | None:
    """The layer type of that name as the dialect has it, None if nobody described it.

    Of several meanings, one that takes that many bottoms is preferred: a file's dialect is only a guess.
    """
    known = TYPES.get(name)
    if known is None or not known[0].described:
        return None
    if len(known) == 1:
        return known[0]
    chosen = next((kind for kind in known if dialect in kind.dialects), known[0])
    for kind in (chosen, *known):
        if kind.bottoms[0] <= bottoms and (kind.bottoms[1] is None or bottoms <= kind.bottoms[1]):
            return kind
    return chosen


def traits_of(name: str) -> LayerType:
    """What is known of a type of which only the name is at hand, as logs have it."""
    known = TYPES.get(name)
    return known[0] if known else UNKNOWN_TYPE


def is_loss_type(name: str) -> bool:
    """Whether a type is a loss: by its record or, as forks and Python classes have many more, by its name."""
    return traits_of(name).is_loss or "Loss" in name


def is_read(field: str, kind: LayerType) -> bool:
    """Whether a layer type reads a sub-message; True where what it reads is not known, or the field is no BVLC type's."""
    return kind.reads is None or field in kind.reads or not readers(field)


def readers(field: str) -> tuple[str, ...]:
    """The layer types that are known to read a sub-message."""
    return tuple(name for name, kinds in TYPES.items() if field in (kinds[0].reads or ()))


# A layer each value of whose tops is one of its bottoms'.
REARRANGES: dict[str, Any] = {
    "rearranges": True, "linear": True, "keeps_scale": True, "keeps_range": True, "keeps_order": True,
}  # fmt: skip


def same_shape(layer: Layer) -> Sequence[Shape]:
    """One top, of the shape of the first bottom."""
    return (layer.bottoms[0].shape,)


def unknown_shapes(layer: Layer) -> Sequence[Shape]:
    """Tops of which nothing is known."""
    return ()


def scalar(layer: Layer) -> Sequence[Shape]:
    """One top without axes, as all of Caffe's own losses have."""
    return ((),)


def one_per_value(layer: Layer) -> int | None:
    """The multiply-adds of a layer that multiplies each value once."""
    return layer.tops[0].count if layer.tops else 0


def no_products(layer: Layer) -> int:
    """The multiply-adds of a layer whose parameters are only looked up or added."""
    return 0


# -- parts of messages -----------------------------------------------------------------------------------


def missing_axis(layer: Layer, axis: int, index: int = 0) -> str:
    """The message for an axis that a bottom does not have."""
    number = len(layer.bottoms[index].shape or ())
    known = f" (0-{number - 1})" if number > 1 else " (0)" if number else ""
    return f"axis {axis} does not exist: {layer.shown(index)} has {counted(number, 'axis', 'axes')}{known}"


def wrong_axes(layer: Layer, wanted: str, index: int = 0) -> str:
    """The message for a bottom whose number of axes the layer type does not take."""
    number = len(layer.bottoms[index].shape or ())
    return f"{layer.shown(index)} has {counted(number, 'axis', 'axes')}; {layer.type} takes {wanted}"


def number_of(number: int, field: str) -> str:
    """How often a repeated field is written: `1 pad entry`, `2 pad entries`."""
    return counted(number, f"{field} entry", f"{field} entries")


def one_or(number: int) -> str:
    """The numbers of entries that Caffe takes for fields that are written once for all or once for each."""
    return "1" if number == 1 else f"1 or {number}"
