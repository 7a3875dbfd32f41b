"""Names of layers and blobs: how messages call a layer, and which known name is meant by another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..proto.binder import nearest_name

if TYPE_CHECKING:
    from ..moments.graph import Layer


def named(layer: Layer) -> str:
    """A layer by its type and name, at the beginning of a message."""
    return f"{layer.type} layer '{layer.name}'" if layer.type else f"layer '{layer.name}'"


def meant_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest and has the same numbers in it: `conv4` is not meant by `conv3`."""
    near = nearest_name(name, list(dict.fromkeys(known)))
    return near if near is not None and same_numbers(name, near) else None


def same_numbers(name: str, other: str) -> bool:
    """Whether two names have the same numbers in them, in the same order."""
    return re.findall(r"\d+", name) == re.findall(r"\d+", other)
