"""Lists of images with labels, a line each, as ImageData and the forks' layers of its kind read them.

Source: image_data_layer.cpp, DataLayerSetUp (the label is what follows the last space, read by atoi).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..proto.named_tuple import NamedTuple


class Line(NamedTuple):
    """A line of a list: its number from 1, the image as written, and the label as written, None without one."""

    number: int
    image: str
    label: str | None


def lines(path: str) -> Iterator[Line]:
    """The lines of a list that are not empty. Raises OSError."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for number, text in enumerate(file, 1):
            text = text.rstrip("\n")
            if text.strip():
                image, space, label = text.rpartition(" ")
                yield Line(number, image if space else text, label if space else None)


def count(path: str) -> int:
    """The number of items. Raises OSError."""
    return sum(1 for _ in lines(path))
