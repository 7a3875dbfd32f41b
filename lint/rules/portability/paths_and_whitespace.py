"""Absolute paths, line endings and indentation."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...fixes.edit import Edit
from ...fixes.fields import Patch
from ...rule.finding import Hit
from ...rule.registry import Option, rule
from ...source.files import SourceFile
from .every_message import every_message

# Texts that name a file or folder, in nets and solvers of every generation.
_PATHS = frozenset(
    "source root_folder mean_file meanfile file_name net train_net test_net snapshot_prefix weights".split()
)
_ABSOLUTE = r"/|[A-Za-z]:[\\/]|\\\\"
_INDENT = rb"(?m)^[ \t]+(?=[^ \t\r\n])"


@rule("P303", "absolute-path", subject="file", severity="advice", default=False)
def absolute_path(file: SourceFile) -> Iterator[Hit]:
    """A path that starts at the root of one machine's disk.

    ## What it does

    Sources, mean files, nets, weights and snapshot prefixes that begin with `/`, with a drive such as `C:\\`
    or with `\\\\`. The rule is off unless it is selected.

    ## Why is this bad?

    The file works on that machine only. Caffe takes other paths from the folder in which it is started.

    ## When it is reported

    The data lie in one place on all machines that train.

    ## Example

    There is no fix: where Caffe is started is yours to say.

    ## References

    A third of the public nets with data have such paths.
    """
    for message in every_message(file):
        for name, entries in message.entries.items():
            if name in _PATHS:
                for value, node, _ in entries:
                    if isinstance(value, str) and re.match(_ABSOLUTE, value):
                        shown = f"{name} is a path of one machine: {value!r}"
                        reason = "On another it is not there, or something else is."
                        yield Hit(file, (node.start, node.end), shown, reason)


@rule("P304", "crlf-line-endings", subject="file", severity="advice", fixes="safe", default=False, by_name=True)
def crlf_line_endings(file: SourceFile) -> Iterator[Hit]:
    """Lines end as Windows ends them, with a carriage return and a line feed.

    ## What it does

    Files in which lines end so, all or some of them. The rule is off unless it is selected.

    ## Why is this bad?

    Caffe does not mind: to protobuf a carriage return is a space. Comparing such a file with another shows every line
    as changed, and scripts that edit it by lines leave carriage returns in the middle of what they write.

    ## When it is reported

    The repository is kept so, for editors that want it.

    ## Fix

    The fix is safe, since it means the same. It is applied only where this rule is selected by its code or name.

    ## Example

    Here ␍ stands for the carriage return.

    ## References

    io/tokenizer.cc of protobuf: what counts as whitespace.
    """
    source = file.tree.source
    if file.kind == "other" or b"\r\n" not in source:
        return
    places = [match.start() for match in re.finditer(rb"\r\n", source)]
    first = places[0]
    lines = source.count(b"\n")
    some = "every line ends" if len(places) == lines else f"{len(places)} of {lines} lines end"
    fix = Patch(tuple(Edit(place, place + 1, b"") for place in places)).fix(file.path, "end lines with a line feed")
    yield Hit(
        file, (first, first + 1), f"{some} with a carriage return and a line feed", "Caffe does not mind.", fix=fix
    )


@rule(
    "P305",
    "mixed-indentation",
    subject="file",
    severity="advice",
    fixes="safe",
    default=False,
    by_name=True,
    options={"tab_width": Option(4, "columns from one tab stop to the next")},
)
def mixed_indentation(file: SourceFile, tab_width: int) -> Iterator[Hit]:
    """Some lines are indented by tabs and others by spaces.

    ## What it does

    Files with both at the beginning of lines. The rule is off unless it is selected.

    ## Why is this bad?

    Caffe does not mind. In an editor with other tab stops than the writer's, what belongs to which layer looks
    otherwise than it is.

    ## When it is reported

    Nobody reads the file any more.

    ## Fix

    The fix writes spaces up to the tab stop in place of each tab at the beginning of a line. It is safe, since it
    means the same, and applied only where this rule is selected by its code or name.

    ## Example

    Here ␉ stands for the tab.

    ## Options

    `tab_width` should be what the file was written with.

    ## References

    io/tokenizer.cc of protobuf: what counts as whitespace.
    """
    if file.kind == "other":
        return
    indents = list(re.finditer(_INDENT, file.tree.source)) if b"\t" in file.tree.source else []
    tabbed = [indent for indent in indents if b"\t" in indent[0]]
    if not tabbed or not any(b" " in indent[0] for indent in indents):
        return
    width = max(1, tab_width)
    edits = tuple(Edit(indent.start(), indent.end(), indent[0].expandtabs(width)) for indent in tabbed)
    first = tabbed[0]
    shown = f"{len(tabbed)} of {len(indents)} indented lines are indented by tabs, others by spaces"
    fix = Patch(edits).fix(file.path, f"indent by spaces, {width} for a tab")
    yield Hit(file, first.span(), shown, "Caffe does not mind; where tab stops differ, lines look shifted.", fix=fix)
