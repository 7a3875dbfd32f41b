"""Formatting that changes nothing but the space at the beginning of lines."""

from __future__ import annotations

from lsprotocol.types import FormattingOptions, TextEdit

from ..source.files import SourceFile
from .cursor import TOKENS
from .positions import Positions


def indented(file: SourceFile, positions: Positions, options: FormattingOptions) -> list[TextEdit]:
    """Return the edits that indent each line by the blocks that are open there; none if braces are missing.

    Empty lines stay as they are, and so does the rest of every line.
    """
    if file.tree.problems:
        return []
    unit = " " * max(options.tab_size, 1) if options.insert_spaces else "\t"
    source = file.source
    depth = 0
    edits = []
    found = iter(TOKENS.finditer(source))
    token = next(found, None)
    for line in range(positions.lines):
        start, end = positions.line_range(line)
        opened = 0
        leading = True  # closing braces at the beginning of a line belong to the blocks that they close
        closed = 0
        while token is not None and token.start() < end:
            first = token[0][:1]
            if first in b"{<[":
                opened += 1
                leading = False
            elif first in b"}>]":
                opened -= 1
                closed += leading
            else:
                leading = False
            token = next(found, None)
        text = source[start:end]
        content = text.lstrip(b" \t")
        wanted = unit * max(depth - closed, 0)
        space = text[: len(text) - len(content)]
        if content and space != wanted.encode() and not (line == 0 and text.startswith(b"\xef\xbb\xbf")):
            edits.append(TextEdit(positions.range(start, start + len(space)), wanted))
        depth = max(depth + opened, 0)
    return edits
