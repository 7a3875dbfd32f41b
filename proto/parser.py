"""Parse text format into a lossless tree.

Accepts what protobuf's C++ `TextFormat::Parse` accepts (text_format.cc, io/tokenizer.cc), which Caffe uses in
`ReadProtoFromTextFile`. Field names and types are not checked here; see `binder`.

A single regular expression matches nearly every statement of a real file. Anything else goes to `statement.Reader`,
which reads token by token, handles the rest of the grammar, reports errors and recovers from them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from .lines import SPACE
from .tree import Block, Field, Scalar, Tree

if TYPE_CHECKING:
    from .braces import Indentation  # keeps out of the start what only files with mistakes need
    from .statement import Reader  # keeps out of the start what only unusual text needs

# Groups: 1 name, then 2 scalar, 3 brace after a colon, or 4 brace; or 5 closing brace; or 6, empty, for anything else.
# A number or word must be followed by a valid delimiter. Separators and adjacent strings are left to `Reader`.
# A repetition takes memory for each comment that it passes, so it passes some at a time.
_SPACE = SPACE.removesuffix(b"*") + b"{0,100}"
_PATTERN = (
    _SPACE + rb"(?:([A-Za-z_][A-Za-z0-9_]*)[ \t]*"
    rb"(?::[ \t]*(?:"
    rb"(\"[^\"\\\n\0]*\"|'[^'\\\n\0]*'"
    rb"|(?:-?(?:[1-9][0-9]*|0)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|-?\.[0-9]+|[A-Za-z_][A-Za-z0-9_]*)"
    rb"(?=[ \t\r\n}#;,]|\Z))"
    rb"|(\{))"
    rb"|(\{))"
    rb"|(\})|())"
)
_STATEMENTS = re.compile(_PATTERN).finditer


@cache
def _statements_of_guess() -> Any:
    """Return what finds the statements of a text whose braces are guessed: a word before a colon or a brace is no value.

    `Reader`, which reads the rest of such a text, takes it for the next field, and the value for missing.
    """
    value_ends = rb"(?=[ \t\r\n}#;,]|\Z)"
    return re.compile(_PATTERN.replace(value_ends, value_ends + rb"(?![ \t]*[:{])")).finditer


class _Names(dict[bytes, str]):
    """Field names as text. Equal names share one object, which makes looking them up fast."""

    def __missing__(self, name: bytes) -> str:
        text = self[name] = name.decode()
        return text


def parse(source: bytes) -> Tree:
    """Parse a file into a tree, with the problems of its structure sorted by position.

    Never raises: unreadable text becomes a problem, and parsing continues after it. Values that are not valid tokens are
    reported by `binder.bind`, which knows the expected type.
    """
    tree = _parse(source)
    if not (tree.problems or tree.malformed):
        return tree
    from . import characters  # keeps out of the start what only files with mistakes need

    not_text = characters.not_text(source)
    if not_text:
        return Tree(source, Block(0, opening=0), [not_text])
    view, odd_characters = characters.without_lookalikes(source)
    if odd_characters:
        del tree  # two trees of one file are not needed at once
        tree = _parse(view)
    tree = _with_guessed_braces(tree)
    if odd_characters:
        characters.map_to_source(tree, source, odd_characters)
    tree.problems.sort(key=lambda problem: problem.start)
    return tree


def _with_guessed_braces(tree: Tree) -> Tree:
    """Return the tree of the same text with the braces that its indentation shows, if that leaves no more problems."""
    from .braces import Indentation, brace_problems  # keeps out of the start what only files with mistakes need

    braces = brace_problems(tree)
    if braces:
        # The braces are unbalanced. If the indentation shows where one is missing or extra, every field keeps its block.
        guess = _parse(tree.source, Indentation(tree, braces))
        if len(brace_problems(guess)) <= len(braces) and len(guess.problems) <= len(tree.problems):
            return guess
    return tree


def _parse(source: bytes, indentation: Indentation | None = None) -> Tree:
    root = Block(0, opening=0)
    stack: list[Block] = [root]
    reader: Reader | None = None
    names = _Names()
    texts: dict[bytes, bytes] = {}  # equal values share one object, too
    shared = texts.setdefault
    block = root
    append = root.fields.append
    position = 0
    statements = _STATEMENTS if indentation is None else _statements_of_guess()
    while True:
        quiet = len(source) if indentation is None else indentation.quiet_until(position)
        if position < quiet:
            for match in statements(source, position, quiet):
                kind = match.lastindex
                if kind == 2:
                    name, text = match.group(1, 2)
                    end, length = match.end(), len(text)
                    scalar = Scalar(shared(text, text), end, length)
                    append(Field(names[name], end - length - match.start(1), True, scalar))
                elif kind == 5:
                    if block is root:
                        position = match.start(5)
                        break
                    block.close_at(match.end())
                    stack.pop()
                    block = stack[-1]
                    append = block.fields.append
                elif kind == 6:
                    position = match.end()
                    if position > match.start() and source.startswith(b"#", position):
                        continue  # after as many comments as are passed at a time
                    break
                else:
                    end = match.end()
                    inner = Block(end)
                    append(Field(names[match[1]], end - 1 - match.start(1), kind == 3, inner))
                    stack.append(inner)
                    block = inner
                    append = inner.fields.append
        if reader is None:
            if position == len(source) and block is root:
                break
            from .statement import Reader  # keeps out of the start what only unusual text needs

            reader = Reader(source, stack, indentation)
        position = reader.read(position)
        while reader.special and position >= 0:
            position = reader.read(position)
        if position < 0:
            break
        block = stack[-1]
        append = block.fields.append
    root.close_at(len(source), 0)
    if reader is None:
        return Tree(source, root, [])
    return Tree(source, root, reader.problems, reader.malformed, reader.uncertain)
