"""What an editor shows of a file as a whole: its outline, what can be folded, and the shapes beside tops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lsprotocol.types import DocumentSymbol, FoldingRange, FoldingRangeKind, InlayHint, InlayHintKind, Range, SymbolKind

from ..moments.graph import Layer
from ..moments.shapes import Shape, describe
from ..proto.message import Message
from ..proto.tree import Block, Field, ListValue, Scalar
from ..source.files import SourceFile
from .cursor import TOKENS
from .positions import Positions, as_text

if TYPE_CHECKING:
    from ..net.job import NetInPhase

MOST_SYMBOLS = 20_000


def layers_at(nets: Iterable[NetInPhase], start: int) -> list[tuple[NetInPhase, Layer]]:
    """Return the layer that is written at an offset, in each net that includes it."""
    return [(net, layer) for net in nets for layer in net.net.layers if layer.entry[1].start == start]


def symbols(file: SourceFile, nets: Iterable[NetInPhase], positions: Positions) -> list[DocumentSymbol]:
    """Return the outline: the layers of a net with what they make, or the settings of a solver."""
    made: dict[int, list[str]] = {}
    for net in nets:
        for layer in net.net.layers:
            said = ", ".join(f"{blob.name} {describe(blob.shape)}" for blob in layer.tops)
            listed = made.setdefault(layer.entry[1].start, [])
            if said not in listed:
                listed.append(said)
    return [
        _symbol(field, value, made, positions)
        for field in file.tree.root.fields[:MOST_SYMBOLS]
        for value in (field.value.items if isinstance(field.value, ListValue) else (field.value,))
    ]


def _symbol(
    field: Field, value: Scalar | Block | ListValue | None, made: dict[int, list[str]], positions: Positions
) -> DocumentSymbol:
    start, end = (field.start, field.end) if not isinstance(value, Block) else (min(field.start, value.start), value.end)
    whole = positions.range(start, max(end, field.name_end))
    name_range = positions.range(field.start, field.name_end) if field.start <= field.name_end else whole
    name = field.name or "?"
    if not isinstance(value, Block):
        text = as_text(value.text) if isinstance(value, Scalar) else ""
        return DocumentSymbol(name, SymbolKind.Property, whole, name_range, detail=text[:200])
    if name in ("layer", "layers"):
        written = {inner.name: inner.value for inner in value.fields}
        detail = " ".join([_unquoted(written.get("type")), *("→ " + said for said in made.get(value.start, ()) if said)])
        node = written.get("name")
        if isinstance(node, Scalar):
            name_range = positions.range(node.start, node.end)
        children = [
            _symbol(inner, inner.value, {}, positions)
            for inner in value.fields
            if isinstance(inner.value, Block) and inner.value.end <= value.end
        ]
        return DocumentSymbol(_unquoted(node) or name, SymbolKind.Class, whole, name_range, detail=detail, children=children)
    return DocumentSymbol(name, SymbolKind.Object, whole, name_range)


def _unquoted(value: object) -> str:
    return as_text(value.text).strip("\"'") if isinstance(value, Scalar) else ""


def folds(file: SourceFile, positions: Positions) -> list[FoldingRange]:
    """Return what can be folded: blocks of several lines, and comments of several lines."""
    found = []
    stack: list[Block] = [file.tree.root]
    while stack:
        for field in stack.pop().fields:
            for value in field.value.items if isinstance(field.value, ListValue) else (field.value,):
                if isinstance(value, Block):
                    stack.append(value)
                    first, last = positions.position(value.start).line, positions.position(value.end - 1).line
                    if last - 1 > first:
                        found.append(FoldingRange(first, last - 1, kind=FoldingRangeKind.Region))
    found += _comments(file.source, positions)
    return sorted(found, key=lambda fold: (fold.start_line, fold.end_line))


def _comments(source: bytes, positions: Positions) -> Iterator[FoldingRange]:
    lines = []
    for match in TOKENS.finditer(source):
        if match[0].startswith(b"#"):
            line = positions.position(match.start()).line
            start, _ = positions.line_range(line)
            if not source[start : match.start()].strip():
                lines.append(line)
    runs: list[list[int]] = []
    for line in lines:
        if runs and runs[-1][-1] == line - 1:
            runs[-1].append(line)
        else:
            runs.append([line])
    yield from (FoldingRange(run[0], run[-1], kind=FoldingRangeKind.Comment) for run in runs if len(run) > 1)


def hints(nets: Iterable[NetInPhase], positions: Positions, within: Range) -> list[InlayHint]:
    """Return the shapes of the tops in a range, to show after them; of both phases, if they differ. In place, nothing changes."""
    first, last = positions.offset(within.start), positions.offset(within.end)
    shapes: dict[int, dict[str, Shape]] = {}
    for net in nets:
        for layer in net.net.layers:
            message: Message = layer.message
            for number, blob in enumerate(layer.tops):
                entries = message.entries.get("top", ())
                if number < len(entries) and blob.below is None and first <= entries[number][1].end <= last:
                    shapes.setdefault(entries[number][1].end, {}).setdefault(net.phase, blob.shape)
    found = []
    for end, by_phase in sorted(shapes.items()):
        different = len(set(by_phase.values())) > 1
        label = ", ".join(
            f"{phase} {describe(shape)}" if different else describe(shape)
            for phase, shape in (by_phase.items() if different else list(by_phase.items())[:1])
        )
        if label != "?":
            found.append(InlayHint(positions.position(end), label, kind=InlayHintKind.Type, padding_left=True))
    return found
