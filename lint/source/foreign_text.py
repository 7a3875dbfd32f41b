"""Texts in which nothing may be changed: templates, sentences for people, and texts that are no files of Caffe.

Template marks are placeholders that a program replaces before Caffe reads the text, so what will stand there is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from itertools import islice

from ..proto.message import Message
from ..proto.named_tuple import NamedTuple
from ..proto.tree import Block, Field, ListValue, Problem, Tree, fields_at

# These patterns are compiled when they are first used, as most texts need none of them.
# Outside of strings and comments, none of these is valid text format. A string or a comment of C runs to the end of its line
# if it is not closed.
_PIECE = (
    rb"""(?s)(?P<comment>\#[^\n]*|//[^\n]*|/\*)"""
    rb"""|(?P<string>"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)"""
    rb"""|(?P<mark>\{\{|\{%|<%|\$(?![A-Za-z_]\w*[ \t]*:)[{(A-Za-z_]|%\([A-Za-z_]|@[A-Za-z_]\w*@)"""
)
_IN_STRING = rb"\{\{|\{%|<%"
_WHOLE_STRING = rb"\s*(?:\$\{[^{}]*\}|@[A-Za-z_]\w*@)\s*"
_PLACEHOLDER = r"\{\{|\{%|<%|\$[{(A-Za-z_]|@[A-Za-z_]\w*@"
# Fields that name a file or folder, in nets and solvers of every format.
PATH_FIELDS = frozenset(
    "source root_folder mean_file meanfile file_name net train_net test_net snapshot_prefix weights".split()
)
_IN_CAPITALS = r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+"  # `TRAIN_FILE`, where a file is to be named
# One of these is in every text with a mark; most texts have none.
_SIGNS = (b"{{", b"{%", b"<%", b"$", b"%(", b"@")

# The beginning of a line of prose: two words, where a field has a colon or a brace after the first.
_PROSE = rb"[\s>*-]*([A-Za-z][\w'-]*)[,;]?[ \t]+[A-Za-z][\w'-]*\b"
# The same where no tree says where blocks end: after a line feed, which stands for whatever may close a block, too.
_MAY_BE_PROSE = re.compile(rb"\n[ \t\f\v*-]*[A-Za-z][\w'-]*[,;]?[ \t]+[A-Za-z]")
_LINE_FEEDS = bytes.maketrans(b"\r}>)", b"\n\n\n\n")
_LEAST_PROSE = 3  # lines: fewer may be a comment without its sign, or a broken field


def is_prose(tree: Tree, known: Container[str]) -> bool:
    """Whether a text is sentences, such as notes, rather than fields: it has more lines of prose than `known` fields.

    Only what stands outside of blocks counts. A line that begins with a known field is no prose, whatever follows.
    """
    fields = sum(field.name in known for field in tree.root.fields)
    prose = position = 0
    for block in (*(field for field in tree.root.fields if isinstance(field.value, Block)), None):
        end = len(tree.source) if block is None else block.start
        for line in tree.source[position:end].splitlines():
            match = re.match(_PROSE, line)
            prose += match is not None and match[1].decode() not in known
        position = end if block is None else block.end
    return prose >= _LEAST_PROSE and prose > fields


def may_be_prose(source: bytes) -> bool:
    """Whether `is_prose` may hold of a text, wherever its blocks are: whether two words begin a line often enough."""
    found = _MAY_BE_PROSE.finditer(b"\n" + source.translate(_LINE_FEEDS))
    return sum(1 for _ in islice(found, _LEAST_PROSE)) == _LEAST_PROSE


class Mark(NamedTuple):
    """A template mark: its span, and whether it is inside a quoted string, so that the text can be read around it."""

    start: int
    end: int
    in_string: bool


def template_marks(source: bytes) -> tuple[Mark, ...]:
    """Return the template marks of a text, in its order; in a string, the whole string.

    They are `{{`, `{%`, `<%`, `${…}`, `$(…)`, `$NAME`, `%(…)` and `@NAME@` where a name, a value or a field is expected; in
    strings, only `{{`, `{%` and `<%`, or `${…}` or `@NAME@` as the whole string: `"${DATA}/train"` may well be a path. `$name:` is
    no mark, but a field after a stray character.
    """
    return tuple(_marks(source)) if any(sign in source for sign in _SIGNS) else ()


def has_placeholder(path: str) -> bool:
    """Whether a path has a placeholder in it, so that it is not known which file is meant."""
    if path.isupper() and re.fullmatch(_IN_CAPITALS, path) is not None:
        return True
    return any(sign in path for sign in "{%$@") and re.search(_PLACEHOLDER, path) is not None


def is_placeholder(name: str, value: str) -> bool:
    """Whether a value that its field cannot have is one that a script replaces: its name in capitals, or for a path any such name."""
    return value == name.upper() or (name in PATH_FIELDS and has_placeholder(value))


def _marks(source: bytes) -> Iterator[Mark]:
    position = 0
    find = re.compile(_PIECE).search
    while (found := find(source, position)) is not None:
        position = found.end()
        if found.lastgroup == "mark":
            yield Mark(found.start(), found.end(), False)
        elif found.lastgroup == "string":
            inside = found[0][1:-1] if found[0][-1:] == found[0][:1] else found[0][1:]
            if re.search(_IN_STRING, inside) or re.fullmatch(_WHOLE_STRING, inside):
                yield Mark(found.start(), found.end(), True)
        elif found[0] == b"/*":
            end = source.find(b"*/", position)
            position = end + 2 if end >= 0 else len(source)


def is_mostly_unknown(tree: Tree, message: Message, problems: Sequence[Problem]) -> bool:
    """Whether fewer than half of the fields of a file, those in blocks included, are fields of a known Caffe.

    A misspelled field is unknown, and so are everything in an unknown one and every line that is no field at all. `problems` are
    those of the binder: it has one with each field that it does not know, unless its place is uncertain.
    """
    unknown = sum(
        1 + tree.source.count(b"\n", problem.start, problem.end)
        for problem in tree.problems
        if problem.kind == "syntax" and not fields_at(tree.root, problem.start)
    )
    if not (unknown or problems or tree.uncertain):
        return False
    known = 0
    queue = [message]
    for each in queue:
        seen: set[int] = set()
        for name, entries in each.entries.items():
            for value, _, field in entries:
                if id(field) not in seen:
                    seen.add(id(field))
                    known += field.name == name
                    unknown += field.name != name
                if isinstance(value, Message):
                    queue.append(value)
        unknown += sum(map(_fields_in, each.unknown))
    return known < unknown


def _fields_in(field: Field) -> int:
    """Return the number of fields in a field, itself included."""
    queue = [field]
    for each in queue:
        values = each.value.items if isinstance(each.value, ListValue) else [each.value]
        queue += [inner for value in values if isinstance(value, Block) for inner in value.fields]
    return len(queue)
