"""The formats in which nets are shown: one file each, entered in NET_FORMATS."""

from __future__ import annotations

from importlib import import_module

from ..net.job import NetInPhase

# The module of each. It has `render(nets, *, splits, width)`, and is loaded when it is asked for.
NET_FORMATS = {"table": "net_table", "json": "net_json", "dot": "net_dot"}


def render_nets(format: str, nets: list[NetInPhase], *, splits: bool, width: int | None = None) -> str:
    """Nets in one of NET_FORMATS, with the Split layers that Caffe inserts if asked for; `width` is the terminal's."""
    text: str = import_module(f".{NET_FORMATS[format]}", __package__).render(nets, splits=splits, width=width)
    return text
