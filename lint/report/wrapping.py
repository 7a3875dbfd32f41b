"""Text for a terminal: lines that are too long are continued below, never inside a word."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_BREAKS = re.compile(r"[ \t\n\v\f\r]")


def columns(text: str) -> int:
    """Return how many columns a text takes. Marks of colours take none, and East Asian letters two."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if "\ud800" <= character <= "\udbff" or unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def wrapped(text: str, width: int, *, first: str = "", others: str = "") -> list[str]:
    """Return a text in lines of at most that width; the first begins with `first`, the others with `others`.

    Loading `textwrap` would take longer than most whole reports.
    """
    lines = [first]
    starts = columns(first)
    taken = starts
    for word in filter(None, _BREAKS.split(text)):
        size = columns(word)
        if taken == starts:
            lines[-1] += word
        elif taken + 1 + size <= width:
            lines[-1] += f" {word}"
            size += 1
        else:
            lines.append(others + word)
            starts = taken = columns(others)
        taken += size
    return lines


def fitted(text: str, width: int | None) -> str:
    """Return a text whose lines fit a terminal; what continues a line is indented more. Without a width, it stays as it is."""
    return text if width is None else "\n".join(line for one in text.split("\n") for line in _fitted(one, width))


def _fitted(line: str, width: int) -> Iterator[str]:
    if columns(line) <= width:
        yield line
        return
    indent = line[: len(line) - len(line.lstrip(" "))]
    yield from wrapped(line, width, first=indent, others=f"{indent}  ")
