"""The lines of a text: where they begin and end, and how far they are indented."""

from __future__ import annotations

import re
from bisect import bisect_right

_blanks = re.compile(rb"[ \t]*").match
_rest = re.compile(rb"[ \t]*(?:#|\r?\n|\r?\Z)").match


class Lines:
    """Lines of a source, counted from 1, each up to and with its line feed."""

    __slots__ = ("_text_starts", "source", "starts")

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.starts = [0]  # byte offset of the first byte of every line
        self._text_starts: dict[int, int] = {}
        position = source.find(b"\n")
        while position >= 0:
            self.starts.append(position + 1)
            position = source.find(b"\n", position + 1)

    def number(self, position: int) -> int:
        """The number of the line that holds a position."""
        return bisect_right(self.starts, position)

    def start(self, position: int) -> int:
        """Where the line begins that holds a position."""
        return self.starts[self.number(position) - 1]

    def end(self, position: int) -> int:
        """Where the line ends that holds a position: its line feed, or the end of the text."""
        number = self.number(position)
        return self.starts[number] - 1 if number < len(self.starts) else len(self.source)

    def text_start(self, position: int) -> int:
        """Where the text of a line begins, behind its indentation."""
        number = self.number(position)
        if number not in self._text_starts:
            match = _blanks(self.source, self.starts[number - 1])
            assert match is not None
            self._text_starts[number] = match.end()
        return self._text_starts[number]

    def begins_at(self, position: int) -> bool:
        """Whether nothing but space stands before a position on its line."""
        return self.text_start(position) == position

    def ends_at(self, position: int) -> bool:
        """Whether nothing but space and a comment follow a position on its line."""
        return _rest(self.source, position) is not None

    def same(self, start: int, end: int) -> bool:
        """Whether two positions are on one line."""
        return self.source.find(b"\n", start, end) < 0

    def indentation(self, position: int) -> bytes:
        """The space that the line begins with that holds a position."""
        return self.source[self.start(position) : self.text_start(position)]

    def indent(self, position: int) -> int:
        """The width of that space."""
        return len(self.indentation(position).expandtabs(4))

    def end_before(self, start: int) -> bytes:
        """How the line ends whose successor begins at `start`; a line feed if there is none."""
        return b"\r\n" if self.source[max(start - 2, 0) : start] == b"\r\n" else b"\n"
