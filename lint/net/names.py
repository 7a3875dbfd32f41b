"""Names of layers and blobs: how messages name layers, and which known name a misspelled one stands for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..proto.spelling import nearest_name, same_numbers
from ..source.wording import counted

if TYPE_CHECKING:
    from ..moments.graph import Layer

_LISTED = 3  # names that a message lists before it breaks off


def named(layer: Layer) -> str:
    """Return the type and name of a layer, as messages write them."""
    return f"{layer.type} layer '{layer.name}'" if layer.type else f"layer '{layer.name}'"


def also_in(layers: Sequence[Layer]) -> str:
    """Return the sentence that names all layers but the first; empty if there is only one. It follows a reason."""
    others = [f"'{layer.name}'" for layer in layers[1:]]
    if not others:
        return ""
    more = ", …" if len(others) > _LISTED else ""
    return f" Also in {counted(len(others), 'other layer')}: {', '.join(others[:_LISTED])}{more}."


def meant_name(name: str, known: Iterable[str]) -> str | None:
    """Return the nearest known name that has the same numbers in it (`conv3` never stands for `conv4`), or None."""
    near = nearest_name(name, list(dict.fromkeys(known)))
    return near if near is not None and same_numbers(name, near) else None
