"""Names of layers and blobs: how messages name layers, and which known name a misspelled one stands for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..proto.spelling import nearest_name, same_numbers
from ..source.wording import counted

if TYPE_CHECKING:
    from ..moments.graph import Layer
    from ..proto.tree import Tree

_LISTED = 3  # names that a message lists before it breaks off


def named(layer: Layer) -> str:
    """Return the type and name of a layer, as messages write them."""
    return f"{layer.type} layer '{layer.name}'" if layer.type else f"layer '{layer.name}'"


def also_in(layers: Sequence[Layer], tree: Tree) -> str:
    """Return the sentence that names all layers but the first; empty if there is only one. It follows a reason.

    Layers whose names do not tell them apart are told by their lines in the file, of which `tree` is the content.
    """
    others = layers[1:]
    if not others:
        return ""
    if len({layer.name for layer in layers}) == len(layers):
        listed = [f"'{layer.name}'" for layer in others]
    else:
        listed = [f"line {tree.line_of(layer.place()[0])}" for layer in others]
    more = ", …" if len(others) > _LISTED else ""
    return f" Also in {counted(len(others), 'other layer')}: {', '.join(listed[:_LISTED])}{more}."


def meant_name(name: str, known: Iterable[str]) -> str | None:
    """Return the nearest known name that has the same numbers in it (`conv3` never stands for `conv4`), or None."""
    near = nearest_name(name, list(dict.fromkeys(known)))
    return near if near is not None and same_numbers(name, near) else None
