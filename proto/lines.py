"""The lines of a text: where they start and end, and their indentation."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate, repeat
from operator import add

# What may stand between tokens, as a pattern: blanks and comments.
SPACE = rb"[ \t\n\v\f\r]*(?:#[^\n\0]*(?:\n[ \t\n\v\f\r]*|\Z))*"

_blanks = re.compile(rb"[ \t]*").match
_rest = re.compile(rb"[ \t]*(?:#|\r?\n|\r?\Z)").match


class Lines:
    """The lines of a source, counted from 1, each including its line feed."""

    __slots__ = ("_text_starts", "source", "starts")

    def __init__(self, source: bytes) -> None:
        self.source = source
        lengths = map(add, map(len, source.split(b"\n")), repeat(1))
        self.starts: list[int] = [*accumulate(lengths, initial=0)]  # byte offset of the first byte of every line
        self.starts.pop()  # there is none after the last
        self._text_starts: dict[int, int] = {}

    def number(self, position: int) -> int:
        """Return the number of the line that contains a position."""
        return bisect_right(self.starts, position)

    def start(self, position: int) -> int:
        """Return the start of the line that contains a position."""
        return self.starts[self.number(position) - 1]

    def end(self, position: int) -> int:
        """Return the end of the line that contains a position: its line feed, or the end of the text."""
        number = self.number(position)
        return self.starts[number] - 1 if number < len(self.starts) else len(self.source)

    def text_start(self, position: int) -> int:
        """Return the position of the first character after a line's indentation."""
        number = self.number(position)
        if number not in self._text_starts:
            match = _blanks(self.source, self.starts[number - 1])
            assert match is not None
            self._text_starts[number] = match.end()
        return self._text_starts[number]

    def begins_at(self, position: int) -> bool:
        """Whether only space precedes a position on its line."""
        return self.text_start(position) == position

    def ends_at(self, position: int) -> bool:
        """Whether only space and a comment follow a position on its line."""
        return _rest(self.source, position) is not None

    def same(self, start: int, end: int) -> bool:
        """Whether two positions are on one line."""
        return self.source.find(b"\n", start, end) < 0

    def indentation(self, position: int) -> bytes:
        """Return the space at the start of the line that contains a position."""
        return self.source[self.start(position) : self.text_start(position)]

    def indent(self, position: int) -> int:
        """Return the width of that space."""
        return len(self.indentation(position).expandtabs(4))

    def end_before(self, start: int) -> bytes:
        """Return the line ending before the line that starts at `start`; a line feed if there is none."""
        return b"\r\n" if self.source[max(start - 2, 0) : start] == b"\r\n" else b"\n"
