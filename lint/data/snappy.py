"""Unpacking Snappy, with cramjam where it is installed and else by hand. Layout: snappy's format_description.txt."""

from __future__ import annotations

from functools import cache
from typing import Any

from .datum import BrokenDatum, read_varint


class BrokenSnappy(Exception):
    """Bytes that are not packed by Snappy."""


def decompress(content: bytes) -> bytes:
    """The bytes that were packed. Raises BrokenSnappy."""
    quick = _cramjam()
    if quick is not None:
        try:
            return bytes(quick.decompress_raw(content))
        except quick_error(quick) as error:
            raise BrokenSnappy(f"a packed block is damaged: {error}") from None
    return unpack(content)


def quick_error(quick: Any) -> type[Exception]:
    """What cramjam raises for damaged bytes."""
    import cramjam  # of the extra `data`

    error: type[Exception] = cramjam.DecompressionError
    return error


def unpack(content: bytes) -> bytes:
    """The same in Python. Raises BrokenSnappy."""
    try:
        return _unpack(content)
    except (BrokenDatum, IndexError):
        raise BrokenSnappy("a packed block is damaged") from None


def _unpack(content: bytes) -> bytes:
    total, at = read_varint(content, 0)
    out = bytearray()
    while at < len(content):
        tag = content[at]
        at += 1
        kind = tag & 3
        if kind == 0:  # bytes as they are
            size = tag >> 2
            if size >= 60:
                extra = size - 59
                size = int.from_bytes(content[at : at + extra], "little")
                at += extra
            size += 1
            out += content[at : at + size]
            at += size
            continue
        if kind == 1:
            size, back = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | content[at]
            at += 1
        else:
            width = 2 if kind == 2 else 4
            size, back = (tag >> 2) + 1, int.from_bytes(content[at : at + width], "little")
            at += width
        if not 0 < back <= len(out):
            raise IndexError
        start = len(out) - back
        piece = bytes(out[start : start + size])
        while len(piece) < size:  # it may reach into what it makes itself
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
