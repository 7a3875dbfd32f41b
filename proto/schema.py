"""The schema as the program reads it: messages, fields and enums from a table made at build time.

The table is written by `compile.schema_table` from `caffe.proto`. It is text that is looked into only where a file
needs it, because importing protobuf and building 2,400 descriptors costs more than checking a small solver.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

NO_DIALECTS: frozenset[str] = frozenset()


@lru_cache(maxsize=None)
def _dialects(text: str) -> frozenset[str]:
    return frozenset(text.split())


class EnumType:
    """An enum: `values` name to number; `dialects` of a value are empty when BVLC has it."""

    __slots__ = ("by_number", "dialects_of", "name", "values")

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.values: dict[str, int] = {}
        self.by_number: dict[int, str] = {}
        self.dialects_of: dict[str, frozenset[str]] = {}
        for line in lines:
            _, value, number, dialects = line.split("\t")
            self.values[value] = int(number)
            self.by_number.setdefault(int(number), value)
            if dialects:
                self.dialects_of[value] = _dialects(dialects)


class FieldType:
    """A field of a message: `kind` as in descriptor.proto, lower case (`float`, `message`, …).

    `variants` lists every form that the Caffes give a field of this name, BVLC's first. `common` fields have only one,
    which every Caffe has.
    """

    __slots__ = ("_schema", "common", "default", "dialects", "kind", "name", "number", "packed", "repeated", "required", "type_name", "variants")

    def __init__(self, schema: Schema, columns: list[str]) -> None:
        _, self.name, number, label, self.kind, self.type_name, default, dialects, _ = columns
        self._schema = schema
        self.number = int(number)
        self.repeated = label in "rp"
        self.packed = label == "p"
        self.required = label == "q"
        self.dialects = _dialects(dialects)
        self.default = self._default(default)
        self.variants: tuple[FieldType, ...] = (self,)
        self.common = not self.dialects

    @property
    def message(self) -> MessageType:
        """The type of a message field."""
        return self._schema.message(self.type_name)

    @property
    def enum(self) -> EnumType:
        """The type of an enum field."""
        return self._schema.enum(self.type_name)

    def _default(self, text: str) -> object:
        """The declared default, or what C++ reads from a field that is not set and declares none."""
        kind = self.kind
        if kind == "message":
            return None
        declared = text[1:] if text != "-" else None
        if kind == "string":
            return (declared or "").replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\")
        if kind == "bool":
            return declared == "true"
        if kind == "enum":
            return declared if declared is not None else self.enum.by_number[next(iter(self.enum.values.values()))]
        if kind == "bytes":
            return b""
        if kind in ("float", "double"):
            return float(declared or 0)
        return int(declared or 0)


class MessageType:
    """A message: its fields by name."""

    __slots__ = ("by_number", "fields", "name", "required")

    def __init__(self, name: str, fields: dict[str, FieldType]) -> None:
        self.name = name
        self.fields = fields
        self.by_number = sorted(fields.values(), key=lambda field: field.number)
        self.required = [field for field in fields.values() if field.required]


class Schema:
    """All messages and enums of one table, built when first asked for.

    `layer_types` maps a layer type to the dialects that have it (empty: BVLC). It is None for a user's own schema,
    of whose layer types nothing is known.
    """

    def __init__(self, table: str, layer_types: dict[str, frozenset[str]] | None, dialects: tuple[Dialect, ...]) -> None:
        self._table = "\n" + table
        self._messages: dict[str, MessageType] = {}
        self._enums: dict[str, EnumType] = {}
        self.layer_types = layer_types
        self.dialects = dialects

    def message(self, name: str) -> MessageType:
        """The message of that full name, such as `FillerParameter`. Raises KeyError if there is none."""
        found = self._messages.get(name)
        if found is None:
            fields: dict[str, FieldType] = {}
            for line in self._section("M", name):
                field = FieldType(self, line.split("\t"))
                first = fields.setdefault(field.name, field)
                if first is not field:
                    variants = (*first.variants, field)
                    for variant in variants:
                        variant.variants = variants
                        variant.common = False
            found = self._messages[name] = MessageType(name, fields)
        return found

    def enum(self, name: str) -> EnumType:
        """The enum of that full name, such as `PoolingParameter.PoolMethod`. Raises KeyError if there is none."""
        found = self._enums.get(name)
        if found is None:
            found = self._enums[name] = EnumType(name, self._section("E", name))
        return found

    def message_names(self) -> list[str]:
        """The full names of all messages."""
        return [line.split("\t", 2)[1] for line in self._table.split("\n") if line.startswith("M\t")]

    def _section(self, letter: str, name: str) -> list[str]:
        start = self._table.find(f"\n{letter}\t{name}\t")
        if start < 0:
            raise KeyError(name)
        start = self._table.find("\n", start + 1)
        ends = [self._table.find("\nM\t", start), self._table.find("\nE\t", start)]
        end = min((end for end in ends if end >= 0), default=len(self._table))
        return [line for line in self._table[start:end].split("\n") if line]


class Dialect:
    """A Caffe with fields and layer types of its own: `bvlc` itself, or a fork.

    `lists_types` says whether all its layer types are known to us.
    """

    __slots__ = ("description", "lists_types", "name", "repository")

    def __init__(self, name: str, repository: str, description: str, lists_types: bool) -> None:
        self.name = name
        self.repository = repository
        self.description = description
        self.lists_types = lists_types


def _rows(name: str) -> list[list[str]]:
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


@lru_cache(maxsize=None)
def caffe_schema() -> Schema:
    """The schema of BVLC's Caffe and its forks."""
    table = Path(__file__).with_name("caffe.schema").read_text(encoding="utf-8")
    layer_types = {row[0]: _dialects(row[1] if len(row) > 1 else "") for row in _rows("layer_types.tsv")}
    listed = frozenset().union(*layer_types.values())
    dialects = tuple(
        Dialect(name, repository, description, name in listed or name == "bvlc")
        for name, repository, description in _rows("dialects.tsv")
    )
    return Schema(table, layer_types, dialects)
