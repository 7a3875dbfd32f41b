"""Find out what was meant by a value that its field does not accept.

There is one function for each kind of mistake; `correction` combines them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from .named_tuple import NamedTuple
from .schema import FieldType, Schema
from .spelling import fold, nearest_name
from .tree import ListValue, Scalar
from .v1_types import V1_TYPES
from .values import INT_RANGES, bad_escape, float_value, int_value

# What to do with a layer in the current format that is written as a V1 layer.
IN_LAYER = "layers in the current format belong in 'layer'"
_V1_LAYER_TYPE = "V1LayerParameter.LayerType"
_WORDS = {b"true": b"true", b"yes": b"true", b"on": b"true", b"false": b"false", b"no": b"false", b"off": b"false"}


class Correction(NamedTuple):
    """What is wrong with a value, and the text that was meant, or None if that is unclear.

    `many` are the values of a list written without brackets, in which case `text` is the list. `at` is the offset of the
    mistake within the value.
    """

    kind: str
    message: str
    text: bytes | None = None
    title: str = ""
    many: tuple[bytes, ...] = ()
    at: int = 0


def correction(text: bytes, spec: FieldType, message_name: str, schema: Schema, dialect: str) -> Correction:
    """Return the correction of a scalar that the field `spec` of a message does not accept.

    Names that `dialect` has are preferred.
    """
    found = _correction(text, spec, message_name, schema, dialect)
    if found.text is not None and not found.many and spec.read(found.text) is None:
        return found._replace(text=None, title="")
    return found


def _correction(text: bytes, spec: FieldType, message_name: str, schema: Schema, dialect: str) -> Correction:
    if spec.kind == "message":
        return Correction("wrong-type", f"'{spec.name}' expects {expected(spec)}, found {shorten(text)}")
    if spec.kind in ("string", "bytes"):
        return _string(text, spec, message_name, schema)
    inside = _without_quotes(text)
    if spec.kind == "enum":
        return _enum(text, inside, spec, schema, dialect)
    if spec.repeated and (several := _several(inside, spec)):
        written = b"[" + b", ".join(several) + b"]"
        message = f"several values of '{spec.name}' need brackets: {shorten(written)}"
        return Correction("syntax", message, written, "write a list", several)
    meant = _bool(inside) if spec.kind == "bool" else _number(inside, spec)
    if meant is not None and text == b"+" + meant:
        return Correction("syntax", "'+' before a number is not allowed", meant, "remove the '+'")
    return Correction("wrong-type", _number_message(text, spec), meant, f"write {meant.decode()}" if meant else "")


def _without_quotes(text: bytes) -> bytes:
    """Strip the opening and the closing quote, if there are any."""
    if text[:1] in (b'"', b"'"):
        text = text[1:]
    if text[-1:] in (b'"', b"'"):
        text = text[:-1]
    return text.strip()


# -- strings ----------------------------------------------------------------------------------------------------


def _string(text: bytes, spec: FieldType, message_name: str, schema: Schema) -> Correction:
    quote = text[:1] if text[:1] in (b'"', b"'") else b""
    closing = text[-1:] if text[-1:] in (b'"', b"'") and len(text) > 1 else b""
    if b"\0" in text:
        return Correction(
            "syntax", "NUL byte in a string: Caffe's parser stops here", text.replace(b"\0", b""), "remove it"
        )
    if quote and closing == quote and (where := bad_escape(text[1:-1])) is not None:
        return _backslashes(text[1:-1], where, quote)
    if quote or closing:
        inside = text[len(quote) : len(text) - len(closing)]
        if quote and closing:
            message = f"the quotes of '{spec.name}' do not match: {shorten(text)}"
        elif quote:
            message = f"the string in '{spec.name}' has no closing quote on its line"
        else:
            message = f"the string in '{spec.name}' has no opening quote"
        quote = quote or closing
        clear = b"\\" not in inside and quote not in inside and inside.isascii() and inside.strip()
        meant = quote + inside + quote if clear else None
        return Correction("unclosed-string", message, meant, f"write {meant.decode()}" if meant else "")
    shown = shorten(text)
    message = f"'{spec.name}' expects {expected(spec)}, found {shown}"
    if b"\n" in text or b'"' in text or not text.isascii():
        return Correction("missing-quotes", message)
    of_layer = message_name == "LayerParameter" and spec.name == "type"
    inside = (of_layer and _layer_type(text, schema)) or text.replace(b"\\", b"\\\\")
    kind = "wrong-type" if re.fullmatch(rb"\w+", text) else "missing-quotes"
    return Correction(kind, message, b'"' + inside + b'"', f'write "{shorten(inside)}"')


def _layer_type(text: bytes, schema: Schema) -> bytes | None:
    """Return the current layer type for a V1 type (`INNER_PRODUCT`) or for a type in another case."""
    types = schema.layer_types or {}
    name = text.decode("ascii", "replace")
    if name in types:
        return text
    if name in V1_TYPES:
        return V1_TYPES[name].encode()
    same = [known for known in types if fold(known) == fold(name)]
    return same[0].encode() if len(same) == 1 and not types[same[0]] else None


def _backslashes(inside: bytes, where: int, quote: bytes) -> Correction:
    """Return the correction of an invalid escape at `where`, which is nearly always a backslash in a Windows path."""
    path = re.fullmatch(rb"(?:[A-Za-z]:|\\|\.{1,2}|[$%\w][$%\w. ()-]*)?(?:\\[$%\w. ()+@~-]*)+", inside) is not None
    hint = "; in a Windows path, use '\\\\' or '/'" if path else ""
    message = f"'{shorten(inside[where : where + 2])}' is not an escape sequence{hint}"
    meant = None
    if path or not re.search(rb"\\[abfnrtv\\?'\"0-7xXuU]", inside):
        meant = quote + inside.replace(b"\\", b"\\\\") + quote
    return Correction("invalid-escape", message, meant, "double the backslashes" if meant else "", at=where + 1)


# -- numbers and words ----------------------------------------------------------------------------------------


def _bool(inside: bytes) -> bytes | None:
    meant = _WORDS.get(inside.lower())
    if meant is None and (number := float_value(inside)) in (0, 1):
        meant = b"true" if number else b"false"
    return meant


def _number(inside: bytes, spec: FieldType) -> bytes | None:
    """Return the number that was meant by a quoted number, a decimal comma, a fraction, leading zeros or a plus sign."""
    whole = spec.kind in INT_RANGES
    text = inside.lstrip(b"+")
    if re.fullmatch(rb"-?[1-9][0-9]{0,2}(?:[,_ ][0-9]{3})+", text):  # in groups of thousands
        if not whole:
            return None
        text = re.sub(rb"[,_ ]", b"", text)
    elif not whole and re.fullmatch(rb"-?[0-9]+,[0-9]+(?:[eE]-?[0-9]+)?", text):
        text = text.replace(b",", b".")
    if re.fullmatch(rb"-?[0-9.]+(?:[eE]-?[0-9]+)? *[/*] *[0-9.]+(?:[eE]-?[0-9]+)?", text):
        return _computed(text, whole)
    text = re.sub(rb"\A(-?)0+(?=[0-9])", rb"\1", text)
    if not whole:
        if re.fullmatch(rb"-?0[xX][0-9a-fA-F]{1,16}", text):
            return str(int(text, 16)).encode()
        return text if float_value(text) is not None else None
    number = float_value(text)
    if number is None or number != number or abs(number) >= 2**53 or number != int(number):
        return text if int_value(text) is not None else None
    return str(int(number)).encode()


def _computed(text: bytes, whole: bool) -> bytes | None:
    """Compute an expression such as `1/255` or `2*3`."""
    operator = b"/" if b"/" in text else b"*"
    left, _, right = text.partition(operator)
    a, b = float_value(left.strip()), float_value(right.strip())
    if a is None or b is None or (operator == b"/" and not b):
        return None
    result = a / b if operator == b"/" else a * b
    if not math.isfinite(result) or (not result and a and b):  # more or less than a number can be
        return None
    if abs(result) < 2**53 and result == int(result):
        return str(int(result)).encode()
    return None if whole else f"{result:.9g}".encode()


def _several(inside: bytes, spec: FieldType) -> tuple[bytes, ...]:
    """Return the values in `1, 3, 224, 224` or `1 3 224 224`; empty for anything else."""
    parts = tuple(part for part in re.split(rb"[ \t]*,[ \t]*|[ \t]+", inside) if part)
    return parts if len(parts) > 1 and all(spec.read(part) is not None for part in parts) else ()


def _number_message(text: bytes, spec: FieldType) -> str:
    shown = shorten(text)
    if spec.kind in INT_RANGES and (number := int_value(text)) is not None:
        low, high = INT_RANGES[spec.kind]
        if low == 0 and text[:1] == b"-":
            return f"'{spec.name}' expects {expected(spec)}, found {shown}"
        return f"{shown} is out of range for '{spec.name}' ({low} to {high})" if number else shown
    if re.fullmatch(rb"-?0[0-9]+", text):
        octal = "a leading 0 makes it octal" if b"8" in text or b"9" in text else "a leading 0 means octal"
        return f"'{spec.name}' expects {expected(spec)}, found {shown}: {octal}"
    return f"'{spec.name}' expects {expected(spec)}, found {shown}"


# -- enums ----------------------------------------------------------------------------------------------------


def _enum(text: bytes, inside: bytes, spec: FieldType, schema: Schema, dialect: str) -> Correction:
    enum = spec.enum
    bare = inside.decode("utf-8", "replace")
    shown = shorten(text)
    here = [name for name in enum.values if dialect in enum.dialects_of.get(name, (dialect,))]
    nearest = nearest_name(bare, here)
    if text != inside:
        meant = bare if bare in enum.values else _v1_type(bare, spec)
        message = f"'{spec.name}' expects a value of {enum.name} without quotes, found {shown}"
        if meant:
            return Correction("quoted-enum", message, meant.encode(), f"write {meant}")
        if enum.name == _V1_LAYER_TYPE and bare in (schema.layer_types or {}):
            return Correction("quoted-enum", f"'layers' has no type {shown}; {IN_LAYER}")
        if enum.name == _V1_LAYER_TYPE and not nearest:
            return Correction("quoted-enum", message)
    nearest = nearest or nearest_name(bare, enum.values) or _v1_type(bare, spec)
    if nearest:
        message = f"{enum.name} has no value {shown}; did you mean {nearest}?"
        return Correction("unknown-enum-value", message, nearest.encode(), f"write {nearest}")
    return Correction("unknown-enum-value", f"{enum.name} has no value {shown}; expected one of {_some(here or enum.values)}")


def is_v1_type(text: bytes, layers: FieldType) -> bool:
    """Whether the text of a type is that of a V1 layer, by its current name or its own."""
    spec = layers.message.fields.get("type")
    name = text[1:-1].decode("utf-8", "replace")
    return spec is not None and spec.kind == "enum" and (name in spec.enum.values or _v1_type(name, spec) is not None)


def _v1_type(name: str, spec: FieldType) -> str | None:
    """Return the V1 type for a current layer type (`INNER_PRODUCT` for `InnerProduct`)."""
    if spec.enum.name != _V1_LAYER_TYPE:
        return None
    return next((old for old, new in V1_TYPES.items() if new == name and name and old in spec.enum.values), None)


def untyped_correction(text: bytes) -> Correction:
    """Return the correction of a text that no field accepts, whatever its type."""
    inside = text[1:-1]
    if text[:1] in (b'"', b"'") and text[-1:] == text[:1] and (where := bad_escape(inside)) is not None:
        return _backslashes(inside, where, text[:1])
    kind = "unclosed-string" if text[:1] in (b'"', b"'") else "missing-quotes"
    return Correction(kind, f"expected a value, found {shorten(text)}")


# -- lists ----------------------------------------------------------------------------------------------------


def single_item(node: ListValue, spec: FieldType, source: bytes) -> bytes | None:
    """Return the only item of a list in the place of a single value, None if there are several or it is invalid."""
    if len(node.items) != 1 or not isinstance(node.items[0], Scalar):
        return None
    item = node.items[0]
    return source[item.start : item.end] if spec.read(item.text) is not None else None


def block_for_scalar(spec: FieldType, message_name: str) -> str:
    """Say what is wrong with a block in the place of a scalar."""
    if message_name == "V1LayerParameter" and spec.name == "param":
        return "a block 'param' belongs in a `layer`; V1 layers (`layers`) use `blobs_lr` and `weight_decay`"
    return f"'{spec.name}' expects {expected(spec)}, found a block"


# -- words for messages ---------------------------------------------------------------------------------------


def expected(spec: FieldType) -> str:
    """Describe what a field accepts."""
    if spec.kind == "message":
        return "a block { ... }"
    if spec.kind == "enum":
        return f"one of {_some(spec.enum.values)}"
    if spec.kind in INT_RANGES:
        return "an integer" if INT_RANGES[spec.kind][0] else "a non-negative integer"
    return {"string": "a quoted string", "bytes": "a quoted string", "bool": "true or false"}.get(spec.kind, "a number")


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def shorten(text: bytes) -> str:
    """Shorten a text to at most 40 characters for a message."""
    shown = text[:200].decode("utf-8", "replace")
    return shown if len(shown) <= 40 else shown[:37] + "..."
