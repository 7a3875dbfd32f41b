"""Decompress Snappy, with cramjam if it is installed, otherwise in Python. Layout: snappy's format_description.txt."""

from __future__ import annotations

from functools import cache
from typing import Any

from .broken import BrokenData
from .datum import BrokenDatum, read_varint


class BrokenSnappy(BrokenData):
    """The data are not valid Snappy."""


def decompress(content: bytes) -> bytes:
    """Decompress data. Raises BrokenSnappy."""
    _check_size(content)
    quick = _cramjam()
    if quick is not None:
        try:
            return bytes(quick.decompress_raw(content))
        except quick_error(quick):
            pass  # it also refuses a few valid blocks: those that end in a short literal with a long form of its length
    return unpack(content)


def _check_size(content: bytes) -> None:
    """Raise BrokenSnappy if data claim a size that they cannot have: a copy of 3 bytes makes at most 64."""
    try:
        total, _ = read_varint(content, 0)
    except BrokenDatum:
        raise BrokenSnappy("a compressed block is damaged") from None
    if total > 64 * len(content):
        raise BrokenSnappy("a compressed block is damaged")


def quick_error(quick: Any) -> type[Exception]:
    """Return the exception that cramjam raises for damaged data."""
    import cramjam  # of the extra `data`

    error: type[Exception] = cramjam.DecompressionError
    return error


def unpack(content: bytes) -> bytes:
    """Decompress in pure Python. Raises BrokenSnappy."""
    try:
        return _unpack(content)
    except (BrokenDatum, IndexError):
        raise BrokenSnappy("a compressed block is damaged") from None


def _unpack(content: bytes) -> bytes:
    total, at = read_varint(content, 0)
    out = bytearray()
    while at < len(content):
        tag = content[at]
        at += 1
        kind = tag & 3
        if kind == 0:  # literal bytes
            size = tag >> 2
            if size >= 60:
                extra = size - 59
                size = int.from_bytes(content[at : at + extra], "little")
                at += extra
            size += 1
            if at + size > len(content):
                raise IndexError
            out += content[at : at + size]
            at += size
            continue
        if kind == 1:
            size, back = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | content[at]
            at += 1
        else:
            width = 2 if kind == 2 else 4
            if at + width > len(content):
                raise IndexError
            size, back = (tag >> 2) + 1, int.from_bytes(content[at : at + width], "little")
            at += width
        if not 0 < back <= len(out):
            raise IndexError
        start = len(out) - back
        piece = bytes(out[start : start + size])
        while len(piece) < size:  # the copy may overlap its own output
            piece += piece[: size - len(piece)]
        out += piece
    if len(out) != total:
        raise IndexError
    return bytes(out)


@cache
def _cramjam() -> Any:
    try:
        from cramjam import snappy  # of the extra `data`
    except ImportError:
        return None
    return snappy
