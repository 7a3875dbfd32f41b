"""Read LMDB without locking and read-only, so that a training run can use it at the same time."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..source.opener import Unreadable, open_regular
from .broken import BrokenDatabase
from .libraries import library
from .records import RecordLook, chosen_runs
from .source_report import SourceReport, Watch

_META = struct.Struct("<16xII16xI92xQQ")  # after the page's header: magic, version, page size, last page, transaction
_MAGIC = 0xBEEFC0DE


@contextmanager
def open_lmdb(path: str) -> Iterator[Any]:
    """Open the environment at a path, a folder or a file. Raises MissingLibrary, Unreadable, and BrokenDatabase if it is damaged."""
    lmdb = library("lmdb", "reading LMDB")
    is_folder = os.path.isdir(path)
    _check_size(os.path.join(path, "data.mdb") if is_folder else path)
    try:
        with lmdb.open(
            path, readonly=True, lock=False, create=False, subdir=is_folder, max_dbs=0, readahead=True
        ) as environment:
            yield environment
    except lmdb.InvalidError:
        raise BrokenDatabase("it is not an LMDB") from None
    except lmdb.VersionMismatchError:
        raise BrokenDatabase("another version of LMDB wrote it") from None
    except lmdb.Error:
        raise BrokenDatabase("it is damaged") from None


def _check_size(path: str) -> None:
    """Raise Unreadable if a database is shorter than it says: reading what is missing would kill the process (SIGBUS).

    Layout: mdb.c, MDB_meta. Each of the first two pages has a meta; the one of the later transaction holds.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        first = file.read(_META.size)
        if len(first) < _META.size or _META.unpack(first)[0] != _MAGIC:
            return  # the library says so
        page = _META.unpack(first)[2]
        file.seek(page)
        metas = [_META.unpack(one) for one in (first, file.read(_META.size)) if len(one) == _META.size]
    last = max((meta for meta in metas if meta[0] == _MAGIC), key=lambda meta: meta[-1])[-2]
    if size < (last + 1) * page:
        raise Unreadable(path, f"it is truncated: {size} bytes of {(last + 1) * page}")


def count(path: str) -> int:
    """Return the number of records. Raises the same errors as `open_lmdb`."""
    with open_lmdb(path) as environment:
        return int(environment.stat()["entries"])


def first(path: str) -> bytes:
    """Return the value of the first record, empty if there is none. Raises the same errors as `open_lmdb`."""
    with open_lmdb(path) as environment, environment.begin() as transaction:
        cursor = transaction.cursor()
        return bytes(cursor.value()) if cursor.first() else b""


def look(
    path: str, watch: Watch, *, sample: int | None, annotated: bool, largest: int, pixel_labels: bool, part: int = 0, parts: int = 1
) -> SourceReport:
    """Check the records, or one of several parts of them. Raises the same errors as `open_lmdb`."""
    lmdb = library("lmdb", "reading LMDB")
    report = SourceReport("lmdb", path)
    with open_lmdb(path) as environment, environment.begin() as transaction:
        report.items = int(environment.stat()["entries"])
        cursor = transaction.cursor()
        work = RecordLook(report, watch, annotated=annotated, largest=largest, pixel_labels=pixel_labels)

        def key() -> str:
            return name_of(cursor.key())

        try:
            if (sample is None or sample >= report.items) and parts == 1:
                work.look(cursor.iternext(keys=False, values=True), key)
            else:
                work.look(_some(cursor, chosen_runs(report.items, sample, part, parts)), key)
        except lmdb.Error:
            report.cut_short = True
            report.fault("broken", f"after {key() or 'the start'}: the database is damaged")
    return report


def _some(cursor: Any, wanted: Iterator[int]) -> Iterator[bytes]:
    at = -1
    more = True
    for index in wanted:
        while more and at < index:
            more = cursor.next()  # from the start, this goes to the first
            at += 1
        if not more:
            return
        yield cursor.value()


def name_of(key: bytes) -> str:
    """Format a key for people."""
    text = key.decode("utf-8", "backslashreplace")
    return f"key '{text}'" if text.isprintable() else f"key {key.hex()}"
