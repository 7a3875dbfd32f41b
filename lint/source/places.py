"""Places in files, as people count them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple

if TYPE_CHECKING:
    from .files import SourceFile


class Place(NamedTuple):
    """A stretch of a file as people count: lines and columns from 1, the end behind the last character."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    message: str = ""


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
