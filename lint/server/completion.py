"""What can stand at the cursor: fields, values, layer types with what they need, names in scope, files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from lsprotocol.types import (
    CompletionItem,
    CompletionItemKind,
    InsertTextFormat,
    MarkupContent,
    MarkupKind,
    Range,
    TextEdit,
)

from ..layers.fillers import FILLER_TYPES
from ..layers.record import described_names, traits_of
from ..layers.skeletons import plain_text, required_settings, skeleton
from ..proto.schema import FieldType, MessageType
from ..proto.tree import Block, fields_at
from ..solver.schedule import POLICIES
from ..solver.solver_types import SOLVER_TYPES
from ..source.files import SUFFIXES, SourceFile
from ..source.foreign_text import PATH_FIELDS
from .cursor import Cursor, cursor_at, type_of
from .hover import of_dialects, of_spec
from .occurrences import BLOB, LAYER, PARAM, STAGE, occurrences
from .positions import Positions

MOST_FILES = 500
_LAYERS = ("LayerParameter", "V1LayerParameter", "V0LayerParameter")
_NETS = frozenset({"net", "train_net", "test_net"})


class Completer:
    """Completes in one file. `others` are the other files of its jobs, `folders` those that paths may begin in."""

    def __init__(
        self, file: SourceFile, positions: Positions, others: Iterable[SourceFile], folders: Iterable[str], *, snippets: bool
    ) -> None:
        self._file = file
        self._positions = positions
        self._others = list(others)
        self._folders = list(folders)
        self._snippets = snippets
        self._schema = file.schema

    def at(self, offset: int) -> list[CompletionItem]:
        """Return what can stand at an offset."""
        cursor = cursor_at(self._file.source, offset)
        if cursor.in_comment:
            return []
        dialect = self._file.bound.dialect
        message = type_of(self._schema, self._root(), cursor.blocks, dialect)
        if message is None:
            return []
        if cursor.field:
            return list(self._values(cursor, message, message.fields_in(dialect).get(cursor.field), offset))
        return [] if cursor.quote else list(self._names(cursor, message, offset))

    def _root(self) -> str:
        """What a text is that says too little yet to tell: its name decides."""
        if self._file.kind in ("solver", "net"):
            return self._file.message.type.name
        return "SolverParameter" if "solver" in os.path.basename(self._file.path).lower() else "NetParameter"

    # -- names of fields ---------------------------------------------------------------------------

    def _names(self, cursor: Cursor, message: MessageType, offset: int) -> Iterator[CompletionItem]:
        block = self._block(cursor)
        used = {field.name for field in block.fields if not field.start <= offset <= field.name_end} if block is not None else set()
        layer_type = self._type_in(block)
        own = traits_of(layer_type).reads if layer_type else None
        target = self._positions.range(cursor.start, cursor.end)
        is_last = self._is_last(cursor.end)
        for name, spec in message.fields_in(self._file.bound.dialect).items():
            if not spec.is_in(self._file.bound.dialect) or (name in used and not spec.repeated):
                continue
            is_foreign = own is not None and name.endswith("_param") and name not in own
            text = self._field_text(spec) if is_last else name
            rank = "2" if is_foreign or spec.dialects else "0" if own is not None and name in own else "1"
            yield self._item(
                name,
                CompletionItemKind.Field,
                target,
                text,
                detail=spec.type_name if spec.kind in ("message", "enum") else spec.kind,
                note=of_spec(spec, message, self._schema),
                rank=rank,
            )
        if not cursor.blocks and message.name == "NetParameter" and is_last:
            for type_name in sorted(self._types()):
                if type_name in described_names():
                    label = f"layer {type_name}"
                    yield self._item(label, CompletionItemKind.Snippet, target, skeleton(type_name), detail="new layer", rank="3")

    def _field_text(self, spec: FieldType) -> str:
        if spec.kind == "message":
            return f"{spec.name} {{ $0 }}"
        return f'{spec.name}: "$0"' if spec.kind in ("string", "bytes") else f"{spec.name}: $0"

    def _is_last(self, end: int) -> bool:
        """Whether nothing follows on the line, so that a colon or a block can be inserted."""
        rest = self._file.source[end : self._positions.line_range(self._positions.position(end).line)[1]].strip()
        return not rest or rest.startswith((b"}", b"#"))

    def _block(self, cursor: Cursor) -> Block | None:
        """The innermost block around the cursor, as the parser has it."""
        block = self._file.tree.root
        for each in cursor.blocks:
            field = next((field for field in fields_at(block, each.start - 1) if isinstance(field.value, Block)), None)
            if field is None or not isinstance(field.value, Block):
                return None
            block = field.value
        return block

    def _type_in(self, block: Block | None) -> str:
        if block is None:
            return ""
        values = [field.value for field in block.fields if field.name == "type"]
        text = getattr(values[0], "text", b"") if values else b""
        return str(text.decode("utf-8", "replace").strip("\"'"))

    # -- values ------------------------------------------------------------------------------------

    def _values(self, cursor: Cursor, message: MessageType, spec: FieldType | None, offset: int) -> Iterator[CompletionItem]:
        target = self._positions.range(cursor.start, cursor.end)
        name = cursor.field
        if spec is not None and spec.kind == "enum":
            dialect = self._file.bound.dialect
            for value in spec.enum.values:
                dialects = spec.enum.dialects_of.get(value, frozenset())
                if not dialects or dialect in dialects:
                    note = of_dialects(dialects, self._schema)
                    yield self._item(value, CompletionItemKind.EnumMember, target, value, note=note, rank=str(int(bool(dialects))))
        elif spec is not None and spec.kind == "bool":
            for value in ("true", "false"):
                yield self._item(value, CompletionItemKind.Keyword, target, value)
        elif message.name == "LayerParameter" and name == "type":
            yield from self._layer_types(cursor, target)
        elif message.name == "SolverParameter" and name in ("lr_policy", "type"):
            dialect = self._file.bound.dialect
            policies = [policy.name for policy in POLICIES.values() if not policy.dialects or dialect in policy.dialects]
            for value in policies if name == "lr_policy" else SOLVER_TYPES:
                yield self._quoted(value, CompletionItemKind.EnumMember, target, cursor)
        elif message.name == "FillerParameter" and name == "type":
            for value in FILLER_TYPES:
                yield self._quoted(value, CompletionItemKind.EnumMember, target, cursor)
        elif message.name in _LAYERS and name in ("bottom", "top", "name"):
            yield from self._names_in_scope(cursor, name, target, offset)
        elif message.name == "ParamSpec" and name == "name":
            yield from self._known(PARAM, cursor, target)
        elif name in ("stage", "not_stage"):
            yield from self._known(STAGE, cursor, target)
        elif name in PATH_FIELDS and spec is not None and spec.kind == "string":
            yield from self._paths(cursor, offset)

    def _layer_types(self, cursor: Cursor, target: Range) -> Iterator[CompletionItem]:
        block = self._block(cursor)
        written = {field.name for field in block.fields} if block is not None else set()
        newline = self._positions.position(cursor.start).line
        start, _ = self._positions.line_range(newline)
        indentation = self._file.source[start : cursor.start]
        space = indentation[: len(indentation) - len(indentation.lstrip(b" \t"))].decode()
        for type_name, dialects in sorted(self._types().items()):
            settings = required_settings(type_name)
            needs = settings and settings.split(" ", 1)[0] not in written
            text = f'"{type_name}"' + (f"\n{space}{settings}" if needs else "")
            yield self._item(
                type_name,
                CompletionItemKind.Class,
                target,
                text,
                filter_text=f"{cursor.quote}{type_name}",
                note=of_dialects(dialects, self._schema),
                rank=str(int(bool(dialects))),
            )

    def _types(self) -> dict[str, frozenset[str]]:
        dialect = self._file.bound.dialect
        types = self._schema.layer_types or {}
        return {name: dialects for name, dialects in types.items() if not dialects or dialect in dialects}

    def _names_in_scope(self, cursor: Cursor, field: str, target: Range, offset: int) -> Iterator[CompletionItem]:
        """Blobs that layers above make, the nearest first; for a top, those of the layer's bottoms, and its name."""
        around = cursor.blocks[0].start if cursor.blocks else offset
        known = [each for each in occurrences(self._file) if each.start < around]
        here = [each for each in occurrences(self._file) if around <= each.start < offset]
        if field == "bottom":
            names = [each.name for each in reversed(known) if each.kind == BLOB and each.defines]
        else:
            names = [each.name for each in reversed(here) if each.kind in (BLOB, LAYER)]
            names += [each.name for each in reversed(known) if each.kind == LAYER] if field == "name" else []
        for number, name in enumerate(dict.fromkeys(names)):
            yield self._quoted(name, CompletionItemKind.Variable, target, cursor, rank=f"{number:05}")

    def _known(self, kind: str, cursor: Cursor, target: Range) -> Iterator[CompletionItem]:
        files = [self._file, *(other for other in self._others if other.path != self._file.path)]
        names = {each.name for file in files for each in occurrences(file) if each.kind == kind and each.end != cursor.end}
        for name in sorted(names):
            yield self._quoted(name, CompletionItemKind.Value, target, cursor)

    def _paths(self, cursor: Cursor, offset: int) -> Iterator[CompletionItem]:
        """Files and folders that the path can go on with, from each folder that it may begin in."""
        folder, _, beginning = cursor.word.rpartition("/")
        folder += "/" * (len(folder) + len(beginning) < len(cursor.word))
        target = self._positions.range(offset - len(beginning.encode()), offset)
        found: dict[str, bool] = {}
        for base in self._folders:
            try:
                entries = sorted(os.scandir(os.path.join(base, folder)), key=lambda entry: entry.name)[:MOST_FILES]
            except OSError:
                continue
            for entry in entries:
                if entry.name.startswith(".") and not beginning.startswith("."):
                    continue
                is_folder = entry.is_dir()
                if is_folder or cursor.field not in _NETS or entry.name.endswith(SUFFIXES):
                    found.setdefault(entry.name, is_folder)
        for name, is_folder in found.items():
            kind = CompletionItemKind.Folder if is_folder else CompletionItemKind.File
            quote = "" if cursor.quote else '"'
            yield self._item(name, kind, target, f"{quote}{name}{'/' if is_folder else quote}", rank=str(int(is_folder)))

    # -- items -------------------------------------------------------------------------------------

    def _quoted(self, value: str, kind: CompletionItemKind, target: Range, cursor: Cursor, rank: str = "1") -> CompletionItem:
        quote = cursor.quote or '"'
        text = f"{quote}{value}{quote}"
        return self._item(value, kind, target, text, filter_text=f"{cursor.quote}{value}", rank=rank, is_plain=True)

    def _item(
        self,
        label: str,
        kind: CompletionItemKind,
        target: Range,
        text: str,
        *,
        detail: str = "",
        note: str = "",
        rank: str = "1",
        filter_text: str | None = None,
        is_plain: bool = False,
    ) -> CompletionItem:
        is_snippet = self._snippets and "$" in text and not is_plain
        return CompletionItem(
            label,
            kind=kind,
            detail=detail or None,
            documentation=MarkupContent(MarkupKind.Markdown, note) if note else None,
            sort_text=f"{rank}{label}",
            filter_text=filter_text,
            insert_text_format=InsertTextFormat.Snippet if is_snippet else InsertTextFormat.PlainText,
            text_edit=TextEdit(target, text if is_snippet or is_plain else plain_text(text)),
        )
