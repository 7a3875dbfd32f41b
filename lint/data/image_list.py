"""Read lists of images and labels, one per line, as ImageData and similar layers of forks do.

Source: image_data_layer.cpp, DataLayerSetUp (the label is what follows the last space, read by atoi).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from io import BufferedReader

from ..proto.named_tuple import NamedTuple
from ..source.opener import MAX_LIST, Unreadable, open_regular
from ..source.questions import question

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_LARGEST = 5_000_000  # bytes of a list whose labels are read in a check
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


@question
def labels_near(net: str, written: str) -> tuple[tuple[int, int, int], ...]:
    """Return the labels of a list that a net names, each with its number of items and first line.

    Empty if the list is in neither the working directory nor the net's folder, or is too large to be read in a check.
    """
    for base in ("", os.path.dirname(net)):
        path = os.path.join(base, written)
        if written and os.path.isfile(path) and os.path.getsize(path) <= _LARGEST:
            return _labels(path)
    return ()


def _labels(path: str) -> tuple[tuple[int, int, int], ...]:
    found: dict[int, list[int]] = {}
    try:
        for line in lines(path):
            label = whole((line.label or "").rstrip("\r"))
            if label is not None:
                found.setdefault(label, [0, line.number])[0] += 1
    except (OSError, Unreadable):
        return ()
    return tuple((label, number, first) for label, (number, first) in sorted(found.items()))
