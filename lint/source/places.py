"""Places in files, in lines and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple

if TYPE_CHECKING:
    from .files import SourceFile


class Place(NamedTuple):
    """A span of a file in lines and columns, which are counted from 1; the end is after the last character."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    message: str = ""

    @property
    def shown(self) -> str:
        """Where it begins, as compilers print it: `net.prototxt:3:9`."""
        return f"{self.path}:{self.line}:{self.column}"


def place_of(file: SourceFile, span: tuple[int, int], message: str = "") -> Place:
    """Return the place of a span of bytes in a file. Of several lines, only the first is included."""
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
