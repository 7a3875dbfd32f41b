"""Read window files as WindowData does: images, each with windows and their labels and overlaps.

    # 0
    images/000.jpg
    3 375 500
    2
    7 0.9 10 10 60 80
    0 0.1 30 30 70 90

Source: window_data_layer.cpp, DataLayerSetUp.
"""

from __future__ import annotations

import os

from ..proto.named_tuple import NamedTuple
from ..source.opener import MAX_LIST, open_regular
from .broken import BrokenData
from .image_list import text_lines, whole
from .listed_images import look_at_file
from .source_report import ITEM_LABELS, SourceReport, Watch, chosen


class Window(NamedTuple):
    """A window: its line in the file, and its label, overlap and corners."""

    where: str
    label: int
    overlap: float
    corners: tuple[int, int, int, int]


class Windows(NamedTuple):
    """An image of a window file, with the size that the file gives, and its windows."""

    where: str
    image: str
    channels: int
    height: int
    width: int
    windows: list[Window]


class BrokenWindowFile(BrokenData):
    """The window file is malformed; the message says where."""


def read(path: str) -> list[Windows]:
    """Read the images of a window file. Raises Unreadable, BrokenWindowFile."""
    with open_regular(path, MAX_LIST) as file:
        words = [(word, number) for number, line in enumerate(text_lines(path, file), 1) for word in line.split()]
    images: list[Windows] = []
    at = 0

    def word(what: str) -> tuple[str, int]:
        nonlocal at
        if at >= len(words):
            raise BrokenWindowFile(f"expected {what}, found the end of the file")
        at += 1
        return words[at - 1]

    def number(what: str) -> int:
        text, line = word(what)
        value = whole(text)
        if value is None:
            raise BrokenWindowFile(f"line {line}: expected {what}, found '{text[:40]}'")
        return value

    while at < len(words):
        mark, line = word("'#'")
        if mark != "#":
            raise BrokenWindowFile(f"line {line}: expected '#' and the number of an image, found '{mark}'")
        number("the number of an image")
        image, _ = word("the path of an image")
        channels, height, width = (number(what) for what in ("channels", "a height", "a width"))
        windows = []
        for _ in range(number("a number of windows")):  # each needs words of the file
            line = words[at][1] if at < len(words) else 0
            label = number("a label")
            text, _ = word("an overlap")
            try:
                overlap = float(text)
            except ValueError:
                raise BrokenWindowFile(f"line {line}: expected an overlap, found '{text}'") from None
            x0, y0, x1, y1 = (number("a corner") for _ in range(4))
            windows.append(Window(f"line {line}", label, overlap, (x0, y0, x1, y1)))
        images.append(Windows(f"line {words[at - 1][1]}", image, channels, height, width, windows))
    return images


def count(path: str) -> int:
    """Return the number of windows. Raises Unreadable, BrokenWindowFile."""
    return sum(len(image.windows) for image in read(path))


def look(
    path: str, base: str, root: str, watch: Watch, *, sample: int | None, foreground: float, background: float
) -> SourceReport:
    """Check every window and the sampled images. Raises Unreadable, MissingLibrary."""
    report = SourceReport("windows", path)
    try:
        images = read(path)
    except BrokenWindowFile as error:
        report.error, report.error_kind = f"is not a valid window file: {error}", "unreadable"
        return report
    report.items = sum(len(image.windows) for image in images)
    if not report.items:
        report.error, report.error_kind = "has no windows", "unreadable"
    for image in images:
        for window in image.windows:
            if window.overlap >= foreground:
                report.label(ITEM_LABELS, float(window.label), window.where)
                if window.label <= 0:
                    report.fault("foreground", f"{window.where}: label {window.label}")
            elif window.overlap < background:
                report.label(ITEM_LABELS, 0.0, window.where)
            x0, y0, x1, y1 = window.corners
            if x0 < 0 or y0 < 0 or x1 >= image.width or y1 >= image.height or x1 < x0 or y1 < y0:
                report.fault("box", f"{window.where}: {x0}, {y0} to {x1}, {y1} in {image.width} x {image.height}")
    for index in chosen(len(images), sample):
        image = images[index]
        before = set(report.shapes)
        look_at_file(report, os.path.join(base, root + image.image), image.image, image.where)
        for shape in set(report.shapes) - before:
            if shape[1:] != (image.height, image.width):
                size = f"{image.height} x {image.width} in the file, the image has {shape[1]} x {shape[2]}"
                report.fault("dims", f"{image.where}: {size}")
        report.looked_at += len(image.windows)
        if not watch.seen(len(image.windows)):
            report.interrupted = True
            break
    return report
