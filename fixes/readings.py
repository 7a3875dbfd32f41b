"""Texts before and after a patch, read alike, so that nothing but the patch makes a difference.

A change of one field may change which dialect is detected, and what is taken for a misspelling in another field. Neither is a
change of what is written there. So two texts are compared as the same dialect has them: first with what repairs would make of
invalid fields, which is what the fixes of such fields refer to, then only as they are written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..proto.binder import Bound, Message, bind
from ..proto.named_tuple import NamedTuple
from ..proto.schema import Schema
from ..proto.tree import Tree
from .changes import FixRejected

_Result = TypeVar("_Result")


class Reading(NamedTuple):
    """A text as our parser and our binder read it; `asked_dialect` is the one asked for, None if it was detected."""

    path: str
    tree: Tree
    bound: Bound
    schema: Schema
    asked_dialect: str | None


def compare(old: Reading, new: Reading, check: Callable[[Message, Message], _Result]) -> _Result:
    """Return what a check of two messages returns for the texts as they are read in the first way in which it passes.

    Raises FixRejected, for the first way, if it passes in none.
    """
    type_name, dialect = old.bound.message.type.name, old.bound.dialect

    def message(reading: Reading, *, as_written: bool) -> Message:
        is_asked = old.asked_dialect is not None
        return bind(reading.tree, old.schema, type_name, dialect, is_asked=is_asked, as_written=as_written).message

    try:
        if new.bound.dialect == dialect:
            return check(old.bound.message, new.bound.message)
        return check(message(old, as_written=False), message(new, as_written=False))
    except FixRejected as rejected:
        try:
            return check(message(old, as_written=True), message(new, as_written=True))
        except FixRejected:
            raise rejected from None
