"""A net as a table for a terminal: a line per layer, more if it has several bottoms or tops, and totals.

A top with the same name as its layer is shown as `=`, and one that overwrites the layer's bottom as `in place`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from ..moments.graph import Param
from ..moments.shapes import Shape, count, describe
from ..net.costs import BYTES, IN_PLACE, OWN, batch, total
from ..net.job import NetInPhase
from ..net.net import Net
from ..source.visible import visible
from ..source.wording import counted
from .net_rows import Row, Top, rows_of

WIDTH = 120
LEAST_NAME = 12  # columns of a name, however narrow the table
MOST_TYPE = 22
MOST_LINES = 12  # per layer; the rest is only counted

_HEADS = ("layer", "type", "bottoms", "tops", "shape", "params", "mult-adds", "memory")
_NAMES = (0, 2, 3)  # columns that may be shortened
_NUMBERS = (5, 6, 7)


def render(nets: list[NetInPhase], *, splits: bool, width: int | None = None) -> str:
    """Return the tables of the nets, each with its totals."""
    return "\n\n".join(_net(net, splits, width or WIDTH) for net in nets) + "\n"


def _net(built: NetInPhase, splits: bool, width: int) -> str:
    net = built.net
    rows = rows_of(net, splits=splits)
    lines = [line for row in rows for line in _lines(row)]
    widths = _widths(lines, width)
    text = [_title(built, rows), "", _joined(_HEADS, widths), "  ".join("-" * width for width in widths)]
    text += [_joined(line, widths) for line in lines]
    return "\n".join([*text, "", *_totals(net, rows)])


def _title(built: NetInPhase, rows: list[Row]) -> str:
    net = built.net
    state = f"{net.phase}, level {net.state.level}" if net.state.level else net.phase
    if net.state.stages:
        state += f", stage{'s' if len(net.state.stages) > 1 else ''} {', '.join(net.state.stages)}"
    name = f"'{visible(net.name)}'" if net.name else "net"
    return f"{visible(built.file.path)}: {name} in {state}, {counted(len(rows), 'layer')}"


def _lines(row: Row) -> list[Sequence[str]]:
    """Return the cells of a layer, with one line per bottom and top."""
    lines: list[Sequence[str]] = []
    height = max(1, len(row.bottoms), len(row.tops))
    shown = height if height <= MOST_LINES else MOST_LINES - 1
    for i, (bottom, top) in enumerate(zip_longest(row.bottoms[:shown], row.tops[:shown])):
        first = (row.name, row.type) if i == 0 else ("", "")
        cells = (_top(row, top), _dims(top.shape)) if top is not None else ("", "")
        numbers = (_params(row.params), _multiply_adds(row.multiply_adds)) if i == 0 else ("", "")
        lines.append((*first, bottom or "", *cells, *numbers, _memory(top)))
    if not lines:
        lines.append(
            (row.name, row.type, "", "", "", _params(row.params), _multiply_adds(row.multiply_adds), "")
        )
    if shown < height:
        left = [
            f"… {size - shown} more" if size > shown else "" for size in (len(row.bottoms), len(row.tops))
        ]
        lines.append(("", "", *left, "", "", "", ""))
    return [tuple(visible(cell) for cell in line) for line in lines]


def _top(row: Row, top: Top) -> str:
    return IN_PLACE if top.memory == IN_PLACE else "=" if top.name == row.name else top.name


def _params(params: list[Param]) -> str:
    """Return the number of values, in brackets if all of them are shared with an earlier layer."""
    if not params:
        return ""
    number = quantity(total(param.count for param in params))
    return f"({number})" if all(param.owner is not param for param in params) else number


def _multiply_adds(number: int | None) -> str:
    return "" if number == 0 else quantity(number)


def _memory(top: Top | None) -> str:
    if top is None:
        return ""
    if top.memory != OWN:
        return "" if top.memory == IN_PLACE else top.memory
    size = count(top.shape)
    return quantity(size and size * BYTES, "B")


def _dims(shape: Shape) -> str:
    return describe(shape).replace(" ", "")


def _totals(net: Net, rows: list[Row]) -> list[str]:
    learned = [param.count for param in net.params() if param.owner is param]
    values = _sum(learned)
    products = _sum([row.multiply_adds for row in rows])
    sizes = [count(top.shape) for row in rows for top in row.tops if top.memory == OWN]
    lines = [
        (
            "learnable",
            f"{values.shown()} values in {counted(len(learned), 'blob')}, {values.bytes()}",
        ),
        ("mult-adds", f"{products.shown()} in one forward pass{_each(net, products)}"),
        ("memory", f"{_sum(sizes).bytes()} for the values of blobs; training also stores their gradients"),
    ]
    if net.losses:
        losses = ", ".join(f"{loss.blob.name} x {loss.weight:g}" for loss in net.losses)
        lines.append(("losses", losses))
    lines.append(("outputs", ", ".join(net.outputs) or "none"))
    return [f"{head:9}  {visible(text)}" for head, text in lines]


class _Sum:
    """A sum of numbers, some of which may be unknown."""

    def __init__(self, parts: Sequence[int | None]) -> None:
        self.known = sum(part for part in parts if part is not None)
        self.unknown = sum(part is None for part in parts)

    def shown(self) -> str:
        """Return the known part, and whether there is more."""
        return self._with_rest(quantity(self.known))

    def bytes(self) -> str:
        """Return the memory of that many values."""
        return self._with_rest(quantity(self.known * BYTES, "B"))

    def _with_rest(self, known: str) -> str:
        if not self.unknown:
            return known
        return f"{known} + ?" if self.known else "?"


def _sum(parts: Sequence[int | None]) -> _Sum:
    return _Sum(parts)


def _each(net: Net, products: _Sum) -> str:
    items = batch(net)
    if not items or items == 1 or products.unknown or not products.known:
        return ""
    return f", {quantity(round(products.known / items))} per item (batch of {items})"


def quantity(number: int | None, unit: str = "") -> str:
    """Format a number with three digits, such as `1.23 M` or `45.6 kB`; `?` if it is not known."""
    if number is None:
        return "?"
    value = float(number)
    for prefix in ("", "k", "M", "G", "T", "P"):
        if abs(value) < 999.5 or prefix == "P":
            break
        value /= 1000
    digits = 0 if prefix == "" or abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f} {prefix}{unit}".rstrip()


# -- layout ----------------------------------------------------------------------------------------


def _widths(lines: list[Sequence[str]], width: int) -> list[int]:
    """Return the widths of the columns, with names shortened equally until the table fits."""
    widths = [max([len(head), *(len(line[i]) for line in lines)]) for i, head in enumerate(_HEADS)]
    widths[1] = min(widths[1], MOST_TYPE)
    room = width - 2 * (len(widths) - 1) - sum(size for i, size in enumerate(widths) if i not in _NAMES)
    wanted = sorted(_NAMES, key=lambda i: widths[i])
    for position, i in enumerate(wanted):
        share = max(LEAST_NAME, room // (len(wanted) - position))
        widths[i] = min(widths[i], share)
        room -= widths[i]
    return widths


def _joined(cells: Sequence[str], widths: list[int]) -> str:
    parts = [
        cell.rjust(width) if i in _NUMBERS else _shortened(cell, width).ljust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()


def _shortened(text: str, width: int) -> str:
    """Shorten a text in the middle, since names usually differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[-tail:]}"
