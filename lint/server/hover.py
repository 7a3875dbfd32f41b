"""What is said of the word under the mouse: of a field, a layer, a blob, a learning rate, a rule in a suppression."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from ..api import Stability
from ..fixes.fields import number_text
from ..moments.graph import Layer
from ..moments.shapes import describe
from ..net.costs import multiply_adds, total
from ..proto.field_notes import note_on
from ..proto.message import Message
from ..proto.named_tuple import NamedTuple
from ..proto.schema import FieldType, MessageType, Schema
from ..proto.tree import Block, Field, ListValue, Scalar, fields_at
from ..report.page_markdown import fenced
from ..report.schedule_text import as_text
from ..rule.finding import Finding
from ..rule.registry import all_rules
from ..solver.rate_course import course
from ..solver.schedule import POLICIES, learning_rate
from ..source.files import SourceFile
from ..source.wording import counted
from .occurrences import BLOB, LAYER, Occurrence
from .outline import layers_at

if TYPE_CHECKING:
    from ..net.job import NetInPhase

MOST_NAMED = 12
# Fields of solvers on which the learning rate depends.
_OF_RATE = frozenset({"base_lr", "lr_policy", "max_iter"}.union(*((*each.needs, *each.reads) for each in POLICIES.values())))


class Pointed(NamedTuple):
    """A field under the mouse, with its type and the message that it is in; these are None if no Caffe has them."""

    field: Field
    spec: FieldType | None
    message: MessageType | None
    is_name: bool
    value: Scalar | None


def pointed_at(file: SourceFile, offset: int) -> Pointed | None:
    """Return the field at an offset."""
    message: MessageType | None = file.message.type
    dialect = file.bound.dialect
    chain = fields_at(file.tree.root, offset)
    for field in chain:
        spec = message.fields_in(dialect).get(field.name) if message is not None else None
        if field is chain[-1]:
            values = field.value.items if isinstance(field.value, ListValue) else (field.value,)
            value = next((each for each in values if isinstance(each, Scalar) and each.start <= offset <= each.end), None)
            return Pointed(field, spec, message, field.start <= offset <= field.name_end, value)
        message = spec.message if spec is not None and spec.kind == "message" else None
    return None


def of_field(pointed: Pointed, schema: Schema) -> str:
    """Return what a field does, its type, default, and which Caffe has it; empty if nothing is known."""
    spec, message = pointed.spec, pointed.message
    if spec is None or message is None:
        return ""
    return of_spec(spec, message, schema)


def of_spec(spec: FieldType, message: MessageType, schema: Schema) -> str:
    """Return the same for a field of a message."""
    kind = spec.type_name if spec.kind in ("message", "enum") else spec.kind
    head = f"**{spec.name}**: {'repeated ' if spec.repeated else ''}{kind} in {message.name}"
    lines = [head, "", note_on(message, spec)] if note_on(message, spec) else [head]
    if not spec.repeated and spec.kind != "message":
        default = spec.default
        shown = number_text(default) if isinstance(default, float) else str(default).lower() if isinstance(default, bool) else default
        lines += ["", f"Default: `{shown}`" if shown != "" else "Default: empty"]
    if spec.kind == "enum":
        forks = spec.enum.dialects_of
        values = [f"{name} (forks only)" if name in forks else name for name in spec.enum.values]
        lines += ["", "Values: " + ", ".join(values)]
    lines += ["", of_dialects(spec.dialects, schema)]
    return "\n".join(lines)


def of_dialects(dialects: frozenset[str], schema: Schema) -> str:
    """Return which Caffe has what has these dialects."""
    if not dialects:
        return "In BVLC's Caffe and its forks."
    known = {dialect.name: dialect.repository for dialect in schema.dialects}
    if dialects == {"bvlc-history"}:
        return "Only in older versions of BVLC's Caffe."
    return f"Only in {'a fork' if len(dialects) == 1 else 'forks'}: {_named(dialects, known)}."


def _named(dialects: frozenset[str], known: dict[str, str]) -> str:
    """The first three of some dialects, the most used first."""
    names = [name for name in known if name in dialects] or sorted(dialects)
    shown = [f"{name} ({known[name]})" if name in known else name for name in names[:3]]
    return ", ".join(shown) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def of_rate(pointed: Pointed, file: SourceFile) -> str:
    """Return the learning rate over the run as a curve, if the field is one that it depends on."""
    if file.kind != "solver" or pointed.field.name not in _OF_RATE or pointed.message is not file.message.type:
        return ""
    solver: Message = file.message
    length = solver["max_iter"]
    found = course(solver, length) if length > 0 else None
    if found is None:
        return ""
    return fenced(as_text(file.path, found, partial(learning_rate, solver)))


def layer_start(file: SourceFile, offset: int) -> int | None:
    """Return the start of the layer whose name or type is at an offset, or the word `layer` before it."""
    chain = fields_at(file.tree.root, offset)
    if not chain or chain[0].name not in ("layer", "layers"):
        return None
    values = chain[0].value.items if isinstance(chain[0].value, ListValue) else (chain[0].value,)
    around = [value for value in values if isinstance(value, Block) and (len(values) == 1 or value.start <= offset < value.end)]
    if not around or (len(chain) > 1 and chain[1].name not in ("name", "type")):
        return None
    return around[0].start if len(chain) > 1 or offset <= chain[0].name_end else None


def of_layer(nets: Sequence[NetInPhase], start: int, file: SourceFile, predicted: Stability | None) -> str:
    """Return the type of a layer, its shapes in each phase, parameters, multiply-adds, and its signal in iteration 0."""
    found = layers_at((net for net in nets if net.file.path == file.path), start)
    if not found:
        return ""
    layer = found[0][1]
    lines = [f"**{layer.name}**: {layer.type} layer"]
    types = file.schema.layer_types
    if types is not None and layer.type in types:
        lines += ["", of_dialects(types[layer.type], file.schema)]
    elif layer.kind is None:
        lines += ["", "No known Caffe has this type."]
    said: dict[str, list[str]] = {}
    for net, each in found:
        said.setdefault(_shapes(each), []).append(net.phase)
    lines += ["", *(f"- {' and '.join(dict.fromkeys(phases))}: {shapes}" for shapes, phases in said.items())]
    own = [param for param in layer.params if param.owner is param]
    if layer.params:
        number = total(param.count for param in own)
        parts = [f"{param.role} {describe(param.shape)}" for param in layer.params]
        lines.append(f"- Parameters: {'unknown' if number is None else f'{number:,}'} ({', '.join(parts)})")
    products = multiply_adds(layer)
    if products:
        lines.append(f"- Multiply-adds: {products:,}")
    lines += [f"- {line}" for line in _signal(layer, predicted)]
    return "\n".join(lines)


def _shapes(layer: Layer) -> str:
    bottoms = ", ".join(f"{blob.name} ({describe(blob.shape)})" for blob in layer.bottoms) or "no bottom"
    tops = ", ".join(f"{blob.name} ({describe(blob.shape)})" for blob in layer.tops) or "no top"
    return f"{bottoms} → {tops}"


def _signal(layer: Layer, predicted: Stability | None) -> Iterator[str]:
    if predicted is None:
        return
    for blob in dict.fromkeys(blob.name for blob in layer.tops):
        size = predicted.sizes.get((layer.name, blob))
        if size is not None:
            yield f"Iteration 0: mean |{blob}| is {size:.2g}"
    for blob in dict.fromkeys(blob.name for blob in layer.bottoms):
        gradient = predicted.gradients.get((layer.name, blob))
        if gradient is not None:
            yield f"Iteration 0: mean |gradient of {blob}| is {gradient:.2g}"
    for param in layer.params:
        ratio = predicted.updates.get((layer.name, param.index))
        if ratio == inf:
            yield f"Iteration 0: its {param.role} starts at 0"
        elif ratio is not None:
            yield f"Iteration 0: the update of its {param.role} is {ratio:.2g} of its size"


def of_name(name: Occurrence, nets: Sequence[NetInPhase], everywhere: Sequence[Occurrence]) -> str:
    """Return which layers make and read a blob, with its shape, or where else a name is written."""
    if name.kind == LAYER:
        return ""
    if name.kind != BLOB:
        return f"**{name.name}**: {name.kind}, written in {counted(len(everywhere), 'place')}"
    lines = [f"**{name.name}**: blob"]
    for net in nets:
        makers = [(layer, blob) for layer in net.net.layers for blob in layer.tops if blob.name == name.name]
        readers = list(dict.fromkeys(layer.name for _, blob in makers for layer in blob.consumers))
        if net.file.path != name.path or (not makers and not readers):
            continue
        shape = describe(makers[-1][1].shape) if makers else "?"
        made = _listed([f"{layer.name} ({layer.type})" for layer, _ in makers])
        lines += ["", f"{net.phase}: {shape}", "", f"- made by {made or 'no layer'}", f"- read by {_listed(readers) or 'no layer'}"]
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def of_findings(findings: Iterable[Finding]) -> str:
    """Return the rules of findings with what each of them reports."""
    rules = all_rules()
    codes = dict.fromkeys(finding.code for finding in findings)
    return "\n\n".join(
        f"**{code} {rules[code].name}**: {rules[code].summary} (`caffe-lint explain {code}`)" for code in codes if code in rules
    )
