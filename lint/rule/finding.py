"""Findings: what is wrong, where, how bad, and the fix if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple

if TYPE_CHECKING:
    from ..fixes.edit import Fix
    from ..source.files import SourceFile

SEVERITIES = ("advice", "warning", "error")


class Related(NamedTuple):
    """Another place that belongs to a finding, with what it has to do with it."""

    file: SourceFile
    span: tuple[int, int]
    message: str


class Hit(NamedTuple):
    """What a rule yields: a place, a message, and whatever differs from the rule's own metadata.

    `reason` is the second sentence: what happens in Caffe, with the numbers of this file.
    `severity` is given where the case at hand is worse, or less bad, than the rule's default.
    """

    file: SourceFile
    span: tuple[int, int]
    message: str
    reason: str = ""
    severity: str = ""
    related: tuple[Related, ...] = ()
    fix: Fix | None = None


class Place(NamedTuple):
    """A stretch of a file as people count: lines and columns from 1, the end behind the last character."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    message: str = ""


class Finding(NamedTuple):
    """A finding as it is reported. Sorts by path, line, column and code. `start` is the byte at which it begins."""

    place: Place
    code: str
    name: str
    severity: str
    message: str
    reason: str
    line_text: str
    related: tuple[Place, ...]
    fix: Fix | None
    start: int = 0

    def reaches(self, severity: str) -> bool:
        """Whether it is at least as bad as `severity`."""
        return SEVERITIES.index(self.severity) >= SEVERITIES.index(severity)


def place_of(file: SourceFile, span: tuple[int, int], message: str = "") -> Place:
    """The place of a span of bytes in a file. What spans several lines is marked on its first line only."""
    start, end = span
    source = file.tree.source
    line_end = source.find(b"\n", start)
    if 0 <= line_end < end:
        end = line_end
    while end > start and source[end - 1 : end] in (b" ", b"\t", b"\r"):
        end -= 1
    line, column = file.tree.line_and_column(start)
    end_line, end_column = file.tree.line_and_column(end)
    return Place(file.path, line, column, end_line, max(end_column, column), message)
