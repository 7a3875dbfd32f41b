"""The formats for nets. Each is a file of its own with an entry in NET_FORMATS."""

from __future__ import annotations

from importlib import import_module

from ..net.job import NetInPhase

# The module of each format. It has `render(nets, *, splits, width)` and is loaded on demand.
NET_FORMATS = {"table": "net_table", "json": "net_json"}


def render_nets(format: str, nets: list[NetInPhase], *, splits: bool, width: int | None = None) -> str:
    """Return nets in one of NET_FORMATS, with `splits` including the Split layers that Caffe inserts.

    `width` is the width of the terminal, if there is one.
    """
    text: str = import_module(f".{NET_FORMATS[format]}", __package__).render(nets, splits=splits, width=width)
    return text
