"""Access to the suppressions of a file, which are read once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ..source.files import SourceFile

if TYPE_CHECKING:
    from .suppressions import Selector, Suppressions

_MARK = b"lint"  # what every suppression has in it, in whatever case
_READ: WeakKeyDictionary[SourceFile, Suppressions | None] = WeakKeyDictionary()


def suppressions_of(file: SourceFile) -> Suppressions | None:
    """Return the suppressions of a file, None if it cannot contain any."""
    if file not in _READ:
        _READ[file] = _read(file)
    return _READ[file]


def suppressing(file: SourceFile, code: str, position: int) -> Iterable[Selector]:
    """Return the selectors that suppress a finding of a rule at a byte position."""
    suppressions = suppressions_of(file)
    return () if suppressions is None else suppressions.covering(code, position)


def _read(file: SourceFile) -> Suppressions | None:
    if _MARK not in file.source.lower():
        return None
    from .suppressions import read_suppressions  # keeps its patterns out of the start: most files have no suppression

    return read_suppressions(file.tree)
