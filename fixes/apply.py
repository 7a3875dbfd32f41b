"""Applying fixes to a text, and the proof that they did what they say and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..proto.binder import Message, plain, plain_value
from .edit import Change, Edit, Fix, Insertion, Replacement


class FixRejected(Exception):
    """A fix would have changed more, or less, than it says; nothing was written. Names the difference."""


def select(fixes: Iterable[Fix]) -> list[Fix]:
    """Those fixes of one file that can be applied together, in the order of their places.

    Of two that touch the same text, or the same field of a message, the first goes now and the other waits for the
    next round, where it is found again if it is still needed. A fix that is a `Replacement` goes alone.
    Equal fixes count once.
    """
    chosen: list[Fix] = []
    end = -1
    taken: set[tuple[int, str]] = set()
    for fix in sorted(fixes, key=lambda fix: (fix.start, fix.edits)):
        fields = {(id(change.block), change.field) for change in fix.changes if isinstance(change, Change)}
        whole = any(isinstance(change, Replacement) for change in fix.changes)
        if fields & taken or fix.start <= end or (whole and chosen):
            continue
        chosen.append(fix)
        if whole:
            break
        taken |= fields
        end = max(end, *(edit.end for edit in fix.edits))
    return chosen


def edited(source: bytes, edits: Iterable[Edit]) -> bytes:
    """The text after edits that do not overlap. Raises ValueError if they do."""
    pieces: list[bytes] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < position:
            raise ValueError(f"edits overlap at byte {edit.start}")
        pieces += (source[position : edit.start], edit.text)
        position = edit.end
    pieces.append(source[position:])
    return b"".join(pieces)


def verify(old: Message, new: Message, fixes: Iterable[Fix]) -> None:
    """Raises FixRejected unless `new` is `old` with exactly the changes that the fixes name."""
    changes: dict[int, list[Change]] = {}
    insertions: dict[int, list[Insertion]] = {}
    whole: Replacement | None = None
    for fix in fixes:
        for change in fix.changes:
            if isinstance(change, Change):
                changes.setdefault(id(change.block), []).append(change)
            elif isinstance(change, Insertion):
                insertions.setdefault(id(change.block), []).append(change)
            else:
                whole = change
    expected = whole.value if whole is not None else _plain_after(old, changes, insertions)
    found = plain(new)
    if expected != found:
        raise FixRejected(
            "the patched text would differ elsewhere too: " + _first_difference(expected, found)
        )


def _plain_after(
    message: Message, changes: dict[int, list[Change]], insertions: dict[int, list[Insertion]]
) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    added = insertions.get(id(message.block), [])
    for name, entries in message.entries.items():
        inside: list[Any] = [
            insertion.value for insertion in added if insertion.field == name and insertion.after is None
        ]
        for value, node, _ in entries:
            inside.append(
                _plain_after(value, changes, insertions) if isinstance(value, Message) else plain_value(value)
            )
            inside += [
                insertion.value for insertion in added if insertion.field == name and insertion.after is node
            ]
        values[name] = inside
    for field in message.unknown:
        values.setdefault("?" + field.name, []).append(True)
    for change in changes.get(id(message.block), []):
        if change.values:
            values[change.field] = list(change.values)
        else:
            values.pop(change.field, None)
    return values


def _first_difference(expected: Any, found: Any, path: str = "") -> str:
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in [*expected, *found]:
            if expected.get(name) != found.get(name):
                return _first_difference(
                    expected.get(name, []), found.get(name, []), f"{path}.{name}" if path else name
                )
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return f"{path} would stand {len(found)} times, not {len(expected)}"
        for index, (a, b) in enumerate(zip(expected, found, strict=True)):
            if a != b:
                return _first_difference(a, b, f"{path}[{index}]" if len(expected) > 1 else path)
    return f"{path} would be {found!r}, not {expected!r}"
