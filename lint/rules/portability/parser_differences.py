"""Text that other versions of protobuf reject or read differently."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...fixes.edit import Edit
from ...fixes.fields import Patch, remove_text
from ...proto.tree import Block, Field, ListValue, Scalar, Tree
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.files import SourceFile
from .every_message import every_message

_CAPITALS = {b"True": b"true", b"False": b"false"}
# Few files need these patterns: compiling them on use keeps that out of the start.
_COMMENT_OR_COMMA = rb"#[^\n]*|,"
_STRING_OR_COMMENT = rb"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|#[^\n]*"
_RETURN_WITHIN = rb"\r[ \t\r]*[^\s#]"
# A file without any of these has no newer syntax.
_NEWER = (b"True", b"False", b"[")
_SEPARATED_MINUS = rb"-[\s#]"
_LONG_NUMBER = rb":\s*0[0-9xX]"


@rule("P301", "newer-protobuf-syntax", subject="file", severity="advice", fixes="safe", by_name=True)
def newer_protobuf_syntax(file: SourceFile) -> Iterator[Hit]:
    """Flags syntax that protobuf versions of Caffe's first years cannot read.

    ## What it does

    - Flags `True` and `False` as values, which protobuf accepts since 2.6.
    - Flags lists of messages in brackets, `param: [{ … }, { … }]`, which it accepts since 2.6.
    - Flags empty brackets, `mean_value: []`, which it accepts since 3.0.

    One finding of each kind per file.

    ## Why is this bad?

    Caffe reads its files with the protobuf that it was built with: 2.5 on Ubuntu 14.04, 2.6.1 on 16.04. There the
    same file causes a parse error at that line. With protobuf 3 it works.

    ## When it is reported

    Reported as **advice**. Ignore it if everybody who reads the file has protobuf 3.

    ## Fix

    Writes the values in lower case and one field per message, and removes empty brackets. The fix is safe, since the
    meaning stays the same. Because the file works in a current Caffe, the fix is applied only if this rule is
    selected by its code or name.

    ## References

    text_format.cc of protobuf 2.4.1, 2.5.0, 2.6.1 and the current version, compared.
    """
    tree = file.tree
    if not any(word in tree.source for word in _NEWER):
        return
    capitals: list[Scalar] = []
    lists: list[tuple[Field, ListValue]] = []
    empty: list[Field] = []
    for message in every_message(file):
        for entries in message.entries.values():
            if isinstance(entries[0][0], bool):
                capitals += [node for _, node, _ in entries if isinstance(node, Scalar) and node.text in _CAPITALS]
        for field in message.block.fields:
            value = field.value
            if isinstance(value, ListValue):
                if not value.items:
                    empty.append(field)
                elif isinstance(value.items[0], Block):
                    lists.append((field, value))
    if capitals:
        capitals.sort(key=lambda node: node.start)
        first = capitals[0]
        written = first.text.decode()
        patch = Patch(tuple(Edit(node.start, node.end, _CAPITALS[node.text]) for node in capitals))
        yield Hit(
            file,
            (first.start, first.end),
            f"{written} is capitalised{_more(len(capitals))}; protobuf before 2.6 accepts only {written.lower()}",
            "A Caffe built with protobuf 2.5, as on Ubuntu 14.04, cannot parse it.",
            fix=patch.fix(file.path, "write true and false in lower case"),
        )
    if lists:
        lists.sort(key=lambda pair: pair[0].start)
        field, value = lists[0]
        edits = [edit for written, listed in _outermost(lists) for edit in _one_field_each(tree, written, listed)]
        yield Hit(
            file,
            (field.start, field.name_end),
            f"{field.name} lists messages in brackets{_more(len(lists))}, which requires protobuf 2.6",
            "A Caffe built with protobuf 2.5, as on Ubuntu 14.04, cannot parse it.",
            fix=Patch(tuple(edits)).fix(file.path, "write one field per message"),
        )
    if empty:
        empty.sort(key=lambda field: field.start)
        field = empty[0]
        yield Hit(
            file,
            (field.start, field.end),
            f"{field.name} has empty brackets{_more(len(empty))}, which requires protobuf 3.0",
            "A Caffe built with protobuf 2.6 or older, as on Ubuntu 16.04, cannot parse it.",
            fix=Patch(tuple(remove_text(tree, field) for field in empty)).fix(file.path, "remove empty brackets"),
        )


@rule("P302", "python-parser-mismatch", subject="file", severity="advice", fixes="safe", by_name=True)
def python_parser_mismatch(file: SourceFile) -> Iterator[Hit]:
    """Flags text that protobuf for Python rejects or reads differently than Caffe.

    ## What it does

    - Flags a minus sign separated from its number, `- 1`.
    - Flags a bool written as a number in hexadecimal or with leading zeros, `0x1` or `01`.
    - Flags bytes that are not valid UTF-8 in a comment or string, and strings whose escapes produce such bytes.
    - Flags a carriage return within a comment, with more text after it.

    One finding of each kind per file.

    ## Why is this bad?

    `caffe` reads its files with protobuf's C++ parser; scripts with pycaffe, and converters, use the Python parser,
    and the two differ. Python rejects the first three. It also opens the file as text, where a carriage return ends
    the line: what Caffe reads as part of the comment becomes fields.

    ## When it is reported

    Reported as **advice**. Ignore it if no script reads the file.

    ## Fix

    Joins the minus sign to its number and writes bools as words. The fix is safe, since the meaning stays the same.
    Because `caffe` reads the file as it is, the fix is applied only if this rule is selected by its code or name.
    Invalid UTF-8 and carriage returns are not fixed, because only you know the encoding, and what is meant as a
    comment.

    ## References

    protoc and protobuf for Python, each in a current version, given the same ninety texts.
    """
    source = file.tree.source
    minuses: list[Scalar] = []
    bools: list[Scalar] = []
    not_utf8: list[tuple[int, int]] = []
    if (b"-" in source and re.search(_SEPARATED_MINUS, source)) or re.search(_LONG_NUMBER, source) or b"\\" in source:
        for message in every_message(file):
            for name, entries in message.entries.items():
                for value, node, _ in entries:
                    if not isinstance(node, Scalar):
                        continue
                    if isinstance(value, bool):
                        if len(node.text) > 1 and node.text[:1].isdigit():
                            bools.append(node)
                    elif isinstance(value, str):
                        if message.type.readable[name].kind == "string" and not _is_utf8(value):
                            not_utf8.append((node.start, node.end))
                    elif node.text.startswith(b"-") and node.end - node.start > len(node.text):
                        minuses.append(node)
    refused = "Caffe reads it, but protobuf for Python, as used by pycaffe and converters, rejects it."
    if minuses:
        minuses.sort(key=lambda node: node.start)
        first = minuses[0]
        edits = [Edit(node.start, node.end, node.text) for node in minuses if b"#" not in source[node.start : node.end]]
        yield Hit(
            file,
            (first.start, first.end),
            f"minus sign is separated from its number{_more(len(minuses))}",
            refused,
            fix=Patch(tuple(edits)).fix(file.path, "join the minus sign to its number") if edits else None,
        )
    if bools:
        bools.sort(key=lambda node: node.start)
        first = bools[0]
        words = [Edit(node.start, node.end, b"true" if node.text[-1:] == b"1" else b"false") for node in bools]
        yield Hit(
            file,
            (first.start, first.end),
            f"bool is written as the number {first.text.decode()}{_more(len(bools))}",
            refused,
            fix=Patch(tuple(words)).fix(file.path, "write true or false"),
        )
    bad = _first_bad_byte(source)
    if bad is not None and file.kind != "other":
        not_utf8.append((bad, bad + 1))
    if not_utf8:
        yield Hit(file, min(not_utf8), "text is not valid UTF-8", refused)
    returned = _return_within_comment(source) if file.kind != "other" else None
    if returned is not None:
        yield Hit(
            file,
            (returned, returned + 1),
            "carriage return in the middle of a comment",
            "Caffe reads everything up to the line feed as comment; Python scripts read the rest as fields.",
        )


def _more(number: int) -> str:
    """Return how many more there are, to append to what is said of the first."""
    return f" (and {number - 1} more)" if number > 1 else ""


def _outermost(lists: list[tuple[Field, ListValue]]) -> Iterator[tuple[Field, ListValue]]:
    """Yield the lists that are not inside another one."""
    end = 0
    for field, value in lists:
        if field.start >= end:
            yield field, value
            end = field.end


def _one_field_each(tree: Tree, field: Field, value: ListValue) -> Iterator[Edit]:
    """Yield the edits that make one field of each message of a list: drop brackets and commas, repeat the name."""
    source = tree.source
    yield Edit(value.start, value.start + 1, b"")
    for block, following in zip(value.items, value.items[1:]):  # noqa: B905 - pairs
        for found in re.compile(_COMMENT_OR_COMMA).finditer(source, block.end, following.start):
            if found[0] == b",":
                yield Edit(found.start(), found.end(), b"")
        yield Edit(following.start, following.start, field.name.encode() + b" ")
    yield Edit(value.end - 1, value.end, b"")


def _is_utf8(value: str) -> bool:
    """Return whether a string that was read is valid UTF-8; other bytes were kept as surrogates."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _first_bad_byte(source: bytes) -> int | None:
    """Return the position of the first byte that is not valid UTF-8."""
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _return_within_comment(source: bytes) -> int | None:
    """Return the position of the first carriage return within a comment that continues after it."""
    if source.count(b"\r") == source.count(b"\r\n"):
        return None
    for token in re.finditer(_STRING_OR_COMMENT, source):
        if token[0].startswith(b"#"):
            found = re.search(_RETURN_WITHIN, token[0])
            if found:
                return token.start() + found.start()
    return None
