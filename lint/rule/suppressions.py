"""Suppressions: comments in a prototxt that name the findings that are known and accepted there.

    base_lr: 0.1  # caffe-lint: ignore[G102] the warm-up takes care of it
    # caffe-lint: ignore[G104, N303]
    layer { … }
    # caffe-lint: file-ignore[P]

At the end of a line, a suppression applies to that line and to the field that ends there; on a line of its own, to the
next field and everything inside; as `file-ignore`, anywhere, to the whole file. In brackets are codes, code prefixes or
names of rules. A suppression without brackets has no effect: it would hide findings that come up later. Case does not matter, nor
do blanks between the words.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Set
from typing import TYPE_CHECKING

from ..proto.binder import nearest_name
from ..proto.named_tuple import NamedTuple
from ..proto.tree import Block, Field, Tree, fields_at, inner_block
from .registry import all_rules, matching

if TYPE_CHECKING:
    from ..source.files import SourceFile

WORDS = ("ignore", "file-ignore")
# The rule that reports unused suppressions. Only its own name suppresses it, since `ignore[ALL]` would hide itself.
UNUSED = "P901"
_MARKER = "caffe-lint:"
MAX_HINTS = 100  # for unknown names in a file; nobody reads more

_hash_or_quote = re.compile(rb"[#\"']").search
_string = re.compile(rb"\"(?:[^\"\\\n]|\\[^\n])*\"|'(?:[^'\\\n]|\\[^\n])*'").match
_hash = re.compile(rb"[ \t]#").search
_beginnings = re.compile(rb"(?i)(?<!#)#+[ \t]*(caffe[-_ ]?lint[ \t]*:?)").finditer
_directive = re.compile(rb"[ \t]*([A-Za-z_-]*)[ \t]*(?:(\[)([^\]\n]*)(\])?)?").match
_other_comment = re.compile(rb"[ \t]#+(?![#\d])").search  # `#12` is a number that a reason refers to
_items = re.compile(rb"[^,\s][^,]*").finditer


class Selector(NamedTuple):
    """A code, code prefix or name in a suppression, its position, and the codes that it selects."""

    text: str
    start: int
    end: int
    codes: frozenset[str]


class Suppression(NamedTuple):
    """A suppression: its position, from its `#` on, what it names, and the spans to which it applies.

    `scope` is `line`, `field` or `file`; `opens` and `closes` are the ends of the text in its brackets.
    """

    scope: str
    start: int
    end: int
    opens: int
    closes: int
    selectors: tuple[Selector, ...]
    spans: tuple[tuple[int, int], ...]


class Mistake(NamedTuple):
    """A suppression, or a name in one, that has no effect: its span, and why."""

    start: int
    end: int
    message: str


class Suppressions:
    """All suppressions of a file, and the mistakes in them."""

    def __init__(self, tree: Tree, found: list[Suppression], mistakes: list[Mistake]) -> None:
        self.all = tuple(found)
        self.mistakes = tuple(mistakes)
        self._tree = tree
        self._by_span: dict[tuple[int, int], list[Suppression]] = {}
        for suppression in found:
            for span in suppression.spans:
                self._by_span.setdefault(span, []).append(suppression)

    def covering(self, code: str, position: int) -> Iterator[Selector]:
        """Yield what suppresses a finding of a rule at a position."""
        for suppression in self.at(position):
            for selector in suppression.selectors:
                if code in selector.codes and (code != UNUSED or len(selector.codes) == 1):
                    yield selector

    def at(self, position: int) -> Iterator[Suppression]:
        """Yield the suppressions that apply to a position: for the file, its line, and the fields around it.

        A finding at the end of a field, where something is missing, belongs to that field.
        """
        tree = self._tree
        spans = [(0, len(tree.source)), (tree.lines.start(position), tree.lines.end(position))]
        for place in (position, position - 1):
            spans += ((field.start, field.end) for field in fields_at(tree.root, place))
        for span in dict.fromkeys(spans):
            yield from self._by_span.get(span, ())


class Outcome(NamedTuple):
    """Which suppressions of a file were used, and the rules that have checked all of it."""

    file: SourceFile
    suppressions: Suppressions
    used: Set[Selector]
    codes: frozenset[str]

    def unused(self) -> Iterator[tuple[Suppression, list[Selector]]]:
        """Yield the suppressions with unused names, and these names. Nothing is known of rules that did not run."""
        for suppression in self.suppressions.all:
            idle = [each for each in suppression.selectors if each not in self.used and each.codes <= self.codes]
            if idle:
                yield suppression, idle


def read_suppressions(tree: Tree) -> Suppressions:
    """Return the suppressions of a file, in order. Text in strings is not a suppression."""
    found: list[Suppression] = []
    mistakes: list[Mistake] = []
    source = tree.source
    lower = source.lower()
    position = lower.find(b"lint")
    while position >= 0:
        line_end = tree.lines.end(position)
        comment = _comment_of_line(source, tree.lines.start(position), line_end)
        if comment >= 0:
            begins = list(_beginnings(source, comment, line_end))
            ends = [*(begin.start() for begin in begins[1:]), line_end]
            for begin, end in zip(begins, ends, strict=False):  # `begins` is empty if the word is part of a sentence
                suppression = _read(tree, comment, begin, end, mistakes)
                if suppression is not None:
                    found.append(suppression)
        position = lower.find(b"lint", line_end)
    return Suppressions(tree, found, mistakes)


def _comment_of_line(source: bytes, position: int, line_end: int) -> int:
    """Return where the comment of a line begins, -1 without one. It may follow an unclosed string."""
    while True:
        match = _hash_or_quote(source, position, line_end)
        if match is None:
            return -1
        if match[0] == b"#":
            return match.start()
        string = _string(source, match.start(), line_end)
        if string is None:
            comment = _hash(source, match.start(), line_end)
            return comment.end() - 1 if comment else -1
        position = string.end()


def _read(tree: Tree, comment: int, begin: re.Match[bytes], end: int, mistakes: list[Mistake]) -> Suppression | None:
    """Return one suppression of the comment that begins at `comment`; append its mistakes to `mistakes`."""
    source = tree.source
    start = begin.start()
    end = start + len(source[start:end].rstrip())
    match = _directive(source, begin.end(), end)
    assert match is not None  # all of it may be empty
    said, word = begin[1].decode(), match[1].decode().lower()
    is_marked = "".join(said.lower().split()) == _MARKER
    if word not in WORDS or not is_marked:
        near = nearest_name(word, list(WORDS))
        if said != _MARKER and not (near and (is_marked or match[2])):
            return None  # a sentence that begins with our name
        unknown = f"unknown suppression '{said} {match[1].decode()}'" if word else f"empty suppression '{said}'"
        meant = near if is_marked else f"{_MARKER} {near}"
        hint = f"did you mean '{meant}'?" if near else "expected ignore[CODE] or file-ignore[CODE]"
        mistakes.append(Mistake(start, end, f"{unknown}; {hint}"))
        return None
    if match[4] is None or not match[3].strip(b", \t"):
        what = "names no rule" if match[4] else "has no codes in brackets" if match[2] is None else "has no closing ]"
        mistakes.append(Mistake(start, end, f"suppression {what}; expected {word}[CODE]"))
        return None
    if other := _other_comment(source, match.end(), end):
        end = match.end() + len(source[match.end() : other.start()].rstrip())
    selectors = []
    codes: dict[str, frozenset[str]] = {}  # that a text selects: most are named more than once
    for item in _items(source, match.start(3), match.end(3)):
        name = item[0].rstrip()
        text = name.decode("utf-8", "replace")
        if text not in codes:
            codes[text] = frozenset(matching(text))
        selector = Selector(text, item.start(), item.start() + len(name), codes[text])
        if selector.codes:
            selectors.append(selector)
        else:
            names = [name for code, rule in all_rules().items() for name in (code, rule.name)]
            near = nearest_name(selector.text, names) if len(mistakes) < MAX_HINTS else None
            hint = f"; did you mean '{near}'?" if near else ""
            mistakes.append(Mistake(selector.start, selector.end, f"unknown rule '{selector.text}'{hint}"))
    scope = "file" if word == "file-ignore" else "field" if tree.lines.begins_at(comment) else "line"
    return Suppression(scope, start, end, *match.span(3), tuple(selectors), _spans(tree, scope, comment))


def _spans(tree: Tree, scope: str, comment: int) -> tuple[tuple[int, int], ...]:
    """Return the spans to which a suppression in the comment at `comment` applies."""
    if scope == "file":
        return ((0, len(tree.source)),)
    line = tree.lines.start(comment), tree.lines.end(comment)
    if scope == "field":
        field = next_field(tree, comment)
        return (line,) if field is None else (line, (field.start, field.end))
    spans = [line]
    fields, index = around(tree.root, comment)
    while index >= 0 and line[0] < fields[index].end <= comment:
        if fields[index].start < line[0]:  # it began on a line before
            spans.append((fields[index].start, fields[index].end))
        index -= 1
    return tuple(spans)


def next_field(tree: Tree, position: int) -> Field | None:
    """Return the field after a position in the same message, or the one that contains it; None without any."""
    fields, index = around(tree.root, position)
    if index >= 0 and position < fields[index].end:
        return fields[index]
    return fields[index + 1] if index + 1 < len(fields) else None


def around(block: Block, position: int) -> tuple[list[Field], int]:
    """Return the fields of the innermost message around a position, and the index of the last that begins before it."""
    while True:
        index = bisect_right(block.fields, position, key=lambda field: field.start) - 1
        inner = inner_block(block.fields[index], position) if index >= 0 else None
        if inner is None:
            return block.fields, index
        block = inner
