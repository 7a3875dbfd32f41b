"""Read mean files and infogain matrices: a BlobProto. Sources: data_transformer.cpp, constructor; infogain_loss_layer.cpp."""

from __future__ import annotations

import struct

from ..proto.named_tuple import NamedTuple
from ..source.opener import MAX_IMAGE, read_regular
from .broken import BrokenData
from .datum import BrokenDatum, fields, read_varint


class Mean(NamedTuple):
    """A mean image: channels, height and width; `faulty` says what is wrong with its values, such as "contains NaN or infinity".

    `values` are its floats, little-endian.
    """

    shape: tuple[int, int, int]
    faulty: str
    values: bytes


class BrokenMean(BrokenData):
    """The file is not a BlobProto with an image; the message says why."""


def read(path: str) -> Mean:
    """Read the mean image of a file. Raises Unreadable, BrokenMean."""
    content = read_regular(path, MAX_IMAGE)
    sizes = {1: 0, 2: 0, 3: 0, 4: 0}
    dims: list[int] = []
    parts: list[bytes] = []
    faulty = ""
    try:
        for number, wire, start, end in fields(content):
            if number in sizes and wire == 0:
                sizes[number] = start
            elif number == 5:
                parts.append(content[start:end])
                if faulty == "" and not _finite(content[start:end]):
                    faulty = "contains NaN or infinity"
            elif number == 7 and wire == 2:
                for inner, kind, a, b in fields(content, start, end):
                    if inner == 1 and kind == 0:
                        dims.append(a)
                    elif inner == 1 and kind == 2:
                        dims += _varints(content, a, b)
    except BrokenDatum as error:
        raise BrokenMean(str(error)) from None
    shape = dims or [sizes[1], sizes[2], sizes[3], sizes[4]]
    count = 1
    for dim in shape:
        count *= dim
    values = b"".join(parts)
    if not values or count != len(values) // 4:
        raise BrokenMean(f"it is not a BlobProto with an image: {len(values) // 4} values for {' x '.join(map(str, shape))}")
    shape = [1] * (3 - len(shape)) + shape
    return Mean((shape[-3], shape[-2], shape[-1]), faulty, values)


def _varints(content: bytes, at: int, end: int) -> list[int]:
    found = []
    while at < end:
        number, at = read_varint(content, at)
        found.append(number)
    return found


def _finite(raw: bytes) -> bool:
    return all(byte & 0x7F != 0x7F or second < 0x80 for byte, second in zip(raw[3::4], raw[2::4], strict=False)) or (
        all(value - value == 0 for (value,) in struct.iter_unpack("<f", raw[: len(raw) // 4 * 4]))
    )
