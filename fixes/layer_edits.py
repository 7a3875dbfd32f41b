"""Repairs of a net's wiring, in the style of the file: new layers, other bottoms, layers left out.

Layers are named by their entry in a net: the message, its block and the field of the file that holds it. The
message may be in today's form while the text of the file is V1 (`layers`): names and places are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Union

from ..proto.binder import Entry, Message, plain, plain_value
from ..proto.tree import Block, Field, Scalar, Tree
from .edit import Change, Edit, Insertion
from .fields import (
    Patch,
    eol,
    indent_at,
    indent_unit,
    remove_field,
    remove_text,
    separator,
    set_field,
    shares_line,
    value_text,
)
from .wiring import remove_messages


class Word(str):
    """The name of an enum value, which stands without quotes."""


Written = Union[str, bool, int, float, Word, "Fields"]
Fields = tuple[tuple[str, Written], ...]


def insert_layers(tree: Tree, net: Message, after: Entry, layers: Iterable[Fields]) -> Patch | None:
    """Writes layers behind another, under the same field (`layer` or `layers`), in the order given.

    None where the other layer is an element of a bracketed list, behind which no field can stand.
    """
    _, node, anchor = after
    if node is not anchor.value or not isinstance(node, Block):
        return None
    layers = list(layers)
    edits = []
    changes = []
    for fields in layers:
        edits.append(_layer_edit(tree, net.block, anchor, node, fields))
        changes.append(Insertion(net.block, anchor.name, node, _plain(fields)))
    return Patch(tuple(edits), tuple(changes))


def remove_layer(tree: Tree, net: Message, layer: Entry, also: Patch = Patch()) -> Patch | None:  # noqa: B008
    """Takes a layer out of a net, a message as the file writes it, together with changes of other layers of
    it.

    None where the layer is an element of a bracketed list.
    """
    _, node, field = layer
    if node is not field.value:
        return None
    left = []
    for value, other, _ in net.entries[field.name]:
        if other is not node:
            values = plain(value)
            for change in also.changes:
                if isinstance(change, Change) and change.block is other:
                    values[change.field] = list(change.values)
            left.append(values)
    change = Change(net.block, field.name, tuple(left))
    return Patch((*also.edits, remove_text(tree, field)), (change,))


def written_net(message: Message, block: Block) -> Message | None:
    """The net at a block as the file writes it: the file's message itself, or a net within a solver."""
    if message.block is block:
        return message
    for name in ("net_param", "train_net_param", "test_net_param"):
        for value, node, _ in message.entries.get(name, ()):
            if node is block:
                found: Message = value
                return found
    return None


def set_value(message: Message, name: str, index: int, value: Any) -> Patch:
    """Writes another value in place of one that stands in a repeated field."""
    entries = message.entries[name]
    node = entries[index][1]
    values = [plain_value(entry[0]) for entry in entries]
    values[index] = plain_value(value)
    edit = Edit(node.start, node.end, value_text(value).encode())
    return Patch((edit,), (Change(message.block, name, tuple(values)),))


def set_loss_weights(tree: Tree, layer: Message, weights: tuple[float, ...]) -> Patch:
    """Writes the `loss_weight` of a layer, one for each top, behind the tops if none stands there yet.

    Where some are written their number stays, and only those change that differ.
    """
    entries = layer.entries.get("loss_weight", [])
    values = tuple(float(value_text(weight)) for weight in weights)
    change = Change(layer.block, "loss_weight", values)
    if entries:
        edits = [
            Edit(node.start, node.end, value_text(weight).encode())
            for (old, node, _), weight in zip(entries, weights, strict=True)
            if old != weight
        ]
        return Patch(tuple(edits), (change,))
    anchors = [field for name in ("top", "bottom", "type", "name") if (field := last_field(layer, name))]
    text = "loss_weight" + separator(tree, layer.block)
    lines = [text + value_text(weight) for weight in weights]
    return Patch((_fields_edit(tree, layer.block, anchors[0], lines),), (change,))


def add_message(tree: Tree, net: Message, message: Message, name: str, fields: Fields) -> Patch:
    """Writes a message field into a message of a layer that has none of that name yet, behind its last field."""
    anchor = message.block.fields[-1]
    if shares_line(tree, message.block, anchor):
        lines = [_in_one_line(name, fields, separator(tree, message.block))]
    else:
        colon, step = separator(tree, message.block), indent_unit(tree).decode()
        lines = _in_lines(((name, fields),), colon, "", step, _nests_in_one_line(tree, net.block))
    edit = _fields_edit(tree, message.block, anchor, lines)
    return Patch((edit,), (Change(message.block, name, (_plain(fields),)),))


def without_bias(tree: Tree, layer: Message, settings: str) -> Patch | None:
    """`bias_term: false` in the settings of a layer with weights, without the `param` and the filler of the bias.

    None where the `param` do not stand as fields of their own.
    """
    inside: Message = layer[settings]
    patch = set_field(tree, inside, "bias_term", False, beside=("weight_filler", "num_output"))
    if "bias_filler" in inside:
        patch += remove_field(tree, inside, "bias_filler")
    if len(layer["param"]) > 1:
        params = remove_messages(tree, layer, "param", 1)
        if params is None:
            return None
        patch += params
    return patch


def start_with(tree: Tree, net: Message, settings: Message, filler: str) -> Patch:
    """Another `weight_filler` in the settings of a layer, of a type that needs no numbers, and none of the old ones."""
    if "weight_filler" not in settings:
        return add_message(tree, net, settings, "weight_filler", (("type", filler),))
    written: Message = settings["weight_filler"]
    patch = set_field(tree, written, "type", filler)
    for name in ("value", "min", "max", "mean", "std", "sparse", "variance_norm"):
        if name in written.entries:
            patch += remove_field(tree, written, name)
    return patch


def last_field(message: Message, name: str) -> Field | None:
    """The last of the fields of that name, None if none is written."""
    entries = message.entries.get(name)
    return entries[-1][2] if entries else None


def state_rules(layer: Message) -> Fields:
    """The include and exclude rules of a layer, for another that is to stand wherever that one does."""
    rules: list[tuple[str, Written]] = []
    for name in ("include", "exclude"):
        for rule in layer[name]:
            inside: list[tuple[str, Written]] = []
            for key, entries in rule.entries.items():
                inside += [(key, Word(value) if key == "phase" else value) for value, _, _ in entries]
            rules.append((name, tuple(inside)))
    return tuple(rules)


def names_in(net: Message) -> set[str]:
    """What the layers and blobs of a net are called, in any phase."""
    names = {entry[0] for entry in net.entries.get("input", ())}
    for layer, _, _ in (*net.entries.get("layer", ()), *net.entries.get("layers", ())):
        for field in ("name", "bottom", "top"):
            names.update(entry[0] for entry in layer.entries.get(field, ()))
    return names


def free_name(names: set[str], wanted: str) -> str:
    """`wanted`, with a number behind it if something of the net is called so already."""
    name, number = wanted, 1
    while name in names:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _plain(fields: Fields) -> dict[str, list[Any]]:
    """What the binder will read from the fields, as `binder.plain` gives it."""
    values: dict[str, list[Any]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(_plain(value) if isinstance(value, tuple) else value)
    return values


def _fields_edit(tree: Tree, block: Block, anchor: Field, lines: list[str]) -> Edit:
    """The edit that writes fields behind another of the same block."""
    if shares_line(tree, block, anchor):
        return Edit(anchor.end, anchor.end, "".join(f" {line}" for line in lines).encode())
    return _lines_edit(tree, anchor, lines, indent_at(tree, anchor.start).decode())


def _lines_edit(tree: Tree, anchor: Field, lines: list[str], indent: str) -> Edit:
    """The edit that writes lines below the one that a field ends on."""
    end = eol(tree).decode()
    line_end = tree.source.find(b"\n", anchor.end)
    if line_end < 0:  # no final newline: it stays so
        return Edit(len(tree.source), len(tree.source), "".join(end + indent + line for line in lines).encode())
    return Edit(line_end + 1, line_end + 1, "".join(indent + line + end for line in lines).encode())


def _layer_edit(tree: Tree, net: Block, anchor: Field, block: Block, fields: Fields) -> Edit:
    """The edit that writes a layer behind another, in one line or in several as that one is."""
    source = tree.source
    between = source[anchor.name_end : block.open_end]
    opening = anchor.name + (" {" if b"#" in between else between.decode())
    colon = separator(tree, block)
    if b"\n" not in source[block.open_end : block.close]:
        inside = " ".join(_in_one_line(name, value, colon) for name, value in fields)
        lines = [f"{opening} {inside} {source[block.close : block.end].decode()}"]
    else:
        step = indent_unit(tree).decode()
        inner = _in_lines(fields, colon, step, step, _nests_in_one_line(tree, net))
        lines = [*map(str.strip, opening.splitlines()), *inner, source[block.close : block.end].decode()]
    indent = indent_at(tree, anchor.start).decode()
    if shares_line(tree, net, anchor):
        return Edit(anchor.end, anchor.end, (" " + (eol(tree).decode() + indent).join(lines)).encode())
    return _lines_edit(tree, anchor, lines, indent)


def _in_one_line(name: str, value: Written, colon: str) -> str:
    if isinstance(value, tuple):
        inside = " ".join(_in_one_line(key, inner, colon) for key, inner in value)
        return f"{name} {{ {inside} }}" if inside else f"{name} {{ }}"
    return name + colon + (value if isinstance(value, Word) else value_text(value))


def _in_lines(fields: Fields, colon: str, indent: str, step: str, nests_in_one_line: bool) -> list[str]:
    lines: list[str] = []
    for name, value in fields:
        if isinstance(value, tuple) and not nests_in_one_line:
            inside = _in_lines(value, colon, indent + step, step, nests_in_one_line)
            lines += [f"{indent}{name} {{", *inside, f"{indent}}}"]
        else:
            lines.append(indent + _in_one_line(name, value, colon))
    return lines


def _nests_in_one_line(tree: Tree, net: Block) -> bool:
    """Whether the first message within a layer of the net, of one or two scalars, stands in one line."""
    for outer in net.fields:
        for field in outer.value.fields if isinstance(outer.value, Block) else ():
            block = field.value
            if not isinstance(block, Block) or not 1 <= len(block.fields) <= 2:
                continue
            if all(isinstance(inner.value, Scalar) for inner in block.fields):
                return b"\n" not in tree.source[block.start : block.end]
    return False
