"""Upgrade the text of nets and solvers to the current format.

`proto.upgrade` determines the upgraded message; this module changes the text accordingly. Fields keep their text and
comments wherever they move, and everything that the upgrade does not affect keeps its bytes.
Source: src/caffe/util/upgrade_proto.cpp.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from ..proto.binder import Entry, Message, float_value, plain, unescape
from ..proto.named_tuple import NamedTuple
from ..proto.schema import Schema
from ..proto.tree import Block, Field, Scalar, Tree
from ..proto.upgrade import SOLVER_TYPES, Upgraded
from .edit import Change, Edit, Fix, Insertion, Replacement
from .fields import indent_at, rename_text, separator, string_text, value_text
from .moving import (
    NO_COMMENTS,
    Comments,
    Element,
    Style,
    all_comments,
    can_hold_comments,
    comments_inside,
    cut,
    insert_after,
    insert_at_cut,
    insert_before,
    starts_line,
    style_of,
    text_after_name,
)

# The lists of a V1 layer that become `param` blocks.
_V1_LISTS = ("param", "blobs_lr", "weight_decay", "blob_share_mode")
_V1_DATA_PARAMS = ("data_param", "image_data_param", "window_data_param")
_INPUT_FIELDS = ("input", "input_shape", "input_dim")
# Fields that come first in a rewritten layer or `param`.
_FIELDS_IN_FRONT = ("name", "type", "bottom", "top", "param", "lr_mult", "decay_mult", "share_mode")


class Obstacle(NamedTuple):
    """The reason why a net cannot be upgraded, and its position."""

    start: int
    end: int
    message: str


class Source(NamedTuple):
    """A file to upgrade: `message` as written, and `upgraded` by `proto.upgrade`."""

    path: str
    tree: Tree
    message: Message
    upgraded: Upgraded
    schema: Schema


def layers_upgrade(source: Source) -> Fix:
    """Return the complete upgrade of a net with V0 or V1 layers, whose steps depend on each other.

    It is unsafe if Caffe rejects the original file, or if the name of a fork's layer type is a guess.
    """
    old = source.message
    writer = _Writer(source)
    edits = [*(writer.v0_layers() if "v0" in source.upgraded.steps else writer.v1_layers())]
    if "inputs" in source.upgraded.steps:
        edits += writer.inputs()
    for layer in _batch_norms_of_three(old):
        edits += writer.frozen_params(layer)
    rejected = any(problem.fatal for problem in source.upgraded.problems)
    known = source.schema.layer_types
    guessed = known is not None and any(name not in known for name in source.upgraded.enum_types)
    change = Replacement({name: values for name, values in plain(source.upgraded.message).items() if values})
    title = "upgrade the net to the current format"
    return Fix(source.path, title, _in_order(edits), (change,), safe=not rejected and not guessed)


def inputs_upgrade(source: Source) -> Fix:
    """Replace the net-level inputs of a net by an Input layer. Its layers must be in the current format."""
    block = source.message.block
    changes: list[Change | Insertion] = [
        Change(block, name, ()) for name in _INPUT_FIELDS if name in source.message.entries
    ]
    layers = source.upgraded.message.entries.get("layer", [])
    added = layers[: len(layers) - len(source.message.entries.get("layer", ()))]
    if "layer" in source.message.entries:
        changes += [Insertion(block, "layer", None, plain(layer)) for layer, _, _ in added]
    elif added:
        changes.append(Change(block, "layer", tuple(plain(layer) for layer, _, _ in added)))
    title = "use an Input layer" if added else "remove inputs without a shape"
    return Fix(source.path, title, _in_order(_Writer(source).inputs()), tuple(changes))


def batch_norm_upgrade(source: Source) -> Fix:
    """Set the `param` of BatchNorm layers to what Caffe uses. The net's layers must be in the current format."""
    writer = _Writer(source)
    edits: list[Edit] = []
    changes: list[Change] = []
    for layer in unfrozen_batch_norms(source.message):
        edits += writer.frozen_params(layer)
        for param, _, _ in layer.entries["param"]:
            changes += [Change(param.block, name, (0.0,)) for name in ("lr_mult", "decay_mult")]
    return Fix(source.path, "set lr_mult and decay_mult to 0", _in_order(edits), tuple(changes))


def solver_type_upgrade(source: Source) -> Fix:
    """Replace `solver_type` by `type`; unsafe for the value of a fork, whose name is a guess."""
    value, node, field = source.message.entries["solver_type"][0]
    name = source.upgraded.message["type"]
    block = source.message.block
    edits = (rename_text(field, "type"), Edit(node.start, node.end, f'"{name}"'.encode()))
    changes = (Change(block, "solver_type", ()), Change(block, "type", (name,)))
    return Fix(source.path, f'use type: "{name}"', edits, changes, value in SOLVER_TYPES)


def moved_transform_fields(source: Source) -> list[Field]:
    """Return the fields of V1 data layers that the upgrade moves to `transform_param`."""
    upgraded = _by_node(source.upgraded.message)
    return [
        field
        for layer, node, _ in source.message.entries["layers"]
        for name in _V1_DATA_PARAMS
        if name in layer.entries
        for field in _moved_fields(layer, upgraded[id(node)], name)
    ]


def unfrozen_batch_norms(net: Message) -> list[Message]:
    """Return the BatchNorm layers in the current format with three `param`, not all with lr_mult and decay_mult 0."""
    return [
        layer
        for layer in _batch_norms_of_three(net)
        if any(param[name] != 0 for param in layer["param"] for name in ("lr_mult", "decay_mult"))
    ]


def obstacle(source: Source) -> Obstacle | None:
    """Return the first reason why the file cannot be upgraded, None if it can."""
    if source.tree.problems:
        problem = source.tree.problems[0]
        return Obstacle(problem.start, problem.end, f"fix the syntax error first: {problem.message}")
    for found in source.upgraded.problems:
        if found.fatal and found.kind != "mixed-layer-formats":
            return Obstacle(found.start, found.end, found.message)
    return next(_obstacles(source), None)


def _obstacles(source: Source) -> Iterator[Obstacle]:
    net = source.message
    if "inputs" in source.upgraded.steps:
        yield from _unbound_fields(net, _INPUT_FIELDS)
        made = {top for layer in source.upgraded.message["layer"] for top in layer["top"]}
        shapeless = {
            problem.start for problem in source.upgraded.problems if problem.kind == "input-without-shape"
        }
        for name, node, _ in net.entries["input"]:
            if node.start in shapeless and name not in made:
                wrong = f"input '{name}' has no shape: add an input_shape"
                yield Obstacle(node.start, node.end, wrong)
    is_v0 = "v0" in source.upgraded.steps
    for layer, node, field in net.entries.get("layers", ()):
        if is_v0 and node is not field.value:
            yield Obstacle(field.start, field.name_end, "V0 layers in a bracketed list")
        else:
            yield from _obstacles_of_v0(layer) if is_v0 else _obstacles_of_v1(layer, source.schema)


def _obstacles_of_v0(layer: Message) -> Iterator[Obstacle]:
    block = layer.block
    if "layer" not in layer.entries:
        yield Obstacle(block.start, block.open_end, "Caffe drops the content of a V1 layer among V0 layers")
        return
    for field in block.fields:
        if field.name not in ("layer", "bottom", "top"):
            yield Obstacle(
                field.start, field.name_end, f"Caffe drops '{field.name}' in this place of a V0 layer"
            )
    yield from _unbound_fields(layer, ("layer", "bottom", "top"))
    inner: Message = layer["layer"]
    yield from _unbound_fields(inner, tuple({field.name for field in inner.block.fields}))


def _obstacles_of_v1(layer: Message, schema: Schema) -> Iterator[Obstacle]:
    current = schema.message("LayerParameter").fields
    yield from _unbound_fields(layer, ("type", *_V1_LISTS))
    for field in layer.unknown:
        if field.name in current:
            yield Obstacle(field.start, field.name_end, f"a V1 layer has no '{field.name}'")
    for name, entries in layer.entries.items():
        if name in ("type", *_V1_LISTS):
            continue
        if name not in current or current[name].type_name != layer.type.fields[name].type_name:
            field = entries[0][2]
            yield Obstacle(field.start, field.name_end, f"layers in the current format have no such '{name}'")
    for name in _V1_DATA_PARAMS:
        if name in layer.entries:
            yield from _unbound_fields(layer[name], ("scale", "mean_file", "crop_size", "mirror"))


def _unbound_fields(message: Message, names: tuple[str, ...]) -> Iterator[Obstacle]:
    """Find fields of these names that could not be bound: unknown, of the wrong type, or repeated."""
    read = {id(entry[2]) for name in names for entry in message.entries.get(name, ())}
    for field in message.block.fields:
        if field.name in names and id(field) not in read:
            wrong = f"this '{field.name}' is not valid in a {message.type.name}"
            if field.name == "type" and isinstance(field.value, Scalar):
                written = field.value.text.decode("utf-8", "replace")
                wrong = f"no known Caffe has a V1 layer type {written}"
            yield Obstacle(field.start, field.end, wrong)


def _by_node(net: Message) -> dict[int, Message]:
    """Return the upgraded layers of a net by the id of their tree node."""
    return {id(node): layer for layer, node, _ in net.entries.get("layer", ())}


def _moved_fields(old: Message, new: Message, name: str) -> list[Field]:
    """Return the fields of one data parameter that the upgrade moves to `transform_param`."""
    left: Message = new[name]
    return [entries[0][2] for inner, entries in old[name].entries.items() if inner not in left.entries]


def _batch_norms_of_three(net: Message) -> list[Message]:
    return [layer for layer in net["layer"] if len(layer["param"]) == 3 and layer["type"] == "BatchNorm"]


def _in_order(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """Sort edits by position, without those that change nothing."""
    return tuple(edit for edit in sorted(edits) if edit.text or edit.start != edit.end)


class _Writer:
    """Creates the edits for each part of a net, in the style of its file."""

    def __init__(self, source: Source) -> None:
        self.net = source.message
        self.upgraded = source.upgraded.message
        self.tree = source.tree
        self.style: Style = style_of(source.tree)

    # -- layers ---------------------------------------------------------------------------------------------

    def v1_layers(self) -> Iterator[Edit]:
        """Rename every `layers` to `layer` and upgrade its contents."""
        upgraded = _by_node(self.upgraded)
        fields = {id(field): field for _, _, field in self.net.entries["layers"]}
        yield from (rename_text(field, "layer") for field in fields.values())
        for layer, node, _ in self.net.entries["layers"]:
            yield from self.v1_layer(layer, upgraded[id(node)])

    def v1_layer(self, old: Message, new: Message) -> Iterator[Edit]:
        """Upgrade the parts of a V1 layer that differ in the current format."""
        if "type" in old.entries:
            node = old.entries["type"][0][1]
            yield Edit(node.start, node.end, self.quoted(new["type"], old))
        listed = {
            id(entry[2]): entry[2] for name in _V1_LISTS for entry in old.entries.get(name, ())
        }.values()
        if listed:
            taken = cut(self.tree, old.block, listed)
            share_lines = len({self.tree.line_of(field.start) for field in listed}) < len(listed)
            params = [
                Element(
                    "param",
                    self.elements(param, taken.comments, (old.block,)),
                    compact=self.style.one_line or share_lines,
                )
                for param, _, _ in new.entries["param"]
            ]
            yield from insert_at_cut(self.tree, self.style, taken, params)
        for name in _V1_DATA_PARAMS:
            fields = _moved_fields(old, new, name) if name in old.entries else []
            if fields:
                yield from self.transform(old, new, name, fields)

    def transform(self, old: Message, new: Message, name: str, fields: list[Field]) -> Iterator[Edit]:
        """Move fields from `data_param` or a similar message to `transform_param`."""
        param, _, param_field = old.entries[name][0]
        transform: Message = new["transform_param"]
        moved = [field.name for field in fields]
        if "transform_param" not in old.entries:
            taken = cut(self.tree, param.block, fields, move_comments=can_hold_comments(self.tree, old.block, param_field))
            compact = b"\n" not in self.tree.source[param.block.start : param.block.end]
            inside = self.elements(transform, taken.comments, (transform.block,))
            made = Element("transform_param", inside, compact=compact)
            yield from taken.edits
            yield insert_after(self.tree, self.style, old.block, param_field, [made])
            return
        block: Block = old.entries["transform_param"][0][0].block
        overwritten = [field for field in block.fields if field.name in moved]
        if overwritten:
            place = cut(self.tree, block, overwritten)
            move_comments = place.lines
        else:
            anchor = block.fields[-1] if block.fields else None
            move_comments = can_hold_comments(self.tree, block, anchor)
        taken = cut(self.tree, param.block, fields, move_comments=move_comments)
        elements = [
            self.element(transform, inner, transform.entries[inner][0], taken.comments, ()) for inner in moved
        ]
        yield from taken.edits
        if overwritten:
            elements[0] = _with_comments(
                elements[0],
                [comment for field in overwritten for comment in self.left_over(field, place.comments)],
            )
            yield from insert_at_cut(self.tree, self.style, place, elements)
        else:
            yield insert_after(self.tree, self.style, block, anchor, elements)

    def v0_layers(self) -> Iterator[Edit]:
        """Rewrite every V0 layer and remove padding layers."""
        upgraded = _by_node(self.upgraded)
        comments: dict[int, Comments] = {}
        for layer, _, _ in self.net.entries["layers"]:
            comments |= comments_inside(self.tree, layer.block).fields
            comments |= comments_inside(self.tree, layer["layer"].block).fields
        padding: dict[int, Message] = {}
        for layer, node, field in self.net.entries["layers"]:
            if id(node) in upgraded:
                yield self.v0_layer(layer, upgraded[id(node)], field, comments)
            else:
                padding[id(field)] = layer
        yield from self.removed(
            [field for _, _, field in self.net.entries["layers"] if id(field) in padding],
            {key: self.comments_of_padding(layer, comments) for key, layer in padding.items()},
        )
        lost = {id(field): field for field in self.dropped()}
        yield from self.removed(
            lost.values(),
            {
                key: all_comments(self.tree, field.value)
                for key, field in lost.items()
                if isinstance(field.value, Block)
            },
        )

    def dropped(self) -> Iterator[Field]:
        """Return the fields of a V0 net that the upgrade drops, except for those removed with the inputs."""
        inputs = _INPUT_FIELDS if "input" in self.net.entries else ()
        for name, entries in self.net.entries.items():
            if name not in self.upgraded.entries and name != "layers" and name not in inputs:
                yield from (field for _, _, field in entries)

    def removed(self, fields: Collection[Field], inside: dict[int, list[bytes]]) -> list[Edit]:
        """Remove fields of the net and leave their comments in place."""
        return cut(self.tree, self.net.block, fields, move_comments=False, inside=inside).edits if fields else []

    def v0_layer(self, old: Message, new: Message, field: Field, comments: dict[int, Comments]) -> Edit:
        """Rewrite a V0 layer, on one line if the original is."""
        inner: Message = old["layer"]
        blocks = (old.block, inner.block)
        outside, inside = (comments_inside(self.tree, block) for block in blocks)
        head, *rest = self.elements(new, comments, blocks)
        above = (*outside.opening, *self.left_over(old.entries["layer"][0][2], comments), *inside.opening)
        below = (*self.left_over_inside(blocks, comments), *inside.below, *outside.below)
        compact = b"\n" not in self.tree.source[old.block.start : old.block.end]
        layer = Element("layer", (_with_comments(head, above), *rest), compact=compact, below=below)
        indent = indent_at(self.tree, field.start)
        text = self.style.block_text([layer], indent)
        return Edit(field.start, old.block.end, text[len(indent) : -len(self.style.end)])

    def comments_of_padding(self, layer: Message, comments: dict[int, Comments]) -> list[bytes]:
        """Return the comments of a padding layer, except for those moved with its `pad`."""
        blocks = (layer.block, layer["layer"].block)
        found = self.left_over(layer.entries["layer"][0][2], comments)
        for block in blocks:
            inside = comments_inside(self.tree, block)
            found += [*inside.opening, *inside.below]
        return found + self.left_over_inside(blocks, comments)

    def left_over_inside(self, blocks: tuple[Block, ...], comments: dict[int, Comments]) -> list[bytes]:
        """Return the comments of the fields of a V0 layer that were dropped."""
        return [
            comment
            for block in blocks
            for field in block.fields
            if id(field) in comments
            for comment in (
                *self.left_over(field, comments),
                *(all_comments(self.tree, field.value) if isinstance(field.value, Block) else ()),
            )
        ]

    def left_over(self, field: Field, comments: dict[int, Comments]) -> list[bytes]:
        """Return the comments of a field that have not been written elsewhere."""
        found = comments.pop(id(field), NO_COMMENTS)
        return [*found.above, *([found.after.strip()] if found.after else ())]

    # -- the parts of a layer -------------------------------------------------------------------------------

    def elements(
        self, message: Message, comments: dict[int, Comments], frames: tuple[Block, ...]
    ) -> tuple[Element, ...]:
        """Return the elements to write for a message in the current format.

        Its fields keep their text. Messages positioned at one of the `frames`, which the old format does not have, are
        written from scratch. Each of the `comments` is used once, for the text of its field.
        """

        def rank(name: str) -> tuple[int, bool, int]:
            place = message.entries[name][0][1].start
            first = _FIELDS_IN_FRONT.index(name) if name in _FIELDS_IN_FRONT else len(_FIELDS_IN_FRONT)
            return first, not message.block.start <= place < message.block.end, place

        return tuple(
            self.element(message, name, entry, comments, frames)
            for name in sorted(message.entries, key=rank)
            for entry in message.entries[name]
        )

    def element(
        self,
        message: Message,
        name: str,
        entry: Entry,
        comments: dict[int, Comments],
        frames: tuple[Block, ...],
    ) -> Element:
        """Return the element for one value of a message in the current format."""
        value, node, field = entry
        if isinstance(value, Message) and any(value.block is frame for frame in frames):
            compact = name == "param" and self.style.one_line
            return Element(name, self.elements(value, comments, frames), compact=compact)
        if isinstance(value, Message) or _matches_text(node, value, message.type.fields[name].kind):
            text = text_after_name(self.tree, self.style, field, node)
        elif isinstance(value, str):
            text = self.style.colon + self.quoted(value, message)
        else:
            text = self.style.colon + value_text(value).encode()
        return Element(name, text, comments.pop(id(field), NO_COMMENTS))

    def quoted(self, text: str, layer: Message) -> bytes:
        """Quote a string with the kind of quotes that the layer uses for its names."""
        quote = '"'
        for name in ("name", "bottom", "top"):
            for _, node, _ in layer.entries.get(name, ()):
                if isinstance(node, Scalar) and node.text.startswith(b"'"):
                    quote = "'"
        return string_text(text, quote).encode()

    # -- inputs and BatchNorm -------------------------------------------------------------------------------

    def inputs(self) -> Iterator[Edit]:
        """Remove the net-level inputs, and add an Input layer before the other layers if they have shapes."""
        root = self.net.block
        fields = {
            id(entry[2]): entry[2] for name in _INPUT_FIELDS for entry in self.net.entries.get(name, ())
        }.values()
        written = [entry for name in ("layer", "layers") for entry in self.net.entries.get(name, ())]
        nodes = {id(node) for _, node, _ in written}
        made = [layer for layer, node, _ in self.upgraded.entries.get("layer", ()) if id(node) not in nodes]
        first = min((field for _, _, field in written), key=lambda field: field.start, default=None)
        kept = {id(node) for layer in made for _, node, _ in layer["input_param"].entries["shape"]}
        inside: dict[int, list[bytes]] = {}
        for shape, node, field in self.net.entries.get("input_shape", ()):
            if id(node) not in kept:
                inside.setdefault(id(field), []).extend(all_comments(self.tree, shape.block))
        if not made:
            yield from cut(self.tree, root, fields, move_comments=False, inside=inside).edits
        elif first is None or min(field.start for field in fields) < first.start:
            taken = cut(self.tree, root, fields, inside=inside)
            yield from insert_at_cut(self.tree, self.style, taken, [self.input_layer(made[0], fields, taken.comments)])
        else:
            taken = cut(self.tree, root, fields, move_comments=starts_line(self.tree, first), inside=inside)
            layer = self.input_layer(made[0], fields, taken.comments)
            yield from taken.edits
            yield insert_before(self.tree, self.style, first, [layer])

    def input_layer(self, layer: Message, fields: Iterable[Field], comments: dict[int, Comments]) -> Element:
        """Return an Input layer in the style of Caffe's own nets, with each shape on one line."""
        frames = (self.net.block,)
        tops = [self.element(layer, "top", entry, comments, frames) for entry in layer.entries["top"]]
        shapes = []
        for entry in layer["input_param"].entries["shape"]:
            shape = self.element(layer["input_param"], "shape", entry, comments, frames)
            if isinstance(shape.value, tuple):
                colon = "" if b":" in self.style.opening else ":"
                shape = Element("shape" + colon, shape.value, compact=True)
            shapes.append(shape)
        param = Element("input_param", tuple(shapes), compact=len(shapes) == 1)
        name, kind = (
            Element(key, self.style.colon + self.quoted(layer[key], layer)) for key in ("name", "type")
        )
        left = tuple(comment for field in fields for comment in self.left_over(field, comments))
        return Element("layer", (name, kind, *tops, param), Comments(left))

    def frozen_params(self, layer: Message) -> Iterator[Edit]:
        """Set lr_mult and decay_mult to 0 in every `param` of a layer."""
        for param, _, _ in layer.entries["param"]:
            missing = []
            for name in ("lr_mult", "decay_mult"):
                if name not in param.entries:
                    colon = separator(self.tree, param.block)
                    missing.append(Element(name, f"{colon}0".encode()))
                elif param[name] != 0:
                    node = param.entries[name][0][1]
                    yield Edit(node.start, node.end, b"0")
            if missing:
                fields = param.block.fields
                anchor = param.field("lr_mult") or (fields[-1] if fields else None)
                yield insert_after(self.tree, self.style, param.block, anchor, missing)


def _matches_text(node: Scalar | Block, value: Any, kind: str) -> bool:
    """Whether a value is the one in the text, since the upgrade changes some values."""
    if not isinstance(node, Scalar):
        return False
    if kind == "string":
        return (
            node.text[:1] in (b"'", b'"') and unescape(node.text).decode("utf-8", "surrogateescape") == value
        )
    if kind in ("float", "double"):
        return bool(value != value or float_value(node.text) == value)
    return True


def _with_comments(element: Element, above: Iterable[bytes]) -> Element:
    """Add comments above an element."""
    comments = Comments((*above, *element.comments.above), element.comments.after)
    return Element(element.name, element.value, comments, element.compact, element.below)
