"""Which fields are written, even if they cannot be read, so that one mistake is not reported twice."""

from __future__ import annotations

from functools import lru_cache

from ..proto.binder import Message, nearest_name
from ..proto.tree import Field


def is_absent(message: Message, name: str) -> bool:
    """Whether a field is not written at all, neither in an unreadable form nor misspelled."""
    if name in message:
        return False
    return not any(field.name == name or nearest_name(field.name, [name]) for field in _unread(message))


def is_whole(message: Message, name: str) -> bool:
    """Whether everything that is written for a field could be read."""
    return not any(field.name == name or nearest_name(field.name, [name]) for field in _unread(message))


def place_beside(message: Message, *names: str) -> tuple[int, int]:
    """Return where to report a missing field: at the first of `names` that is written, otherwise at the first field."""
    for name in names:
        field = message.field(name)
        if field is not None:
            return field.start, field.end
    if message.block.fields:
        return message.block.fields[0].start, message.block.fields[0].end
    return message.block.start, message.block.open_end


@lru_cache(maxsize=2)  # the rules of a solver run one after the other
def _unread(message: Message) -> list[Field]:
    read = {id(entry[2]) for entries in message.entries.values() for entry in entries}
    return [field for field in message.block.fields if id(field) not in read]
