"""Move fields to another place in their file: cut them with their comments, and write them again.

A comment belongs to a field if it follows on the same line, or if it is on lines of its own directly above the field. It
moves with the field if the field does not share its lines; otherwise it stays on its line.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..proto.named_tuple import NamedTuple
from ..proto.tree import Block, Field, ListValue, Scalar, Tree
from .edit import Edit
from .fields import eol, indent_at, indent_unit, insert_beside, separator, shares_line

_COMMENT = re.compile(rb"#[^\r\n]*")
_COMMENT_AFTER = re.compile(rb"[ \t]*#[^\r\n]*")


class Comments(NamedTuple):
    """The comments of a field: whole lines `above` it, and the one `after` it, including the space before."""

    above: tuple[bytes, ...] = ()
    after: bytes = b""


NO_COMMENTS = Comments()


@dataclass(frozen=True)
class Element:
    """A field to write: `value` is all its text after the name, or the fields of its block.

    The lines of a text after the first are indented relative to the first. A `compact` block is written on one line if
    nothing in it needs separate lines. `below` are comments before its closing brace.
    """

    name: str
    value: bytes | tuple[Element, ...]
    comments: Comments = NO_COMMENTS
    compact: bool = False
    below: tuple[bytes, ...] = ()

    @property
    def fits_one_line(self) -> bool:
        """Whether it contains no comment and no line break."""
        if self.below or self.comments != NO_COMMENTS:
            return False
        if isinstance(self.value, bytes):
            return b"\n" not in self.value
        return all(element.fits_one_line for element in self.value)


class Style(NamedTuple):
    """The style of a file: one step of indentation, the text before a block, the text after a name, the line ending.

    `one_line` says that blocks of one or two scalars are written on one line, as most of them are in this file.
    """

    step: bytes
    opening: bytes
    colon: bytes
    end: bytes
    one_line: bool

    def lines(self, element: Element) -> list[bytes]:
        """Return the lines of an element without line endings, indented from the left margin."""
        name = element.name.encode()
        written = list(element.comments.above)
        if isinstance(element.value, bytes):
            written += (name + element.value).split(b"\n")
        elif element.compact and all(inner.fits_one_line for inner in element.value) and not element.below:
            written.append(self.in_line(element))
        else:
            inside = [line for inner in element.value for line in self.lines(inner)]
            written.append(name + self.opening)
            written += [self.step + line if line else line for line in (*inside, *element.below)]
            written.append(b"}")
        written[-1] += element.comments.after
        return written

    def in_line(self, element: Element) -> bytes:
        """Return an element on one line, unless its text contains a comment; it must have no other comments."""
        name = element.name.encode()
        if isinstance(element.value, bytes):
            parts = element.value.split(b"\n")
            if b"#" in element.value:
                return name + self.end.join(parts)
            return name + parts[0] + b"".join(b" " + part.strip() for part in parts[1:])
        return (
            name
            + self.opening
            + b" "
            + b"".join(self.in_line(inner) + b" " for inner in element.value)
            + b"}"
        )

    def block_text(self, elements: Iterable[Element], indent: bytes) -> bytes:
        """Return elements on separate lines with the given indentation."""
        lines = [line for element in elements for line in self.lines(element)]
        return b"".join((indent + line if line else line) + self.end for line in lines)

    def run_text(self, elements: Iterable[Element]) -> bytes:
        """Return elements on one line, separated by spaces."""
        return b" ".join(self.in_line(element) for element in elements)


def style_of(tree: Tree) -> Style:
    """Return the style of a file, judged by its layers."""
    layers = [field for field in tree.root.fields if field.name in ("layer", "layers")]
    opening, block = b" {", tree.root
    if layers and isinstance(layers[0].value, Block):
        block = layers[0].value
        between = tree.source[layers[0].name_end : block.open_end]
        if re.fullmatch(rb" ?(?:: ?)?\{", between):
            opening = between
    colon = separator(tree, block).encode()
    return Style(indent_unit(tree), opening, colon, eol(tree), _small_blocks_in_one_line(tree))


def _small_blocks_in_one_line(tree: Tree) -> bool:
    seen = in_one_line = 0
    for block in _small_blocks(tree.root, 4):
        seen += 1
        in_one_line += b"\n" not in tree.source[block.start : block.end]
        if seen == 100:
            break
    return 2 * in_one_line > seen


def _small_blocks(block: Block, depth: int) -> Iterator[Block]:
    for field in block.fields:
        inner = field.value
        if isinstance(inner, Block) and depth:
            if 1 <= len(inner.fields) <= 2 and all(isinstance(part.value, Scalar) for part in inner.fields):
                yield inner
            yield from _small_blocks(inner, depth - 1)


class Cut(NamedTuple):
    """Fields cut out of a block: the edits, and the comments by the id of their field.

    The first edit is at the place of the first field: it covers whole lines if `lines` is set, otherwise part of a line,
    whose comments are `left`.
    """

    edits: list[Edit]
    comments: dict[int, Comments]
    lines: bool
    left: tuple[bytes, ...]


def cut(
    tree: Tree,
    block: Block,
    fields: Iterable[Field],
    move_comments: bool | None = None,
    inside: Mapping[int, Sequence[bytes]] | None = None,
) -> Cut:
    """Cut fields out of a block.

    If `move_comments` is None, something will be inserted in place of the first field with `insert_at_cut`, and comments
    move along if that place is whole lines. Otherwise `move_comments` says whether they do. `inside` are comments in
    values that are not written again, by the id of the field.
    """
    own = {id(field): (*_inner_comments(tree, field), *(inside or {}).get(id(field), ())) for field in fields}
    runs = [run for run in _runs(tree, block) if any(id(field) in own for field in run)]
    edits: list[Edit] = []
    comments: dict[int, Comments] = {}
    lines = False
    left: tuple[bytes, ...] = ()
    for run in runs:
        is_target = run is runs[0] and move_comments is None
        start, end = _lines_of(tree, run)
        alone = all(id(field) in own for field in run) and _is_free(tree.source, start, end, run)
        if is_target:
            lines = move_comments = alone
        if not alone:
            cuts = list(_cuts(tree, run, own))
            if is_target:  # keep the spaces around it
                group = next(_groups(run, own))
                cuts[0] = Edit(group[0].start, group[-1].end, b"")
                left = tuple(comment for field in group for comment in own[id(field)])
            edits += cuts
        elif move_comments:
            if not is_target:
                start = _with_comments_above(tree.source, start)
            comments |= _comments_of_run(tree, run, start, own)
            edits.append(Edit(start, end, b""))
        else:
            staying = [comment for field in run for comment in own[id(field)]]
            staying += _COMMENT.findall(tree.source, run[-1].end, end)
            indent = indent_at(tree, run[0].start)
            edits.append(Edit(start, end, b"".join(indent + comment + eol(tree) for comment in staying)))
    return Cut(edits, comments, lines, left)


def insert_at_cut(tree: Tree, style: Style, taken: Cut, elements: Iterable[Element]) -> list[Edit]:
    """Return the edits that cut fields and write elements in place of the first one."""
    place, *others = taken.edits
    if taken.lines:
        line = tree.source[place.start : place.end]
        text = style.block_text(elements, line[: len(line) - len(line.lstrip(b" \t"))])
        if not line.endswith(b"\n"):  # keep the missing final newline
            text = text[: -len(style.end)]
    else:
        text = b"".join(comment + style.end for comment in taken.left) + style.run_text(elements)
    return [place._replace(text=text), *others]


def insert_after(
    tree: Tree, style: Style, block: Block, anchor: Field | None, elements: Sequence[Element]
) -> Edit:
    """Return the edit that writes elements after a field of a block, or at the start of a block without fields."""
    source = tree.source
    if anchor is not None:
        if shares_line(tree, block, anchor):
            return insert_beside(tree, anchor, style.run_text(elements))
        line_end = source.find(b"\n", anchor.end)
        text = style.block_text(elements, indent_at(tree, anchor.start))
        if line_end < 0:
            return Edit(len(source), len(source), style.end + text[: -len(style.end)])
        return Edit(line_end + 1, line_end + 1, text)
    line_end = source.find(b"\n", block.open_end, block.close)
    if line_end < 0:
        return Edit(block.open_end, block.close, b" " + style.run_text(elements) + b" ")
    return Edit(
        line_end + 1, line_end + 1, style.block_text(elements, indent_at(tree, block.start) + style.step)
    )


def insert_before(tree: Tree, style: Style, anchor: Field, elements: Sequence[Element]) -> Edit:
    """Return the edit that writes elements before a top-level field, above its comments."""
    line_start = tree.source.rfind(b"\n", 0, anchor.start) + 1
    if tree.source[line_start : anchor.start].strip():
        return Edit(anchor.start, anchor.start, style.run_text(elements) + b" ")
    start = _with_comments_above(tree.source, line_start)
    return Edit(start, start, style.block_text(elements, indent_at(tree, anchor.start)))


def can_hold_comments(tree: Tree, block: Block, anchor: Field | None) -> bool:
    """Whether elements that `insert_after` writes there can have comments."""
    if anchor is not None:
        return not shares_line(tree, block, anchor)
    return b"\n" in tree.source[block.open_end : block.close]


def starts_line(tree: Tree, field: Field) -> bool:
    """Whether only space precedes a field on its line."""
    return not tree.source[tree.source.rfind(b"\n", 0, field.start) + 1 : field.start].strip()


def text_after_name(tree: Tree, style: Style, field: Field, node: Scalar | Block) -> bytes:
    """Return the text of a field from the end of its name to the end of a value, for an `Element`."""
    if node is not field.value or b"#" in tree.source[field.name_end : node.start]:
        between = b" " if isinstance(node, Block) else style.colon
        text = between + tree.source[node.start : node.end]
    else:
        text = tree.source[field.name_end : node.end]
    if b"\n" not in text:
        return text
    outer = indent_at(tree, field.start)
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    return b"\n".join(
        [lines[0], *(line[len(outer) :] if line.startswith(outer) else line for line in lines[1:])]
    )


class Inside(NamedTuple):
    """The comments of a block: after its opening brace, of its fields, and below the last field."""

    opening: tuple[bytes, ...]
    fields: dict[int, Comments]
    below: tuple[bytes, ...]


def comments_inside(tree: Tree, block: Block) -> Inside:
    """Return the comments of a block that is completely rewritten."""
    source = tree.source
    opening: tuple[bytes, ...] = ()
    found: dict[int, Comments] = {}
    above: tuple[bytes, ...] = ()
    previous: Field | None = None
    position = block.open_end
    for field in [*block.fields, None]:
        end = field.start if field is not None else block.close
        after = _COMMENT_AFTER.match(source, position, end)
        above = tuple(_COMMENT.findall(source, after.end() if after else position, end))
        if after and previous is None:
            opening = (after[0].strip(),)
        elif after and previous is not None:
            found[id(previous)] = Comments(found[id(previous)].above, after[0])
        if field is not None:
            found[id(field)] = Comments((*above, *_inner_comments(tree, field)))
            position, previous = field.end, field
    return Inside(opening, found, above)


def all_comments(tree: Tree, block: Block) -> list[bytes]:
    """Return all comments in a block and in the blocks inside it."""
    inside = comments_inside(tree, block)
    found = [*inside.opening, *inside.below]
    for field in block.fields:
        comments = inside.fields[id(field)]
        found += (*comments.above, comments.after.strip()) if comments.after else comments.above
        if isinstance(field.value, Block):
            found += all_comments(tree, field.value)
    return found


def _runs(tree: Tree, block: Block) -> Iterator[list[Field]]:
    """Return the fields of a block, grouped by the lines they share."""
    run: list[Field] = []
    for field in block.fields:
        if run and tree.source.find(b"\n", run[-1].end, field.start) >= 0:
            yield run
            run = []
        run.append(field)
    if run:
        yield run


def _lines_of(tree: Tree, run: list[Field]) -> tuple[int, int]:
    """Return the span of the lines of some fields, including the last line ending."""
    end = tree.source.find(b"\n", run[-1].end)
    return tree.source.rfind(b"\n", 0, run[0].start) + 1, len(tree.source) if end < 0 else end + 1


def _is_free(source: bytes, start: int, end: int, run: list[Field]) -> bool:
    """Whether the lines contain only these fields and comments."""
    tail = source[run[-1].end : end].strip()
    return not source[start : run[0].start].strip() and (not tail or tail.startswith(b"#"))


def _comments_of_run(
    tree: Tree, run: list[Field], start: int, own: Mapping[int, tuple[bytes, ...]]
) -> dict[int, Comments]:
    """Return the comments of fields that share no lines with others: those above the first, from `start`, and of each."""
    found = {id(field): Comments(own[id(field)]) for field in run}
    first, last = id(run[0]), id(run[-1])
    line_start, _ = _lines_of(tree, run)
    above = _COMMENT.findall(tree.source, start, line_start)
    found[first] = Comments((*above, *found[first].above))
    after = _COMMENT_AFTER.match(tree.source, run[-1].end)
    found[last] = Comments(found[last].above, after[0] if after else b"")
    return found


def _with_comments_above(source: bytes, line_start: int) -> int:
    """Return the start of the comment lines directly above a line."""
    while line_start:
        above = source.rfind(b"\n", 0, line_start - 1) + 1
        if not source[above:line_start].lstrip().startswith(b"#"):
            break
        line_start = above
    return line_start


def _inner_comments(tree: Tree, field: Field) -> list[bytes]:
    """Return the comments between the name and the values of a field, and before its end."""
    value = field.value
    nodes = value.items if isinstance(value, ListValue) else [value] if value is not None else []
    found: list[bytes] = []
    position = field.name_end
    for node in nodes:
        found += _COMMENT.findall(tree.source, position, node.start)
        position = node.end
    return found + _COMMENT.findall(tree.source, position, field.end)


def _groups(run: list[Field], wanted: Container[int]) -> Iterator[list[Field]]:
    group: list[Field] = []
    for field in run:
        if id(field) in wanted:
            group.append(field)
        elif group:
            yield group
            group = []
    if group:
        yield group


def _cuts(tree: Tree, run: list[Field], own: Mapping[int, tuple[bytes, ...]]) -> Iterator[Edit]:
    """Return the edits that cut fields out of lines shared with others; `own` are the comments in each field."""
    source = tree.source
    for group in _groups(run, own):
        start, end = group[0].start, group[-1].end
        left = [comment for field in group for comment in own[id(field)]]
        if left:
            yield Edit(start, end, b"".join(comment + eol(tree) for comment in left))
        elif rest := re.compile(rb"[ \t]+(?=[^ \t\r\n])").match(source, end):
            yield Edit(start, rest.end(), b"")
        else:
            while source[start - 1 : start] in (b" ", b"\t"):
                start -= 1
            yield Edit(start, end, b"")
