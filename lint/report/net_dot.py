"""A net as a graph for Graphviz: a node per layer, and an edge for a blob that one layer writes and another reads.

    caffe-lint net train_val.prototxt --output-format dot | dot -Tsvg -o net.svg

In-place layers are part of the chain of layers that write the same blob, and have a dashed border.
"""

from __future__ import annotations

from ..moments.shapes import describe
from ..net.costs import IN_PLACE
from ..net.job import NetInPhase
from ..source.visible import visible
from .net_rows import Row, Top, rows_of

_COLOURS = {"data": "#d5e8d4", "loss": "#f8cecc", "split": "#eeeeee", "unknown": "#ffffff", "": "#fff2cc"}
_WITH_PARAMS = "#dae8fc"


def render(nets: list[NetInPhase], *, splits: bool, width: int | None = None) -> str:
    """Return one digraph per net."""
    return "\n".join(_graph(net, splits) for net in nets)


def _graph(built: NetInPhase, splits: bool, width: int | None = None) -> str:
    net = built.net
    title = f"{net.name or built.file.path}, {net.phase}"
    lines = [
        "digraph {",
        f"  graph [label={_quoted(title)}, labelloc=t, fontname=Helvetica];",
        "  node [shape=box, style=filled, fontname=Helvetica, fontsize=11];",
        "  edge [fontname=Helvetica, fontsize=9];",
    ]
    makers: dict[str, tuple[str, Row, Top]] = {}
    unread: dict[str, tuple[str, Top]] = {}
    missing: dict[str, str] = {}
    for index, row in enumerate(rows_of(net, splits=splits)):
        node = f"layer{index}"
        lines.append(f"  {node} [{_layer(row)}];")
        for bottom in row.bottoms:
            made = makers.get(bottom)
            unread.pop(bottom, None)
            if made is None:
                if bottom not in missing:
                    missing[bottom] = f"missing{len(missing)}"
                    lines.append(f"  {missing[bottom]} [shape=ellipse, color=red, label={_quoted(bottom)}];")
                lines.append(f"  {missing[bottom]} -> {node} [color=red];")
            else:
                lines.append(f"  {made[0]} -> {node} [label={_quoted(_edge(made[1], made[2]))}];")
        for top in row.tops:
            makers[top.name] = (node, row, top)
            unread[top.name] = (node, top)
    for index, (node, top) in enumerate(unread.values()):
        label = _quoted(f"{top.name}\n{describe(top.shape)}")
        lines.append(f"  output{index} [shape=ellipse, label={label}];")
        lines.append(f"  {node} -> output{index};")
    return "\n".join([*lines, "}"]) + "\n"


def _layer(row: Row) -> str:
    label = [row.name, row.type]
    label += [describe(param.shape) for param in row.params[:1]]
    colour = _WITH_PARAMS if row.params and row.kind == "" else _COLOURS[row.kind]
    style = ', style="filled,rounded,dashed"' if any(top.memory == IN_PLACE for top in row.tops) else ""
    return f'label={_quoted(chr(10).join(label))}, fillcolor="{colour}"{style}'


def _edge(row: Row, top: Top) -> str:
    """Return the label of an edge: the shape, and the blob's name unless it is the name of its layer."""
    shape = describe(top.shape)
    return shape if len(row.tops) == 1 and top.name == row.name else f"{top.name}\n{shape}"


def _quoted(text: str) -> str:
    """Quote a string in the DOT language, escaping backslashes, quotes and ampersands (HTML entities)."""
    clean = text.encode("utf-8", "replace").decode()
    shown = "".join(letter if letter == "\n" else visible(letter) for letter in clean)
    for letter, escaped in (("\\", "\\\\"), ('"', '\\"'), ("&", "&amp;"), ("\n", "\\n")):
        shown = shown.replace(letter, escaped)
    return f'"{shown}"'
