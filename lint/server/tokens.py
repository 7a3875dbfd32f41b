"""The meaning of each word of a file, for colours: fields, types, blobs, values, comments, and what only forks have."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol.types import SemanticTokensLegend

from ..proto.schema import FieldType, MessageType
from ..proto.tree import Block, Field, ListValue, Scalar
from ..source.files import SourceFile
from .cursor import TOKENS
from .positions import Positions

TYPES = ("property", "string", "number", "enumMember", "type", "variable", "comment", "keyword")
MODIFIERS = ("declaration", "deprecated", "fork", "unknown")
LEGEND = SemanticTokensLegend(list(TYPES), list(MODIFIERS))
_OLD = frozenset({"layers", "input_dim", "solver_type"})

Token = tuple[int, int, str, tuple[str, ...]]  # start, end, type, modifiers


def tokens(file: SourceFile, positions: Positions, first: int = 0, last: int | None = None) -> list[int]:
    """Return the words between two offsets as the protocol has them: five numbers each, relative to the word before."""
    found = [*_fields(file.tree.root, file.message.type, file)] if file.kind in ("solver", "net") else []
    found += [(match.start(), match.end(), "comment", ()) for match in TOKENS.finditer(file.source) if match[0].startswith(b"#")]
    data: list[int] = []
    line = character = 0
    end_before = 0
    for start, end, kind, modifiers in sorted(found):
        if start < max(first, end_before) or (last is not None and start > last):
            continue
        begins, ends = positions.position(start), positions.position(end)
        if begins.line != ends.line or ends.character <= begins.character:
            continue
        moved = begins.line - line
        bits = sum(1 << MODIFIERS.index(modifier) for modifier in modifiers)
        length = ends.character - begins.character
        data += (moved, begins.character - (0 if moved else character), length, TYPES.index(kind), bits)
        line, character, end_before = begins.line, begins.character, end
    return data


def _fields(root: Block, root_type: MessageType, file: SourceFile) -> Iterator[Token]:
    stack: list[tuple[Block, MessageType | None]] = [(root, root_type)]
    dialect = file.bound.dialect
    while stack:
        block, message = stack.pop()
        for field in block.fields:
            spec = message.fields_in(dialect).get(field.name) if message is not None else None
            modifiers = [name for name, holds in (
                ("deprecated", field.name in _OLD),
                ("fork", spec is not None and bool(spec.dialects)),
                ("unknown", spec is None and message is not None),
            ) if holds]  # fmt: skip
            is_layer = field.name in ("layer", "layers") and message is root_type
            yield field.start, field.name_end, "keyword" if is_layer else "property", tuple(modifiers)
            for value in field.value.items if isinstance(field.value, ListValue) else (field.value,):
                if isinstance(value, Block):
                    stack.append((value, spec.message if spec is not None and spec.kind == "message" else None))
                elif isinstance(value, Scalar):
                    yield value.start, value.end, *_value(field, value, spec, message, file)


def _value(
    field: Field, value: Scalar, spec: FieldType | None, message: MessageType | None, file: SourceFile
) -> tuple[str, tuple[str, ...]]:
    in_layer = message is not None and message.name in ("LayerParameter", "V1LayerParameter", "V0LayerParameter")
    text = value.text.decode("utf-8", "replace")
    if in_layer and field.name == "type":
        dialects = (file.schema.layer_types or {}).get(text.strip("\"'"), frozenset())
        return "type", ("fork",) if dialects else ()
    if in_layer and field.name in ("bottom", "top"):
        return "variable", ("declaration",) if field.name == "top" else ()
    if value.text[:1] in b"\"'":
        return "string", ()
    if spec is not None and spec.kind == "enum":
        return "enumMember", ("fork",) if text in spec.enum.dialects_of else ()
    if spec is not None and spec.kind == "bool":
        return "keyword", ()
    return "number", ()

