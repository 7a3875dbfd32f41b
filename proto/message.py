"""A message as written in a file: its values, the schema's defaults, and the position of each value in the text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from .schema import MessageType
from .tree import Block, Field, Scalar

Entry = tuple[Any, "Scalar | Block", Field]


class Message:
    """The values of one block.

    `message[name]` is the value: a list for a repeated field, the schema's default if the field is not set.
    `name in message` says whether it is set. Enum values are given by name. A sub-message that is not set is an empty
    Message with the block of its parent.
    """

    __slots__ = ("block", "entries", "type", "unknown", "written")

    def __init__(self, type: MessageType, block: Block, written: bool = True) -> None:
        self.type = type
        self.block = block
        self.written = written
        self.entries: dict[str, Sequence[Entry]] = {}
        self.unknown: Sequence[Field] = ()

    def add(self, name: str, entry: Entry) -> None:
        """Add a value of a field. Most fields have only one, which takes less memory in a tuple than in a list."""
        entries = self.entries.get(name)
        if entries is None:
            self.entries[name] = (entry,)
        elif isinstance(entries, list):
            entries.append(entry)
        else:
            self.entries[name] = [*entries, entry]

    def add_unknown(self, field: Field) -> None:
        """Add a field that the message type does not have. Few messages have any, and so each list of them is its own."""
        if not isinstance(self.unknown, list):
            self.unknown = []
        self.unknown.append(field)

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __getitem__(self, name: str) -> Any:
        """Raises KeyError for a name that the message type does not have."""
        entries = self.entries.get(name)
        spec = self.type.readable[name]
        if spec.repeated:
            return [entry[0] for entry in entries] if entries else []
        if entries:
            return entries[0][0]
        if spec.kind == "message":
            return Message(spec.message, self.block, written=False)
        return spec.default

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value as written, otherwise `default`, even for a name that the message type does not have."""
        return self[name] if name in self.entries else default

    def field(self, name: str, index: int = 0) -> Field | None:
        """Return the tree's field that holds the value with that index, None if it is not set."""
        entries = self.entries.get(name)
        return entries[index][2] if entries and index < len(entries) else None

    def span(self, name: str, index: int = 0) -> tuple[int, int]:
        """Return the span of the value; if it is not set, the span of the message that would hold it."""
        entries = self.entries.get(name)
        if entries and index < len(entries):
            node = entries[index][1]
            return node.start, node.end
        return self.block.start, self.block.end

    def at(self, path: str) -> tuple[int, int]:
        """Return the span of a path such as `convolution_param.kernel_size[0]`, or of the innermost message that is set.

        Raises KeyError for a name that the message type does not have.
        """
        message = self
        steps = path.split(".")
        for number, step in enumerate(steps):
            name, _, index = step.partition("[")
            spec = message.type.readable[name]
            position = int(index.rstrip("]")) if index else 0
            entries = message.entries.get(name)
            if not entries or position >= len(entries):
                return message.block.start, message.block.end
            if number == len(steps) - 1 or spec.kind != "message":
                return message.span(name, position)
            message = entries[position][0]
        return message.block.start, message.block.end


def message_at(message: Message, start: int, end: int) -> Message:
    """Return the innermost message that contains a span of bytes, at least `message` itself."""
    inner: Message | None = message
    while inner is not None:
        message = inner
        inner = _next_message(message, start, end)
    return message


def _next_message(message: Message, start: int, end: int) -> Message | None:
    for entries in message.entries.values():
        index = bisect_right(entries, start, key=lambda entry: entry[1].start) - 1
        if index >= 0:
            inner = entries[index][0]
            if isinstance(inner, Message) and inner.block.open_end <= start and end <= inner.block.close:
                return inner
    return None


def with_values(message: Message, values: Mapping[str, Any]) -> Message:
    """Return a copy with other values of some fields, a list for a repeated one; None leaves a field out.

    A field that is not written gets the place of the first one that is.
    """
    copy = Message(message.type, message.block, message.written)
    copy.unknown = message.unknown
    copy.entries = dict(message.entries)
    first = next(iter(message.entries.values()))[0]
    for name, value in values.items():
        old = copy.entries.pop(name, [])
        if value is not None:
            items = value if isinstance(value, list) else [value]
            places = [*old, *[first] * len(items)]
            copy.entries[name] = [(item, node, field) for item, (_, node, field) in zip(items, places, strict=False)]
    return copy


def plain(message: Message) -> dict[str, list[Any]]:
    """Convert a message to nested dicts and lists, to compare two files: only values that are set, unknown fields by name.

    NaN is represented as text, so that a message equals itself.
    """
    values: dict[str, list[Any]] = {}
    for name, entries in message.entries.items():
        values[name] = [plain_value(entry[0]) for entry in entries]
    for field in message.unknown:
        values.setdefault("?" + field.name, []).append(True)
    return values


def plain_value(value: Any) -> Any:
    """Convert one value for `plain`."""
    if isinstance(value, Message):
        return plain(value)
    return "nan" if value != value else value
