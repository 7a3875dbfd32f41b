"""Where a cursor stands in a text that may be half typed: in which blocks, at a name or at a value.

The text before the cursor is read token by token. That asks less of it than a parser, which has to guess what a text is meant to
be that ends in the middle of a word.
"""

from __future__ import annotations

import re

from ..proto.named_tuple import NamedTuple
from ..proto.schema import MessageType, Schema

TOKENS = re.compile(
    rb"#[^\n]*|\"(?:[^\"\\\n]|\\[^\n])*\"?|'(?:[^'\\\n]|\\[^\n])*'?|[A-Za-z_][\w.]*|[{}<>\[\]:;,]|[^\s#\"'{}<>\[\]:;,A-Za-z_]+"
)
_OPENS, _CLOSES = b"{<", b"}>"


class Open(NamedTuple):
    """A block that is open at the cursor: the name of its field, and where its content begins."""

    name: str
    start: int


class Cursor(NamedTuple):
    """A place in a text: the open blocks, outermost first, and the word at the cursor, from `start` to `end`.

    `field` is the field whose value stands there, empty at a name; `quote` is the quote that the value begins with, if any; `word` is
    what stands between `start` and the cursor, without the quote. In a comment, nothing can be completed.
    """

    blocks: tuple[Open, ...]
    field: str
    quote: str
    word: str
    start: int
    end: int
    in_comment: bool = False


def cursor_at(source: bytes, offset: int) -> Cursor:
    """Return where an offset stands."""
    blocks: list[Open] = []
    field = ""  # the name that waits for its value
    has_colon = in_list = False
    for match in TOKENS.finditer(source, 0):
        start, end = match.span()
        if start >= offset:
            break
        token = match[0]
        first = token[:1]
        if first == b"#":
            if offset <= end:
                return Cursor(tuple(blocks), "", "", "", offset, offset, in_comment=True)
            continue
        is_string = first in b"\"'"
        is_open_string = is_string and (len(token) == 1 or token[-1:] != first)
        if is_string and (offset < end or (offset == end and is_open_string)):
            word = source[start + 1 : offset].decode("utf-8", "replace")
            return Cursor(tuple(blocks), field, first.decode(), word, start, end)
        if offset <= end and first not in b"{}<>[]:;," and not is_string:
            value = field if has_colon else ""
            return Cursor(tuple(blocks), value, "", source[start:offset].decode("utf-8", "replace"), start, end)
        if first in _OPENS:
            blocks.append(Open(field, end))
            field, has_colon, in_list = "", False, False
        elif first in _CLOSES:
            if blocks:
                blocks.pop()
            field, has_colon, in_list = "", False, False
        elif first == b":":
            has_colon = bool(field)
        elif first == b"[":
            in_list = True
        elif first == b"]":
            field, has_colon, in_list = "", False, False
        elif first in b";,":
            if not in_list:
                field, has_colon = "", False
        elif in_list:
            pass
        elif is_string or (has_colon and not (token[:1].isalpha() and _is_name(source, end))):
            field, has_colon = "", False
        else:
            field, has_colon = token.decode("utf-8", "replace"), False
    return Cursor(tuple(blocks), field if has_colon else "", "", "", offset, offset)


_before_value = re.compile(rb"[ \t]*[:{]").match


def _is_name(source: bytes, end: int) -> bool:
    """Whether a word that ends there is the name of a field, after one whose value is missing."""
    return _before_value(source, end) is not None


def type_of(schema: Schema, root: str, blocks: tuple[Open, ...], dialect: str) -> MessageType | None:
    """Return the message type of the innermost open block, None if a block on the way is of no known message."""
    found: MessageType | None = schema.message(root)
    for block in blocks:
        spec = found.fields_in(dialect).get(block.name) if found is not None else None
        found = spec.message if spec is not None and spec.kind == "message" else None
    return found
