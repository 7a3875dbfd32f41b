"""What fields do, in a sentence or two: the notes that editors show."""

from __future__ import annotations

from functools import cache

from .schema import FieldType, MessageType, read_rows


@cache
def _notes() -> dict[str, str]:
    return {row[0]: row[1] for row in read_rows("field_notes.tsv")}


def note_on(message: MessageType, field: FieldType) -> str:
    """Return what a field of a message does; of a message field without a note, whose settings it has. Empty if unknown."""
    notes = _notes()
    found = notes.get(f"{message.name}.{field.name}") or notes.get(f"*.{field.name}", "")
    if not found and field.kind == "message" and field.name.endswith("_param"):
        return f"Settings of layers that read `{field.name}`."
    return found
