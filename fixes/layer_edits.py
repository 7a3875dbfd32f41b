"""Insert, change and remove layers, in the style of the file.

Layers are given by their entry in a net: the message, its block and the field of the file that holds it. The message may be
in the current format while the text of the file is V1 (`layers`): names and positions are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeAlias

from ..proto.binder import Entry, Message, plain, plain_value
from ..proto.tree import Block, Field, Scalar, Tree
from .edit import Change, Edit, Insertion
from .fields import (
    Patch,
    eol,
    indent_at,
    indent_unit,
    insert_beside,
    number_text,
    remove_field,
    remove_text,
    separator,
    set_field,
    shares_line,
    value_text,
)
from .wiring import remove_messages


class EnumName(str):
    """The name of an enum value, which is written without quotes."""


# In quotes, because a Union of types that name each other takes typing 2 ms to make.
Written: TypeAlias = "str | bool | int | float | EnumName | Fields"
Fields = tuple[tuple[str, Written], ...]


def insert_layers(tree: Tree, net: Message, after: Entry, layers: Iterable[Fields]) -> Patch | None:
    """Insert layers after another one, in the same field (`layer` or `layers`) and in the given order.

    None if the other layer is an item of a bracketed list, after which there can be no field.
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
    """Remove a layer from a net, a message as written in the file, and apply a patch to other layers of it.

    None if the layer is an item of a bracketed list.
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
    """Return the net at a block as written in the file: the file's message itself, or a net inside a solver."""
    if message.block is block:
        return message
    for name in ("net_param", "train_net_param", "test_net_param"):
        for value, node, _ in message.entries.get(name, ()):
            if node is block:
                found: Message = value
                return found
    return None


def set_value(message: Message, name: str, index: int, value: Any) -> Patch:
    """Replace one value of a repeated field."""
    entries = message.entries[name]
    node = entries[index][1]
    values = [plain_value(entry[0]) for entry in entries]
    values[index] = plain_value(value)
    edit = Edit(node.start, node.end, value_text(value).encode())
    return Patch((edit,), (Change(message.block, name, tuple(values)),))


def set_loss_weights(tree: Tree, layer: Message, weights: tuple[float, ...]) -> Patch:
    """Set the `loss_weight` of a layer, one per top, adding them after the tops if there are none.

    Existing ones keep their number, and only those that differ are changed.
    """
    entries = layer.entries.get("loss_weight", [])
    texts = tuple(map(number_text, weights))
    values = tuple(map(float, texts))
    change = Change(layer.block, "loss_weight", values)
    if entries:
        edits = [
            Edit(node.start, node.end, text.encode())
            for (old, node, _), weight, text in zip(entries, weights, texts, strict=True)
            if old != weight
        ]
        return Patch(tuple(edits), (change,))
    anchors = [field for name in ("top", "bottom", "type", "name") if (field := last_field(layer, name))]
    lines = ["loss_weight" + separator(tree, layer.block) + text for text in texts]
    return Patch((_fields_edit(tree, layer.block, anchors[0], lines),), (change,))


def add_message(tree: Tree, net: Message, message: Message, name: str, fields: Fields) -> Patch:
    """Add a message field to a message of a layer that has none of that name, after its last field."""
    if not message.block.fields:
        line = _in_one_line(name, fields, separator(tree, message.block))
        at = message.block.open_end
        before_end = " " if tree.source[at : at + 1] == b"}" else ""
        edit = Edit(at, at, f" {line}{before_end}".encode())
        return Patch((edit,), (Change(message.block, name, (_plain(fields),)),))
    anchor = message.block.fields[-1]
    if shares_line(tree, message.block, anchor):
        lines = [_in_one_line(name, fields, separator(tree, message.block))]
    else:
        colon, step = separator(tree, message.block), indent_unit(tree).decode()
        lines = _in_lines(((name, fields),), colon, "", step, _nests_in_one_line(tree, net.block))
    edit = _fields_edit(tree, message.block, anchor, lines)
    return Patch((edit,), (Change(message.block, name, (_plain(fields),)),))


def remove_bias(tree: Tree, layer: Message, settings: str) -> Patch | None:
    """Set `bias_term: false` in the settings of a layer with weights, and remove the `param` and the filler of the bias.

    None if the `param` are not separate fields.
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


def set_weight_filler(tree: Tree, net: Message, settings: Message, filler: str) -> Patch:
    """Set the `weight_filler` of a layer to a type that needs no numbers, and remove the old numbers."""
    if "weight_filler" not in settings:
        return add_message(tree, net, settings, "weight_filler", (("type", filler),))
    written: Message = settings["weight_filler"]
    numbers = [name for name in ("value", "min", "max", "mean", "std", "sparse", "variance_norm") if name in written.entries]
    if numbers and "type" not in written.entries:  # a type beside a number that goes might not find its place
        patch = _replace_field(tree, written, numbers.pop(0), "type", filler)
    else:
        patch = set_field(tree, written, "type", filler)
    for name in numbers:
        patch += remove_field(tree, written, name)
    return patch


def _replace_field(tree: Tree, message: Message, old: str, name: str, value: Any) -> Patch:
    """Write a field in the place of another one that stands once."""
    field = message.entries[old][0][2]
    edit = Edit(field.start, field.end, f"{name}{separator(tree, message.block)}{value_text(value)}".encode())
    return Patch((edit,), (Change(message.block, old, ()), Change(message.block, name, (plain_value(value),))))


def last_field(message: Message, name: str) -> Field | None:
    """Return the last field of that name, None if there is none."""
    entries = message.entries.get(name)
    return entries[-1][2] if entries else None


def state_rules(layer: Message) -> Fields:
    """Return the include and exclude rules of a layer, for another layer that must be in the same phases."""
    rules: list[tuple[str, Written]] = []
    for name in ("include", "exclude"):
        for rule in layer[name]:
            inside: list[tuple[str, Written]] = []
            for key, entries in rule.entries.items():
                inside += [(key, EnumName(value) if key == "phase" else value) for value, _, _ in entries]
            rules.append((name, tuple(inside)))
    return tuple(rules)


def names_in(net: Message) -> set[str]:
    """Return the names of the layers and blobs of a net in all phases."""
    names = {entry[0] for entry in net.entries.get("input", ())}
    for layer, _, _ in (*net.entries.get("layer", ()), *net.entries.get("layers", ())):
        for field in ("name", "bottom", "top"):
            names.update(entry[0] for entry in layer.entries.get(field, ()))
    return names


def free_name(names: set[str], wanted: str) -> str:
    """Return `wanted`, with a number appended if the name is already in use."""
    name, number = wanted, 1
    while name in names:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _plain(fields: Fields) -> dict[str, list[Any]]:
    """Return what the binder will read from the fields, in the form of `binder.plain`."""
    values: dict[str, list[Any]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(_plain(value) if isinstance(value, tuple) else value)
    return values


def _fields_edit(tree: Tree, block: Block, anchor: Field, lines: list[str]) -> Edit:
    """Return the edit that writes fields after another one of the same block."""
    if shares_line(tree, block, anchor):
        return insert_beside(tree, anchor, " ".join(lines).encode())
    return _lines_edit(tree, anchor, lines, indent_at(tree, anchor.start).decode())


def _lines_edit(tree: Tree, anchor: Field, lines: list[str], indent: str) -> Edit:
    """Return the edit that writes lines below the one on which a field ends."""
    end = eol(tree).decode()
    line_end = tree.source.find(b"\n", anchor.end)
    if line_end < 0:  # keep the missing final newline
        return Edit(len(tree.source), len(tree.source), "".join(end + indent + line for line in lines).encode())
    return Edit(line_end + 1, line_end + 1, "".join(indent + line + end for line in lines).encode())


def _layer_edit(tree: Tree, net: Block, anchor: Field, block: Block, fields: Fields) -> Edit:
    """Return the edit that writes a layer after another one, on one line or several like that one."""
    source = tree.source
    between = source[anchor.name_end : block.open_end]
    is_plain = re.fullmatch(rb"\s*:?\s*[{<]", between)  # and not a comment, or what the parser has skipped
    opening = anchor.name + (between if is_plain else b" " + between[-1:]).decode()
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
        return insert_beside(tree, anchor, (eol(tree).decode() + indent).join(lines).encode())
    return _lines_edit(tree, anchor, lines, indent)


def _in_one_line(name: str, value: Written, colon: str) -> str:
    if isinstance(value, tuple):
        inside = " ".join(_in_one_line(key, inner, colon) for key, inner in value)
        return f"{name} {{ {inside} }}" if inside else f"{name} {{ }}"
    return name + colon + (value if isinstance(value, EnumName) else value_text(value))


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
    """Whether the first message of one or two scalars inside a layer of the net is written on one line."""
    for outer in net.fields:
        for field in outer.value.fields if isinstance(outer.value, Block) else ():
            block = field.value
            if not isinstance(block, Block) or not 1 <= len(block.fields) <= 2:
                continue
            if all(isinstance(inner.value, Scalar) for inner in block.fields):
                return b"\n" not in tree.source[block.start : block.end]
    return False
