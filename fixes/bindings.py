"""Verify patched text with a second reader: the compiled caffe.proto and protobuf's own text parser.

A fix is checked twice before it is written to disk. In every round of fixes, `apply.verify` compares what *our binder*
reads before and after. That identifies the faulty fix, but cannot detect a mistake of the binder itself. Here, once per
file and right before the text is written or shown, *protobuf* reads the text before all rounds and the text after them.
Unless its message has changed in exactly the fields that the fixes name, nothing is written.

**If protobuf cannot be used.** `google.protobuf.text_format` accepts less than the C++ parser that Caffe uses: it
rejects `- 1` and bytes that are not UTF-8, and knows only one of the types that forks give a field. It also accepts
text that C++ rejects (`+1`, unknown escapes, a no-break space): Caffe reads nothing there, our binder reads what a
repair would write, and protobuf reads something else. Therefore the comparison starts from the first text, in the order
of the rounds, that protobuf accepts and from which on our binder reads only what is written. Only the rounds before it,
which repair text, depend on the binder. If there is no such text, all of them do, and the binder compares the text of
each round with the next once more.

**Unknown fields.** The parser is told to skip fields that are not in the schema, since otherwise it would reject half
of the nets in use. It cannot compare what it skips. Therefore the text of each skipped field, token by token, is added
to the message at its position. Our tree finds it there, using protobuf's own descriptors to decide what is unknown. It
must be unchanged afterwards unless a fix names it; if a fix rewrites the message around it, the text must be one that
was in the old text. So a skipped field that is moved, dropped, changed or added by mistake is rejected.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ..proto.binder import bind
from ..proto.message import Message, plain
from ..proto.parser import parse
from ..proto.schema import Schema
from ..proto.tree import Block, Field, ListValue, Scalar, Value
from .changes import FixRejected, PathChange, PathChanges, PathInsertion, Plain, Round, after_changes, require_equal
from .readings import Reading, compare

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message as ProtobufMessage


def verified(
    patched: Mapping[str, bytes], rounds: Mapping[str, Sequence[Round]], schema: Schema
) -> tuple[dict[str, bytes], list[str]]:
    """Return the patched texts that may be written, by path, and a sentence for each one that may not."""
    good: dict[str, bytes] = {}
    refused: list[str] = []
    for path, text in patched.items():
        try:
            verify_rounds(rounds.get(path, ()), text, schema)
        except FixRejected as error:
            refused.append(f"{path}: not written: {error}")
        else:
            good[path] = text
    return good, refused


def verify_rounds(rounds: Sequence[Round], text: bytes, schema: Schema) -> None:
    """Raise FixRejected unless a text means what the first round's did, apart from the changes that the rounds name."""
    if not rounds:
        raise FixRejected("no fix explains the changes")
    message_class = _message_class(schema, rounds[0].type_name)
    descriptor: Any = message_class.DESCRIPTOR
    for number, first in enumerate(rounds):
        if not all(each.as_written for each in rounds[number:]):
            continue
        try:
            values = read_by_protobuf(first.source, message_class)
            for each in rounds[number:]:
                values = _expected(values, each.changes, descriptor)
        except _NotForProtobuf:
            continue
        try:
            found = read_by_protobuf(text, message_class)
        except _NotForProtobuf as error:
            raise FixRejected(f"protobuf's parser rejects the patched text: {error}") from None
        skipped = {piece for _, piece in _skipped(parse(first.source).root, descriptor)}
        require_equal(_with_moved_text(values, found, skipped), found)
        return
    sources = [*(each.source for each in rounds), text]
    readings = [_read_by_binder(source, rounds[0], schema) for source in sources]
    for each, old, new in zip(rounds, readings, readings[1:], strict=False):
        compare(old, new, partial(_require_changes, each.changes))


class _NotForProtobuf(Exception):
    """A text that protobuf's parser rejects, or a change of a field that it does not know."""


def _read_by_binder(text: bytes, as_in: Round, schema: Schema) -> Reading:
    tree = parse(text)
    return Reading("", tree, bind(tree, schema, as_in.type_name, as_in.dialect), schema, as_in.dialect)


def _require_changes(changes: PathChanges, old: Message, new: Message) -> None:
    require_equal(after_changes(plain(old), changes), plain(new))


def _message_class(schema: Schema, type_name: str) -> type[ProtobufMessage]:
    return _message_class_in(schema.descriptor_set, type_name)


@cache
def _message_class_in(descriptor_set: bytes, type_name: str) -> type[ProtobufMessage]:
    from ..proto.messages import message_class  # loads protobuf, which takes longer than a check

    return message_class(descriptor_set, type_name)


def read_by_protobuf(text: bytes, message_class: type[ProtobufMessage]) -> Plain:
    """Return a text as protobuf reads it, with the tokens of the fields that it skips as `?name`."""
    from google.protobuf import text_format  # keeps protobuf out of the start

    message = message_class()
    descriptor: Any = message_class.DESCRIPTOR
    try:
        # Comments need not be UTF-8. Strings must be: others cannot be stored in the message and raise an error.
        text_format.Parse(text.decode("utf-8", "surrogateescape"), message, allow_unknown_field=True)
    except (text_format.ParseError, UnicodeError, ValueError, RecursionError) as error:
        raise _NotForProtobuf(str(error)) from None
    values = _plain_of(message)
    for path, piece in _skipped(parse(text).root, descriptor):
        holder = values
        for name, index in path[:-1]:
            items = holder.get(name, [])
            if index >= len(items):
                raise _NotForProtobuf(f"our parser and protobuf disagree about {name}[{index}]")
            holder = items[index]
        holder.setdefault(f"?{path[-1][0]}", []).append(piece)
    return values


def _plain_of(message: ProtobufMessage) -> Plain:
    return {
        field.name: [_plain_value(item, field) for item in _items(value)] for field, value in message.ListFields()
    }


def _items(value: Any) -> Any:
    return value if hasattr(value, "append") else (value,)


def _plain_value(value: Any, field: FieldDescriptor) -> Any:
    if field.message_type is not None:
        return _plain_of(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return "nan" if value != value else value


_SkippedField = tuple[tuple[tuple[str, int], ...], bytes]


def _skipped(block: Block, descriptor: Descriptor) -> Iterator[_SkippedField]:
    """Yield the fields that are not in the schema, by path, and their tokens, in the order of the text."""
    numbers: dict[str, int] = {}
    for field in block.fields:
        known = descriptor.fields_by_name.get(field.name)
        if known is None:
            yield ((field.name, 0),), b" ".join(_tokens(field))
            continue
        for value in field.value.items if isinstance(field.value, ListValue) else (field.value,):
            number = numbers[field.name] = numbers.get(field.name, -1) + 1
            if known.message_type is not None and isinstance(value, Block):
                for path, piece in _skipped(value, known.message_type):
                    yield ((field.name, number), *path), piece


def _tokens(field: Field) -> Iterator[bytes]:
    """Yield the tokens of a field without layout, comments, and optional colons and separators."""
    yield field.name.encode()
    values: list[Value | bytes] = [field.value] if field.value is not None else []
    while values:
        value = values.pop()
        if isinstance(value, bytes):
            yield value
        elif isinstance(value, Scalar):
            yield value.text
        else:
            is_list = isinstance(value, ListValue)
            yield b"[" if is_list else b"{"
            values.append(b"]" if is_list else b"}")
            if isinstance(value, ListValue):
                values += reversed(value.items)
            else:
                for inner in reversed(value.fields):
                    values += [] if inner.value is None else [inner.value]
                    values.append(inner.name.encode())


def _expected(values: Plain, changes: PathChanges, descriptor: Descriptor) -> Plain:
    """Return what protobuf should read after changes, with values rounded to the precision of their fields.

    Raises _NotForProtobuf if a change names a field that protobuf does not know, or one that only protobuf knows.
    """
    fitted: list[Any] = []
    for change in changes:
        if isinstance(change, (PathChange, PathInsertion)):
            holder = descriptor
            for name, _ in change.path:
                field = holder.fields_by_name.get(name)
                if field is None or field.message_type is None:
                    raise _NotForProtobuf(f"{holder.name} has no message '{name}'")
                holder = field.message_type
            if isinstance(change, PathInsertion):
                field = _field(holder, change.field)
                fitted.append(change._replace(value=_fitted(change.value, field)))
            elif change.field.startswith("?"):
                known = change.field[1:] in holder.fields_by_name
                if known and change.values:
                    raise _NotForProtobuf(f"{holder.name} has a field '{change.field[1:]}'")
                fitted.append(change._replace(field=change.field[1:]) if known else change)
            else:
                field = _field(holder, change.field)
                fitted.append(change._replace(values=tuple(_fitted(value, field) for value in change.values)))
        else:
            fitted.append(change._replace(value=_fitted_message(change.value, descriptor)))
    return after_changes(values, tuple(fitted))


def _field(holder: Descriptor, name: str) -> FieldDescriptor:
    field = holder.fields_by_name.get(name)
    if field is None:
        raise _NotForProtobuf(f"{holder.name} has no field '{name}'")
    return field


def _fitted_message(values: Plain, descriptor: Descriptor) -> Plain:
    result: Plain = {}
    for name, items in values.items():
        if name.startswith("?"):
            if name[1:] in descriptor.fields_by_name:
                raise _NotForProtobuf(f"{descriptor.name} has a field '{name[1:]}'")
            result[name] = items
        elif items:
            field = _field(descriptor, name)
            result[name] = [_fitted(item, field) for item in items]
    return result


def _fitted(value: Any, field: FieldDescriptor) -> Any:
    if isinstance(value, dict):
        if field.message_type is None:
            raise _NotForProtobuf(f"'{field.name}' is not a message")
        return _fitted_message(value, field.message_type)
    if field.cpp_type == field.CPPTYPE_FLOAT and isinstance(value, (int, float)):
        try:
            return struct.unpack("<f", struct.pack("<f", value))[0]
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value


def _with_moved_text(expected: Any, found: Any, skipped: set[bytes]) -> Any:
    """Return `expected` with tokens of skipped fields where changes only say that such a field exists (True).

    The tokens are those `found` there, if they are among those of the old text.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        return {name: _with_moved_text(items, found.get(name), skipped) for name, items in expected.items()}
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [_with_moved_text(item, other, skipped) for item, other in zip(expected, found, strict=True)]
    return found if expected is True and isinstance(found, bytes) and found in skipped else expected
