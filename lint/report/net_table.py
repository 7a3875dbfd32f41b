"""A net as a table for a terminal: a line per layer, more if it has several bottoms or tops, and totals.

A top with the same name as its layer is shown as `=`, and one that overwrites the layer's bottom as `in place`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from ..layers.sliding_windows import Window
from ..moments.graph import Param
from ..moments.shapes import Shape, count, describe
from ..net.costs import BYTES, IN_PLACE, OWN, batch, total
from ..net.job import NetInPhase
from ..net.net import Net
from ..source.visible import visible
from ..source.wording import counted
from .net_rows import Row, Top, rows_of
from .wrapping import fitted, wrapped

WIDTH = 132
LEAST_NAME = 8  # columns of a name, however narrow the table
MOST_TYPE = 22
MOST_LINES = 12  # per layer; the rest is only counted
_LETTERS = "NCHWTUVXYZ"  # for sizes that the user is to give, in the order of the axes

_HEADS = ("layer", "type", "kernel", "bottoms", "tops", "shape", "params", "mult-adds", "memory")
_NAMES = (0, 3, 4)  # columns that may be shortened
_NUMBERS = (6, 7, 8)
_KERNEL = 2
_FIRST_TO_GO = (8, 7, _KERNEL, 3, 6, 4, 1)  # columns that a narrow terminal does without


def render(nets: list[NetInPhase], *, splits: bool, width: int | None = None) -> str:
    """Return the tables of the nets, each with its totals. `width` is that of the terminal, if they are printed to one."""
    return "\n\n".join(_net(net, splits, width or WIDTH) for net in nets) + "\n"


def _net(built: NetInPhase, splits: bool, width: int) -> str:
    net = built.net
    rows = rows_of(net, splits=splits)
    lines = [line for row in rows for line in _lines(row)]
    table = _table(lines, width)
    totals = [
        line
        for head, text in _totals(net, rows)
        for line in wrapped(visible(text), width, first=f"{head:9}  ", others=" " * 11)
    ]
    return "\n".join([fitted(_title(built, rows), width), "", *table, "", *totals])


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
        first = (row.name, row.type, _window(row.window)) if i == 0 else ("", "", "")
        cells = (_top(row, top), _dims(top.shape)) if top is not None else ("", "")
        numbers = (_params(row.params), _multiply_adds(row.multiply_adds)) if i == 0 else ("", "")
        lines.append((*first, bottom or "", *cells, *numbers, _memory(top)))
    if not lines:
        lines.append(
            (
                row.name,
                row.type,
                _window(row.window),
                "",
                "",
                "",
                _params(row.params),
                _multiply_adds(row.multiply_adds),
                "",
            )
        )
    if shown < height:
        left = [f"… {size - shown} more" if size > shown else "" for size in (len(row.bottoms), len(row.tops))]
        lines.append(("", "", "", *left, "", "", "", ""))
    return [tuple(visible(cell) for cell in line) for line in lines]


def _top(row: Row, top: Top) -> str:
    return IN_PLACE if top.memory == IN_PLACE else "=" if top.name == row.name else top.name


def _window(window: Window | None) -> str:
    """Return `3x3 s2 p1`: kernel, stride and pad, without what is usual; `d2` is the dilation."""
    if window is None:
        return ""
    if window.is_whole:
        return "global"
    others = (("s", window.stride, 1), ("p", window.pad, 0), ("d", window.dilation, 1))
    kernel = "x".join(map(str, window.kernel))
    return " ".join([kernel, *(letter + _sizes(sizes) for letter, sizes, usual in others if set(sizes) - {usual})])


def _sizes(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def _params(params: Sequence[Param]) -> str:
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


def _totals(net: Net, rows: list[Row]) -> list[tuple[str, str]]:
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
    if wanted := shapes_to_give(net):
        lines.append(("unknown", f"the files do not give the sizes shown as ?: give them with --input-shape {wanted}"))
    return lines


def shapes_to_give(net: Net) -> str:
    """Return what to pass to `--input-shape` for data of unknown sizes, with letters in place of them; empty if all are known."""
    tops = [top for layer in net.layers if not layer.bottoms for top in layer.tops]
    shapes = {top.name: top.shape if top.shape is not None else (None,) * 4 for top in tops}
    given = {
        name: [_LETTERS[axis] if size is None else str(size) for axis, size in enumerate(shape[: len(_LETTERS)])]
        for name, shape in shapes.items()
    }
    return " --input-shape ".join(f"{name}={','.join(sizes)}" for name, sizes in given.items() if None in shapes[name])


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


def _table(lines: list[Sequence[str]], width: int) -> list[str]:
    """Return the heads and lines of the table, without columns that are empty or find no room."""
    shown = [i for i in range(len(_HEADS)) if i != _KERNEL or any(line[i] for line in lines)]
    least = [max([len(head), *(len(line[i]) for line in lines)]) for i, head in enumerate(_HEADS)]
    least[1] = min(least[1], MOST_TYPE)
    for i in _NAMES:
        least[i] = min(least[i], LEAST_NAME)
    for i in _FIRST_TO_GO:
        if i in shown and sum(least[j] + 2 for j in shown) - 2 > width:
            shown.remove(i)
    widths = _widths(lines, shown, width)
    short = {i: shortened(dict.fromkeys(line[i] for line in lines), widths[i]) for i in shown if i not in _NUMBERS}
    parts = [[_HEADS[i] for i in shown], ["-" * widths[i] for i in shown]]
    parts += [[short[i][line[i]] if i in short else line[i] for i in shown] for line in lines]
    return ["  ".join(map(_aligned, shown, part, (widths[i] for i in shown))).rstrip() for part in parts]


def _aligned(column: int, cell: str, width: int) -> str:
    return cell.rjust(width) if column in _NUMBERS else cell.ljust(width)


def _widths(lines: list[Sequence[str]], shown: list[int], width: int) -> dict[int, int]:
    """Return the widths of the columns, with names shortened equally until the table fits."""
    widths = {i: max([len(_HEADS[i]), *(len(line[i]) for line in lines)]) for i in shown}
    widths[1] = min(widths[1], MOST_TYPE)
    names = sorted((i for i in _NAMES if i in shown), key=lambda i: widths[i])
    room = width - 2 * (len(shown) - 1) - sum(size for i, size in widths.items() if i not in _NAMES)
    for position, i in enumerate(names):
        share = max(LEAST_NAME, room // (len(names) - position))
        widths[i] = min(widths[i], share)
        room -= widths[i]
    return widths


def shortened(names: Iterable[str], width: int) -> dict[str, str]:
    """Return each name in at most `width` characters. Names that differ stay different, and where they differ is shown.

    Names are shortened in the middle, since they usually differ at their ends.
    """
    short = {name: name for name in names if len(name) <= width}
    taken = set(short)
    alike: dict[str, list[str]] = {}
    for name in names:
        if name not in short:
            alike.setdefault(_cut(name, width, (width - 1) // 2), []).append(name)
    for group in alike.values():
        for texts in _ways(group, width):
            if len(set(texts)) == len(group) and taken.isdisjoint(texts):
                break
        short.update(zip(group, texts, strict=True))
        taken.update(texts)
    return short


def _ways(names: list[str], width: int) -> Iterator[list[str]]:
    """Yield ways to shorten names, the best first: cut in the middle or near it, around the first difference, numbered."""
    for tail in sorted(range(width), key=lambda tail: abs(tail - (width - 1) // 2)):
        yield [_cut(name, width, tail) for name in names]
    least, most = min(names), max(names)
    same = next((i for i, letter in enumerate(least) if letter != most[i]), len(least))
    yield [f"…{name[same : same + width - 2]}…" for name in names]
    size = len(str(len(names)))
    yield [f"{_cut(name, width - size, 0)}{number:0{size}}" for number, name in enumerate(names, 1)]


def _cut(text: str, width: int, tail: int) -> str:
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"
