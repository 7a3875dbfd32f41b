"""Convert the text of a value to the type of its field.

The text is a token as in `tree.Scalar`, or whatever an invalid file has in its place. Each function returns None for a text
that protobuf's C++ parser would reject (text_format.cc, ConsumeFieldValue; io/tokenizer.cc).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

INT_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "sint32": (-(2**31), 2**31 - 1),
    "sfixed32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "sint64": (-(2**63), 2**63 - 1),
    "sfixed64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "fixed32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "fixed64": (0, 2**64 - 1),
}

_BOOLS = {b"true": True, b"True": True, b"t": True, b"false": False, b"False": False, b"f": False}
_SIMPLE_ESCAPES = {
    b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11, b"\\": 92, b"?": 63, b"'": 39, b'"': 34,
}  # fmt: skip
# Groups: 1 octal, 2 hexadecimal, 3 and 4 Unicode, 5 a single character; anything else is not an escape.
_ESCAPE = (
    rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U(00[01][0-9a-fA-F]{5})"
    rb"|([abfnrtv\\?'\"]))"
)
_STRING = rb"\"((?:[^\"\\\n\0]|\\[^\n\0])*)\"|'((?:[^'\\\n\0]|\\[^\n\0])*)'"
_SURROGATES = rb"\\(?:u|U0000)([dD][89aAbB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"


class Known(dict[bytes, Any]):
    """A cache from texts to their values, since nets repeat the same few texts again and again."""

    __slots__ = ("_read",)

    # Enough for the names of a large net; a file with more of them does not profit from the cache.
    LIMIT = 10_000

    def __init__(self, read: Callable[[bytes], Any]) -> None:
        self._read = read

    def __missing__(self, text: bytes) -> Any:
        value = self._read(text)
        if len(text) < 200:
            if len(self) >= self.LIMIT:
                self.clear()
            self[text] = value
        return value


def string_value(text: bytes) -> str | None:
    """Convert one or several adjacent quoted strings; bytes that are not UTF-8 become surrogates."""
    plain = text[0] == 0x22 and text.find(b'"', 1) == len(text) - 1 > 0
    if plain and not (b"\\" in text or b"\0" in text or b"\n" in text):
        return text[1:-1].decode("utf-8", "surrogateescape")
    value = bytes_value(text)
    return None if value is None else value.decode("utf-8", "surrogateescape")


def bytes_value(text: bytes) -> bytes | None:
    """Convert one or several adjacent quoted strings."""
    pieces = []
    position = 0
    part = re.compile(_STRING)
    while position < len(text):
        match = part.match(text, position)
        if match is None:
            return None
        inside = match[1] if match[1] is not None else match[2]
        if b"\\" in inside:
            if bad_escape(inside) is not None:
                return None
            inside = re.sub(_ESCAPE, _unescaped, re.sub(_SURROGATES, _joined, inside))
        pieces.append(inside)
        position = match.end()
    return b"".join(pieces) if pieces else None


def unescape(text: bytes) -> bytes:
    """Return the bytes of a quoted string, empty if it is not one."""
    return bytes_value(text) or b""


def bad_escape(inside: bytes) -> int | None:
    """Return the position of the first backslash that does not start an escape sequence."""
    escape = re.compile(_ESCAPE)
    position = inside.find(b"\\")
    while position >= 0:
        match = escape.match(inside, position)
        if match is None:
            return position
        position = inside.find(b"\\", match.end())
    return None


def _joined(surrogates: re.Match[bytes]) -> bytes:
    """Merge two escapes that form a UTF-16 surrogate pair."""
    high, low = int(surrogates[1], 16), int(surrogates[2], 16)
    return b"\\U%08x" % (0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _unescaped(escape: re.Match[bytes]) -> bytes:
    octal, hexadecimal, short, long, single = escape.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    if single:
        return bytes([_SIMPLE_ESCAPES[single]])
    code = int(short or long, 16)
    # An invalid code point is written as an escape again.
    return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else b"\\U%08x" % code


def bool_value(text: bytes) -> bool | None:
    """Convert `true`, `True`, `t`, `false`, `False`, `f`, or an integer that is 0 or 1."""
    known = _BOOLS.get(text)
    if known is not None:
        return known
    number = int_value(text)
    return number == 1 if number in (0, 1) and text[0] != 0x2D else None


def int_value(text: bytes) -> int | None:
    """Convert an integer: decimal, octal with a leading 0, or hexadecimal."""
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isalnum():
        return None
    try:
        if digits[0] == 0x30 and len(digits) > 1:
            number = int(digits, 16 if digits[1] in b"xX" else 8) if digits[1] not in b"oO" else None
        else:
            number = int(digits) if digits.isdigit() else None
    except ValueError:  # invalid digits, or more than Python converts
        return None
    return -number if number is not None and digits is not text else number


def float_value(text: bytes) -> float | None:
    """Convert the number of a float field: not octal or hexadecimal, with an optional `f` at the end."""
    digits = text[1:] if text[:1] == b"-" else text
    first = digits[:1]
    if not (first.isalnum() or first == b".") or (first == b"0" and digits[1:2].isdigit()) or b"_" in digits:
        return None
    if digits[-1:] in b"fF" and (digits[-2:-1].isdigit() or digits[-2:-1] == b"."):
        digits = digits[:-1]
    try:
        value = float(digits)
    except ValueError:
        return None
    return -value if digits is not text and text[0] == 0x2D else value


def int_reader(kind: str) -> Callable[[bytes], int | None]:
    """Return a function that converts the integers in the range of this kind; unsigned kinds accept no minus sign."""
    low, high = INT_RANGES[kind]

    def read(text: bytes) -> int | None:
        number = int_value(text)
        fits = number is not None and low <= number <= high and (low < 0 or text[0] != 0x2D)
        return number if fits else None

    return read


# Fields of the same kind share a cache. Enums have their own, and message fields accept no scalars.
KNOWN: dict[str, Known] = {
    "string": Known(string_value),
    "bytes": Known(bytes_value),
    "bool": Known(bool_value),
    "float": Known(float_value),
    "double": Known(float_value),
    **{kind: Known(int_reader(kind)) for kind in INT_RANGES},
}
NOTHING = Known(lambda text: None)


def word_of(text: bytes) -> str | None:
    """Return the string that a reader sees which asks for no quotes, and takes backslashes as they are; None if a quote is lost."""
    quotes = b"\"'"
    inside = text.strip(quotes)
    is_whole = b'"' not in inside and b"\0" not in inside and (text[:1] in quotes) == (text[-1:] in quotes)
    return inside.decode("utf-8", "replace").strip() if is_whole else None
