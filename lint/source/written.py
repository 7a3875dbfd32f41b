"""What is written of a field, apart from what can be read of it: so one mistake does not look like two."""

from __future__ import annotations

from functools import lru_cache

from ..proto.binder import Message, nearest_name
from ..proto.tree import Field


def is_absent(message: Message, name: str) -> bool:
    """Whether nothing is written of a field: not in a form that cannot be read, and not misspelt either."""
    if name in message:
        return False
    return not any(field.name == name or nearest_name(field.name, [name]) for field in _unread(message))


def is_whole(message: Message, name: str) -> bool:
    """Whether all that is written of a field could be read."""
    return not any(field.name == name or nearest_name(field.name, [name]) for field in _unread(message))


def place_beside(message: Message, *names: str) -> tuple[int, int]:
    """Where to speak of an absent field: the first of `names` that is written, else the first field."""
    for name in names:
        field = message.field(name)
        if field is not None:
            return field.start, field.end
    if message.block.fields:
        return message.block.fields[0].start, message.block.fields[0].end
    return message.block.start, message.block.open_end


@lru_cache(maxsize=2)  # rules of a solver ask one after the other
def _unread(message: Message) -> list[Field]:
    read = {id(entry[2]) for entries in message.entries.values() for entry in entries}
    return [field for field in message.block.fields if id(field) not in read]
