"""The lossless tree of a text-format file: its nodes are spans of the file's bytes.

Nodes hold positions in `Tree.source` instead of text, so `render(parse(source)) == source` for every input, and editing
a span leaves all other bytes alone.
"""

from __future__ import annotations

from bisect import bisect_right

from .lines import Lines
from .named_tuple import NamedTuple


class Problem(NamedTuple):
    """Something in the text that Caffe's parser (protobuf's C++ `TextFormat::Parse`) would reject.

    `repair` holds replacements (start, end, new bytes) if only one meaning is likely, otherwise None. They make the text
    say what the tree says in its place. `safe` is False if this is more than a local correction of characters, as for a
    missing brace.
    """

    kind: str
    start: int
    end: int
    message: str
    repair: tuple[tuple[int, int, bytes], ...] | None = None
    repair_title: str = ""
    safe: bool = True


class Scalar:
    """A number, identifier or string as written: `text` is its token, including a minus sign before it.

    For adjacent strings, which the format concatenates, `text` holds the tokens without the space between them, and the
    span reaches from the first quote to the last. A value that is not a valid token (an unquoted path, an unterminated
    string) is a Scalar, too; the tree lists it as malformed.

    The length of the span is kept instead of its start: Python has the small numbers once, but each position is an object.
    """

    __slots__ = ("_length", "end", "text")

    def __init__(self, text: bytes, end: int, length: int) -> None:
        self.text = text
        self.end = end
        self._length = length

    @property
    def start(self) -> int:
        """The position of its first byte."""
        return self.end - self._length

    def move(self, start: int, end: int) -> None:
        """Give it another span."""
        self.end = end
        self._length = end - start


class Block:
    """A message: `{ ... }`, `< ... >`, or the whole file, which has no braces.

    `start` and `end` include the braces, `open_end` and `close` do not. A brace that is missing has no length.
    """

    __slots__ = ("_closing", "_opening", "end", "fields", "open_end")

    def __init__(self, open_end: int, opening: int = 1) -> None:
        self.open_end = open_end
        self.end = open_end
        self._opening = opening  # the lengths of its braces: see `Scalar`
        self._closing = 0
        self.fields: list[Field] = []

    @property
    def start(self) -> int:
        """The position of the brace that opens it."""
        return self.open_end - self._opening

    @property
    def close(self) -> int:
        """The position of the brace that closes it."""
        return self.end - self._closing

    def close_at(self, end: int, closing: int = 1) -> None:
        """Close it with a brace of that length, which ends at `end`."""
        self.end = end
        self._closing = closing


class ListValue:
    """A bracketed list of values, `[a, b]`."""

    __slots__ = ("end", "items", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.end = start
        self.items: list[Scalar | Block] = []


Value = Scalar | Block | ListValue


class Field:
    """`name: value` or `name { ... }`, including the separator (`;` or `,`) if there is one.

    `value` is None if the value is missing. `has_colon` says whether there is a colon between them. `name` is the name as
    written, which in an invalid file may not be an identifier, or may be empty.

    Its span is kept as the numbers of bytes before and after the value, which are small: see `Scalar`.
    """

    __slots__ = ("_offset", "_rest", "name", "value")

    def __init__(self, name: str, offset: int, has_colon: bool, value: Value | None = None) -> None:
        self.name = name
        self.value = value
        self._offset = offset  # how far before the value it begins; without a value, the position where it begins
        self._rest: int = has_colon  # and twice the number of bytes after the value, or after the name

    @property
    def start(self) -> int:
        """The position of its first byte."""
        return self._offset if self.value is None else self.value.start - self._offset

    def take(self, value: Value) -> None:
        """Set the value of a field that has none, with which it ends."""
        has_colon, start = self._rest & 1, self.start
        self.value = value
        self._offset = value.start - start
        self._rest = has_colon

    def move_value(self, start: int, end: int) -> None:
        """Give a scalar value another span; the field begins where it did, and ends with the value if it did."""
        value = self.value
        assert isinstance(value, Scalar)
        own_start, own_end, follows = self.start, self.end, self._rest > 1
        value.move(start, end)
        self._offset = start - own_start
        self.end = own_end if follows else end

    @property
    def has_colon(self) -> bool:
        """Whether there is a colon after the name."""
        return self._rest & 1 == 1

    @property
    def end(self) -> int:
        """The position after its last byte."""
        value = self.value
        return (self.start + len(self.name) if value is None else value.end) + (self._rest >> 1)

    @end.setter
    def end(self, end: int) -> None:
        has_colon = self._rest & 1
        self._rest = 0
        self._rest = 2 * (end - self.end) + has_colon

    def add_colon(self) -> None:
        """Note that there is a colon, or what is meant as one."""
        self._rest |= 1

    @property
    def name_end(self) -> int:
        """The end of the name; names are ASCII, so that a character is a byte."""
        return self.start + len(self.name)


class Tree:
    """A parsed file: its bytes, the outermost message, and the problems of its structure.

    `malformed` are the scalars that are not valid tokens, and the fields without a valid name or colon. `binder.bind`
    reports them, because the correction depends on the type of the field. `uncertain` are the spans in which, due to a
    missing or extra brace, it is unclear which block a field belongs to.
    """

    __slots__ = ("_last", "_lines", "malformed", "problems", "root", "source", "uncertain")

    def __init__(
        self,
        source: bytes,
        root: Block,
        problems: list[Problem],
        malformed: list[Scalar | Field] | None = None,
        uncertain: list[tuple[int, int]] | None = None,
    ) -> None:
        self.source = source
        self.root = root
        self.problems = problems
        self.malformed = malformed if malformed is not None else []
        self.uncertain = uncertain if uncertain is not None else []
        self._lines: Lines | None = None
        self._last = (0, 0, 0)

    @property
    def lines(self) -> Lines:
        """The lines of the file."""
        if self._lines is None or self._lines.source is not self.source:
            self._lines = Lines(self.source)
        return self._lines

    @property
    def line_starts(self) -> list[int]:
        """The byte offsets of the starts of all lines."""
        return self.lines.starts

    def line_of(self, offset: int) -> int:
        """Return the line of a byte offset, counted from 1."""
        return self.lines.number(offset)

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Return the line and column of a byte offset, both counted from 1, the column in characters as in an editor.

        A byte-order mark at the start of the file does not count as a character.
        """
        line = self.line_of(offset)
        start = self.line_starts[line - 1]
        if line == 1 and self.source.startswith(b"\xef\xbb\xbf"):
            start = min(3, offset)
        column = 0
        last_line, last_offset, last_column = self._last
        if line == last_line and start <= last_offset <= offset:  # do not count a long line again for each position
            start, column = last_offset, last_column
        column += len(self.source[start:offset].decode("utf-8", "replace"))
        self._last = line, offset, column
        return line, column + 1

    def line_text(self, line: int) -> bytes:
        """Return the bytes of a line, counted from 1, without its line ending."""
        starts = self.line_starts
        end = starts[line] if line < len(starts) else len(self.source)
        return self.source[starts[line - 1] : end].rstrip(b"\r\n")


def inner_block(field: Field, position: int) -> Block | None:
    """Return the message in a field's value that contains a position, None if there is none."""
    values = field.value.items if isinstance(field.value, ListValue) else (field.value,)
    return next(
        (value for value in values if isinstance(value, Block) and value.open_end <= position < value.close), None
    )


def fields_at(block: Block, position: int) -> list[Field]:
    """Return the nested fields of a message that contain a position, outermost first."""
    found: list[Field] = []
    inner: Block | None = block
    while inner is not None:
        index = bisect_right(inner.fields, position, key=lambda field: field.start) - 1
        if index < 0 or inner.fields[index].end <= position:
            break
        found.append(inner.fields[index])
        inner = inner_block(inner.fields[index], position)
    return found


def are_alike(one: Block, other: Block, *, with_colons: bool) -> bool:
    """Return whether two messages are written alike: the same fields in the same order, with the same tokens for values.

    Without `with_colons`, one that is missing makes no difference.
    """
    pairs: list[tuple[Value | None, Value | None]] = [(one, other)]
    while pairs:
        a, b = pairs.pop()
        if isinstance(a, Block) and isinstance(b, Block):
            if len(a.fields) != len(b.fields):
                return False
            for x, y in zip(a.fields, b.fields, strict=True):
                if x.name != y.name or (with_colons and x.has_colon != y.has_colon):
                    return False
                pairs.append((x.value, y.value))
        elif isinstance(a, ListValue) and isinstance(b, ListValue):
            if len(a.items) != len(b.items):
                return False
            pairs += zip(a.items, b.items, strict=True)
        elif isinstance(a, Scalar) and isinstance(b, Scalar):
            if a.text != b.text:
                return False
        elif a is not b:  # unless both are None
            return False
    return True


def render(tree: Tree) -> bytes:
    """Reassemble the bytes of a file from the spans of the tree's leaves and the text between them.

    Raises ValueError if spans overlap or run backwards, which would be a bug in the parser.
    """
    source = tree.source
    pieces: list[bytes] = []
    position = 0
    stack: list[Field | Value] = [tree.root]
    while stack:
        node = stack.pop()
        if isinstance(node, Scalar):
            if node.start < position or node.end < node.start:
                raise ValueError(f"spans overlap at byte {node.start}")
            pieces.append(source[position : node.start])
            pieces.append(source[node.start : node.end])
            position = node.end
        elif isinstance(node, Field):
            if node.start < position:
                raise ValueError(f"spans overlap at byte {node.start}")
            pieces.append(source[position : node.start])
            position = node.start
            if node.value is not None:
                stack.append(node.value)
        elif isinstance(node, Block):
            stack.extend(reversed(node.fields))
        else:
            stack.extend(reversed(node.items))
    pieces.append(source[position:])
    return b"".join(pieces)
