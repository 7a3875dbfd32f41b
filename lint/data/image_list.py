"""Read lists of images and labels, one per line, as ImageData and similar layers of forks do.

Source: image_data_layer.cpp, DataLayerSetUp (the label is what follows the last space, read by atoi).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedReader

from ..proto.named_tuple import NamedTuple
from ..source.opener import MAX_LIST, Unreadable, open_regular

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_LONGEST_LINE = 100_000  # a path is limited to 4,096 bytes (PATH_MAX)


class Line(NamedTuple):
    """A line of a list: its number, counted from 1, the image and the label as written, None if there is no label."""

    number: int
    image: str
    label: str | None


def lines(path: str) -> Iterator[Line]:
    """Return the lines of a list that are not empty. Raises Unreadable."""
    with open_regular(path, MAX_LIST) as file:
        for number, text in enumerate(text_lines(path, file), 1):
            if text.strip():
                image, space, label = text.rpartition(" ")
                yield Line(number, image if space else text, label if space else None)


def text_lines(path: str, file: BufferedReader) -> Iterator[str]:
    """Return the lines of an open file without their line feeds. Raises Unreadable for what is no list of names."""
    while line := file.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise Unreadable(path, f"a line is longer than {_LONGEST_LINE} bytes")
        if b"\0" in line:
            raise Unreadable(path, "this is a binary file, not a list")
        yield line.decode("utf-8", "surrogateescape").removesuffix("\n")


def whole(text: str) -> int | None:
    """Return the int that a text is, None for anything else and for one that no C int can hold."""
    if not _INTEGER.fullmatch(text):
        return None
    value = int(text)
    return value if -(2**31) <= value < 2**31 else None


def count(path: str) -> int:
    """Return the number of items. Raises Unreadable."""
    return sum(1 for _ in lines(path))
