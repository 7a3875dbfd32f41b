"""Reading Datum and AnnotatedDatum off the wire, as far as a look into the data needs it.

Far quicker than making messages of them, and it can say where a broken one breaks off.
Source: caffe.proto, Datum; for AnnotatedDatum that of the SSD fork, whose numbers it has.
"""

from __future__ import annotations

import struct

from ..proto.named_tuple import NamedTuple


class BrokenDatum(Exception):
    """Bytes that are no Datum; says why."""


class Datum(NamedTuple):
    """A Datum. `start` and `end` bound its `data`; `floats` are the places of its float_data: start and end.

    `simple` tells that nothing but `data` and what stands before it depends on where a field stands: `data` is
    the only long field.
    """

    channels: int
    height: int
    width: int
    start: int
    end: int
    label: int
    floats: tuple[tuple[int, int, bool], ...]  # from, to, packed
    encoded: bool

    @property
    def values(self) -> int:
        """The number of values that its shape has."""
        return self.channels * self.height * self.width


def read_varint(value: bytes, at: int) -> tuple[int, int]:
    """The number that starts at a place, and the place behind it. Raises BrokenDatum."""
    result = shift = 0
    while shift < 70:
        if at >= len(value):
            raise BrokenDatum("it breaks off in a number")
        byte = value[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
    raise BrokenDatum("a number is too long")


def signed(number: int) -> int:
    """An int32 as it is meant."""
    number &= 0xFFFFFFFF
    return number - (1 << 32) if number >= 1 << 31 else number


def fields(value: bytes, at: int = 0, end: int | None = None) -> list[tuple[int, int, int, int]]:
    """The fields of a message: number, wire type, and for a varint its value twice, else start and end.

    Of unpacked floats each is one. Raises BrokenDatum.
    """
    end = len(value) if end is None else end
    found = []
    while at < end:
        tag, at = read_varint(value, at)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise BrokenDatum("it is no message")
        if wire == 0:
            content, at = read_varint(value, at)
            found.append((number, wire, content, content))
            continue
        if wire == 2:
            size, at = read_varint(value, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise BrokenDatum("it is no message")
        if at + size > end:
            raise BrokenDatum(f"it breaks off: field {number} needs {size} bytes, {end - at} are there")
        found.append((number, wire, at, at + size))
        at += size
    return found


def read_datum(value: bytes, at: int = 0, end: int | None = None) -> Datum:
    """The Datum in some bytes. Raises BrokenDatum."""
    end = len(value) if end is None else end
    numbers = {1: 0, 2: 0, 3: 0, 5: 0, 7: 0}
    start = stop = 0
    floats: list[tuple[int, int, bool]] = []
    while at < end:
        tag = value[at]
        if tag == 0x35:  # float_data, one by one: as many in a row as there are
            run = at
            count = numbers[1] * numbers[2] * numbers[3] or 1
            if value[at : min(end, at + 5 * count) : 5] == b"\x35" * count and at + 5 * count <= end:
                at += 5 * count
            else:
                while at < end and value[at] == 0x35:
                    at += 5
                if at > end:
                    raise BrokenDatum("it breaks off in float_data")
            floats.append((run, at, False))
            continue
        tag, at = read_varint(value, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0 and number:
            content, at = read_varint(value, at)
            if number in numbers:
                numbers[number] = content
        elif wire == 2 and number:
            size, at = read_varint(value, at)
            if at + size > end:
                raise BrokenDatum(f"it breaks off: {size} bytes are announced, {end - at} are there")
            if number == 4:
                start, stop = at, at + size
            elif number == 6:
                floats.append((at, at + size, True))
            at += size
        elif wire in (1, 5) and number:
            at += 8 if wire == 1 else 4
            if at > end:
                raise BrokenDatum("it breaks off")
        else:
            raise BrokenDatum("it is no Datum")
    return Datum(
        signed(numbers[1]), signed(numbers[2]), signed(numbers[3]), start, stop, signed(numbers[5]), tuple(floats),
        bool(numbers[7]),
    )  # fmt: skip


class Box(NamedTuple):
    """A box of an AnnotatedDatum: its label and corners, as fractions of the image."""

    label: int
    corners: tuple[float, float, float, float]


def read_annotated(value: bytes) -> tuple[Datum, list[Box]]:
    """The Datum of an AnnotatedDatum and its boxes. Raises BrokenDatum."""
    datum = None
    boxes = []
    for number, wire, start, end in fields(value):
        if number == 1 and wire == 2:
            datum = read_datum(value, start, end)
        elif number == 3 and wire == 2:
            label = 0
            for inner, kind, a, b in fields(value, start, end):
                if inner == 1 and kind == 0:
                    label = signed(a)
                elif inner == 2 and kind == 2:
                    for _, _, c, d in (one for one in fields(value, a, b) if one[:2] == (2, 2)):
                        corners = {
                            n: struct.unpack_from("<f", value, e)[0] for n, w, e, _ in fields(value, c, d) if w == 5
                        }
                        x0, y0, x1, y1 = (float(corners.get(n, 0.0)) for n in (1, 2, 3, 4))
                        boxes.append(Box(label, (x0, y0, x1, y1)))
    if datum is None:
        raise BrokenDatum("it holds no Datum")
    return datum, boxes
