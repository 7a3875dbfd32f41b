"""Read HDF5 data: a list of files, whose datasets have the names of the tops that they fill.

Source: hdf5_data_layer.cpp; util/hdf5.cpp, hdf5_load_nd_dataset_helper (float and integer classes, 0 to 4 axes).
"""

from __future__ import annotations

import hashlib
import math
import os
from contextlib import suppress
from typing import Any

from ..source.opener import MAX_LIST, Unreadable, open_regular
from .hdf5_file import BrokenHdf5, dataset_at, open_hdf5
from .image_list import text_lines
from .source_report import SourceReport, Watch

_PURPOSE = "reading HDF5"
_VALUES = 1 << 22  # number of values to read at once


def listed(path: str) -> list[str]:
    """Return the files named by a list. Raises Unreadable."""
    with open_regular(path, MAX_LIST) as file:
        return [name for line in text_lines(path, file) for name in line.split()]  # like Caffe, split at white space


def count(path: str, base: str, top: str) -> int:
    """Return the number of items in all files. Raises MissingLibrary, Unreadable or BrokenHdf5."""
    total = 0
    for name in listed(path):
        with open_hdf5(os.path.join(base, name), _PURPOSE) as file:
            dataset = dataset_at(file, top)
            if dataset is None or not dataset.shape:
                raise BrokenHdf5(f"it has no dataset '{top}'")
            total += int(dataset.shape[0])
    return total


def look(
    path: str, base: str, tops: tuple[str, ...], labels: tuple[str, ...], watch: Watch, *, sample: int | None
) -> SourceReport:
    """Check the datasets of some tops in every file; those in `labels` are counted value by value.

    Raises MissingLibrary, and Unreadable if the list cannot be read.
    """
    report = SourceReport("hdf5", path)
    report.items = 0
    files = listed(path)
    if not files:
        report.error, report.error_kind = "is an empty list", "unreadable"
        return report
    for name in files:
        full = os.path.join(base, name)
        try:
            with open_hdf5(full, _PURPOSE) as file:
                report.items += _items(file, tops)
        except (BrokenHdf5, Unreadable):
            continue  # reported below
    share = min(1.0, sample / report.items) if sample is not None and report.items else 1.0
    for name in files:
        full = os.path.join(base, name)
        if not os.path.exists(full):
            report.fault("missing", name)
            continue
        try:
            with open_hdf5(full, _PURPOSE) as file:
                _look_at_file(report, file, name, tops, labels, share, watch)
        except BrokenHdf5 as error:
            report.fault("broken", f"{name}: {error}")
        except Unreadable as error:
            report.fault("broken", f"{name}: {error.reason}")
        if not report.complete:
            break
    return report


def _items(file: Any, tops: tuple[str, ...]) -> int:
    for top in tops:
        with suppress(BrokenHdf5):
            dataset = dataset_at(file, top)
            if dataset is not None and dataset.shape:
                return int(dataset.shape[0])
    return 0


def _look_at_file(
    report: SourceReport,
    file: Any,
    name: str,
    tops: tuple[str, ...],
    labels: tuple[str, ...],
    share: float,
    watch: Watch,
) -> None:
    sizes: dict[str, int] = {}
    for top in tops:
        try:
            dataset = dataset_at(file, top)
        except BrokenHdf5 as error:
            report.fault("broken", f"{name}: '{top}': {error}")
            continue
        if dataset is None:
            has = ", ".join(sorted(file)[:8]) or "nothing"
            report.fault("no-dataset", f"{name}: no dataset '{top}', found: {has}")
            continue
        if dataset.dtype.kind not in "fiu":
            report.fault("type", f"{name}: '{top}' has type {dataset.dtype}")
            continue
        if not dataset.shape:
            report.fault("dims", f"{name}: '{top}' is a single value without axes")
            continue
        sizes[top] = dataset.shape[0]
        shape = tuple(map(int, dataset.shape[1:]))
        known = report.array_shapes.setdefault(top, shape)
        if known != shape:
            report.fault("dims", f"{name}: '{top}' has items of shape {_dims(shape)}, earlier files {_dims(known)}")
            continue
        if not _look_at_dataset(
            report, dataset, f"{name}, '{top}'", top, top in labels, share, watch if top == tops[0] else None
        ):
            report.interrupted = True
            return
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"'{top}' {size}" for top, size in sizes.items())
        report.fault("lengths", f"{name}: {shown}")


def _look_at_dataset(
    report: SourceReport, dataset: Any, place: str, top: str, label: bool, share: float, watch: Watch | None
) -> bool:
    import numpy  # of the extra `data`

    items = dataset.shape[0]
    values = max(1, int(numpy.prod(dataset.shape[1:], dtype=numpy.int64)))
    rows = max(1, min(_VALUES // values, 4096))
    step = max(1, round(1 / share)) if share > 0 else 1
    numbers = report.numbers(top)
    for start in range(0, items, rows):
        array = dataset[start : start + rows : step]

        def where(row: int, start: int = start) -> str:
            return f"{place} item {start + row * step}"

        nan, infinite = numbers.add_array(array, where)
        for kind, found in (("nan", nan), ("infinite", infinite)):
            for row in found:
                report.fault(kind, where(row))
        if label:
            seen, at, counts = numpy.unique(array.reshape(-1), return_index=True, return_counts=True)
            for value, index, number in zip(seen.tolist(), at.tolist(), counts.tolist(), strict=True):
                if math.isfinite(value):
                    report.label(top, float(value), where(index // values), number)
        elif watch is not None and array.dtype.kind in "fiu":
            for row in range(len(array)):
                content = numpy.ascontiguousarray(array[row]).tobytes()
                report.content(int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little"), where(row))
        if watch is not None:
            report.looked_at += len(array)
            if not watch.seen(len(array)):
                return False
    return True


def _dims(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one value"
