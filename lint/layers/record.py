"""The table of layer types, which the other files here fill, and what many records and their messages share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import UNKNOWN_TYPE, UNMODELLED, Count, Infer, LayerType
from ..moments.shapes import Shape
from ..source.wording import counted

if TYPE_CHECKING:
    from ..moments.graph import Layer
    from ..proto.binder import Message

TYPES: dict[str, list[LayerType]] = {}


def layer_type(
    name: str, source: str = "", *, signal: str | Callable[[Layer], str] = UNMODELLED, **facts: Any
) -> Callable[[Infer], Infer]:
    """Register a type, with the decorated function to infer its shapes.

    `source` is the file of Caffe, or of the fork, that implements it. `signal` is the class of `layers.models` that computes
    its signal, as `module.Class`, or UNMODELLED. `facts` are other fields of LayerType. Unless `settings` is given, it is the
    first entry of `reads`.
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
    """The names of the types for which more than the name is known."""
    return [name for name, kinds in TYPES.items() if kinds[0].described]


def find_type(name: str, dialect: str, bottoms: int) -> LayerType | None:
    """The layer type of that name in the dialect, None if only its name is known.

    If the name has several meanings, one that takes that many bottoms is preferred, because a file's dialect is only a guess.
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
    """The record of a type by its name only, as in logs; that of an unknown type if there is none."""
    known = TYPES.get(name)
    return known[0] if known else UNKNOWN_TYPE


def is_loss_type(name: str) -> bool:
    """Whether a type is a loss: by its record or, because forks and Python classes have many more, by its name."""
    return traits_of(name).is_loss or "Loss" in name


def type_of_settings(layer: Message, own: LayerType) -> LayerType | None:
    """The type whose settings a layer has, if its own type reads none of them: Data for an Input with `data_param`.

    It is the type that the settings are named after, if it reads all of them and takes as many bottoms and tops.
    """
    written = settings_unread(layer, own)
    if len(written) != 1:
        return None
    name = written[0]
    kind = next((kinds[0] for type_name, kinds in TYPES.items() if f"{type_name.lower()}param" == name.replace("_", "")), None)
    if kind is None or kind.reads is None or kind.settings != name:
        return None
    fits = _is_within(len(layer["bottom"]), kind.bottoms) and _is_within(len(layer["top"]), kind.tops)
    return kind if fits else None


def settings_unread(layer: Message, own: LayerType) -> list[str]:
    """The settings of a layer that belong to a type, if its own type reads none of them; empty otherwise."""
    written = [name for name in layer.entries if name.endswith("_param") and name not in _OF_MANY_TYPES]
    return written if own.reads is not None and not any(name in own.reads for name in written) else []


# Settings that say nothing of the type, because layers of many types read them.
_OF_MANY_TYPES = frozenset({"transform_param", "loss_param"})


def _is_within(number: int, limits: Count) -> bool:
    return number >= limits[0] and (limits[1] is None or number <= limits[1])


def hazards() -> dict[str, str]:
    """Why layer types can give NaN or infinity for finite values: explanations by the name of the cause."""
    found = {kind.hazard[0]: f"{name}: {kind.hazard[1]}." for name, kinds in TYPES.items() for kind in kinds if kind.hazard}
    return dict(sorted(found.items()))


def is_read(field: str, kind: LayerType) -> bool:
    """Whether a layer type reads a sub-message; True if unknown, or if no BVLC type reads it."""
    return kind.reads is None or field in kind.reads or not readers(field)


def readers(field: str) -> tuple[str, ...]:
    """The layer types that are known to read a sub-message."""
    return tuple(name for name, kinds in TYPES.items() if field in (kinds[0].reads or ()))


# A layer whose tops hold values of its bottoms, in another shape or order.
REARRANGES: dict[str, Any] = {
    "rearranges": True, "linear": True, "keeps_scale": True, "keeps_range": True, "keeps_order": True,
}  # fmt: skip


def same_shape(layer: Layer) -> Sequence[Shape]:
    """One top, with the shape of the first bottom."""
    return (layer.bottoms[0].shape,)


def unknown_shapes(layer: Layer) -> Sequence[Shape]:
    """Tops of unknown shapes."""
    return ()


def scalar(layer: Layer) -> Sequence[Shape]:
    """One scalar top, as in all losses of BVLC's Caffe."""
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
