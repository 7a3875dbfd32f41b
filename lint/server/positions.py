"""Positions of editors, in lines and units of their encoding, and offsets in bytes."""

from __future__ import annotations

import re
from bisect import bisect_right

from lsprotocol.types import Position, PositionEncodingKind, Range, TextDocumentContentChangeEvent
from lsprotocol.types import TextDocumentContentChangePartial as Partial

from ..proto.lines import Lines
from ..source.places import Place

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def as_bytes(text: str) -> bytes:
    """Return the bytes of a text of an editor, which may hold halves of surrogate pairs."""
    return text.encode("utf-8", "surrogatepass")


def as_text(source: bytes) -> str:
    """Return bytes as an editor is sent them; what is not UTF-8 is replaced."""
    try:
        return source.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return source.decode("utf-8", "replace")


class Positions:
    """The positions in a text. Lines end as the protocol has it: with a line feed, a carriage return, or both.

    `encoding` is what characters are counted in: `utf-8`, `utf-16` or `utf-32`.
    """

    def __init__(self, source: bytes, encoding: str = PositionEncodingKind.Utf16) -> None:
        self.source = source
        self._encoding = encoding
        self._after_feeds = Lines(source).starts
        if b"\r" in source:
            spans = [match.span() for match in _LINE_END.finditer(source)]
            self._starts = [0, *(end for _, end in spans)]
            self._ends = [*(start for start, _ in spans), len(source)]
        else:
            self._starts = self._after_feeds
            self._ends = [*(start - 1 for start in self._starts[1:]), len(source)]

    def position(self, offset: int) -> Position:
        """Return the position of an offset."""
        line = bisect_right(self._starts, offset) - 1
        return Position(line, self._units(self.source[self._starts[line] : min(offset, self._ends[line])]))

    def range(self, start: int, end: int) -> Range:
        """Return the range between two offsets."""
        return Range(self.position(start), self.position(end))

    def offset(self, position: Position) -> int:
        """Return the offset of a position; one beyond the end of a line or the text is that end."""
        if position.line >= len(self._starts):
            return len(self.source)
        start, end = self._starts[position.line], self._ends[position.line]
        text = self.source[start:end]
        if self._encoding == PositionEncodingKind.Utf8 or text.isascii():
            return min(start + position.character, end)
        left = position.character
        for character in as_text(text):
            left -= self._units(as_bytes(character))
            if left < 0:
                break
            start += len(as_bytes(character))
        return min(start, end)

    def line_range(self, line: int) -> tuple[int, int]:
        """Return the offsets of the start and the end of a line, counted from 0, without its ending."""
        return self._starts[line], self._ends[line]

    @property
    def lines(self) -> int:
        """The number of lines; the text after the last line ending is one, even if it is empty."""
        return len(self._starts)

    def span_of(self, place: Place) -> tuple[int, int]:
        """Return the offsets of a place, whose columns are characters and whose lines end with a line feed."""
        return self._offset_of(place.line, place.column), self._offset_of(place.end_line, place.end_column)

    def _offset_of(self, line: int, column: int) -> int:
        if line > len(self._after_feeds):
            return len(self.source)
        start = self._after_feeds[line - 1]
        if line == 1 and self.source.startswith(_BYTE_ORDER_MARK):
            start = len(_BYTE_ORDER_MARK)
        end = self.source.find(b"\n", start)
        text = self.source[start : end if end >= 0 else len(self.source)]
        if text.isascii():
            return start + min(column - 1, len(text))
        return start + min(len(as_bytes(as_text(text)[: column - 1])), len(text))

    def _units(self, text: bytes) -> int:
        if self._encoding == PositionEncodingKind.Utf8 or text.isascii():
            return len(text)
        characters = as_text(text)
        if self._encoding == PositionEncodingKind.Utf32:
            return len(characters)
        return len(characters) + sum(character > "\uffff" for character in characters)


def changed(source: bytes, change: TextDocumentContentChangeEvent, encoding: str) -> bytes:
    """Return a text after a change: of a range, or of the whole."""
    new = as_bytes(change.text)
    if not isinstance(change, Partial):
        return new
    positions = Positions(source, encoding)
    start, end = positions.offset(change.range.start), positions.offset(change.range.end)
    return source[:start] + new + source[max(start, end) :]


def difference(old: bytes, new: bytes) -> tuple[int, int, bytes]:
    """Return the one replacement that makes one text another: from where to where, and by what. It splits no character."""
    limit = min(len(old), len(new))
    start = 0
    step = 1 << max(limit.bit_length() - 1, 0)
    while step:  # the longest common beginning, by halves: comparing slices is fast
        if start + step <= limit and old[start : start + step] == new[start : start + step]:
            start += step
        else:
            step >>= 1
    while start and start < len(old) and old[start] & 0xC0 == 0x80:
        start -= 1
    limit -= start
    end = 0
    step = 1 << max(limit.bit_length() - 1, 0)
    while step:
        if end + step <= limit and old[len(old) - end - step : len(old) - end] == new[len(new) - end - step : len(new) - end]:
            end += step
        else:
            step >>= 1
    while end and old[len(old) - end] & 0xC0 == 0x80:
        end -= 1
    return start, len(old) - end, new[start : len(new) - end]
