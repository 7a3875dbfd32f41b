"""Change how layers are connected: rename bottoms and tops, and remove messages of a layer."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..proto.binder import Message, plain_value
from ..proto.tree import Block, Field, Tree
from .edit import Change, Edit
from .fields import Patch, remove_text, value_text

Use = tuple[Message, str, int]  # a layer, `bottom` or `top`, and its index


def rename_blob(uses: Iterable[Use], name: str) -> Patch:
    """Rename these bottoms and tops, keeping the kind of quotes."""
    places: dict[tuple[int, str], tuple[Message, list[int]]] = {}
    for layer, field, index in uses:
        places.setdefault((id(layer.block), field), (layer, []))[1].append(index)
    edits = []
    changes = []
    for (_, field), (layer, indices) in places.items():
        entries = layer.entries[field]
        values = [plain_value(entry[0]) for entry in entries]
        for index in indices:
            node = entries[index][1]
            values[index] = name
            text = value_text(name)
            if not isinstance(node, Block) and node.text.startswith(b"'") and "'" not in name:
                text = f"'{text[1:-1]}'"
            edits.append(Edit(node.start, node.end, text.encode()))
        changes.append(Change(layer.block, field, tuple(values)))
    return Patch(tuple(edits), tuple(changes))


def write_new_blob(
    net: Message, layer: Message, index: int, keep: Collection[Message] = ()
) -> tuple[Patch, str] | None:
    """Let an in-place layer write a new blob, which all layers after it read, and return the name of that blob.

    Layers in `keep` still read the old blob. None if it is ambiguous who reads which blob: the layer is only in some
    phases, or a layer after it writes a blob of the same name.
    """
    if "include" in layer.entries or "exclude" in layer.entries:
        return None
    old = layer["top"][index]
    uses: list[Use] = [(layer, "top", index)]
    is_after = False
    for other, _, _ in net.entries.get("layer", ()):
        if other.block is layer.block:
            is_after = True
            continue
        if not is_after:
            continue
        bottoms = other["bottom"]
        if all(other.block is not kept.block for kept in keep):
            uses += [(other, "bottom", i) for i, name in enumerate(bottoms) if name == old]
        for i, name in enumerate(other["top"]):
            if name == old:
                if i >= len(bottoms) or bottoms[i] != old:
                    return None
                uses.append((other, "top", i))
    name = free_blob(net, layer["name"] or old)
    return rename_blob(uses, name), name


def free_blob(net: Message, wanted: str) -> str:
    """Return `wanted`, with a number appended if a blob of the net has that name in any phase."""
    taken = {
        name
        for layer, _, _ in net.entries.get("layer", ())
        for field in ("bottom", "top")
        for name in layer[field]
    }
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def remove_messages(tree: Tree, parent: Message, field: str, first: int) -> Patch | None:
    """Remove the messages of a repeated field from an index on.

    None if they are not separate fields, as in a bracketed list or a layer in an old format.
    """
    entries = parent.entries[field]
    fields: list[Field] = []
    for _, node, written in entries[first:]:
        if not isinstance(node, Block) or written.value is not node or written.name != field:
            return None
        fields.append(written)
    left = tuple(plain_value(entry[0]) for entry in entries[:first])
    return Patch(
        tuple(remove_text(tree, written) for written in fields), (Change(parent.block, field, left),)
    )
