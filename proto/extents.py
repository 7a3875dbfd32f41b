"""Find the end of text that is not a valid token."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .lines import Lines
from .tree import Block

QUOTES = b"\"'"
# What may directly follow a number or a word.
AFTER_WORD = frozenset(b" \t\n\v\f\r}>;,]#")

field_start = re.compile(rb"(?![A-Za-z]:[\\/])[A-Za-z_][A-Za-z0-9_]*[ \t]*[:{]").match
bare_word = re.compile(rb"[^\s{}<>#;,\"'\[\]\0-\x1f]+").match
blanks = re.compile(rb"[ \t]*").match
_glued_word = re.compile(rb"[;,]+[^\s{}<>#;,\"'\[\]\0-\x1f]+").match
_junk_word = re.compile(rb"[^\s{}#;,]+|,(?=[ \t]*[-+.0-9\"'])").match
_quote = re.compile(rb"[\"']").search
_comment = re.compile(rb"[ \t]#").search
_string_with_nul = re.compile(rb"\"(?:[^\"\\\n]|\\[^\n])*\"|'(?:[^'\\\n]|\\[^\n])*'").match
_lost_quote = re.compile(rb"([^\s\"']+)[ \t]+[A-Za-z_][A-Za-z0-9_]*[ \t]*[:{]").match


def blanks_end(source: bytes, position: int) -> int:
    """Return the end of a run of spaces and tabs."""
    match = blanks(source, position)
    assert match is not None
    return match.end()


def junk_end(source: bytes, position: int) -> int:
    """Return the end of junk: the end of its line, or the start of a brace, a comment or a field."""
    end = position
    while True:
        start = blanks_end(source, end)
        if end > position and (field_start(source, start) or source[start : start + 2] in (b"//", b"/*")):
            return end
        word = _junk_word(source, start)
        if word is None:
            return max(end, position + 1)
        end = word.end()
        quote = _quote(source, start, end)
        if quote and field_start(source, quote.end()):
            return quote.end()


def bare_end(source: bytes, position: int) -> int:
    """Return the end of text without quotes, or with only a closing quote."""
    word = bare_word(source, position)
    if word is None:
        return position + 1
    end = word.end()
    while b"=" in word[0] and (more := _glued_word(source, end)):  # a=b;c=d
        end = more.end()
    closing = end + 1
    if source[end:closing] in (b'"', b"'") and (closing == len(source) or source[closing] in AFTER_WORD):
        return closing
    return end


def unclosed_end(lines: Lines, position: int, open_blocks: Sequence[Block]) -> int:
    """Return the intended end of a string whose closing quote is not on its line, or comes after a NUL byte.

    Braces at the end of the line that close the innermost open blocks are not part of it.
    """
    source = lines.source
    with_nul = _string_with_nul(source, position)
    if with_nul:
        return with_nul.end()
    end = lines.end(position)
    nul = source.find(b"\0", position, end)
    end = end if nul < 0 else nul
    lost = _lost_quote(source, position + 1, end)
    if lost:
        return lost.end(1)
    comment = _comment(source, position + 1, end)
    if comment:
        end = comment.start()
    end = position + len(source[position:end].rstrip(b" \t\r"))
    line_start = lines.start(position)
    depth = len(open_blocks) - 1
    while depth > 0 and open_blocks[depth].start >= line_start and source[end - 1] == 0x7D and end > position + 2:
        end = position + len(source[position : end - 1].rstrip(b" \t"))
        depth -= 1
    while source[end - 1] in b";," and end > position + 2:
        end -= 1
    return max(end, position + 1)


def without_next_name(text: bytes) -> bytes | None:
    """Return the intended text of a string that lacks its closing quote and ends at the next string's opening quote.

    `name: "a type: "ReLU"` is read as the string `"a type: "`, followed by `ReLU"`. None for any other string.
    """
    lost = _lost_quote(text, 1)
    if lost is None or text[:1] not in (b'"', b"'") or text[lost.end() :].strip(b" \t") != text[:1]:
        return None
    return text[: lost.end(1)]
