"""Convert the rates of a V1 layer (`blobs_lr`, `weight_decay`) in a layer in the current format to `param`."""

from __future__ import annotations

from ..proto.binder import Message, float_value
from ..proto.tree import Scalar, Tree
from .edit import Change, Edit
from .fields import Patch, remove_text, separator

# Removed fields of a layer and the corresponding field of `param`. The first value belongs to the first parameter.
OLD_RATES = {"blobs_lr": "lr_mult", "weight_decay": "decay_mult"}


def write_param(tree: Tree, layer: Message) -> Patch | None:
    """Replace the V1 rates, which a layer in the current format cannot have, by `param`.

    None if a rate is not a number, or if there are `param` already.
    """
    old = [field for field in layer.unknown if field.name in OLD_RATES]
    if not old or any(field.name == "param" for field in layer.block.fields):
        return None
    rates: dict[str, list[tuple[bytes, float]]] = {name: [] for name in OLD_RATES}
    for field in old:
        value = float_value(field.value.text) if isinstance(field.value, Scalar) else None
        if value is None or not isinstance(field.value, Scalar):
            return None
        rates[field.name].append((field.value.text, value))
    colon = separator(tree, layer.block)
    longest = max(rates, key=lambda name: len(rates[name]))
    edits = [remove_text(tree, field) for field in old if field.name != longest]
    values = []
    for index, field in enumerate(field for field in old if field.name == longest):
        inside = {OLD_RATES[name]: found[index] for name, found in rates.items() if index < len(found)}
        text = " ".join(f"{name}{colon}{number.decode()}" for name, (number, _) in inside.items())
        edits.append(Edit(field.start, field.end, f"param {{ {text} }}".encode()))
        values.append({name: [value] for name, (_, value) in inside.items()})
    gone = tuple(Change(layer.block, f"?{name}", ()) for name, found in rates.items() if found)
    return Patch(tuple(edits), (*gone, Change(layer.block, "param", tuple(values))))
