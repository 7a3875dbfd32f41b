"""Read lists of images and labels, one per line, as ImageData and similar layers of forks do.

Source: image_data_layer.cpp, DataLayerSetUp (the label is what follows the last space, read by atoi).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..proto.named_tuple import NamedTuple


class Line(NamedTuple):
    """A line of a list: its number, counted from 1, the image and the label as written, None if there is no label."""

    number: int
    image: str
    label: str | None


def lines(path: str) -> Iterator[Line]:
    """Return the lines of a list that are not empty. Raises OSError."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for number, text in enumerate(file, 1):
            text = text.rstrip("\n")
            if text.strip():
                image, space, label = text.rpartition(" ")
                yield Line(number, image if space else text, label if space else None)


def count(path: str) -> int:
    """Return the number of items. Raises OSError."""
    return sum(1 for _ in lines(path))
