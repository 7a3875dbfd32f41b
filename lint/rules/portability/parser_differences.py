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
# Patterns that few files need are compiled where they are used, which keeps that out of the start.
_COMMENT_OR_COMMA = rb"#[^\n]*|,"
_STRING_OR_COMMENT = rb"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|#[^\n]*"
_RETURN_WITHIN = rb"\r[ \t\r]*[^\s#]"
# Without any of these there is nothing to look for.
_NEWER = (b"True", b"False", b"[")
_MINUS_APART = rb"-[\s#]"
_LONG_NUMBER = rb":\s*0[0-9xX]"


@rule("P301", "newer-protobuf-syntax", subject="file", severity="advice", fixes="safe", by_name=True)
def newer_protobuf_syntax(file: SourceFile) -> Iterator[Hit]:
    """Something that protobuf of Caffe's first years cannot read.

    ## What it does

    - `True` and `False` as values, which protobuf takes from 2.6 on,
    - several messages in brackets, `param: [{ … }, { … }]`, from 2.6 on,
    - empty brackets, `mean_value: []`, from 3.0 on.

    One finding for each kind in a file.

    ## Why is this bad?

    Caffe reads its files by the protobuf it was built with: 2.5 on Ubuntu 14.04, 2.6.1 on 16.04. There the same file
    is an error at that line. With protobuf 3 it works.

    ## When it is reported

    Everybody who reads the file has protobuf 3.

    ## Fix

    The fix is safe, since it means the same: small letters, one field for each message, no empty brackets. As the
    file works in a Caffe of today, it is applied only where this rule is selected by its code or name.

    ## References

    text_format.cc of protobuf 2.4.1, 2.5.0, 2.6.1 and today's, compared.
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
            f"{written} has a capital letter{_more(len(capitals))}: protobuf before 2.6 takes only {written.lower()}",
            "A Caffe built with protobuf 2.5, as on Ubuntu 14.04, stops there.",
            fix=patch.fix(file.path, "write true and false in small letters"),
        )
    if lists:
        lists.sort(key=lambda pair: pair[0].start)
        field, value = lists[0]
        edits = [edit for written, listed in _apart(lists) for edit in _separated(tree, written, listed)]
        yield Hit(
            file,
            (field.start, field.name_end),
            f"{field.name} has its messages in brackets{_more(len(lists))}: protobuf takes that from 2.6 on",
            "A Caffe built with protobuf 2.5, as on Ubuntu 14.04, stops there.",
            fix=Patch(tuple(edits)).fix(file.path, "write a field for each message"),
        )
    if empty:
        empty.sort(key=lambda field: field.start)
        field = empty[0]
        yield Hit(
            file,
            (field.start, field.end),
            f"{field.name} has nothing in its brackets{_more(len(empty))}: protobuf takes that from 3.0 on",
            "A Caffe built with protobuf 2.6 or older, as on Ubuntu 16.04, stops there.",
            fix=Patch(tuple(remove_text(tree, field) for field in empty)).fix(file.path, "take empty brackets out"),
        )


@rule("P302", "python-parser-mismatch", subject="file", severity="advice", fixes="safe", by_name=True)
def python_parser_mismatch(file: SourceFile) -> Iterator[Hit]:
    """Something that protobuf for Python, as pycaffe and converters use it, refuses or reads otherwise than Caffe.

    ## What it does

    - a minus apart from its number, `- 1`,
    - a bool written as a number in hexadecimal or with zeros in front, `0x1` or `01`,
    - bytes that are no UTF-8, in a comment or a text, and texts whose escapes give such bytes,
    - a carriage return within a comment with more behind it.

    One finding for each kind in a file.

    ## Why is this bad?

    `caffe` itself reads files by protobuf's parser in C++, scripts by the one in Python, and these differ. Python
    refuses the first three. As it opens a file as text, a carriage return ends the line there, and what Caffe takes
    for part of the comment becomes fields.

    ## When it is reported

    No script reads the file.

    ## Fix

    The fix is safe, since it means the same: it joins the minus and writes bools in words. As `caffe` reads the file
    as it is, it is applied only where this rule is selected by its code or name. Bytes that are no UTF-8 and carriage
    returns are left: only you know the encoding, and what is to be a comment.

    ## References

    protoc and protobuf for Python, each in a version of today, given the same ninety texts.
    """
    source = file.tree.source
    minuses: list[Scalar] = []
    bools: list[Scalar] = []
    foreign: list[tuple[int, int]] = []
    if (b"-" in source and re.search(_MINUS_APART, source)) or re.search(_LONG_NUMBER, source) or b"\\" in source:
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
                            foreign.append((node.start, node.end))
                    elif node.text.startswith(b"-") and node.end - node.start > len(node.text):
                        minuses.append(node)
    refused = "Caffe reads it; protobuf for Python, as pycaffe and converters use it, stops there."
    if minuses:
        minuses.sort(key=lambda node: node.start)
        first = minuses[0]
        edits = [Edit(node.start, node.end, node.text) for node in minuses if b"#" not in source[node.start : node.end]]
        yield Hit(
            file,
            (first.start, first.end),
            f"the minus stands apart from its number{_more(len(minuses))}",
            refused,
            fix=Patch(tuple(edits)).fix(file.path, "join the minus to its number") if edits else None,
        )
    if bools:
        bools.sort(key=lambda node: node.start)
        first = bools[0]
        words = [Edit(node.start, node.end, b"true" if node.text[-1:] == b"1" else b"false") for node in bools]
        yield Hit(
            file,
            (first.start, first.end),
            f"a bool is written as the number {first.text.decode()}{_more(len(bools))}",
            refused,
            fix=Patch(tuple(words)).fix(file.path, "write true or false"),
        )
    bad = _first_bad_byte(source)
    if bad is not None and file.kind != "other":
        foreign.append((bad, bad + 1))
    if foreign:
        yield Hit(file, min(foreign), "what stands here is no UTF-8", refused)
    returned = _return_within_comment(source) if file.kind != "other" else None
    if returned is not None:
        yield Hit(
            file,
            (returned, returned + 1),
            "a carriage return stands within a comment, with more behind it",
            "To Caffe all up to the line feed is comment; a script in Python takes what follows for fields.",
        )


def _more(number: int) -> str:
    """How many more there are, behind what is said of the first."""
    return f" (and {number - 1} more)" if number > 1 else ""


def _apart(lists: list[tuple[Field, ListValue]]) -> Iterator[tuple[Field, ListValue]]:
    """Those lists that do not stand within another."""
    end = 0
    for field, value in lists:
        if field.start >= end:
            yield field, value
            end = field.end


def _separated(tree: Tree, field: Field, value: ListValue) -> Iterator[Edit]:
    """The edits that make a field of each message of a list: brackets and commas go, the name is repeated."""
    source = tree.source
    yield Edit(value.start, value.start + 1, b"")
    for block, following in zip(value.items, value.items[1:]):  # noqa: B905 - pairs
        for found in re.compile(_COMMENT_OR_COMMA).finditer(source, block.end, following.start):
            if found[0] == b",":
                yield Edit(found.start(), found.end(), b"")
        yield Edit(following.start, following.start, field.name.encode() + b" ")
    yield Edit(value.end - 1, value.end, b"")


def _is_utf8(value: str) -> bool:
    """Whether a text that was read is one; other bytes were kept as surrogates."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _first_bad_byte(source: bytes) -> int | None:
    """Where the first byte stands that is no UTF-8."""
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _return_within_comment(source: bytes) -> int | None:
    """Where the first carriage return stands within a comment that goes on behind it."""
    if source.count(b"\r") == source.count(b"\r\n"):
        return None
    for token in re.finditer(_STRING_OR_COMMENT, source):
        if token[0].startswith(b"#"):
            found = re.search(_RETURN_WITHIN, token[0])
            if found:
                return token.start() + found.start()
    return None
