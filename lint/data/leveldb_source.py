"""Read LevelDB files directly, since its library locks the database and writes to it even when reading.

CURRENT names a MANIFEST, which lists the live files: tables by level, and the log that is not in a table yet.
Layouts: LevelDB's doc/table_format.md, doc/log_format.md and db/version_edit.cc.
"""

from __future__ import annotations

import heapq
import os
import re
import struct
from collections.abc import Iterator
from itertools import islice

from ..source.errors import message_of
from ..source.opener import Unreadable, open_regular, read_regular
from . import snappy
from .broken import BrokenDatabase
from .datum import BrokenDatum, read_varint
from .lmdb_source import name_of
from .records import RecordLook, chosen_runs
from .source_report import SourceReport, Watch

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_BLOCK = 32768  # block size of a log
_LONGEST_NAME = 1_000  # of the manifest, in CURRENT
_LARGEST_LOG = 1_000_000_000  # write_buffer_size is 4 MB unless set; Caffe does not set it
_LOG_NAME = re.compile(r"[0-9]{1,20}\.log")
_HEADER = struct.Struct("<IHB")

Entry = tuple[bytes, int, bytes | None]  # key, negative sequence number, value, or None if deleted


def is_leveldb(path: str) -> bool:
    """Whether a folder contains a LevelDB."""
    return os.path.isfile(os.path.join(path, "CURRENT"))


def records(path: str) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over keys and values in the order of keys, without duplicates and deleted keys. Raises BrokenDatabase."""
    levels, logs = _live_files(path)
    runs = [_table(path, number) for number in levels.pop(0, [])]
    runs += [_chained(path, numbers) for _, numbers in sorted(levels.items())]
    runs += [iter(sorted(_log_entries(path, number), key=lambda entry: entry[:2])) for number in logs]
    last = None
    for key, _, value in heapq.merge(*runs, key=lambda entry: entry[:2]):
        if key != last:
            last = key
            if value is not None:
                yield key, value


def count(path: str) -> int:
    """Return the number of records, which requires reading all keys. Raises BrokenDatabase."""
    return sum(1 for _ in records(path))


def look(
    path: str, watch: Watch, *, sample: int | None, annotated: bool, largest: int, pixel_labels: bool, part: int = 0, parts: int = 1
) -> SourceReport:
    """Check the records, or one of several parts of them. Raises BrokenDatabase."""
    report = SourceReport("leveldb", path)
    report.items = count(path)
    work = RecordLook(report, watch, annotated=annotated, largest=largest, pixel_labels=pixel_labels)
    last = b""

    def values() -> Iterator[bytes]:
        nonlocal last
        every = records(path)
        if (sample is None or sample >= (report.items or 0)) and parts == 1:
            for key, value in every:
                last = key
                yield value
            return
        at = 0
        for index in chosen_runs(report.items or 0, sample, part, parts):
            last, value = next(islice(every, index - at, None))
            at = index + 1
            yield value

    work.look(values(), lambda: name_of(last))
    return report


# -- which files are live --------------------------------------------------------------------------------------


def _live_files(path: str) -> tuple[dict[int, list[int]], list[int]]:
    """Return the tables of each level, with the newest of level 0 last, and the live logs."""
    try:
        manifest = read_regular(os.path.join(path, "CURRENT"), _LONGEST_NAME).decode("ascii").strip()
        edits = list(_log_records(os.path.join(path, os.path.basename(manifest))))
        names = os.listdir(path)
    except Unreadable as error:
        raise BrokenDatabase(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenDatabase(f"{path}: {getattr(error, 'strerror', None) or 'CURRENT is damaged'}") from None
    tables: dict[int, tuple[int, bytes]] = {}
    log = previous = 0
    try:
        for edit in edits:
            at = 0
            while at < len(edit):
                tag, at = read_varint(edit, at)
                if tag in (1, 5):  # comparator; compaction pointer: a level and a key
                    if tag == 5:
                        _, at = read_varint(edit, at)
                    size, at = read_varint(edit, at)
                    at += size
                elif tag in (2, 3, 4, 9):
                    number, at = read_varint(edit, at)
                    log, previous = (number, previous) if tag == 2 else (log, number) if tag == 9 else (log, previous)
                elif tag == 6:
                    _, at = read_varint(edit, at)
                    number, at = read_varint(edit, at)
                    tables.pop(number, None)
                elif tag == 7:
                    level, at = read_varint(edit, at)
                    number, at = read_varint(edit, at)
                    _, at = read_varint(edit, at)
                    size, at = read_varint(edit, at)
                    smallest = edit[at : at + size]
                    at += size
                    size, at = read_varint(edit, at)
                    at += size
                    tables[number] = level, smallest
                else:
                    raise BrokenDatum("it has an unknown entry")
    except BrokenDatum as error:
        raise BrokenDatabase(f"{path}: {manifest} is damaged: {error}") from None
    levels: dict[int, list[int]] = {}
    for number, (level, _) in sorted(tables.items(), key=lambda one: one[1][1] if one[1][0] else b""):
        levels.setdefault(level, []).append(number)
    logs = sorted(
        number
        for number in (int(name[:-4]) for name in names if _LOG_NAME.fullmatch(name))
        if number >= log or number == previous
    )
    return levels, logs


# -- logs ------------------------------------------------------------------------------------------------------


def _log_records(path: str) -> Iterator[bytes]:
    """Return the complete records of a log file; the last one may still be being written."""
    content = read_regular(path, _LARGEST_LOG)
    at = 0
    parts: list[bytes] = []
    while at + _HEADER.size <= len(content):
        left = _BLOCK - at % _BLOCK
        if left < _HEADER.size:
            at += left
            continue
        _, size, kind = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        if kind == 0 or at + size > len(content):
            return
        parts.append(content[at : at + size])
        at += size
        if kind in (1, 4):  # complete, or the last part
            yield b"".join(parts)
            parts = []


def _log_entries(path: str, number: int) -> list[Entry]:
    entries: list[Entry] = []
    name = os.path.join(path, f"{number:06d}.log")
    try:
        for batch in _log_records(name):
            (sequence,) = struct.unpack_from("<Q", batch)
            at = 12
            while at < len(batch):
                kind = batch[at]
                key, at = _text(batch, at + 1)
                value = None
                if kind == 1:
                    value, at = _text(batch, at)
                entries.append((key, -sequence, value))
                sequence += 1
    except Unreadable as error:
        raise BrokenDatabase(str(error)) from None
    except BrokenDatum as error:
        raise BrokenDatabase(f"{name}: {error}") from None
    except struct.error:
        raise BrokenDatabase(f"{name}: it is damaged") from None
    return entries


# -- tables ----------------------------------------------------------------------------------------------------


def _chained(path: str, numbers: list[int]) -> Iterator[Entry]:
    for number in numbers:
        yield from _table(path, number)


def _table(path: str, number: int) -> Iterator[Entry]:
    """Iterate over the entries of a table, block by block."""
    name = next(
        (full for end in ("ldb", "sst") if os.path.exists(full := os.path.join(path, f"{number:06d}.{end}"))), None
    )
    if name is None:
        raise BrokenDatabase(f"{path}: table {number:06d}.ldb is missing")
    try:
        with open_regular(name) as file:
            file.seek(0, os.SEEK_END)
            size = file.tell()
            if size < _FOOTER:
                raise BrokenDatum("it is truncated")
            file.seek(size - _FOOTER)
            footer = file.read(_FOOTER)
            if struct.unpack_from("<Q", footer, 40)[0] != _MAGIC:
                raise BrokenDatum("it does not end like a table")
            at = 0
            for _ in range(2):
                _, at = read_varint(footer, at)
            offset, at = read_varint(footer, at)
            length, at = read_varint(footer, at)
            for _, handle in _block(_read(file.fileno(), offset, length, size)):
                offset, at = read_varint(handle, 0)
                length, at = read_varint(handle, at)
                for key, value in _block(_read(file.fileno(), offset, length, size)):
                    if len(key) < 8:
                        raise BrokenDatum("a key is too short")
                    (mark,) = struct.unpack_from("<Q", key, len(key) - 8)
                    yield key[:-8], -(mark >> 8), value if mark & 0xFF == 1 else None
    except Unreadable as error:
        raise BrokenDatabase(str(error)) from None
    except OSError as error:
        raise BrokenDatabase(message_of(error, name)) from None
    except (BrokenDatum, snappy.BrokenSnappy) as error:
        raise BrokenDatabase(f"{name}: {error}") from None
    except struct.error:
        raise BrokenDatabase(f"{name}: it is damaged") from None


def _text(content: bytes, at: int) -> tuple[bytes, int]:
    """Return the bytes whose length stands at a position, and the position after them. Raises BrokenDatum."""
    size, at = read_varint(content, at)
    if at + size > len(content):
        raise BrokenDatum("it is truncated")
    return content[at : at + size], at + size


def _read(descriptor: int, offset: int, length: int, end: int) -> bytes:
    if offset + length + 5 > end:
        raise BrokenDatum("it is truncated")
    content = os.pread(descriptor, length + 5, offset)
    if len(content) < length + 5:
        raise BrokenDatum("it is truncated")
    kind = content[length]
    if kind == 0:
        return content[:length]
    if kind == 1:
        return snappy.decompress(content[:length])
    raise BrokenDatum("a block has an unknown compression")


def _block(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return the keys and values of a block; a key may share a prefix with the one before it."""
    if len(content) < 4:
        raise BrokenDatum("a block is too short")
    (restarts,) = struct.unpack_from("<I", content, len(content) - 4)
    end = len(content) - 4 - 4 * restarts
    at = 0
    key = b""
    while at < end:
        shared, at = read_varint(content, at)
        own, at = read_varint(content, at)
        size, at = read_varint(content, at)
        if shared > len(key) or at + own + size > end:
            raise BrokenDatum("a block is damaged")
        key = key[:shared] + content[at : at + own]
        at += own
        yield key, content[at : at + size]
        at += size
