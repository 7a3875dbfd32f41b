"""Format a message as text format, if it is not in a file or not in this form."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..proto.binder import Message
from .fields import string_text, value_text


def message_lines(message: Message, without: Collection[str] = ()) -> list[str]:
    """Return the lines of a message, one per field, with blocks indented by two spaces."""
    lines = []
    for name, entries in message.entries.items():
        if name in without:
            continue
        kind = message.type.fields[name].kind
        for value, _, _ in entries:
            if isinstance(value, Message):
                lines += [f"{name} {{", *(f"  {line}" for line in message_lines(value)), "}"]
            else:
                lines.append(f"{name}: {scalar_text(value, kind)}")
    return lines


def scalar_text(value: Any, kind: str) -> str:
    """Format a value of a field; `kind` as in `schema.FieldType`."""
    if kind in ("string", "bytes"):
        return string_text(value if isinstance(value, str) else value.decode("utf-8", "surrogateescape"))
    return value_text(value) if isinstance(value, (int, float)) else str(value)
