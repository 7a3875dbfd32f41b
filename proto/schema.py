"""The schema at run time: messages, fields and enums, read from a table that the build creates.

`compile.schema_table` writes the table from `caffe.proto`. It is parsed lazily, because importing protobuf and building
2,400 descriptors takes longer than checking a small solver.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache

from .values import INT_RANGES, KNOWN, NOTHING, Known, int_value

NO_DIALECTS: frozenset[str] = frozenset()

LayerTypes = Mapping[str, frozenset[str]]


@cache
def _dialects(text: str) -> frozenset[str]:
    return frozenset(text.split())


class EnumType:
    """An enum: `values` maps names to numbers; `dialects_of` has only the values that BVLC does not have."""

    __slots__ = ("by_number", "dialects_of", "known", "name", "values")

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
        self.known = Known(self._common_value)

    def read(self, text: bytes) -> str | None:
        """Return the name of the value given by name or number, None if the enum has no such value."""
        name = text.decode("utf-8", "replace")
        if name in self.values:
            return name
        number = int_value(text)
        return None if number is None else self.by_number.get(number)

    def _common_value(self, text: bytes) -> str | None:
        """Do the same for values that every Caffe has."""
        name = self.read(text)
        return None if name in self.dialects_of else name


class FieldType:
    """A field of a message: `kind` as in descriptor.proto, lower case (`float`, `message`, …).

    `variants` lists the forms that a field of this name has in all dialects, BVLC's first; a `common` field has only one,
    which every Caffe has. `known` reads the values that every Caffe accepts. A field is made from a line of the table,
    which is split when one of its attributes is first used.
    """

    __slots__ = (
        *("_line", "_schema", "common", "default", "dialects", "enum", "inner", "kind", "known", "message"),
        *("name", "number", "packed", "repeated", "required", "type_name", "variants"),
    )

    name: str
    number: int
    kind: str
    type_name: str
    repeated: bool
    packed: bool
    required: bool
    dialects: frozenset[str]
    common: bool
    variants: tuple[FieldType, ...]
    known: Known
    inner: MessageType | None  # the message type of a block in a common message field, if it is unambiguous
    message: MessageType  # the type of a message field
    enum: EnumType  # the type of an enum field
    default: object  # the declared default, otherwise the one that C++ uses

    def __init__(self, schema: Schema, name: str, line: str) -> None:
        self._schema = schema
        self.name = name
        self._line = line
        self.variants = (self,)

    def __getattr__(self, name: str) -> object:
        if name == "default":
            self.default = self._default()
        elif name == "message":
            self.message = self._schema.message(self.type_name)
        elif name == "enum":
            self.enum = self._schema.enum(self.type_name)
        elif name == "inner":
            # A layer in the old field may be in the current format, so the binder checks each one.
            plain = self.common and self.kind == "message" and self.type_name != "V1LayerParameter"
            self.inner = self.message if plain else None
        elif name == "known":
            self.known = self._known()
        elif name in FieldType.__slots__:
            _, _, number, label, self.kind, self.type_name, _, dialects, _ = self._line.split("\t")
            self.number = int(number)
            self.repeated = label in "rp"
            self.packed = label == "p"
            self.required = label == "q"
            self.dialects = _dialects(dialects)
            self.common = not self.dialects and len(self.variants) == 1
        else:
            raise AttributeError(name)
        return getattr(self, name)

    def is_in(self, dialect: str) -> bool:
        """Whether a dialect has the field in this form. All dialects have BVLC's fields."""
        return not self.dialects or dialect in self.dialects

    def in_dialect(self, dialect: str) -> FieldType:
        """Return the form that the field has in a dialect: its own, otherwise BVLC's."""
        for variant in self.variants:
            if dialect in variant.dialects:
                return variant
        return self

    def read(self, text: bytes) -> object:
        """Convert a text to a value of this field, None if the field does not accept it."""
        return self.enum.read(text) if self.kind == "enum" else KNOWN.get(self.kind, NOTHING)[text]

    def _known(self) -> Known:
        if self.dialects or len({_size_class(form.kind) for form in self.variants}) > 1:
            return NOTHING
        return self.enum.known if self.kind == "enum" else KNOWN.get(self.kind, NOTHING)

    def _default(self) -> object:
        kind = self.kind
        if kind == "message":
            return None
        text = self._line.split("\t")[6]
        declared = text[1:] if text != "-" else None
        if kind == "string":
            return (declared or "").replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\")
        if kind == "bool":
            return declared == "true"
        if kind == "enum":
            return declared if declared is not None else next(iter(self.enum.values))
        if kind == "bytes":
            return b""
        if kind in ("float", "double"):
            return float(declared or 0)
        return int(declared or 0)


def _size_class(kind: str) -> str:
    return "int" if kind in INT_RANGES else kind


class MessageType:
    """A message type: its fields by name; for a field with variants the first one, which is BVLC's if BVLC has the field.

    `readable` are the fields that may be read. In a user's own schema they include the fields that only our schema has,
    which are never set.
    """

    __slots__ = ("_by_dialect", "_of_forks", "_schema", "fields", "name", "readable", "required")

    def __init__(self, schema: Schema, name: str, lines: list[str]) -> None:
        self._schema = schema
        self.name = name
        self.fields: dict[str, FieldType] = {}
        self._by_dialect: dict[str, dict[str, FieldType]] = {}
        self._of_forks: frozenset[str] | None = None
        required = []
        for line in lines:
            field_name = line.split("\t", 2)[1]
            field = FieldType(schema, field_name, line)
            first = self.fields.setdefault(field_name, field)
            if first is not field:
                variants = (*first.variants, field)
                for variant in variants:
                    variant.variants = variants
            if "\tq\t" in line:
                required.append(field)
        self.required = [field for field in required if field.required]
        self.readable = self.fields
        if schema.base is not None and schema.base.has(name):
            self.readable = {**self.fields, **schema.base.message(name).fields}

    def __reduce__(self) -> tuple[object, ...]:
        return Schema.message, (self._schema, self.name)

    @property
    def of_forks(self) -> frozenset[str]:
        """The names of the fields that only forks have."""
        if self._of_forks is None:
            self._of_forks = frozenset(name for name, field in self.fields.items() if field.dialects)
        return self._of_forks

    def has(self, path: str) -> bool:
        """Whether this very schema has a field at a path such as `convolution_param.kernel_size[0]`."""
        type = self
        for step in path.split("."):
            field = type.fields.get(step.partition("[")[0])
            if field is None:
                return False
            if field.kind == "message":
                type = field.message
        return True

    def fields_in(self, dialect: str) -> dict[str, FieldType]:
        """Return the fields by name, each in the form of a dialect."""
        found = self._by_dialect.get(dialect)
        if found is None:
            found = {name: field.in_dialect(dialect) for name, field in self.fields.items()}
            self._by_dialect[dialect] = found
        return found


_OF_ALL = "BVLC/caffe"  # its branches are forks: all others come from its main branch


class Dialect:
    """A Caffe with its own fields and layer types: `bvlc` or a fork.

    `lists_types` says whether we know all of its layer types, `lists_fields` whether we know all of its fields and values,
    `knows_layers` whether we know what its layers do, besides their names, and `reads_words` whether it reads text by a reader of
    its own, to which a word without quotes is a string.
    `family` is what it shares with the other branches of its repository, one of which a user may have when we think of another.
    """

    __slots__ = ("description", "family", "knows_layers", "lists_fields", "lists_types", "name", "reads_words", "repository")

    def __init__(
        self,
        name: str,
        repository: str,
        description: str,
        *,
        lists_types: bool,
        lists_fields: bool,
        knows_layers: bool,
        reads_words: bool,
    ) -> None:
        self.name = name
        self.repository = repository
        self.description = description
        self.lists_types = lists_types
        self.lists_fields = lists_fields
        self.knows_layers = knows_layers
        self.reads_words = reads_words
        owner = repository.partition(" (")[0].partition(",")[0]
        self.family = name if owner == _OF_ALL else owner


class Schema:
    """All messages and enums of one table, built when first used.

    `layer_types` maps a layer type to the dialects that have it (empty for BVLC). It is None for a user's own schema, whose
    layer types are not known; `base` is then our schema, for what the program needs and the user's schema lacks. Layer
    types, dialects and the compiled descriptors are given as functions, because few files need them. `custom_types` are the
    layer types that only the configuration describes.
    """

    def __init__(
        self,
        table: str,
        layer_types: Callable[[], LayerTypes] | LayerTypes | None = None,
        dialects: Callable[[], tuple[Dialect, ...]] | tuple[()] = (),
        base: Schema | None = None,
        descriptor_set: Callable[[], bytes] | bytes = b"",
    ) -> None:
        self.base = base
        self._descriptor_set = descriptor_set
        self._messages: dict[str, MessageType] = {}
        self._enums: dict[str, EnumType] = {}
        self._layer_types = layer_types
        self._dialects = dialects
        self.custom_types: frozenset[str] = frozenset()
        # The lines of each message and enum by its full name.
        self._message_texts: dict[str, str] = {}
        self._enum_texts: dict[str, str] = {}
        for number, section in enumerate(("\n" + table).split("\nM\t")):
            message, *enums = section.split("\nE\t")
            if number:
                self._message_texts[message[: message.index("\t")]] = message
            for enum in enums:
                self._enum_texts[enum[: enum.index("\t")]] = enum

    @property
    def layer_types(self) -> LayerTypes | None:
        """The dialects that have each layer type; None if they are not known."""
        return self._layer_types() if callable(self._layer_types) else self._layer_types

    @layer_types.setter
    def layer_types(self, types: LayerTypes) -> None:
        self._layer_types = types

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """All dialects, in order of preference."""
        return self._dialects() if self._dialects else ()

    def lists_fields(self, name: str) -> bool:
        """Whether we know all fields of the dialect of that name."""
        return all(known.lists_fields for known in self.dialects if known.name == name)

    def reads_words(self, name: str) -> bool:
        """Whether the dialect of that name reads words without quotes as strings."""
        return any(known.reads_words for known in self.dialects if known.name == name)

    def knows_layers(self, name: str) -> bool:
        """Whether we know what the layers of the dialect of that name do."""
        return all(known.knows_layers for known in self.dialects if known.name == name)

    def branches(self, name: str) -> frozenset[str]:
        """Return the names of the dialects that are branches of the same repository as one, including itself."""
        family = {known.name: known.family for known in self.dialects}
        return frozenset(other for other in family if family[other] == family.get(name)) | {name}

    @property
    def descriptor_set(self) -> bytes:
        """The schema as protobuf has it, compiled to a serialized FileDescriptorSet."""
        return self._descriptor_set() if callable(self._descriptor_set) else self._descriptor_set

    def message(self, name: str) -> MessageType:
        """Return the message type of that full name, such as `FillerParameter`. Raises KeyError if there is none."""
        found = self._messages.get(name)
        if found is None and self.base is not None and not self.has(name):
            return self.base.message(name)
        if found is None:
            lines = self._message_texts[name].rstrip("\n").split("\n")[1:]
            found = self._messages[name] = MessageType(self, name, lines)
        return found

    def has(self, name: str) -> bool:
        """Whether the table has a message of that full name."""
        return name in self._message_texts

    @property
    def has_settings(self) -> bool:
        """Whether the table has a message such as LayerParameter or ConvolutionParameter."""
        return any(name.endswith("Parameter") for name in self._message_texts)

    def has_enum(self, name: str) -> bool:
        """Whether the table has an enum of that full name."""
        return name in self._enum_texts

    def enum(self, name: str) -> EnumType:
        """Return the enum of that full name, such as `PoolingParameter.PoolMethod`. Raises KeyError if there is none."""
        found = self._enums.get(name)
        if found is None:
            lines = self._enum_texts[name].rstrip("\n").split("\n")[1:]
            found = self._enums[name] = EnumType(name, lines)
        return found

    def __getstate__(self) -> dict[str, object]:
        # Other processes build their own messages and enums on demand.
        return {**self.__dict__, "_messages": {}, "_enums": {}}


def dialects_table() -> str:
    """Return the path of the table of all dialects, with a line on each."""
    return os.path.join(os.path.dirname(__file__), "dialects.tsv")


def _read(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read()


def read_rows(name: str) -> list[list[str]]:
    """Return the rows of a table beside this file, split at tabs; comments are left out."""
    return [line.split("\t") for line in _read(name).splitlines() if line and not line.startswith("#")]


# A program of its own without a caffe.proto: what it reads was gathered from its code, as far as it shows there.
_KNOWN_IN_PART = frozenset({"mycaffe"})
# Of these, the reader does not ask for quotes, and takes backslashes as they are (MyCaffe: RawProto.parse).
_READS_WORDS = frozenset({"mycaffe"})


@cache
def _caffe_layer_types() -> dict[str, frozenset[str]]:
    return {row[0]: _dialects(row[1] if len(row) > 1 else "") for row in read_rows("layer_types.tsv")}


@cache
def _caffe_dialects() -> tuple[Dialect, ...]:
    listed = NO_DIALECTS.union(*_caffe_layer_types().values()) - _KNOWN_IN_PART
    knows_layers = True
    dialects = []
    for line in _read(dialects_table()).splitlines():
        if line.startswith("#"):
            knows_layers = False
            continue
        dialects.append(
            Dialect(
                *line.split("\t"),
                lists_types=line.partition("\t")[0] in listed | {"bvlc"},
                lists_fields=line.partition("\t")[0] not in _KNOWN_IN_PART,
                knows_layers=knows_layers,
                reads_words=line.partition("\t")[0] in _READS_WORDS,
            )
        )
    return tuple(dialects)


def last_seen(message_or_enum: str, name: str) -> str:
    """Return the month, such as 2014-03, in which BVLC last had a removed field or value; empty if it is not known."""
    return next((row[2] for row in read_rows("dropped.tsv") if row[:2] == [message_or_enum, name]), "")


def _caffe_descriptor_set() -> bytes:
    with open(os.path.join(os.path.dirname(__file__), "caffe.binpb"), "rb") as file:
        return file.read()


@cache
def caffe_schema() -> Schema:
    """Return the schema of BVLC Caffe and its forks."""
    return Schema(
        _read("caffe.schema"), _caffe_layer_types, _caffe_dialects, descriptor_set=_caffe_descriptor_set
    )


def extended_schema(table: str) -> Schema:
    """Return our schema with what another table adds to it; its fields and values replace ours of the same name."""
    sections = _sections(_read("caffe.schema"))
    for head, lines in _sections(table).items():
        sections.setdefault(head, {}).update(lines)
    merged = "".join(f"{head}\t\n" + "".join(map("".join, lines.values())) for head, lines in sections.items())
    return Schema(merged, dialects=_caffe_dialects)


def _sections(table: str) -> dict[str, dict[str, list[str]]]:
    """Return the lines of a table by the kind and name of their message or enum, and by their own name, of which variants have one."""
    sections: dict[str, dict[str, list[str]]] = {}
    here: dict[str, list[str]] = {}
    for line in table.splitlines(keepends=True):
        kind, name, _ = line.split("\t", 2)
        if kind in "ME":
            here = sections.setdefault(f"{kind}\t{name}", {})
        else:
            here.setdefault(name, []).append(line)
    return sections
