"""The lossless tree: what stands where in a text-format file, as spans over its bytes.

The bytes of the file are the truth. A node holds no text of its own but positions in `Tree.source`, so
`render(parse(source)) == source` for every input, and an edit of a span leaves every other byte alone.
"""

from __future__ import annotations

from bisect import bisect_right

from .lines import Lines
from .named_tuple import NamedTuple


class Problem(NamedTuple):
    """Something in the text that Caffe's parser (protobuf's C++ `TextFormat::Parse`) would not take.

    `repair` holds replacements (start, end, new bytes) where only one meaning is likely, else None: they make the
    text say what was read in its place. `safe` is False where that rests on more than the characters themselves
    (a missing brace).
    """

    kind: str
    start: int
    end: int
    message: str
    repair: tuple[tuple[int, int, bytes], ...] | None = None
    repair_title: str = ""
    safe: bool = True


class Scalar:
    """A number, identifier or string as written: `text` is its token, with a detached minus joined on.

    For adjacent strings, which the format concatenates, `text` holds the tokens with nothing between
    and the span reaches from the first quote to the last. What is no token at all (a path without quotes, a string
    that is not closed) is a Scalar as well; the tree lists it as malformed.
    """

    __slots__ = ("end", "start", "text")

    def __init__(self, text: bytes, start: int, end: int) -> None:
        self.text = text
        self.start = start
        self.end = end


class Block:
    """A message: `{ ... }`, `< ... >`, or the whole file (then without braces).

    `start` and `end` enclose the braces; `open_end` and `close` the inside.
    """

    __slots__ = ("close", "end", "fields", "open_end", "start")

    def __init__(self, start: int, open_end: int) -> None:
        self.start = start
        self.open_end = open_end
        self.close = open_end
        self.end = open_end
        self.fields: list[Field] = []


class ListValue:
    """A bracketed list of values, `[a, b]`."""

    __slots__ = ("end", "items", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.end = start
        self.items: list[Scalar | Block] = []


Value = Scalar | Block | ListValue


class Field:
    """`name: value` or `name { ... }`, up to and with the separator (`;` or `,`) if there is one.

    `value` is None where the text breaks off. `colon` is its position, or -1 without one. `name` is what stands
    there, which in a broken file need not be an identifier; it is empty for what has no name.
    """

    __slots__ = ("colon", "end", "name", "start", "value")

    def __init__(self, name: str, start: int, colon: int, value: Value | None, end: int) -> None:
        self.name = name
        self.start = start
        self.colon = colon
        self.value = value
        self.end = end

    @property
    def name_end(self) -> int:
        """Where the name ends; names are ASCII, so a character is a byte."""
        return self.start + len(self.name)


class Tree:
    """A parsed file: its bytes, the outermost message, and what is wrong with its structure.

    `malformed` are the scalars that are no tokens and the fields without a proper name or colon: what they should be
    depends on the type of the field, so `binder.bind` reports them. `uncertain` are the spans in which a missing or
    surplus brace leaves open what belongs to which block.
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
        """Byte offset of the first byte of every line, in order."""
        return self.lines.starts

    def line_of(self, offset: int) -> int:
        """Line of a byte offset, from 1."""
        return self.lines.number(offset)

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Line and column of a byte offset, both from 1, the column in characters as editors count them.

        A byte-order mark at the start of the file is no character to an editor.
        """
        line = self.line_of(offset)
        start = self.line_starts[line - 1]
        if line == 1 and self.source.startswith(b"\xef\xbb\xbf"):
            start = min(3, offset)
        column = 0
        last_line, last_offset, last_column = self._last
        if line == last_line and start <= last_offset <= offset:  # a long line is counted once, not for each place
            start, column = last_offset, last_column
        column += len(self.source[start:offset].decode("utf-8", "replace"))
        self._last = line, offset, column
        return line, column + 1

    def line_text(self, line: int) -> bytes:
        """The bytes of a line (from 1) without its end-of-line."""
        starts = self.line_starts
        end = starts[line] if line < len(starts) else len(self.source)
        return self.source[starts[line - 1] : end].rstrip(b"\r\n")


def inner_block(field: Field, position: int) -> Block | None:
    """The message in a field's value inside which a position is, None if it is in none."""
    values = field.value.items if isinstance(field.value, ListValue) else (field.value,)
    return next(
        (value for value in values if isinstance(value, Block) and value.open_end <= position < value.close), None
    )


def fields_at(block: Block, position: int) -> list[Field]:
    """The fields of a message, and of those inside it, that hold a position; the outermost first."""
    found: list[Field] = []
    inner: Block | None = block
    while inner is not None:
        index = bisect_right(inner.fields, position, key=lambda field: field.start) - 1
        if index < 0 or inner.fields[index].end <= position:
            break
        found.append(inner.fields[index])
        inner = inner_block(inner.fields[index], position)
    return found


def render(tree: Tree) -> bytes:
    """The file again, byte for byte, put together from the spans of the tree's leaves and what lies between.

    Raises ValueError if the spans overlap or run backwards, which would be a fault of the parser.
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
