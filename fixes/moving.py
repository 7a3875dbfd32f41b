"""Fields that move to another place of their file: taken out with their comments, and written anew.

A comment belongs to a field if it follows on the field's line, or stands on lines of its own directly above
it. It goes along where the field has its lines for itself; where lines are shared, comments stay on their
line.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..proto.named_tuple import NamedTuple
from ..proto.tree import Block, Field, ListValue, Scalar, Tree
from .edit import Edit
from .fields import eol, indent_at, indent_unit, separator, shares_line

_COMMENT = re.compile(rb"#[^\r\n]*")
_BEHIND = re.compile(rb"[ \t]*#[^\r\n]*")


class Comments(NamedTuple):
    """The comments of a field: whole lines `above` it, and what stands `behind` it, with the space before."""

    above: tuple[bytes, ...] = ()
    behind: bytes = b""


NO_COMMENTS = Comments()


@dataclass(frozen=True)
class Element:
    """A field to be written: `value` is all its text from behind the name on, or the fields of its block.

    Lines of a text after the first are indented relative to the first. A block that is `compact` stands in
    one line if nothing in it needs lines of its own. `below` are comments in front of its closing brace.
    """

    name: str
    value: bytes | tuple[Element, ...]
    comments: Comments = NO_COMMENTS
    compact: bool = False
    below: tuple[bytes, ...] = ()

    @property
    def fits_one_line(self) -> bool:
        """Whether there is no comment and no end of line in it."""
        if self.below or self.comments != NO_COMMENTS:
            return False
        if isinstance(self.value, bytes):
            return b"\n" not in self.value
        return all(element.fits_one_line for element in self.value)


class Style(NamedTuple):
    """How a file is written: a step of indentation, what opens a block, what follows a name, ends of lines.

    `one_line` says that blocks of one or two scalars stand in one line, as most of them do in this file.
    """

    step: bytes
    opening: bytes
    colon: bytes
    end: bytes
    one_line: bool

    def lines(self, element: Element) -> list[bytes]:
        """The lines of an element, without ends of line, indented from the left margin on."""
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
        written[-1] += element.comments.behind
        return written

    def in_line(self, element: Element) -> bytes:
        """An element in one line, unless there is a comment inside its text; it has no others."""
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
        """Elements in lines of their own, with the indentation given."""
        lines = [line for element in elements for line in self.lines(element)]
        return b"".join((indent + line if line else line) + self.end for line in lines)

    def run_text(self, elements: Iterable[Element]) -> bytes:
        """Elements one behind the other."""
        return b" ".join(self.in_line(element) for element in elements)


def style_of(tree: Tree) -> Style:
    """How the file is written, judged by its layers."""
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


class Taken(NamedTuple):
    """Fields taken out of a block: the edits that do it, and their comments, by the identity of the field.

    The first edit is where the first of them stood: on whole lines if `lines`, else on a stretch of a line,
    whose comments are `left`.
    """

    edits: list[Edit]
    comments: dict[int, Comments]
    lines: bool
    left: tuple[bytes, ...]


def take(
    tree: Tree,
    block: Block,
    fields: Iterable[Field],
    carry: bool | None = None,
    inside: Mapping[int, Sequence[bytes]] | None = None,
) -> Taken:
    """Takes fields out of a block.

    Without `carry` something is to be `put` where the first of them stood, and comments go along if that is
    whole lines. Else `carry` says whether they go along. `inside` are comments in values that are not to be
    written anew, by the identity of the field.
    """
    own = {id(field): (*_held(tree, field), *(inside or {}).get(id(field), ())) for field in fields}
    runs = [run for run in _runs(tree, block) if any(id(field) in own for field in run)]
    edits: list[Edit] = []
    comments: dict[int, Comments] = {}
    lines = False
    left: tuple[bytes, ...] = ()
    for run in runs:
        at_place = run is runs[0] and carry is None
        start, end = _lines_of(tree, run)
        alone = all(id(field) in own for field in run) and _is_free(tree.source, start, end, run)
        if at_place:
            lines = carry = alone
        if not alone:
            cuts = list(_cuts(tree, run, own))
            if at_place:  # the spaces around it stay, too
                stretch = next(_stretches(run, own))
                cuts[0] = Edit(stretch[0].start, stretch[-1].end, b"")
                left = tuple(comment for field in stretch for comment in own[id(field)])
            edits += cuts
        elif carry:
            if not at_place:
                start = _with_comments_above(tree.source, start)
            comments |= _comments_of_run(tree, run, start, own)
            edits.append(Edit(start, end, b""))
        else:
            staying = [comment for field in run for comment in own[id(field)]]
            staying += _COMMENT.findall(tree.source, run[-1].end, end)
            indent = indent_at(tree, run[0].start)
            edits.append(Edit(start, end, b"".join(indent + comment + eol(tree) for comment in staying)))
    return Taken(edits, comments, lines, left)


def put(tree: Tree, style: Style, taken: Taken, elements: Iterable[Element]) -> list[Edit]:
    """The edits that take fields out and write elements where the first of them stood."""
    place, *others = taken.edits
    if taken.lines:
        line = tree.source[place.start : place.end]
        text = style.block_text(elements, line[: len(line) - len(line.lstrip(b" \t"))])
        if not line.endswith(b"\n"):  # no final newline: it stays so
            text = text[: -len(style.end)]
    else:
        text = b"".join(comment + style.end for comment in taken.left) + style.run_text(elements)
    return [place._replace(text=text), *others]


def put_behind(
    tree: Tree, style: Style, block: Block, anchor: Field | None, elements: Sequence[Element]
) -> Edit:
    """The edit that writes elements behind a field of a block, or at the start of a block that has none."""
    source = tree.source
    if anchor is not None:
        if shares_line(tree, block, anchor):
            return Edit(anchor.end, anchor.end, b" " + style.run_text(elements))
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


def put_before(tree: Tree, style: Style, anchor: Field, elements: Sequence[Element]) -> Edit:
    """The edit that writes elements in front of a field of the top level, above its comments."""
    line_start = tree.source.rfind(b"\n", 0, anchor.start) + 1
    if tree.source[line_start : anchor.start].strip():
        return Edit(anchor.start, anchor.start, style.run_text(elements) + b" ")
    start = _with_comments_above(tree.source, line_start)
    return Edit(start, start, style.block_text(elements, indent_at(tree, anchor.start)))


def carries(tree: Tree, block: Block, anchor: Field | None) -> bool:
    """Whether what `put_behind` writes there can have comments."""
    if anchor is not None:
        return not shares_line(tree, block, anchor)
    return b"\n" in tree.source[block.open_end : block.close]


def starts_line(tree: Tree, field: Field) -> bool:
    """Whether nothing but space stands before a field on its line."""
    return not tree.source[tree.source.rfind(b"\n", 0, field.start) + 1 : field.start].strip()


def text_behind_name(tree: Tree, style: Style, field: Field, node: Scalar | Block) -> bytes:
    """The text of a field from behind its name to the end of a value, for an `Element`."""
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
    """The comments of a block: behind its opening, of its fields, and below the last of these."""

    opening: tuple[bytes, ...]
    fields: dict[int, Comments]
    below: tuple[bytes, ...]


def comments_inside(tree: Tree, block: Block) -> Inside:
    """The comments of a block that is to be written anew as a whole."""
    source = tree.source
    opening: tuple[bytes, ...] = ()
    found: dict[int, Comments] = {}
    above: tuple[bytes, ...] = ()
    previous: Field | None = None
    position = block.open_end
    for field in [*block.fields, None]:
        end = field.start if field is not None else block.close
        behind = _BEHIND.match(source, position, end)
        above = tuple(_COMMENT.findall(source, behind.end() if behind else position, end))
        if behind and previous is None:
            opening = (behind[0].strip(),)
        elif behind and previous is not None:
            found[id(previous)] = Comments(found[id(previous)].above, behind[0])
        if field is not None:
            found[id(field)] = Comments((*above, *_held(tree, field)))
            position, previous = field.end, field
    return Inside(opening, found, above)


def all_comments(tree: Tree, block: Block) -> list[bytes]:
    """Every comment inside a block, also in the blocks within it."""
    inside = comments_inside(tree, block)
    found = [*inside.opening, *inside.below]
    for field in block.fields:
        comments = inside.fields[id(field)]
        found += (*comments.above, comments.behind.strip()) if comments.behind else comments.above
        if isinstance(field.value, Block):
            found += all_comments(tree, field.value)
    return found


def _runs(tree: Tree, block: Block) -> Iterator[list[Field]]:
    """The fields of a block, those together that share lines."""
    run: list[Field] = []
    for field in block.fields:
        if run and tree.source.find(b"\n", run[-1].end, field.start) >= 0:
            yield run
            run = []
        run.append(field)
    if run:
        yield run


def _lines_of(tree: Tree, run: list[Field]) -> tuple[int, int]:
    """From the start of the first line of some fields to the end of their last, with its end of line."""
    end = tree.source.find(b"\n", run[-1].end)
    return tree.source.rfind(b"\n", 0, run[0].start) + 1, len(tree.source) if end < 0 else end + 1


def _is_free(source: bytes, start: int, end: int, run: list[Field]) -> bool:
    """Whether nothing but comments stands on the lines beside the fields."""
    tail = source[run[-1].end : end].strip()
    return not source[start : run[0].start].strip() and (not tail or tail.startswith(b"#"))


def _comments_of_run(
    tree: Tree, run: list[Field], start: int, own: Mapping[int, tuple[bytes, ...]]
) -> dict[int, Comments]:
    """The comments of fields on lines of their own: those above the first, from `start` on, and of each."""
    found = {id(field): Comments(own[id(field)]) for field in run}
    first, last = id(run[0]), id(run[-1])
    line_start, _ = _lines_of(tree, run)
    above = _COMMENT.findall(tree.source, start, line_start)
    found[first] = Comments((*above, *found[first].above))
    behind = _BEHIND.match(tree.source, run[-1].end)
    found[last] = Comments(found[last].above, behind[0] if behind else b"")
    return found


def _with_comments_above(source: bytes, line_start: int) -> int:
    """The start of the lines of comments that stand directly above a line."""
    while line_start:
        above = source.rfind(b"\n", 0, line_start - 1) + 1
        if not source[above:line_start].lstrip().startswith(b"#"):
            break
        line_start = above
    return line_start


def _held(tree: Tree, field: Field) -> list[bytes]:
    """The comments between the name and the values of a field, and before its end."""
    value = field.value
    nodes = value.items if isinstance(value, ListValue) else [value] if value is not None else []
    found: list[bytes] = []
    position = field.name_end
    for node in nodes:
        found += _COMMENT.findall(tree.source, position, node.start)
        position = node.end
    return found + _COMMENT.findall(tree.source, position, field.end)


def _stretches(run: list[Field], wanted: Container[int]) -> Iterator[list[Field]]:
    stretch: list[Field] = []
    for field in run:
        if id(field) in wanted:
            stretch.append(field)
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _cuts(tree: Tree, run: list[Field], own: Mapping[int, tuple[bytes, ...]]) -> Iterator[Edit]:
    """The edits that cut fields out of lines that they share with others; `own` are the comments in each."""
    source = tree.source
    for stretch in _stretches(run, own):
        start, end = stretch[0].start, stretch[-1].end
        left = [comment for field in stretch for comment in own[id(field)]]
        if left:
            yield Edit(start, end, b"".join(comment + eol(tree) for comment in left))
        elif rest := re.compile(rb"[ \t]+(?=[^ \t\r\n])").match(source, end):
            yield Edit(start, rest.end(), b"")
        else:
            while source[start - 1 : start] in (b" ", b"\t"):
                start -= 1
            yield Edit(start, end, b"")
