"""Encode messages in protobuf's wire format, and convert them to real protobuf messages."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from .message import Message
from .schema import FieldType
from .values import INT_RANGES

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage


def encode(message: Message, dialect: str = "bvlc") -> bytes:
    """Encode a message in protobuf's wire format, with fields in the order of their numbers, as protoc does.

    A field with variants is encoded in the form of `dialect`, otherwise in one that its value fits.
    """
    out = bytearray()
    for spec in _specs_in_use(message, dialect):
        values = [entry[0] for entry in message.entries[spec.name]]
        if spec.packed:
            body = b"".join(_encode_value(value, spec, dialect)[1] for value in values)
            out += _varint(spec.number << 3 | 2) + _varint(len(body)) + body
            continue
        for value in values:
            wire_type, body = _encode_value(value, spec, dialect)
            out += _varint(spec.number << 3 | wire_type)
            if wire_type == 2:
                out += _varint(len(body))
            out += body
    return bytes(out)


def _specs_in_use(message: Message, dialect: str) -> list[FieldType]:
    """Return the fields that are set, sorted by number, each in the form to encode."""
    specs = []
    for name, entries in message.entries.items():
        spec = message.type.fields[name]
        if len(spec.variants) > 1:
            value = entries[0][0]
            forms = (spec.in_dialect(dialect), *spec.variants)
            fitting = [form for form in forms if _fits(value, form) and (form.repeated or len(entries) == 1)]
            spec = (fitting or forms)[0]
        specs.append(spec)
    return sorted(specs, key=lambda spec: spec.number)


def _fits(value: Any, spec: FieldType) -> bool:
    if isinstance(value, Message):
        return spec.kind == "message" and spec.type_name == value.type.name
    if isinstance(value, str):
        return spec.kind == "string" or (spec.kind == "enum" and value in spec.enum.values)
    if isinstance(value, bool):
        return spec.kind == "bool"
    if isinstance(value, int):
        return spec.kind in INT_RANGES
    return spec.kind in ("float", "double", "bytes")


def _encode_value(value: Any, spec: FieldType, dialect: str) -> tuple[int, bytes]:
    kind = spec.kind
    if kind == "message":
        return 2, encode(value, dialect)
    if kind == "string":
        return 2, value.encode("utf-8", "surrogateescape")
    if kind == "bytes":
        return 2, value
    if kind == "enum":
        return 0, _varint(spec.enum.values[value])
    if kind == "bool":
        return 0, _varint(int(value))
    if kind == "double":
        return 1, struct.pack("<d", value)
    if kind == "float":
        try:
            return 5, struct.pack("<f", value)
        except OverflowError:
            return 5, struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    if kind.startswith("sint"):
        return 0, _varint(value << 1 ^ value >> 63)
    if kind.endswith("fixed32"):
        return 5, struct.pack("<i" if kind[0] == "s" else "<I", value)
    if kind.endswith("fixed64"):
        return 1, struct.pack("<q" if kind[0] == "s" else "<Q", value)
    return 0, _varint(value)


def _varint(number: int) -> bytes:
    if number < 0:
        number += 1 << 64
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def to_protobuf(message: Message, dialect: str = "bvlc") -> ProtobufMessage:
    """Convert a message to a real protobuf message of `caffe_pb2`."""
    from . import caffe_pb2  # keeps protobuf out of the start

    cls: Any = caffe_pb2
    for part in message.type.name.split("."):
        cls = getattr(cls, part)
    real: ProtobufMessage = cls.FromString(encode(message, dialect))
    return real
