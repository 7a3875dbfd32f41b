"""Edits, what they change in the meaning of a file, and fixes, which are made of both."""

from __future__ import annotations

from typing import Any

from ..proto.named_tuple import NamedTuple
from ..proto.tree import Block


class Edit(NamedTuple):
    """Replaces the bytes from `start` to `end` of the original by `text`; an insertion where the two are equal."""

    start: int
    end: int
    text: bytes


class Change(NamedTuple):
    """What a fix does to the meaning of one message: after it, `field` holds just `values`.

    The message is named by its block in the tree. Values are as `binder.plain_value` gives them; none means that
    the field is gone. A field that the schema does not know bears the name `?field`.
    """

    block: Block
    field: str
    values: tuple[Any, ...]


class Insertion(NamedTuple):
    """What a fix adds to a repeated message field: `value` stands behind the message `after` (None: first of all)."""

    block: Block
    field: str
    after: Block | None
    value: dict[str, list[Any]]


class Replacement(NamedTuple):
    """What a fix makes of a whole file: it means exactly `value` then, as `binder.plain` gives it."""

    value: dict[str, list[Any]]


class Fix(NamedTuple):
    """A repair of one file.

    `safe` fixes are applied by `--fix`; the others, which change the architecture or guess, by `--unsafe-fixes` only.
    `changes` names every field whose value differs afterwards, and nothing else may.
    """

    path: str
    title: str
    edits: tuple[Edit, ...]
    changes: tuple[Change | Insertion | Replacement, ...]
    safe: bool = True

    @property
    def start(self) -> int:
        """The first byte it touches."""
        return min(edit.start for edit in self.edits)
