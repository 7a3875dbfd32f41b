"""Binding: from the tree of a file to a typed message, with every complaint that Caffe's parser would have.

A `Message` knows for each value where it stands. It is plain Python, since a linter that loads protobuf for a
ten-line solver spends most of its time doing so; `encode` gives the wire format, from which
`caffe_pb2` makes real messages (`to_protobuf`).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .schema import FieldType, MessageType, Schema
from .tree import Block, Field, ListValue, Problem, Scalar, Tree, Value

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

# Caffe's own messages nest seven deep. What lies below this is not read, so no file can exhaust the stack.
MAX_DEPTH = 100

Entry = tuple[Any, "Scalar | Block", Field]

_BOOLS = {b"true": True, b"True": True, b"t": True, b"false": False, b"False": False, b"f": False}
_INT_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "sint32": (-(2**31), 2**31 - 1),
    "sfixed32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "sint64": (-(2**63), 2**63 - 1),
    "sfixed64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "fixed32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "fixed64": (0, 2**64 - 1),
}
_SIMPLE_ESCAPES = {
    b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11, b"\\": 92, b"?": 63, b"'": 39, b'"': 34,
}  # fmt: skip
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_STRING_PART = re.compile(rb"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)


class Message:
    """A message as a file writes it: values with defaults, and the place of each.

    `message[name]` is the value (a list for a repeated field; the schema's default where nothing is written),
    `name in message` says whether it is written. Enum values are their names. A sub-message that is not written
    is an empty Message that stands at the block of its parent.
    """

    __slots__ = ("block", "entries", "type", "unknown", "written")

    def __init__(self, type: MessageType, block: Block, written: bool = True) -> None:
        self.type = type
        self.block = block
        self.written = written
        self.entries: dict[str, list[Entry]] = {}
        self.unknown: list[Field] = []

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __getitem__(self, name: str) -> Any:
        """Raises KeyError for a name that the message type does not have."""
        entries = self.entries.get(name)
        spec = self.type.fields[name]
        if spec.repeated:
            return [entry[0] for entry in entries] if entries else []
        if entries:
            return entries[0][0]
        if spec.kind == "message":
            return Message(spec.message, self.block, written=False)
        return spec.default

    def get(self, name: str, default: Any = None) -> Any:
        """The value as written, else `default`; also for names that the message type may not have."""
        return self[name] if name in self.entries else default

    def field(self, name: str, index: int = 0) -> Field | None:
        """The tree's field that holds the value (of that index), None if it is not written."""
        entries = self.entries.get(name)
        return entries[index][2] if entries and index < len(entries) else None

    def span(self, name: str, index: int = 0) -> tuple[int, int]:
        """Where the value stands; for one that is not written, the message that would hold it."""
        entries = self.entries.get(name)
        if entries and index < len(entries):
            node = entries[index][1]
            return node.start, node.end
        return self.block.start, self.block.end

    def at(self, path: str) -> tuple[int, int]:
        """The span of a path such as `convolution_param.kernel_size[0]`, or of the nearest message that is written.

        Raises KeyError for a name that the message type does not have.
        """
        message = self
        steps = path.split(".")
        for number, step in enumerate(steps):
            name, _, index = step.partition("[")
            spec = message.type.fields[name]
            position = int(index.rstrip("]")) if index else 0
            entries = message.entries.get(name)
            if not entries or position >= len(entries):
                return message.block.start, message.block.end
            if number == len(steps) - 1 or spec.kind != "message":
                return message.span(name, position)
            message = entries[position][0]
        return message.block.start, message.block.end


@dataclass(frozen=True)
class Use:
    """Something in a file that BVLC's Caffe lacks and some forks have."""

    dialects: frozenset[str]
    what: str  # "field", "value" or "layer type"
    name: str
    of: str  # the message or enum it belongs to
    start: int
    end: int


@dataclass
class Bound:
    """A file read as one message type: the message, the dialect it is in, and what no Caffe of that dialect takes."""

    message: Message
    dialect: str
    problems: list[Problem]
    uses: list[Use] = field(default_factory=list)


def bind(tree: Tree, schema: Schema, type_name: str, dialect: str | None = None) -> Bound:
    """Reads a tree as a message of `type_name` (`NetParameter`, `SolverParameter`, …).

    Without `dialect` the Caffe that has everything the file uses is found out: BVLC if it does, else the most
    widely used fork, else the one that has most of it. Problems are in the order of their places.
    """
    binder = _Binder(schema, dialect)
    message = binder.block(tree.root, schema.message(type_name), 0)
    chosen = dialect or choose_dialect(schema, binder.uses)
    problems = binder.problems
    covered = -1
    for use in sorted(binder.uses, key=lambda use: (use.start, -use.end)):
        if chosen not in use.dialects and use.start >= covered and (use.what != "layer type" or _lists_types(schema, chosen)):
            problems.append(_not_in_dialect(use, chosen, schema, binder.uses))
            covered = use.end
    problems.sort(key=lambda problem: problem.start)
    return Bound(message, chosen, problems, binder.uses)


def _lists_types(schema: Schema, name: str) -> bool:
    return any(dialect.name == name and dialect.lists_types for dialect in schema.dialects)


def choose_dialect(schema: Schema, uses: list[Use]) -> str:
    """The first dialect, in the schema's order of preference, that has the most of `uses` (all, if any has)."""
    if not uses or not schema.dialects:
        return "bvlc"
    wanted: dict[tuple[frozenset[str], bool], int] = {}
    for use in uses:
        key = (use.dialects, use.what == "layer type")
        wanted[key] = wanted.get(key, 0) + 1

    def lacking(dialect: Any) -> tuple[int, int]:
        surely = unknown = 0
        for (dialects, is_type), count in wanted.items():
            if dialect.name not in dialects:
                if is_type and not dialect.lists_types:
                    unknown += count
                else:
                    surely += count
        return surely, unknown

    best: str = min(schema.dialects, key=lacking).name
    return best


def _not_in_dialect(use: Use, dialect: str, schema: Schema, uses: list[Use]) -> Problem:
    has = [known.name for known in schema.dialects if known.name in use.dialects]
    shown = ", ".join(has[:6]) + (f" and {len(has) - 6} more" if len(has) > 6 else "")
    where = f" of {use.of}" if use.of else ""
    message = f"{dialect} has no {use.what} '{use.name}'{where}: it is known in {shown}"
    kind = {"field": "foreign-field", "value": "foreign-value", "layer type": "foreign-layer-type"}[use.what]
    return Problem(kind, use.start, use.end, message)


class _Binder:
    def __init__(self, schema: Schema, dialect: str | None) -> None:
        self.schema = schema
        self.dialect = dialect
        self.problems: list[Problem] = []
        self.uses: list[Use] = []
        self.nearest_fields: dict[tuple[str, str], str | None] = {}

    def block(self, block: Block, type: MessageType, depth: int) -> Message:
        message = Message(type, block)
        specs = type.fields
        entries = message.entries
        for field in block.fields:
            name = field.name
            spec = specs.get(name)
            if spec is None:
                message.unknown.append(field)
                self.unknown_field(field, type)
                continue
            node = field.value
            if node is None:
                continue
            written = entries.get(name)
            if not spec.common:
                if len(spec.variants) > 1:
                    spec = self.variant(spec, field, written is not None, depth)
                if spec.dialects:
                    self.uses.append(Use(spec.dialects, "field", name, type.name, field.start, field.end))
            if written is None:
                written = entries[name] = []
            elif not spec.repeated:
                self.repeated_field(field, type)
                continue
            if node.__class__ is Scalar and spec.kind == "string":
                text = node.text  # type: ignore[union-attr]
                if text[0] == 0x22 and text.find(b'"', 1) == len(text) - 1 and b"\\" not in text:
                    written.append((text[1:-1].decode("utf-8", "surrogateescape"), node, field))  # type: ignore[arg-type]
                    continue
            self.value(node, spec, field, written, depth)
            if not written:
                del entries[name]
        for spec in type.required:
            if spec.name not in entries:
                self.problems.append(
                    Problem(
                        "missing-required", block.start, block.open_end, f"{type.name} needs '{spec.name}', which is not written"
                    )
                )
        if type.name == "LayerParameter" and "type" in entries:
            self.layer_type(entries["type"][0])
        return message

    def value(self, node: Value, spec: FieldType, field: Field, written: list[Entry], depth: int) -> None:
        """Appends what stands in a field to `written`, if it is what the field takes."""
        if node.__class__ is Scalar:
            value = self.scalar(node, spec)  # type: ignore[arg-type]
            if value is not None:
                written.append((value, node, field))  # type: ignore[arg-type]
        elif node.__class__ is Block:
            if spec.kind != "message":
                self.wrong_block(node, spec)  # type: ignore[arg-type]
            elif depth >= MAX_DEPTH:
                self.problems.append(
                    Problem("syntax", field.start, field.name_end, f"messages nested more than {MAX_DEPTH} deep")
                )
            else:
                written.append((self.block(node, spec.message, depth + 1), node, field))  # type: ignore[arg-type]
        else:
            self.list_value(node, spec, field, written, depth)  # type: ignore[arg-type]

    def variant(self, spec: FieldType, field: Field, again: bool, depth: int) -> FieldType:
        """Which of several forms of a field this text is written in: the first that takes it."""
        if self.dialect is not None:
            own = [v for v in spec.variants if self.dialect in v.dialects]
            if own or self.dialect == "bvlc":
                return own[0] if own else spec
        many = again or field.value.__class__ is ListValue
        candidates = [v for v in spec.variants if v.repeated or not many]
        if candidates and all(v.kind == candidates[0].kind != "message" for v in candidates):
            return candidates[0]
        for candidate in candidates:
            trial = _Binder(self.schema, self.dialect)
            assert field.value is not None
            trial.value(field.value, candidate, field, [], depth)
            if not trial.problems:
                return candidate
        return spec

    def list_value(self, node: ListValue, spec: FieldType, field: Field, written: list[Entry], depth: int) -> None:
        if not spec.repeated:
            self.problems.append(
                Problem("wrong-type", node.start, node.end, f"'{spec.name}' takes one value, not a list")
            )
            return
        if spec.kind != "message" and field.colon < 0:
            self.missing_colon(field)
        for item in node.items:
            self.value(item, spec, field, written, depth)

    def missing_colon(self, field: Field) -> None:
        end = field.name_end
        self.problems.append(
            Problem(
                "missing-colon", field.start, end, f"expected ':' between '{field.name}' and its value", ((end, end, b":"),), "insert ':'",
            )
        )

    # -- values ---------------------------------------------------------------------------------------------

    def scalar(self, node: Scalar, spec: FieldType) -> Any:
        """The value of a scalar for a field, None after a problem."""
        text = node.text
        kind = spec.kind
        first = text[0]
        if kind == "string":
            if first in b"\"'":
                return unescape(text).decode("utf-8", "surrogateescape")
        elif kind == "enum":
            return self.enum_value(node, spec)
        elif kind == "float" or kind == "double":
            value = float_value(text)
            if value is not None:
                return value
        elif kind == "bool":
            known = _BOOLS.get(text)
            if known is not None:
                return known
            number = int_value(text)
            if number in (0, 1) and first != 0x2D:
                return number == 1
        elif kind == "bytes":
            if first in b"\"'":
                return unescape(text)
        elif kind != "message":
            number = int_value(text)
            if number is not None:
                low, high = _INT_RANGES[kind]
                if low <= number <= high and (low or first != 0x2D):
                    return number
                shown = text.decode()
                self.problems.append(
                    Problem("out-of-range", node.start, node.end, f"{shown} does not fit into '{spec.name}' ({kind}: {low} to {high})")
                )
                return None
        self.wrong_scalar(node, spec)
        return None

    def enum_value(self, node: Scalar, spec: FieldType) -> str | None:
        enum = spec.enum
        text = node.text
        name = text.decode("utf-8", "replace")
        if name not in enum.values:
            number = int_value(text)
            found = enum.by_number.get(number) if number is not None else None
            if found is None:
                self.unknown_value(node, spec)
                return None
            name = found
        dialects = enum.dialects_of.get(name)
        if dialects:
            self.uses.append(Use(dialects, "value", name, enum.name, node.start, node.end))
        return name

    # -- complaints -----------------------------------------------------------------------------------------

    def wrong_block(self, node: Block, spec: FieldType) -> None:
        self.problems.append(
            Problem("wrong-type", node.start, node.open_end, f"'{spec.name}' expects {_expected(spec)}, found a block")
        )

    def wrong_scalar(self, node: Scalar, spec: FieldType) -> None:
        text = node.text
        shown = _shorten(text)
        if spec.kind == "message":
            self.problems.append(
                Problem("wrong-type", node.start, node.end, f"'{spec.name}' expects a block {{ … }}, found {shown}")
            )
            return
        repair: tuple[tuple[int, int, bytes], ...] | None = None
        title = ""
        word = text.lower()
        bare = unescape(text) if text[0] in b"\"'" else None
        if spec.kind in ("string", "bytes") and re.fullmatch(rb"[A-Za-z0-9_.+-]+", text):
            repair, title = ((node.start, node.start, b'"'), (node.end, node.end, b'"')), f'write "{text.decode()}"'
        elif spec.kind == "bool" and word.strip(b"\"'") in (b"true", b"false", b"yes", b"no", b"on", b"off"):
            meant = b"true" if word.strip(b"\"'") in (b"true", b"yes", b"on") else b"false"
            repair, title = ((node.start, node.end, meant),), f"write {meant.decode()}"
        elif bare is not None and spec.kind not in ("string", "bytes"):
            if _converts(bare, spec):
                repair, title = ((node.start, node.end, bare),), f"write {bare.decode()} without quotes"
        elif spec.kind in _INT_RANGES:
            number = float_value(text)
            if number is not None and number == number and abs(number) < 2**53 and number == int(number):
                low, high = _INT_RANGES[spec.kind]
                if low <= number <= high:
                    meant = str(int(number)).encode()
                    repair, title = ((node.start, node.end, meant),), f"write {meant.decode()}"
        elif spec.kind in ("float", "double") and re.fullmatch(rb"-?0[0-9]+", text):
            meant = str(int(text)).encode()
            repair, title = ((node.start, node.end, meant),), f"write {meant.decode()}"
        self.problems.append(
            Problem("wrong-type", node.start, node.end, f"'{spec.name}' expects {_expected(spec)}, found {shown}", repair, title)
        )

    def unknown_value(self, node: Scalar, spec: FieldType) -> None:
        enum = spec.enum
        text = node.text
        shown = _shorten(text)
        bare = unescape(text).decode("utf-8", "replace") if text[0] in b"\"'" else text.decode("utf-8", "replace")
        known = list(enum.values)
        if text[0] in b"\"'" and bare in enum.values:
            self.problems.append(
                Problem(
                    "quoted-enum", node.start, node.end, f"'{spec.name}' expects a value of {enum.name} without quotes, found {shown}",
                    ((node.start, node.end, bare.encode()),), f"write {bare}",
                )
            )
            return
        nearest = nearest_name(bare, known)
        if nearest is None and bare.replace("_", "").upper() in {name.replace("_", "").upper() for name in known}:
            folded = bare.replace("_", "").upper()
            nearest = next(name for name in known if name.replace("_", "").upper() == folded)
        repair = ((node.start, node.end, nearest.encode()),) if nearest else None
        hint = f"; did you mean {nearest}?" if nearest else f"; it has {_some(known)}"
        self.problems.append(
            Problem(
                "unknown-value", node.start, node.end, f"{enum.name} has no value {shown}{hint}", repair, f"write {nearest}" if nearest else "",
            )
        )

    def unknown_field(self, field: Field, type: MessageType) -> None:
        key = (type.name, field.name)
        if key not in self.nearest_fields:
            self.nearest_fields[key] = nearest_name(field.name, list(type.fields))
        nearest = self.nearest_fields[key]
        hint = ""
        repair = None
        if nearest:
            spec = type.fields[nearest]
            fits = (spec.kind == "message") == isinstance(field.value, Block) or isinstance(field.value, ListValue)
            hint = f"; did you mean '{nearest}'?"
            if fits:
                repair = ((field.start, field.name_end, nearest.encode()),)
        self.problems.append(
            Problem(
                "unknown-field", field.start, field.name_end, f"{type.name} has no field '{field.name}' in any known Caffe{hint}", repair,
                f"rename it to '{nearest}'" if repair else "",
            )
        )

    def repeated_field(self, field: Field, type: MessageType) -> None:
        self.problems.append(
            Problem(
                "repeated-field", field.start, field.name_end, f"'{field.name}' is written twice in one {type.name}, which takes it once",
            )
        )

    def layer_type(self, entry: Entry) -> None:
        known = self.schema.layer_types
        if known is None:
            return
        name, node, _ = entry
        dialects = known.get(name)
        if dialects:
            self.uses.append(Use(dialects, "layer type", name, "", node.start, node.end))
        elif dialects is None:
            folded = name.replace("_", "").lower()
            nearest = [candidate for candidate in known if candidate.lower() == folded]
            match = nearest[0] if len(nearest) == 1 else nearest_name(name, list(known))
            hint = f"; did you mean '{match}'?" if match else ""
            repair = ((node.start, node.end, b'"' + match.encode() + b'"'),) if match else None
            self.problems.append(
                Problem(
                    "unknown-layer-type", node.start, node.end, f"no known Caffe has a layer type '{name}'{hint}", repair,
                    f"write '{match}'" if match else "",
                )
            )


def _expected(spec: FieldType) -> str:
    if spec.kind == "message":
        return "a block { … }"
    if spec.kind == "enum":
        return f"one of {_some(list(spec.enum.values))}"
    return {
        "string": 'text in quotes', "bytes": "text in quotes", "bool": "true or false", "float": "a number", "double": "a number",
    }.get(spec.kind, "a whole number" if spec.kind.startswith(("int", "s")) else "a whole number, not negative")  # fmt: skip


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "")


def _shorten(text: bytes) -> str:
    shown = text.decode("utf-8", "replace")
    return shown if len(shown) <= 40 else shown[:37] + "..."


def _converts(text: bytes, spec: FieldType) -> bool:
    if spec.kind in ("float", "double"):
        return float_value(text) is not None
    if spec.kind == "bool":
        return text in _BOOLS
    if spec.kind in _INT_RANGES:
        number = int_value(text)
        return number is not None and _INT_RANGES[spec.kind][0] <= number <= _INT_RANGES[spec.kind][1]
    return False


def nearest_name(name: str, known: list[str]) -> str | None:
    """The known name within edit distance 2 (1 for names of up to four letters), if there is just one nearest."""
    limit = 1 if len(name) <= 4 else 2
    best: list[str] = []
    for candidate in known:
        if abs(len(candidate) - len(name)) > limit:
            continue
        distance = edit_distance(name, candidate, limit)
        if distance < limit or not best:
            if distance <= limit:
                if distance < limit:
                    best = []
                best.append(candidate)
                limit = distance
        elif distance == limit:
            best.append(candidate)
    return best[0] if len(best) == 1 else None


def edit_distance(a: str, b: str, limit: int) -> int:
    """Levenshtein distance with swapped neighbours counting once, or `limit + 1` if it is over `limit`."""
    previous: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, previous, row = previous, row, [i]
        for j, y in enumerate(b, 1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return row[-1]


def int_value(text: bytes) -> int | None:
    """An integer as the text format writes it (decimal, octal with a leading 0, hexadecimal), else None."""
    try:
        digits = text[1:] if text[0] == 0x2D else text
        if len(digits) > 1 and digits[0] == 0x30:
            number = int(digits, 16 if digits[1] in b"xX" else 8)
            return -number if digits is not text else number
        if not digits.isdigit():
            return None
        return int(text)
    except ValueError:
        return None


def float_value(text: bytes) -> float | None:
    """A number for a float field, else None: no octal or hexadecimal, an `f` behind is allowed."""
    try:
        value = float(text)
    except ValueError:
        if text[-1:] not in b"fF" or not (text[-2:-1].isdigit() or text[-2:-1] == b"."):
            return None
        text = text[:-1]
        try:
            value = float(text)
        except ValueError:
            return None
    digits = text[1:] if text[0] == 0x2D else text
    if digits[0] == 0x30 and len(digits) > 1 and digits.isdigit():
        return None
    return value


def unescape(text: bytes) -> bytes:
    """The bytes that one or several adjacent quoted strings stand for (io/tokenizer.cc, ParseStringAppend)."""
    pieces = []
    for match in _STRING_PART.finditer(text):
        inside = match[1] if match[1] is not None else match[2]
        pieces.append(_ESCAPE.sub(_unescape_one, _join_surrogates(inside)) if b"\\" in inside else inside)
    return b"".join(pieces)


_SURROGATES = re.compile(rb"\\u([dD][89aAbB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def _join_surrogates(inside: bytes) -> bytes:
    """Two escapes that make one character of UTF-16, as one escape."""
    return _SURROGATES.sub(
        lambda m: b"\\U%08x" % (0x10000 + ((int(m[1], 16) - 0xD800) << 10) + (int(m[2], 16) - 0xDC00)), inside
    )


def _unescape_one(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, short, long, other = match.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    if short or long:
        return chr(int(short or long, 16)).encode("utf-8", "surrogatepass")
    return bytes([_SIMPLE_ESCAPES[other]]) if other in _SIMPLE_ESCAPES else b"\\" + other


# -- the wire format ----------------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """The message in protobuf's wire format, fields in the order of their numbers, as protoc writes it."""
    out = bytearray()
    for spec in _specs_in_use(message):
        values = [entry[0] for entry in message.entries[spec.name]]
        if spec.packed:
            body = b"".join(_encode_value(value, spec)[1] for value in values)
            out += _varint(spec.number << 3 | 2) + _varint(len(body)) + body
            continue
        for value in values:
            wire_type, body = _encode_value(value, spec)
            out += _varint(spec.number << 3 | wire_type)
            if wire_type == 2:
                out += _varint(len(body))
            out += body
    return bytes(out)


def _specs_in_use(message: Message) -> list[FieldType]:
    """The written fields by number; of a field with variants the one whose kind the value has."""
    specs = []
    for name, entries in message.entries.items():
        variants = message.type.fields[name].variants
        value = entries[0][0]
        fitting = [v for v in variants if _fits(value, v) and (v.repeated or len(entries) == 1)]
        specs.append((fitting or list(variants))[0])
    return sorted(specs, key=lambda spec: spec.number)


def _fits(value: Any, spec: FieldType) -> bool:
    if isinstance(value, Message):
        return spec.kind == "message" and spec.type_name == value.type.name
    if isinstance(value, str):
        return spec.kind == "string" or (spec.kind == "enum" and value in spec.enum.values)
    if isinstance(value, bool):
        return spec.kind == "bool"
    if isinstance(value, int):
        return spec.kind in _INT_RANGES
    return spec.kind in ("float", "double", "bytes")


def _encode_value(value: Any, spec: FieldType) -> tuple[int, bytes]:
    kind = spec.kind
    if kind == "message":
        return 2, encode(value)
    if kind == "string":
        return 2, value.encode("utf-8", "surrogateescape")
    if kind == "bytes":
        return 2, value
    if kind == "enum":
        return 0, _varint(spec.enum.values[value])
    if kind == "bool":
        return 0, _varint(int(value))
    if kind == "double":
        return 1, struct.pack("<d", value)
    if kind == "float":
        try:
            return 5, struct.pack("<f", value)
        except OverflowError:
            return 5, struct.pack("<f", float("inf") if value > 0 else float("-inf"))
    if kind.startswith("sint"):
        return 0, _varint(value << 1 ^ value >> 63)
    if kind.endswith("fixed32"):
        return 5, struct.pack("<i" if kind[0] == "s" else "<I", value)
    if kind.endswith("fixed64"):
        return 1, struct.pack("<q" if kind[0] == "s" else "<Q", value)
    return 0, _varint(value)


def _varint(number: int) -> bytes:
    if number < 0:
        number += 1 << 64
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def to_protobuf(message: Message) -> ProtobufMessage:
    """The same message as a real protobuf message of `caffe_pb2`."""
    from . import caffe_pb2

    cls: Any = caffe_pb2
    for part in message.type.name.split("."):
        cls = getattr(cls, part)
    real: ProtobufMessage = cls.FromString(encode(message))
    return real


def plain(message: Message) -> dict[str, list[Any]]:
    """The message as nested dicts and lists, to compare two files by: written values only, unknown fields by name.

    NaN stands as text, so that a message equals itself.
    """
    values: dict[str, list[Any]] = {}
    for name, entries in message.entries.items():
        values[name] = [plain_value(entry[0]) for entry in entries]
    for field in message.unknown:
        values.setdefault("?" + field.name, []).append(True)
    return values


def plain_value(value: Any) -> Any:
    """One value of `plain`."""
    if isinstance(value, Message):
        return plain(value)
    return "nan" if value != value else value
