"""Set, insert, remove and rename single fields, in the style of the file.

Each function returns a `Patch`: the edits and the changes in meaning. Patches can be added.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..proto.binder import Message, plain_value
from ..proto.named_tuple import NamedTuple
from ..proto.tree import Block, Field, Scalar, Tree
from .edit import Change, Edit, Fix, Insertion, stage_of


class Patch(NamedTuple):
    """Edits of one file together with the changes in meaning."""

    edits: tuple[Edit, ...] = ()
    changes: tuple[Change | Insertion, ...] = ()

    def __add__(self, other: Patch) -> Patch:  # type: ignore[override]
        return Patch(self.edits + other.edits, self.changes + other.changes)

    def fix(self, path: str, title: str, *, safe: bool = True) -> Fix:
        """Return the fix that applies this patch to the file at `path`."""
        return Fix(path, title, self.edits, self.changes, safe, stage_of(self.changes))


def number_text(value: float) -> str:
    """Format a number as a person would write it: 0.001, 35, 1e-10."""
    text = f"{value:.12g}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else text


_BLANKS = b" \t\v\f\r"
# Control characters, at some of which Caffe's parser stops, and lone surrogates, which are bytes that are not UTF-8.
_ESCAPED = "[\0-\x1f\x7f\udc80-\udcff]"


def value_text(value: Any) -> str:
    """Format a value of `plain_value` in text format, with all its digits: a number, true or false, or a quoted string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = number_text(value)
        return text if float(text) == value else str(value)
    if isinstance(value, int):
        return str(value)
    return string_text(str(value))


def string_text(value: str, quote: str = '"') -> str:
    """Quote a string in text format."""
    escaped = value.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n")
    return quote + re.sub(_ESCAPED, lambda found: f"\\{ord(found[0]) & 0xFF:03o}", escaped) + quote


def set_field(
    tree: Tree, message: Message, name: str, value: Any, *, beside: tuple[str, ...] = (), text: str = ""
) -> Patch:
    """Set `name` to `value` in a message, replacing the old value or adding a field.

    A new field is added after the last of the fields named by `beside` that are set, otherwise after the last field.
    `text` overrides how the value is written, as for the name of an enum value.
    """
    written = text or value_text(value)
    change = Change(message.block, name, (plain_value(value),))
    entries = message.entries.get(name)
    if entries:
        node = entries[0][1]
        return Patch((Edit(node.start, node.end, written.encode()),), (change,))
    neighbours = [field for sibling in beside if (field := message.field(sibling)) is not None]
    anchor = max(neighbours, key=lambda field: field.end, default=None)
    return Patch((insert_text(tree, message.block, name, written, anchor),), (change,))


def append_field(tree: Tree, message: Message, name: str, *added: Any) -> Patch:
    """Append values to a repeated field."""
    entries = message.entries.get(name, [])
    values = (*(plain_value(entry[0]) for entry in entries), *map(plain_value, added))
    anchor = entries[-1][2] if entries else None
    edits = tuple(insert_text(tree, message.block, name, value_text(value), anchor) for value in added)
    return Patch(edits, (Change(message.block, name, values),))


def set_values(message: Message, name: str, values: Sequence[Any]) -> Patch:
    """Replace the values of a repeated field; values that stay the same keep their text."""
    edits = tuple(
        Edit(node.start, node.end, value_text(value).encode())
        for (old, node, _), value in zip(message.entries[name], values, strict=True)
        if old != value
    )
    return Patch(edits, (Change(message.block, name, tuple(map(plain_value, values))),))


def remove_field(tree: Tree, message: Message, name: str) -> Patch:
    """Remove a field, with its line if nothing else is on it; comments stay."""
    entries = message.entries[name]
    fields = {id(entry[2]): entry[2] for entry in entries}
    return Patch(
        tuple(remove_text(tree, field) for field in fields.values()), (Change(message.block, name, ()),)
    )


def insert_text(tree: Tree, block: Block, name: str, value: str, anchor: Field | None = None) -> Edit:
    """Return the edit that adds `name: value` to a block after the field `anchor`, otherwise after its last field.

    The field is written on a separate line with the indentation of its neighbors, or on the same line if the block has only
    one. A comment after the anchor stays with it.
    """
    source = tree.source
    if anchor is None and block.fields:
        anchor = block.fields[-1]
    text = name + separator(tree, block) + value
    if anchor is not None:
        if shares_line(tree, block, anchor):
            return insert_beside(tree, anchor, text.encode())
        return insert_line(tree, anchor, text)
    if block is tree.root:  # a file without any field
        start = b"" if not source or source.endswith(b"\n") else eol(tree)
        return Edit(len(source), len(source), start + text.encode() + eol(tree))
    if b"\n" not in source[block.open_end : block.close]:
        return Edit(block.open_end, block.close, f" {text} ".encode())
    line_end = source.find(b"\n", block.open_end)
    outer = indent_at(tree, block.start)
    return Edit(line_end + 1, line_end + 1, outer + indent_unit(tree) + text.encode() + eol(tree))


def insert_beside(tree: Tree, anchor: Field, text: bytes) -> Edit:
    """Return the edit that adds `text` on the line on which `anchor` ends, right after it."""
    is_glued = re.match(rb"\w", tree.source[anchor.end : anchor.end + 1]) is not None  # as in `a: 1;b: 2`
    return Edit(anchor.end, anchor.end, b" " + text + b" " * is_glued)


def insert_line(tree: Tree, anchor: Field, text: str) -> Edit:
    """Return the edit that adds `text` on a new line after the line on which `anchor` ends, with the same indentation."""
    source = tree.source
    new = indent_at(tree, anchor.start) + text.encode()
    line_end = source.find(b"\n", anchor.end)
    if line_end < 0:  # keep the missing final newline
        return Edit(len(source), len(source), eol(tree) + new)
    return Edit(line_end + 1, line_end + 1, new + eol(tree))


def remove_text(tree: Tree, field: Field) -> Edit:
    """Return the edit that removes a field from the text, with its whole lines if nothing else is on them.

    Only the blanks around it are looked at: a line may be a megabyte, with as many fields as fit into it.
    """
    source = tree.source
    before, after = field.start, field.end
    while before > 0 and source[before - 1] in _BLANKS:
        before -= 1
    while after < len(source) and source[after] in _BLANKS:
        after += 1
    ends_line = after == len(source) or source[after] == 0x0A
    if ends_line and (before == 0 or source[before - 1] == 0x0A):
        return Edit(before, min(after + 1, len(source)), b"")
    start, end = field.start, field.end
    while ends_line and source[start - 1] in b" \t":
        start -= 1
    while not ends_line and source[end] in b" \t":
        end += 1
    return Edit(start, end, b"")


def rename_text(field: Field, name: str) -> Edit:
    """Return the edit that renames a field."""
    return Edit(field.start, field.name_end, name.encode())


def shares_line(tree: Tree, block: Block, field: Field) -> bool:
    """Whether another field or the closing brace follows on the line on which `field` ends."""
    line_end = tree.source.find(b"\n", field.end)
    rest = tree.source[field.end : len(tree.source) if line_end < 0 else line_end].lstrip(b" \t\r")
    return bool(rest) and not rest.startswith(b"#")


def separator(tree: Tree, block: Block) -> str:
    """Return the text between the name and the value of scalars in this block, otherwise in the file: `: `, `:`, ` : `."""
    for candidates in (block.fields, tree.root.fields):
        for field in reversed(candidates):
            if isinstance(field.value, Scalar) and field.has_colon:
                between = tree.source[field.name_end : field.value.start]
                if re.fullmatch(rb" ?:[ \t]?", between):
                    return between.decode()
    return ": "


def eol(tree: Tree) -> bytes:
    """Return the line ending of a file."""
    first = tree.source.find(b"\n")
    return b"\r\n" if first > 0 and tree.source[first - 1] == 0x0D else b"\n"


def indent_at(tree: Tree, position: int) -> bytes:
    """Return the space at the start of the line that contains `position`."""
    line_start = tree.source.rfind(b"\n", 0, position) + 1
    match = re.compile(rb"[ \t]*").match(tree.source, line_start)
    assert match is not None
    return match[0]


def indent_unit(tree: Tree) -> bytes:
    """Return one step of indentation, from the first indented block of the file; two spaces if there is none."""
    for field in tree.root.fields:
        if isinstance(field.value, Block) and field.value.fields:
            inner = field.value.fields[0]
            if tree.source.find(b"\n", field.start, inner.start) >= 0:
                outer, deeper = indent_at(tree, field.start), indent_at(tree, inner.start)
                if deeper.startswith(outer) and len(deeper) > len(outer):
                    return deeper[len(outer) :]
    return b"  "
