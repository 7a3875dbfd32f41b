"""Absolute paths, line endings and indentation."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...fixes.edit import Edit
from ...fixes.fields import Patch
from ...rule.finding import Hit
from ...rule.registry import Option, rule
from ...source.files import SourceFile
from ...source.foreign_text import PATH_FIELDS
from .every_message import every_message

_ABSOLUTE = r"/|[A-Za-z]:[\\/]|\\\\"
_INDENT = rb"(?m)^[ \t]+(?=[^ \t\r\n])"


@rule("P303", "absolute-path", subject="file", severity="advice", default=False)
def absolute_path(file: SourceFile) -> Iterator[Hit]:
    """Flags absolute paths, which exist on one machine only.

    ## What it does

    Flags sources, mean files, nets, weights and snapshot prefixes that begin with `/`, with a drive such as `C:\\`,
    or with `\\\\`.

    ## Why is this bad?

    The file works only on machines with the same directories. Caffe resolves other paths from the folder in which it
    is started.

    ## When it is reported

    Reported as **advice**, only if this rule is selected. There is no fix, because only you know where Caffe is
    started. Ignore it if the data have the same path on all machines that train.

    ## References

    Of public nets with data, a third have such paths.
    """
    for message in every_message(file):
        for name, entries in message.entries.items():
            if name in PATH_FIELDS:
                for value, node, _ in entries:
                    if isinstance(value, str) and re.match(_ABSOLUTE, value):
                        shown = f"{name} is an absolute path: '{value}'"
                        reason = "On other machines, this path does not exist or is something else."
                        yield Hit(file, (node.start, node.end), shown, reason)


@rule("P304", "crlf-line-endings", subject="file", severity="advice", fixes="safe", default=False, by_name=True)
def crlf_line_endings(file: SourceFile) -> Iterator[Hit]:
    """Flags files with Windows line endings, a carriage return and a line feed.

    ## What it does

    Flags files in which all lines or some of them end with CRLF. One finding per file.

    ## Why is this bad?

    Caffe accepts such files: protobuf treats a carriage return as whitespace. But a comparison with another file
    shows every line as changed, and scripts that edit the file line by line may leave stray carriage returns.

    ## When it is reported

    Reported as **advice**, only if this rule is selected. Ignore it if the repository uses CRLF on purpose.

    ## Fix

    Removes the carriage returns. The fix is safe, since the meaning stays the same. It is applied only if this rule
    is selected by its code or name.

    ## Example

    ␍ stands for the carriage return.

    ## References

    Whitespace in io/tokenizer.cc of protobuf.
    """
    source = file.tree.source
    if file.kind == "other" or b"\r\n" not in source:
        return
    places = [match.start() for match in re.finditer(rb"\r\n", source)]
    first = places[0]
    lines = source.count(b"\n")
    some = "all lines" if len(places) == lines else f"{len(places)} of {lines} lines"
    fix = Patch(tuple(Edit(place, place + 1, b"") for place in places)).fix(file.path, "end lines with LF")
    yield Hit(
        file,
        (first, first + 1),
        f"CRLF line endings in {some}",
        "Caffe accepts them, but tools that compare or edit lines may not.",
        fix=fix,
    )


@rule(
    "P305",
    "mixed-indentation",
    subject="file",
    severity="advice",
    fixes="safe",
    default=False,
    by_name=True,
    options={"tab_width": Option(4, "distance of tab stops, in columns", least=1, greatest=100)},
)
def mixed_indentation(file: SourceFile, tab_width: int) -> Iterator[Hit]:
    """Flags files that mix tabs and spaces in their indentation.

    ## What it does

    Flags files in which both tabs and spaces occur at the beginning of lines. One finding per file.

    ## Why is this bad?

    Caffe accepts such files. But in an editor with other tab stops, the indentation no longer shows what belongs to
    which layer.

    ## When it is reported

    Reported as **advice**, only if this rule is selected. Ignore it if nobody reads the file any more.

    ## Fix

    Replaces each tab at the beginning of a line with spaces up to the next tab stop. The fix is safe, since the
    meaning stays the same. It is applied only if this rule is selected by its code or name.

    ## Example

    ␉ stands for the tab.

    ## Options

    `tab_width`: the distance of tab stops in columns. Set it to the value with which the file was written.

    ## References

    Whitespace in io/tokenizer.cc of protobuf.
    """
    if file.kind == "other":
        return
    indents = list(re.finditer(_INDENT, file.tree.source)) if b"\t" in file.tree.source else []
    tabbed = [indent for indent in indents if b"\t" in indent[0]]
    if not tabbed or not any(b" " in indent[0] for indent in indents):
        return
    edits = tuple(Edit(indent.start(), indent.end(), indent[0].expandtabs(tab_width)) for indent in tabbed)
    first = tabbed[0]
    shown = f"tabs in {len(tabbed)} of {len(indents)} indented lines, spaces in the others"
    fix = Patch(edits).fix(file.path, f"replace tabs with spaces, tab width {tab_width}")
    yield Hit(file, first.span(), shown, "Caffe accepts them, but lines look shifted if tab stops differ.", fix=fix)
