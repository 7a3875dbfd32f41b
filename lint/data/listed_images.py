"""Check a list of images: its lines and the files that they name."""

from __future__ import annotations

import os
import re

from ..source.opener import MAX_IMAGE, Unreadable, read_regular
from .image_list import Line, lines, whole
from .images import look_at
from .records import chosen_runs, count_pixel_labels, digest
from .source_report import ITEM_LABELS, SourceReport, Watch

_INTEGER = re.compile(r"[+-]?[0-9]+").fullmatch
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?").fullmatch
_SHOWN = 40  # characters of a wrong label


def look(
    path: str, base: str, root: str, watch: Watch, *, sample: int | None, pixel_labels: bool, part: int = 0, parts: int = 1
) -> SourceReport:
    """Check every line, and the images of the sampled ones. `root` is the layer's root_folder.

    With `pixel_labels` the values of the images are labels, and each is counted.

    The first of several parts checks the lines. Raises Unreadable if the list cannot be read, MissingLibrary.
    """
    report = SourceReport("images", path)
    every = list(lines(path))
    report.items = len(every)
    if part == 0:
        if not every:
            report.error, report.error_kind = "is an empty list", "unreadable"
        for line in every:
            _look_at_line(report, line)
    for index in chosen_runs(len(every), sample, part, parts):
        line = every[index]
        if line.label is not None:
            where = f"line {line.number}"
            histogram = look_at_file(report, os.path.join(base, root + line.image), line.image, where)
            if pixel_labels:
                count_pixel_labels(report, histogram, where)
        report.looked_at += 1
        if not watch.seen(1):
            report.interrupted = True
            break
    return report


def _look_at_line(report: SourceReport, line: Line) -> None:
    where = f"line {line.number}"
    if line.label is None:
        report.fault("line", f"{where}: no space between image and label: '{line.image}'")
        return
    label = line.label.rstrip("\r")
    shown = label if len(label) <= _SHOWN else label[:_SHOWN] + "…"
    if "\t" in label or (not label and line.image):
        what = "a tab where Caffe expects a space" if "\t" in label else "a space at the end with no label after it"
        report.fault("line", f"{where}: {what}")
    elif _INTEGER(label):
        value = whole(label)
        if value is None:
            report.fault("label", f"{where}: {shown}")
        else:
            report.label(ITEM_LABELS, float(value), where)
    elif _NUMBER(label):
        report.fault("label", f"{where}: {shown}, read as {_atoi(label)}")
    else:
        report.fault("label", f"{where}: '{shown}' is not a number, read as {_atoi(label)}")
    if line.image != line.image.strip():
        report.fault("line", f"{where}: more than one space before the label")
    elif re.search(r" [+-]?\d+$", line.image):
        report.fault("line", f"{where}: more than one label; Caffe takes everything before the last one as the path")
    elif " " in line.image:
        report.fault("space", f"{where}: '{line.image}'")


def _atoi(text: str) -> str:
    match = re.match(r"\s*([+-]?[0-9]+)", text)
    value = whole(match[1]) if match else 0
    return "some other number" if value is None else str(value)


def look_at_file(report: SourceReport, path: str, name: str, where: str) -> list[int]:
    """Check one image file. Return its histogram, empty if it cannot be decoded."""
    try:
        content = read_regular(path, MAX_IMAGE)
    except Unreadable:
        report.fault("unreadable" if os.path.lexists(path) else "missing", f"{where}: {name}")
        return []
    image = look_at(content)
    report.encoded += 1
    if image.fault:
        report.fault("empty" if not content else image.fault, f"{where}: {name}: {image.detail}")
    if image.fault == "unreadable":
        return []
    report.shape((image.channels, image.height, image.width), where)
    if image.histogram:
        report.numbers("data").add_counts(image.histogram)
    report.content(digest(content), f"{where}: {name}")
    return image.histogram
