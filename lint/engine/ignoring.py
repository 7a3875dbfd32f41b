"""Writing suppressions for findings: at the ends of lines, and before a layer if the finding is about all of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate

from ..fixes.apply import edited, verify
from ..fixes.changes import FixRejected
from ..fixes.edit import Edit
from ..fixes.fields import eol
from ..proto.named_tuple import NamedTuple
from ..proto.tree import Block, Field, fields_at
from ..rule.finding import Finding
from ..rule.suppressed import suppressing, suppressions_of
from ..rule.suppressions import Suppression
from ..source.files import SourceFile

LAYERS = ("layer", "layers")


class Known(NamedTuple):
    """A finding to suppress: its code, and the byte at which it begins."""

    code: str
    start: int


class Written(NamedTuple):
    """The new text of a file, and the findings that could not be suppressed."""

    source: bytes
    left: list[Known]


def suppress_all(
    findings: Iterable[Finding], sources: Mapping[str, bytes], as_file: Callable[[str, bytes], SourceFile]
) -> tuple[dict[str, bytes], list[Finding]]:
    """Return the new text of each file with suppressions for its findings, and the remaining findings.

    `as_file` returns a file from a path and its text, as the check read it.
    """
    by_path: dict[str, dict[Known, Finding]] = {}
    for finding in findings:
        by_path.setdefault(finding.place.path, {})[Known(finding.code, finding.start)] = finding
    texts: dict[str, bytes] = {}
    left: list[Finding] = []
    for path, known in by_path.items():
        written = write_suppressions(as_file(path, sources[path]), known)
        if written.source != sources[path]:
            texts[path] = written.source
        left += (known[one] for one in written.left)
    return texts, left


def write_suppressions(file: SourceFile, findings: Iterable[Known]) -> Written:
    """Return the text of a file with suppressions for its findings.

    Only comments change: the new text is verified to mean the same, and each finding to be suppressed at its new
    position. A finding that cannot be suppressed (in text that no comment can follow) is left.
    """
    known = list(dict.fromkeys(findings))
    try:
        return Written(_suppressed(file, known), [])
    except FixRejected:
        good: list[Known] = []
        left: list[Known] = []
        for one in known:
            try:
                _suppressed(file, [one])
                good.append(one)
            except FixRejected:
                left.append(one)
    try:
        return Written(_suppressed(file, good), left)
    except FixRejected:
        return Written(file.source, known)


def _suppressed(file: SourceFile, findings: Sequence[Known]) -> bytes:
    """Return the new text. Raises FixRejected if its meaning would change, or if a finding would remain."""
    edits = sorted(_edits(file, findings))
    source = edited(file.source, edits)
    new = SourceFile(file.path, source, file.schema, file.asked_dialect)
    if len(new.tree.problems) > len(file.tree.problems):
        raise FixRejected("the text would have a new syntax error")
    verify(file.message, new.message, ())
    starts = [edit.start for edit in edits]
    moves = [0, *accumulate(len(edit.text) - (edit.end - edit.start) for edit in edits)]
    for one in findings:
        moved = one.start + moves[bisect_right(starts, one.start)]
        if not any(suppressing(new, one.code, moved)):
            raise FixRejected(f"{one.code} would still be reported")
    return source


def _edits(file: SourceFile, findings: Sequence[Known]) -> list[Edit]:
    lines = file.tree.lines
    above: dict[int, set[str]] = {}  # codes before the line of a layer, by its start
    at_end: dict[int, set[str]] = {}  # codes at the end of a line, by that end
    merged: dict[Suppression, set[str]] = {}
    for code, start in findings:
        layer = _layer_as_a_whole(file, start)
        old = _beside(file, start, layer)
        if old is not None:
            merged.setdefault(old, set()).add(code)
        elif layer is not None:
            above.setdefault(lines.start(layer.start), set()).add(code)
        else:
            end = lines.end(start)
            end -= file.source[end - 1 : end] == b"\r" and end > lines.start(start)
            at_end.setdefault(end, set()).add(code)
    edits = [_above(file, start, codes) for start, codes in above.items()]
    edits += [_at_end(file, end, codes) for end, codes in at_end.items()]
    for old, codes in merged.items():
        texts = [selector.text for selector in old.selectors]
        text = ", ".join([*texts, *sorted(codes)]).encode("utf-8", "surrogateescape")
        edits.append(Edit(old.opens, old.closes, text))
    return edits


def _layer_as_a_whole(file: SourceFile, start: int) -> Field | None:
    """Return the layer if a finding is about all of it: it is at the layer itself, its name or its type.

    None if another field shares the layer's first line: the end of the line suffices there.
    """
    holding = fields_at(file.tree.root, start)
    if not holding or holding[0].name not in LAYERS or not isinstance(holding[0].value, Block):
        return None
    layer, *inside = holding
    if inside[1:] or (inside[0].name not in ("name", "type") if inside else start > layer.start):
        return None
    lines = file.tree.lines
    return layer if lines.begins_at(layer.start) and not lines.same(layer.start, layer.end) else None


def _beside(file: SourceFile, start: int, layer: Field | None) -> Suppression | None:
    """Return the suppression that already exists where one is to be written."""
    lines = file.tree.lines
    span = (layer.start, layer.end) if layer is not None else (lines.start(start), lines.end(start))
    suppressions = suppressions_of(file)
    for old in suppressions.at(start) if suppressions else ():
        if span in old.spans and (layer is None or old.scope == "field") and old.scope != "file":
            return old
    return None


def _above(file: SourceFile, line_start: int, codes: set[str]) -> Edit:
    indentation = file.tree.lines.indentation(line_start)
    return Edit(line_start, line_start, indentation + _comment(codes) + eol(file.tree))


def _at_end(file: SourceFile, end: int, codes: set[str]) -> Edit:
    source = file.source
    if end and source[end - 1] not in b"\n":
        return Edit(end, end, b"  " + _comment(codes))
    return Edit(end, end, _comment(codes) + (eol(file.tree) if end == len(source) else b""))


def _comment(codes: set[str]) -> bytes:
    return f"# caffe-lint: ignore[{', '.join(sorted(codes))}]".encode()
