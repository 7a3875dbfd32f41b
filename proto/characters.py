"""Characters that look like ASCII but are not, and files that are not text at all.

Word processors, web pages and input methods produce typographic quotes, no-break spaces and full-width punctuation where
text format allows only ASCII. A *view* is the source with such characters replaced by what they look like, padded with
spaces to the same length, so that positions in it are positions in the source.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .statement import MAX_PROBLEMS
from .tree import Block, Field, ListValue, Problem, Scalar, Tree

_QUOTES = dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02", '"') | dict.fromkeys(
    "\u2018\u2019\u201a\u201b\u2032\uff07\u00b4", "'"
)
_SPACES = frozenset("\u0085\u00a0\u1680\u180e\u202f\u205f\u2028\u2029\u3000") | {
    chr(code) for code in range(0x2000, 0x200B)
}
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
_PUNCTUATION = {chr(ord(character) + 0xFEE0): character for character in ":,;{}<>[]=#-/.+"} | {
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
    "\u3001": ",", "\u201a": ",", "\u2236": ":",
}  # fmt: skip

# Comments and strings, which may contain any character, or a run of non-ASCII bytes.
_PIECE = re.compile(rb"#[^\n]*|\"(?:[^\"\\\n]|\\[^\n])*\"|'(?:[^'\\\n]|\\[^\n])*'|([\x80-\xff]+)")


def not_text(source: bytes) -> Problem | None:
    """Return the problem of a file that is not text format at all: another encoding, a binary file, a web page."""
    head = source[:4096]
    what = ""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        what = "this file is UTF-16, but Caffe reads ASCII or UTF-8: save it as UTF-8 without a byte-order mark"
    elif (source.count(b"\0") > 1 and (b"\0" in head or source.count(b"\0") > len(source) // 20)) or sum(
        byte < 9 or 13 < byte < 32 for byte in head
    ) > len(head) // 20 + 1:
        what = "this is a binary file, not text format (weight files such as .caffemodel are binary)"
    elif re.match(rb"(?i)\s*<(?:!doctype|html|\?xml)\b", head):
        what = "this is a web page, not text format: download the file itself (on GitHub, use 'Raw')"
    elif head.startswith(b"version https://git-lfs.github.com/spec"):
        what = "this is a Git LFS pointer, not the file itself: run 'git lfs pull'"
    return Problem("syntax", 0, 0, what) if what else None


def without_lookalikes(source: bytes) -> tuple[bytes, list[Problem]]:
    """Return the view of a source, and one problem per line and kind of replaced character.

    What stands in lines after MAX_PROBLEMS problems is added to the last problem of its kind, which says so.
    """
    if source.isascii():
        return source, []
    view = bytearray(source)
    found: dict[tuple[int, str], list[tuple[int, int, bytes]]] = {}
    names: dict[tuple[int, str], list[str]] = {}
    last: dict[str, tuple[int, str]] = {}  # the last problem of each kind
    more: dict[tuple[int, str], set[int]] = {}  # the further lines of a problem
    line = 0
    counted = 0
    for match in _PIECE.finditer(source):
        if match[1] is None:
            continue
        position = match.start()
        line += source.count(b"\n", counted, position)
        counted = position
        for character, size in _characters(match[1]):
            kind, new, padded = _replacement(character, size, position, source)
            if kind:
                view[position : position + size] = padded
                key = line, kind
                if key not in found and len(found) >= MAX_PROBLEMS and kind in last:
                    key = last[kind]
                    more.setdefault(key, set()).add(line)
                else:
                    last[kind] = key
                    names.setdefault(key, []).append(character)
                found.setdefault(key, []).append((position, position + size, new))
            position += size
    problems = []
    for key, edits in found.items():
        message = _message(key[1], names[key])
        if key in more:
            message += f" (and in {len(more[key])} more line{'s' if len(more[key]) > 1 else ''})"
        problems.append(Problem(key[1], edits[0][0], edits[-1][1], message, tuple(edits), _TITLES[key[1]]))
    return bytes(view), problems


_TITLES = {
    "byte-order-mark": "remove the byte-order mark",
    "smart-quotes": "use ASCII quotes",
    "unicode-space": "replace it with a space",
    "syntax": "use ASCII",
}


@lru_cache(maxsize=1024)
def _characters(run: bytes) -> list[tuple[str, int]]:
    """Return the characters of a run with their sizes; bytes that are not UTF-8 are decoded as Windows-1252."""
    try:
        return [(character, len(character.encode())) for character in run.decode()]
    except UnicodeDecodeError:
        return [(character, 1) for character in run.decode("cp1252", "replace")]


def _replacement(character: str, size: int, position: int, source: bytes) -> tuple[str, bytes, bytes]:
    """Return the kind of problem (empty if there is none), the replacement, and the replacement padded to the same size."""
    if character == "\ufeff" and position == 0:
        return "byte-order-mark", b"", b" " * size
    if character in _QUOTES:
        new = _QUOTES[character].encode()
        # A quote after a value closes it; a quote after a colon or space opens one.
        opens = position == 0 or source[position - 1 : position] in (b" ", b"\t", b"\n", b":", b",", b"[", b"{")
        return "smart-quotes", new, new.rjust(size) if opens else new.ljust(size)
    if character in _PUNCTUATION:
        new = _PUNCTUATION[character].encode()
        return "syntax", new, new.ljust(size)
    if character in _SPACES:
        return "unicode-space", b" ", b" " * size
    if character in _INVISIBLE:
        # Within a word it acts as a space, so that the two halves stay separate words.
        within_word = (
            source[position - 1 : position].isalnum() and source[position + size : position + size + 1].isalnum()
        )
        return "unicode-space", b" " if within_word else b"", b" " * size
    return "", b"", b""


def _message(kind: str, characters: list[str]) -> str:
    character = characters[0]
    code = f"U+{ord(character):04X}"
    if kind == "byte-order-mark":
        return "byte-order mark at the start of the file: Caffe's parser stops here"
    if kind == "smart-quotes":
        return f"typographic quotes ({' '.join(dict.fromkeys(characters))}): only \" and ' are allowed"
    if kind == "unicode-space":
        look = "is invisible" if character in _INVISIBLE else "looks like a space"
        return f"{code} {look}, but Caffe's parser accepts only ASCII between tokens"
    return f"'{character}' ({code}) is not '{_PUNCTUATION[character]}': Caffe's parser accepts only ASCII between tokens"


def map_to_source(tree: Tree, source: bytes, problems: list[Problem]) -> None:
    """Turn the tree of a view into a tree of its source, and add the problems of the view.

    The spans of scalars are extended to whole characters. A replaced character inside a malformed scalar is corrected
    together with that scalar.
    """
    edits = {edit[0]: edit for problem in problems for edit in problem.repair or ()}
    malformed = {id(item) for item in tree.malformed}
    settled: set[int] = set()
    tree.source = source
    todo: list[Field | Scalar | Block | ListValue] = [tree.root]
    while todo:
        node = todo.pop()
        field, value = (node, node.value) if isinstance(node, Field) else (None, node)
        if isinstance(value, Block):
            todo += value.fields
        elif isinstance(value, ListValue):
            todo += value.items
        elif value is not None:
            span = _whole_characters(value.start, value.end, edits)
            if field is None:
                value.move(*span)
            else:
                field.move_value(*span)
            if id(value) in malformed:
                settled |= _unpad(value, source, edits)
    for number, problem in enumerate(tree.problems):
        if problem.repair:
            repair = tuple((*_whole_characters(start, end, edits), new) for start, end, new in problem.repair)
            tree.problems[number] = problem._replace(repair=repair)
            for start, end, _ in repair:
                settled.update(place for place in range(start, max(end, start + 1)) if place in edits)
    for problem in problems:
        left = tuple(edit for edit in problem.repair or () if edit[0] not in settled)
        if left:
            tree.problems.append(problem._replace(repair=left, start=left[0][0], end=left[-1][1]))


def _whole_characters(start: int, end: int, edits: dict[int, tuple[int, int, bytes]]) -> tuple[int, int]:
    """Extend a span to whole characters; `edits` are the replaced ones by their positions."""
    before, after = _around(start, edits), _around(end, edits)
    whole_start = start if before is None else before[0]
    if start == end:
        return whole_start, whole_start
    return whole_start, end if after is None else after[1]


def _around(place: int, edits: dict[int, tuple[int, int, bytes]]) -> tuple[int, int, bytes] | None:
    """Return the replaced character that a position is within, not at its start; a character has at most 4 bytes."""
    edit = edits.get(place - 1) or edits.get(place - 2) or edits.get(place - 3)
    return edit if edit is not None and place < edit[1] else None


def _unpad(scalar: Scalar, source: bytes, edits: dict[int, tuple[int, int, bytes]]) -> set[int]:
    """Remove the padding from a scalar's text, and return the positions of the replaced characters in it."""
    inside = [edits[place] for place in range(scalar.start, scalar.end) if place in edits]
    if inside:
        pieces: list[bytes] = []
        position = scalar.start
        for start, end, new in inside:
            pieces += (source[position:start], new)
            position = end
        scalar.text = b"".join((*pieces, source[position : scalar.end]))
    return {start for start, _, _ in inside}
