"""The changes that fixes make, by the paths of the fields: derived from blocks of a tree, applied to a reader's result.

Fixes name messages by their blocks in one tree, which only the reader of that tree knows. Paths are also valid for
another reader of the same text, and for a file that is patched in several rounds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..proto.message import Message, plain_value
from ..proto.named_tuple import NamedTuple
from .edit import Change, Fix, Insertion, Replacement

# The fields and numbers that lead to a message; () is the file itself.
Path = tuple[tuple[str, int], ...]
Plain = dict[str, list[Any]]


class FixRejected(Exception):
    """A fix would have changed more, or less, than it says, so nothing was written; names the difference."""


class PathChange(NamedTuple):
    """A `Change` of the message at a path."""

    path: Path
    field: str
    values: tuple[Any, ...]


class PathInsertion(NamedTuple):
    """An `Insertion` into the message at a path, after `position` values of the field."""

    path: Path
    field: str
    position: int
    value: Plain


PathChanges = tuple["PathChange | PathInsertion | Replacement", ...]


class Round(NamedTuple):
    """A text that was patched, its type (`SolverParameter`, …), and the changes that the fixes name.

    `as_written` says whether our binder reads only what is written in it, without repairs of invalid text; `dialect` is the one
    that the user asked for, None if it is to be detected.
    """

    source: bytes
    type_name: str
    changes: PathChanges
    as_written: bool
    dialect: str | None = None


def changes_by_path(message: Message, fixes: Iterable[Fix]) -> PathChanges:
    """Return the changes of fixes by path. Raises FixRejected if one names a message that is not in the text."""
    changes = [change for fix in fixes for change in fix.changes]
    wanted = {id(change.block) for change in changes if not isinstance(change, Replacement)}
    paths: dict[int, Path] = {}
    waiting: list[tuple[Message, Path]] = [(message, ())]
    while waiting and len(paths) < len(wanted):
        holder, path = waiting.pop()
        if id(holder.block) in wanted:
            paths[id(holder.block)] = path
        for name, entries in holder.entries.items():
            waiting += [
                (entry[0], (*path, (name, number)))
                for number, entry in enumerate(entries)
                if isinstance(entry[0], Message)
            ]
    return tuple(_by_path(message, change, paths) for change in changes)


def _by_path(
    message: Message, change: Change | Insertion | Replacement, paths: dict[int, Path]
) -> PathChange | PathInsertion | Replacement:
    if isinstance(change, Replacement):
        return Replacement(_comparable(change.value))
    path = paths.get(id(change.block))
    if path is None:
        raise FixRejected(f"a fix names '{change.field}' in a message that is not in the text")
    if isinstance(change, Change):
        return PathChange(path, change.field, tuple(map(_comparable, change.values)))
    for name, number in path:
        message = message.entries[name][number][0]
    nodes = [entry[1] for entry in message.entries.get(change.field, ())]
    position = 0 if change.after is None else next(i for i, node in enumerate(nodes, 1) if node is change.after)
    return PathInsertion(path, change.field, position, _comparable(change.value))


def _comparable(value: Any) -> Any:
    """Return a value as `plain_value` has it, inside of nested dicts and lists too: NaN, which no value equals, as text."""
    if isinstance(value, dict):
        return {name: _comparable(items) for name, items in value.items()}
    return [_comparable(item) for item in value] if isinstance(value, list) else plain_value(value)


def after_changes(values: Plain, changes: PathChanges) -> Plain:
    """Return a message after changes, all of which refer to the original message; `values` is not modified.

    Messages are as returned by `message.plain`.
    """
    replacement = next((change for change in reversed(changes) if isinstance(change, Replacement)), None)
    if replacement is not None:
        return replacement.value
    by_path: dict[Path, list[PathChange | PathInsertion]] = {}
    touched: set[Path] = set()
    for change in changes:
        if not isinstance(change, Replacement):
            by_path.setdefault(change.path, []).append(change)
            touched.update(change.path[:length] for length in range(len(change.path) + 1))
    return _after(values, (), by_path, touched)


def _after(
    values: Plain, path: Path, by_path: dict[Path, list[PathChange | PathInsertion]], touched: set[Path]
) -> Plain:
    if path not in touched:
        return values
    here = by_path.get(path, [])
    result: Plain = {}
    for name, items in values.items():
        added = [each for each in here if isinstance(each, PathInsertion) and each.field == name]
        result[name] = [each.value for each in added if each.position == 0]
        for number, item in enumerate(items):
            inside = (*path, (name, number))
            result[name].append(_after(item, inside, by_path, touched) if isinstance(item, dict) else item)
            result[name] += [each.value for each in added if each.position == number + 1]
    for change in here:
        if isinstance(change, PathChange):
            if change.values:
                result[change.field] = list(change.values)
            else:
                result.pop(change.field, None)
    return result


def require_equal(expected: Plain, found: Plain) -> None:
    """Raise FixRejected, with the first difference, unless two messages are equal."""
    if expected != found:
        raise FixRejected("the patched text has an unexpected change: " + _first_difference(expected, found))


def _first_difference(expected: Any, found: Any, path: str = "") -> str:
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in [*expected, *found]:
            if expected.get(name) != found.get(name):
                return _first_difference(
                    expected.get(name, []), found.get(name, []), f"{path}.{name}" if path else name
                )
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            values = "value" if len(found) == 1 else "values"
            return f"{path} has {len(found)} {values}, expected {len(expected)}"
        for index, (a, b) in enumerate(zip(expected, found, strict=True)):
            if a != b:
                return _first_difference(a, b, f"{path}[{index}]" if len(expected) > 1 else path)
    return f"{path} is {found!r}, expected {expected!r}"
