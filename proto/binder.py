"""Bind the tree of a file to a typed message and report everything that Caffe's parser would reject.

A `Message` knows the position of each of its values. It is plain Python, because loading protobuf would take most of
the time of checking a ten-line solver; `wire` converts it to a real protobuf message.

If a problem has a repair, the message already holds what the repaired text says, so a repair changes the text but not
the message. Layer types are the exception and are kept as written, since protobuf treats them as ordinary strings.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from .message import Entry, Message, plain, plain_value
from .named_tuple import NamedTuple
from .schema import Dialect, FieldType, MessageType, Schema, last_seen
from .spelling import KnownNames, fold, nearest_name
from .tree import Block, Field, ListValue, Problem, Scalar, Tree, Value
from .values import float_value, unescape, word_of

if TYPE_CHECKING:
    from .owners import Owners

__all__ = [
    "Bound",
    "Entry",
    "Message",
    "Use",
    "bind",
    "choose_dialect",
    "float_value",
    "nearest_name",
    "plain",
    "plain_value",
    "unescape",
]

# Caffe's own messages nest seven deep. Anything deeper than this is not read, so that no file can exhaust the stack.
MAX_DEPTH = 100
# Limits on the problems reported per file, and on the unknown names for which a similar name is searched.
MAX_PROBLEMS = 1000
MAX_SUGGESTIONS = 200

# A custom layer type with a name of fewer letters may well be close to a known type.
SHORTEST_TYPE = 5

# Fields and values that BVLC removed. No current Caffe has just these, so this dialect is never detected.
HISTORY = "bvlc-history"


class Use(NamedTuple):
    """A field, value or layer type in a file that some forks have and BVLC does not."""

    dialects: frozenset[str]
    what: str  # "field", "value" or "layer type"
    name: str
    of: str  # the message or enum it belongs to
    start: int
    end: int


class Bound:
    """A bound file: its message, its dialect, and the problems that a Caffe of that dialect has with it."""

    __slots__ = ("dialect", "message", "problems", "uses")

    def __init__(self, message: Message, dialect: str, problems: list[Problem], uses: list[Use]) -> None:
        self.message = message
        self.dialect = dialect
        self.problems = problems
        self.uses = uses


def bind(
    tree: Tree,
    schema: Schema,
    type_name: str,
    dialect: str | None = None,
    *,
    is_asked: bool = True,
    as_written: bool = False,
) -> Bound:
    """Bind a tree to the message type `type_name` (`NetParameter`, `SolverParameter`, …).

    If `dialect` is not given, it is detected: BVLC if it has everything that the file uses, otherwise the most widely
    used fork that does, otherwise the one that has most of it, counting what other branches of it have. One that is given was
    named by the user, or was detected before (`is_asked` is False). Problems are sorted by position and do not include those
    of the tree's structure. With `as_written`, the message holds only what is valid as it is written, not what repairs of other
    text would make of it.
    """
    type = schema.message(type_name)
    asked = dialect is not None and is_asked
    binder = _Binder(tree, schema, type, dialect or "bvlc", asked=asked, settled=dialect is not None, as_written=as_written)
    message = binder.block(tree.root, type, 0)
    if dialect is None and binder.uses:
        chosen = choose_dialect(schema, binder.uses, binder.forms)
        differs = any(spec.in_dialect(chosen) is not form for spec, form in binder.forms)
        if differs or (chosen != "bvlc" and binder.problems):
            # A field has another type in that dialect, or one of its names is closer to a misspelled one.
            binder = _Binder(tree, schema, type, chosen, asked=False, settled=True, as_written=as_written)
            message = binder.block(tree.root, type, 0)
        binder.dialect = chosen
    return Bound(message, binder.dialect, binder.all_problems(), binder.uses)


def choose_dialect(schema: Schema, uses: Sequence[Use], forms: Iterable[tuple[FieldType, FieldType]] = ()) -> str:
    """Return the first dialect, in the schema's order of preference, that has the most of `uses`.

    What another branch of the same repository has counts nearly as much. If something is only in a dialect that is known in
    part, it is that one, which may have everything else. `forms` are pairs of a field and the form that the
    file uses.
    """
    candidates = [known for known in schema.dialects if known.name != HISTORY]
    for known in candidates:
        if not known.lists_fields and any(use.dialects == {known.name} for use in uses):
            return known.name
    family = {known.name: known.family for known in candidates}
    wanted: dict[tuple[frozenset[str], bool], int] = {}
    for use in uses:
        key = (use.dialects, use.what == "layer type")
        wanted[key] = wanted.get(key, 0) + 1
    families = {dialects: {family[name] for name in dialects if name in family} for dialects, _ in wanted}
    common_forms = [(spec, form) for spec, form in forms if not form.dialects]

    def lacking(dialect: Dialect) -> tuple[int, int, int]:
        surely = sum(spec.in_dialect(dialect.name) is not form for spec, form in common_forms)
        unknown = elsewhere = 0
        for (dialects, is_type), count in wanted.items():
            if dialect.name in dialects:
                continue
            if dialect.family in families[dialects]:
                elsewhere += count
            elif is_type and not dialect.lists_types:
                unknown += count
            else:
                surely += count
        return surely, unknown, elsewhere

    return min(candidates, key=lacking).name if candidates else "bvlc"


def _nearest_field(type: MessageType, name: str, dialect: str, is_asked: bool) -> str | None:
    """Return the field that a name resembles most: one of the dialect, otherwise of any current one unless it was asked for."""
    here, elsewhere = _fields_to_suggest(type, dialect)
    return nearest_name(name, here) or (None if is_asked else nearest_name(name, elsewhere))


@lru_cache(maxsize=1024)
def _fields_to_suggest(type: MessageType, dialect: str) -> tuple[KnownNames, KnownNames]:
    """Return the fields of a dialect, and those of all that are not only history."""
    here = KnownNames(known for known, spec in type.fields_in(dialect).items() if spec.is_in(dialect))
    return here, KnownNames(known for known, spec in type.fields.items() if spec.dialects != {HISTORY})


@lru_cache(maxsize=64)
def _types_to_suggest(schema: Schema, dialect: str) -> tuple[KnownNames, KnownNames]:
    """Return the layer types of a dialect, and all that are known."""
    known = schema.layer_types or {}
    return KnownNames(type for type, dialects in known.items() if not dialects or dialect in dialects), KnownNames(known)


class _Binder:
    """Binds a tree in one dialect. Until the dialect is `settled`, a field may have the form of any dialect.

    `type` is the message type of the whole tree.
    """

    def __init__(
        self,
        tree: Tree,
        schema: Schema,
        type: MessageType,
        dialect: str,
        *,
        asked: bool,
        settled: bool,
        as_written: bool = False,
    ) -> None:
        self.tree = tree
        self.schema = schema
        self.type = type
        self.dialect = dialect
        self.asked = asked
        self.settled = settled
        self.as_written = as_written
        self.problems: list[Problem] = []
        self.uses: list[Use] = []
        self.forms: set[tuple[FieldType, FieldType]] = set()
        self.layer_types: Mapping[str, frozenset[str]] | None = None
        self.well_formed = not tree.malformed
        self.judged: tuple[Block | None, bool] = None, False  # a net, and what `are_current` says of it
        self.reported: set[int] = set()  # ids of malformed scalars and fields that have been reported
        self.suggestions: dict[tuple[str, str], str | None] = {}
        self.renamed: dict[int, str] = {}  # the message type of each unknown field that has a repair, by its position
        self.extended: set[str] = set()  # message types with unknown fields that resemble nothing

    def block(self, block: Block, type: MessageType, depth: int) -> Message:
        """Bind the fields of a block to a message type."""
        message = Message(type, block)
        get = (type.fields_in(self.dialect) if self.settled else type.fields).get
        entries = message.entries
        well_formed = self.well_formed
        for field in block.fields:
            name = field.name
            spec = get(name)
            if spec is not None and well_formed:
                node = field.value
                if node.__class__ is Scalar:
                    value = spec.known[node.text]
                elif node.__class__ is Block and spec.inner is not None and depth < MAX_DEPTH:
                    value = self.block(node, spec.inner, depth + 1)
                else:
                    value = None
                if value is not None:
                    if name not in entries:
                        entries[name] = ((value, node, field),)  # type: ignore[assignment]
                        continue
                    if spec.repeated and spec.common:
                        message.add(name, (value, node, field))  # type: ignore[arg-type]
                        continue
            self.field(message, field, spec, depth)
        for spec in type.required:
            if spec.name not in entries:
                text = f"{type.name} lacks the required field '{spec.name}'"
                self.report("missing-required-field", block.start, block.open_end, text)
        if "type" in entries and type.name == "LayerParameter":
            self.layer_type(message, entries["type"][0])
        return message

    def field(self, message: Message, field: Field, spec: FieldType | None, depth: int) -> None:
        """Bind one field, including all special cases."""
        if spec is None or (spec.dialects == {HISTORY} and self.dialect != HISTORY):
            if field.name:  # the parser reports fields without a name
                self.unknown_field(message, field, depth)
            return
        node = field.value
        if node is None:  # reported by the parser
            return
        entries = message.entries
        name = spec.name
        if name == "layers" and isinstance(node, Block) and not self.as_written and self.are_current(message):
            self.misnamed_layer(message, field, node, depth)
            return
        if len(spec.variants) > 1 and not self.settled:
            form = self.form(spec, field, name in entries, depth)
            self.forms.add((spec, form))
            spec = form
        if spec.dialects:
            self.uses.append(Use(spec.dialects, "field", name, message.type.name, field.start, field.end))
        if name in entries and not spec.repeated:
            self.repeated_field(message, field, spec, depth)
            return
        self.colon(field, spec)
        written: list[Entry] = []
        self.value(node, message.type.name, spec, field, written, depth)
        for entry in written:
            message.add(name, entry)

    def form(self, spec: FieldType, field: Field, again: bool, depth: int) -> FieldType:
        """Return the first of several forms of a field that accepts this text."""
        many = again or isinstance(field.value, ListValue)
        for form in spec.variants:
            if (form.repeated or not many) and self.fits(field, form, depth):
                return form
        return spec

    def fits(self, field: Field, spec: FieldType, depth: int) -> bool:
        """Whether a field accepts the text without any problem."""
        if isinstance(field.value, Scalar):
            return spec.read(field.value.text) is not None
        return not self.trial(field, spec, depth)[0]

    def trial(self, field: Field, spec: FieldType, depth: int) -> tuple[list[Problem], list[Entry]]:
        """Return the problems and values that a field would have if it were of another type."""
        trial = _Binder(self.tree, self.schema, self.type, self.dialect, asked=self.asked, settled=self.settled)
        written: list[Entry] = []
        assert field.value is not None
        trial.value(field.value, "", spec, field, written, depth)
        return trial.problems, written

    # -- values ---------------------------------------------------------------------------------------------

    def value(self, node: Value, of: str, spec: FieldType, field: Field, written: list[Entry], depth: int) -> None:
        """Append the value of a field of the message type `of` to `written`, or the value that was meant."""
        if isinstance(node, Scalar):
            value = spec.read(node.text)
            if value is not None:
                written.append((value, node, field))
                if spec.kind == "enum" and (dialects := spec.enum.dialects_of.get(str(value))):
                    self.enum_value(str(value), dialects, node, spec)
            else:
                self.wrong_scalar(node, of, spec, field, written)
        elif isinstance(node, Block):
            if spec.kind != "message":
                self.report("wrong-type", node.start, node.open_end, _corrections().block_for_scalar(spec, of))
            elif depth >= MAX_DEPTH:
                self.report("syntax", field.start, field.name_end, f"messages nested more than {MAX_DEPTH} deep")
            else:
                written.append((self.block(node, spec.message, depth + 1), node, field))
        elif not spec.repeated:
            self.list_for_one(node, spec, field, written)
        else:
            for item in node.items:
                self.value(item, of, spec, field, written, depth)

    def enum_value(self, name: str, dialects: frozenset[str], node: Scalar, spec: FieldType) -> None:
        """Record the use of an enum value that BVLC does not have."""
        enum = spec.enum
        if dialects == {HISTORY} and self.dialect != HISTORY:
            until = last_seen(enum.name, name)
            text = f"{enum.name} has no value {name} in any current Caffe (BVLC had it until {until})"
            self.report("unknown-enum-value", node.start, node.end, text)
        else:
            self.uses.append(Use(dialects, "value", name, enum.name, node.start, node.end))

    def wrong_scalar(self, node: Scalar, of: str, spec: FieldType, field: Field, written: list[Entry]) -> None:
        self.mark_reported(node)
        if spec.kind == "string" and (word := word_of(node.text)) is not None and self.schema.reads_words(self.dialect):
            written.append((word, node, field))
            return
        if len(self.problems) >= MAX_PROBLEMS:
            return
        found = _corrections().correction(node.text, spec, of, self.schema, self.dialect)
        repair, safe = None, True
        if found.kind == "unknown-enum-value" and found.text is not None:
            owners, meant = self.owners(), found.text.decode()
            written_as = node.text.decode("utf-8", "replace").strip("\"'")
            is_type = of == "V1LayerParameter" and spec.name == "type"
            owner = owners.of(field)
            safe = owners.is_certain(written_as, meant, spec.enum.values, spec.enum.dialects_of.get(meant, ()))
            if not is_type:
                safe = safe and owner == owner.OURS
                found = found._replace(text=found.text if owner else None)
        if found.text is not None:
            glued = self.tree.source[node.end : node.end + 1].isalnum() and found.text[-1:].isalnum()
            repair = ((node.start, node.end, found.text + b" " * glued),)
            if not self.as_written:
                written += [(spec.read(text), node, field) for text in found.many or (found.text,)]
        start = node.start + found.at if node.end - node.start == len(node.text) else node.start
        self.report(found.kind, start, node.end, found.message, repair, found.title if repair else "", safe=safe)

    def list_for_one(self, node: ListValue, spec: FieldType, field: Field, written: list[Entry]) -> None:
        single = _corrections().single_item(node, spec, self.tree.source)
        repair = None
        if single is not None:
            item = node.items[0]
            assert isinstance(item, Scalar)
            repair = ((node.start, node.end, single),)
            if not self.as_written:
                written.append((spec.read(item.text), item, field))
        text = f"'{spec.name}' expects a single value, found a list"
        self.report("wrong-type", node.start, node.end, text, repair, "remove the brackets" if repair else "")

    def colon(self, field: Field, spec: FieldType) -> None:
        """Report a missing colon. Only blocks, and lists of blocks, do not need one."""
        if field.has_colon or isinstance(field.value, Block) or spec.kind == "message":
            return
        self.mark_reported(field)
        end = field.name_end
        text = f"expected ':' between '{field.name}' and its value"
        assert field.value is not None
        place = field.value.start
        self.report("missing-colon", place, place, text, ((end, end, b":"),), "insert ':'")

    # -- fields and types -----------------------------------------------------------------------------------

    def repeated_field(self, message: Message, field: Field, spec: FieldType, depth: int) -> None:
        """Report a singular field that is set twice. If both values are the same, one of them can be removed."""
        self.mark_reported(field)
        if len(self.problems) >= MAX_PROBLEMS:
            return
        repair: Repair | None = None
        says, title, safe = "", "", True
        first, node, _ = message.entries[spec.name][0]
        problems, again = self.trial(field, spec, depth)
        if not problems and again:
            start, end = _removable(self.tree.source, field)
            if b"#" in self.tree.source[start:end]:
                pass
            elif plain_value(again[0][0]) == plain_value(first):
                repair = ((start, end, b""),)
                says, title = " (both values are the same)", "remove the second one"
            elif isinstance(first, Message) and isinstance(node, Block) and not set(first.entries) & set(again[0][0].entries):
                joined = _joined(self.tree.source, node, again[0][0].block)
                if joined is not None:
                    repair = (joined, (start, end, b""))
                    title, safe = "merge the two", False
                    if not self.as_written:
                        first.entries.update(again[0][0].entries)
        text = f"'{field.name}' is set twice, but {message.type.name} allows it only once{says}"
        self.report("duplicate-field", field.start, field.name_end, text, repair, title, safe=safe)

    def are_current(self, net: Message, misspelled: Block | None = None) -> bool:
        """Whether `layers` are layers in the current format: all of a net, or one whose field is misspelled and all others.

        Caffe takes no net with layers of both formats.
        """
        if "layer" not in net.type.fields:
            return False
        fields = net.block.fields
        spec = net.type.fields["layers"]
        if self.judged[0] is not net.block:
            written = [field.value for field in fields if field.name == "layers"]
            self.judged = net.block, _are_current_format(written, spec, any(field.name == "layer" for field in fields))
        return self.judged[1] and (misspelled is None or _are_current_format([misspelled], spec, "layer" in net.entries))

    def misnamed_layer(self, message: Message, field: Field, node: Block, depth: int) -> None:
        """Report a layer in the current format that is in the field of the old format."""
        type = message.type.fields["layer"].message
        message.add("layer", (self.block(node, type, depth + 1), node, field))
        text = f"'layers' expects V1 layers with types such as CONVOLUTION; {_corrections().IN_LAYER}"
        repair = ((field.start, field.name_end, b"layer"),)
        self.report("wrong-type", field.start, field.name_end, text, repair, "rename it to 'layer'")

    def unknown_field(self, message: Message, field: Field, depth: int) -> None:
        self.mark_reported(field)
        type = message.type
        if self.as_written or len(self.problems) >= MAX_PROBLEMS:
            message.add_unknown(field)
            return
        nearest = self.suggestion(message, field.name)
        if nearest == "layers" and isinstance(field.value, Block) and self.are_current(message, field.value):
            nearest = "layer"
        spec = type.fields_in(self.dialect)[nearest] if nearest else None
        text = f"{type.name} has no field '{field.name}' in any known Caffe"
        if field.name in type.fields:
            until = last_seen(type.name, field.name)
            text = f"{type.name} has no field '{field.name}' in any current Caffe (BVLC had it until {until})"
        if spec and self.renamable(message, field, spec, depth):
            owners = self.owners()
            owner = owners.of(field, is_type=spec.name == "type")
            if owner:  # otherwise the layer type may have a field of that name
                known = [name for name, other in type.fields.items() if other.dialects != {HISTORY}]
                safe = owner == owner.OURS and owners.is_certain(field.name, spec.name, known, spec.dialects)
                safe = safe and (isinstance(field.value, Block) or not self.trial(field, spec, depth)[0])
                self.renamed[field.start] = type.name
                self.rename(message, field, spec, depth, text, safe=safe)
                return
        message.add_unknown(field)
        hint = f"; did you mean '{nearest}'?" if nearest else self.right_place(message, field)
        is_list = spec is not None and not spec.repeated and _is_list(message.block, field.name)
        if (is_list or not hint) and self.owners().extends(type, field.name):
            self.extended.add(type.name)
        self.report("unknown-field", field.start, field.name_end, text + hint)

    def rename(self, message: Message, field: Field, spec: FieldType, depth: int, text: str, *, safe: bool) -> None:
        """Report a misspelled field, and bind it as the one that was meant."""
        written: list[Entry] = []
        assert field.value is not None
        self.value(field.value, message.type.name, spec, field, written, depth)
        for entry in written:
            message.add(spec.name, entry)
        repair = ((field.start, field.name_end, spec.name.encode()),)
        text += f"; did you mean '{spec.name}'?"
        title = f"rename it to '{spec.name}'"
        self.report("unknown-field", field.start, field.name_end, text, repair, title, safe=safe)

    def suggestion(self, message: Message, name: str) -> str | None:
        """Return the field that a misspelled name probably means, preferably one of the file's dialect."""
        type = message.type
        key = (type.name, name)
        if key not in self.suggestions:
            if len(self.suggestions) >= MAX_SUGGESTIONS:
                return None
            self.suggestions[key] = (
                None
                if name in type.fields or self.is_of_other_format(type, name)
                else _nearest_field(type, name, self.dialect, self.asked)
            )
        nearest = self.suggestions[key]
        if nearest is None or fold(nearest) == fold(name):
            return nearest
        # An extra word at either end, or the name of the layer's own type, is not a typo.
        if name.startswith(nearest + "_") or name.endswith("_" + nearest):
            return None
        if "type" in message.type.fields:
            types = [
                field.value.text
                for field in message.block.fields
                if field.name == "type" and isinstance(field.value, Scalar)
            ]
            if any(_is_named_after(name, text.decode("utf-8", "replace").strip("\"'")) for text in types):
                return None
        return nearest

    def is_of_other_format(self, type: MessageType, name: str) -> bool:
        """Return whether layers of the other format have a field: it is in the wrong place then, and not misspelled."""
        from .owners import LAYERS  # only for names that are unknown

        others = [other for other in LAYERS if other != type.name] if type.name in LAYERS else []
        return any(name in self.schema.message(other).fields for other in others)

    def renamable(self, message: Message, field: Field, spec: FieldType, depth: int) -> bool:
        """Whether a field would be valid under another name."""
        if field.value is None or (isinstance(field.value, Block) and spec.kind != "message"):
            return False
        if not field.has_colon and spec.kind != "message":
            return False
        alone = spec.name not in message.entries and all(other.name != spec.name for other in message.block.fields)
        if not spec.repeated and (not alone or _is_list(message.block, field.name)):
            return False
        return isinstance(field.value, Block) or all(problem.repair for problem in self.trial(field, spec, depth)[0])

    def right_place(self, message: Message, field: Field) -> str:
        """Return a hint if a field belongs in a block next to it."""
        for name, entries in message.entries.items():
            value = entries[0][0]
            if isinstance(value, Message) and field.name in value.type.fields:
                return f"; it belongs in '{name}'"
        return ""

    def layer_type(self, layer: Message, entry: Entry) -> None:
        """Check a layer type that BVLC does not have: some forks may have it, or no known Caffe."""
        known = self.layer_types
        if known is None:
            known = self.schema.layer_types
            if known is None:
                return
            self.layer_types = known
        name, node, _ = entry
        dialects = known.get(name)
        if dialects:
            self.uses.append(Use(dialects, "layer type", name, "", node.start, node.end))
        if dialects is not None:
            return
        key = ("layer type", name)
        if key not in self.suggestions and len(self.suggestions) < MAX_SUGGESTIONS:
            here, anywhere = _types_to_suggest(self.schema, self.dialect)
            self.suggestions[key] = nearest_name(name, here) or nearest_name(name, anywhere)
        nearest = self.suggestions.get(key)
        if nearest is not None and fold(nearest) != fold(name):
            has_own_settings = any(_is_named_after(field.name, name) for field in layer.block.fields)
            nearest = None if has_own_settings or len(name) < SHORTEST_TYPE else nearest
        repair = None
        if nearest is not None and self.owners().is_certain(name, nearest, known, known[nearest]):
            repair = ((node.start, node.end, b'"' + nearest.encode() + b'"'),)
        hint = f"; did you mean '{nearest}'?" if nearest else ""
        text = f"no known Caffe has a layer type '{name}'{hint}"
        self.report("unknown-layer-type", node.start, node.end, text, repair, f"write '{nearest}'" if repair else "")

    # -- problems -------------------------------------------------------------------------------------------

    def mark_reported(self, item: Scalar | Field) -> None:
        """Note that what may be malformed in an item is reported. After the last problem, nothing is."""
        if len(self.problems) < MAX_PROBLEMS:
            self.reported.add(id(item))

    def report(
        self,
        kind: str,
        start: int,
        end: int,
        message: str,
        repair: Repair | None = None,
        title: str = "",
        *,
        safe: bool = True,
    ) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(kind, start, end, message, repair, title, safe))

    def all_problems(self) -> list[Problem]:
        """Return all problems sorted by position, including uses that no branch of the dialect has."""
        covered = -1
        branches = self.schema.branches(self.dialect) if self.uses else frozenset()
        for use in sorted(self.uses, key=lambda use: (use.start, -use.end)):
            if not branches.isdisjoint(use.dialects) or use.start < covered:
                continue
            if not (self.lists_types() if use.what == "layer type" else self.schema.lists_fields(self.dialect)):
                continue
            covered = use.end
            if len(self.problems) < MAX_PROBLEMS:
                self.problems.append(_not_in_dialect(use, self.dialect, self.schema))
        for item in self.tree.malformed:
            if len(self.problems) >= MAX_PROBLEMS:
                break
            if id(item) not in self.reported:
                self.malformed_item(item)
        uncertain = self.tree.uncertain
        if uncertain:
            # If a missing brace puts a field into the wrong block, only the brace is reported.
            self.problems = [
                problem
                for problem in self.problems
                if not any(start <= problem.start < end for start, end in uncertain)
            ]
        if self.extended:
            self.problems = [
                problem._replace(safe=problem.safe and self.renamed.get(problem.start) not in self.extended)
                for problem in self.problems
            ]
        if self.tree.problems:
            edits = sorted(edit[:2] for problem in self.tree.problems for edit in problem.repair or ())
            reaching = [*accumulate((end for _, end in edits), max)]  # how far the edits up to each one reach
            self.problems = [_without_overlaps(problem, edits, reaching) for problem in self.problems]
        self.problems.sort(key=lambda problem: problem.start)
        return self.problems

    def owners(self) -> Owners:
        """Return what tells whose a name is."""
        from .owners import Owners  # keeps out of the start what only files with mistakes need

        return Owners(self.tree, self.type, self.schema, self.dialect if self.asked else None)

    def lists_types(self) -> bool:
        return any(known.name == self.dialect and known.lists_types for known in self.schema.dialects)

    def malformed_item(self, item: Scalar | Field) -> None:
        """Report a malformed item inside an unknown field, where the expected type is not known."""
        if isinstance(item, Scalar):
            found = _corrections().untyped_correction(item.text)
            repair = ((item.start, item.end, found.text),) if found.text is not None else None
            self.report(found.kind, item.start, item.end, found.message, repair, found.title)
        elif not item.has_colon:
            end = item.name_end
            text = f"expected ':' between '{item.name}' and its value"
            self.report("missing-colon", item.start, end, text, ((end, end, b":"),), "insert ':'")
        else:
            text = f"'{item.name}' is not a valid field name"
            self.report("syntax", item.start, item.name_end, text)


def _is_named_after(settings: str, type: str) -> bool:
    """Whether a field has the name of the settings of a layer type."""
    return settings.endswith("_param") and fold(settings.removesuffix("_param")) == fold(type)


def _is_list(block: Block, name: str) -> bool:
    """Whether a block has several values of one name, as only a repeated field may have."""
    values = [field.value for field in block.fields if field.name == name]
    return sum(len(value.items) if isinstance(value, ListValue) else 1 for value in values) > 1


def _without_overlaps(problem: Problem, edits: Sequence[tuple[int, int]], reaching: Sequence[int]) -> Problem:
    """Remove the repair of a problem if it overlaps with one of some edits, given how far each and those before it reach."""
    for start, end, _ in problem.repair or ():
        before = bisect_right(edits, end, key=lambda edit: edit[0])
        if before and reaching[before - 1] >= start:
            return problem._replace(repair=None, repair_title="")
    return problem


Repair = tuple[tuple[int, int, bytes], ...]


def _corrections() -> Any:
    """Load the module that is needed only for files with problems."""
    from . import corrections  # keeps out of the start what only files with mistakes need

    return corrections


def _are_current_format(layers: Sequence[Value | None], spec: FieldType, beside_current: bool) -> bool:
    """Whether all `layers` of a net are meant to be in the current format, which nothing speaks against if there are none.

    All types are quoted, and there is one; and the net has layers in the current format besides, or these have no rates of V1
    layers, or a type that no V1 layer has.
    """
    has_rates = has_type = has_new_type = False
    for layer in layers:
        if not isinstance(layer, Block):
            return False
        for field in layer.fields:
            if field.name == "layer":  # a V0 layer
                return False
            if field.name == "type" and isinstance(field.value, Scalar):
                if field.value.text[0] not in b"\"'":
                    return False
                has_type = True
                has_new_type = has_new_type or not _corrections().is_v1_type(field.value.text, spec)
            has_rates = has_rates or field.name in ("blobs_lr", "weight_decay")
    return not layers or (has_type and (beside_current or not has_rates or has_new_type))


def _removable(source: bytes, field: Field) -> tuple[int, int]:
    """Return the span to remove with a field: its whole lines if nothing else is on them, otherwise with the space before it."""
    line_start = source.rfind(b"\n", 0, field.start) + 1
    line_end = source.find(b"\n", field.end)
    line_end = len(source) if line_end < 0 else line_end + 1
    if not source[line_start : field.start].strip() and not source[field.end : line_end].strip():
        return line_start, line_end
    start = field.start
    while start > line_start and source[start - 1] in b" \t":
        start -= 1
    return start, field.end


def _joined(source: bytes, first: Block, second: Block) -> tuple[int, int, bytes] | None:
    """Return the edit that appends the fields of a block to another one; None if they do not fit there cleanly."""
    written = [source[field.start : field.end] for field in second.fields]
    if not written or b"\n" in b"".join(written):
        return None
    line = source.rfind(b"\n", first.open_end, first.close)
    if line < 0:
        space = b"" if source[first.close - 1 : first.close] in (b" ", b"\t") else b" "
        return first.close, first.close, space + b" ".join(written) + b" "
    if source[line + 1 : first.close].strip() or not first.fields:
        return None
    start = source.rfind(b"\n", 0, first.fields[0].start) + 1
    indent = source[start : first.fields[0].start]
    if indent.strip():
        return None
    end = b"\r\n" if source[line - 1 : line] == b"\r" else b"\n"
    return line + 1, line + 1, b"".join(indent + text + end for text in written)


def _not_in_dialect(use: Use, dialect: str, schema: Schema) -> Problem:
    where = f" in {use.of}" if use.of else ""
    has = [known.name for known in schema.dialects if known.name in use.dialects]
    shown = ", ".join(has[:6]) + (f" and {len(has) - 6} more" if len(has) > 6 else "")
    message = f"{dialect} has no {use.what} '{use.name}'{where}; it exists in {shown}"
    kind = {"field": "foreign-field", "value": "foreign-value", "layer type": "foreign-layer-type"}[use.what]
    end = use.start + len(use.name) if use.what == "field" else use.end
    return Problem(kind, use.start, end, message)
