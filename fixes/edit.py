"""Edits, the changes in meaning that they cause, and fixes, which consist of both."""

from __future__ import annotations

from typing import Any

from ..proto.named_tuple import NamedTuple
from ..proto.tree import Block


class Edit(NamedTuple):
    """Replaces the bytes from `start` to `end` of the original with `text`; an insertion if both are equal."""

    start: int
    end: int
    text: bytes


class Change(NamedTuple):
    """A change to the meaning of one message: after the fix, `field` holds exactly `values`.

    The message is identified by its block in the tree. Values are in the form of `binder.plain_value`; no values mean that
    the field is removed. A field that is not in the schema has the name `?field`.
    """

    block: Block
    field: str
    values: tuple[Any, ...]


class Insertion(NamedTuple):
    """An addition to a repeated message field: `value` comes after the message `after` (None: at the start)."""

    block: Block
    field: str
    after: Block | None
    value: dict[str, list[Any]]


class Replacement(NamedTuple):
    """The new meaning of a whole file: exactly `value`, in the form of `binder.plain`."""

    value: dict[str, list[Any]]


class Fix(NamedTuple):
    """A repair of one file.

    `safe` fixes are applied by `--fix`. The others, which change the architecture or are a guess, are applied only with
    `--unsafe-fixes`. `changes` lists every field whose value differs afterwards; no other field may change.
    """

    path: str
    title: str
    edits: tuple[Edit, ...]
    changes: tuple[Change | Insertion | Replacement, ...]
    safe: bool = True

    @property
    def start(self) -> int:
        """The first byte that it changes."""
        return min(edit.start for edit in self.edits)
