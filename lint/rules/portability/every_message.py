"""All protobuf messages of a file."""

from __future__ import annotations

from collections.abc import Iterator

from ...proto.binder import Message
from ...source.files import SourceFile


def every_message(file: SourceFile) -> Iterator[Message]:
    """Yield every protobuf message of a solver or net, including nested ones."""
    if file.kind == "other":
        return
    stack = [file.message]
    for message in stack:
        yield message
        for entries in message.entries.values():
            if isinstance(entries[0][0], Message):
                stack += [entry[0] for entry in entries]
