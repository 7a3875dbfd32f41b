"""A net as JSON.

One object for one net, a list for several. An unknown dimension is null, and so is the shape of a blob or parameter
whose number of axes is unknown. The layout, version 1: {"version", "path", "name", "phase", "level", "stages", "dialect",
"blobs": {name: [dims]}, "layers": [{"name", "type", "bottoms", "tops", "params": [[dims]], "multiply_adds", "memory",
"window": null or {"kernel", "stride", "pad", "dilation"}}], "losses": [{"layer", "top", "weight"}], "outputs", "learnable"}. A window
has a size for each spatial axis; without a kernel, it covers the whole bottom. "multiply_adds" are those of one forward pass, "memory"
is the size in bytes of the tops that have memory of their own, "learnable" the number of values in all parameters,
counting shared ones once.
"""

from __future__ import annotations

import json
from typing import Any

from ..moments.shapes import Shape, count
from ..net.costs import BYTES, OWN, total
from ..net.job import NetInPhase
from .net_rows import Row, rows_of

VERSION = 1


def render(nets: list[NetInPhase], *, splits: bool, width: int | None = None) -> str:
    """Return the nets as JSON."""
    objects = [_laid_out(_net(net, splits)) for net in nets]
    return objects[0] + "\n" if len(objects) == 1 else "[\n" + ",\n".join(objects) + "\n]\n"


def _laid_out(net: dict[str, Any]) -> str:
    """Format an object with one line per blob, layer and loss."""
    lines = []
    for key, value in net.items():
        if isinstance(value, dict) and value:
            inner = [f"{json.dumps(name)}: {json.dumps(item)}" for name, item in value.items()]
            text = "{\n    " + ",\n    ".join(inner) + "\n  }"
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            text = "[\n    " + ",\n    ".join(json.dumps(item) for item in value) + "\n  ]"
        else:
            text = json.dumps(value)
        lines.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}"


def _net(built: NetInPhase, splits: bool) -> dict[str, Any]:
    net = built.net
    rows = rows_of(net, splits=splits)
    return {
        "version": VERSION,
        "path": built.file.path,
        "name": net.name,
        "phase": net.phase,
        "level": net.state.level,
        "stages": list(net.state.stages),
        "dialect": net.dialect,
        "blobs": {top.name: _dims(top.shape) for row in rows for top in row.tops},
        "layers": [_layer(row) for row in rows],
        "losses": [{"layer": loss.layer.name, "top": loss.blob.name, "weight": loss.weight} for loss in net.losses],
        "outputs": net.outputs,
        "learnable": net.learnable,
    }


def _layer(row: Row) -> dict[str, Any]:
    sizes = (count(top.shape) for top in row.tops if top.memory == OWN)
    return {
        "name": row.name,
        "type": row.type,
        "bottoms": row.bottoms,
        "tops": [top.name for top in row.tops],
        "params": [_dims(param.shape) for param in row.params],
        "multiply_adds": row.multiply_adds,
        "memory": total(BYTES * size if size is not None else None for size in sizes),
        "window": row.window and {name: list(getattr(row.window, name)) for name in ("kernel", "stride", "pad", "dilation")},
    }


def _dims(shape: Shape) -> list[int | None] | None:
    return None if shape is None else list(shape)
