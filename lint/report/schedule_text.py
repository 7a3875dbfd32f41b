"""The learning rate over a run, as a table and a curve for a terminal, or as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

from ..fixes.fields import number_text
from ..solver.rate_course import INFINITE, NAN, NEGATIVE, ZERO, Course, Fault, Row, differ_much, fault_of
from ..source.visible import visible
from ..source.wording import counted
from .colours import paint
from .wrapping import fitted

Rate = Callable[[int], "float | None"]

WIDTH = 72  # columns of the curve
HEIGHT = 8  # its lines
_BESIDE_CURVE = 10  # columns of its labels and its axis
_EIGHTHS = " ▁▂▃▄▅▆▇█"

# The effect of an unusable rate, and its symbol in the curve.
_MEANINGS = {
    ZERO: "nothing is learned",
    NEGATIVE: "updates increase the loss",
    INFINITE: "all weights become infinite or NaN",
    NAN: "all weights become NaN",
}
_SIGNS = {ZERO: "0", NEGATIVE: "-", INFINITE: "!", NAN: "!"}


def as_text(path: str, course: Course, rate: Rate, *, colour: bool = False, width: int | None = None) -> str:
    """Return the table, the curve, and a sentence for each unusable range, in lines that fit a terminal of that width."""
    first = number_text(course.rows[0].rate or 0)
    kind = "constant between these iterations" if course.stepwise else "changing continuously"
    length = counted(course.length, "iteration", form=",")
    head = f"{path}: policy '{course.policy.name}', {length}, initial rate {first}, {kind}"
    curve = _curve(course, rate, colour, width)
    lines = [fitted(visible(head), width), "", *(fitted(line, width) for line in _table(course.rows, colour)), "", *curve]
    faults = course.faults
    if faults:
        lines.append("")
    lines += [paint(fitted(_sentence(fault, course.length), width), "error", colour) for fault in faults]
    return "\n".join(lines) + "\n"


def _sentence(fault: Fault, length: int) -> str:
    until = "on" if fault.last == length - 1 else f"to {fault.last:,}"
    return f"The rate is {fault.kind} from iteration {fault.first:,} {until}: {_MEANINGS[fault.kind]}."


def _table(rows: Sequence[Row], colour: bool) -> list[str]:
    start = rows[0].rate
    cells = [("iteration", "rate", "relative", "")]
    for row in rows:
        rate = "unknown" if row.rate is None else _short(row.rate)
        share = ""
        if row.rate is not None and start and math.isfinite(row.rate / start):
            share = _short(row.rate / start)
        what = ", ".join(word for word in (row.what, row.fault) if word)
        cells.append((f"{row.iteration:,}", rate, share, what))
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    lines = []
    for row_, (iteration, rate, share, what) in zip((None, *rows), cells):  # noqa: B905 - the heading and the rows
        line = f"{iteration:>{widths[0]}}  {rate:<{widths[1]}}  {share:<{widths[2]}}  {what}".rstrip()
        lines.append(paint(line, "error", colour and bool(row_ and row_.fault)))
    return lines


def _short(value: float) -> str:
    return number_text(float(f"{value:.4g}")) if math.isfinite(value) else str(value)


def _curve(course: Course, rate: Rate, colour: bool, width: int | None) -> list[str]:
    """Draw the curve with block characters, on a logarithmic scale if rates differ by much."""
    columns = max(1, min(WIDTH, course.length, (width or 2 * WIDTH) - _BESIDE_CURVE))
    values = [rate(column * course.length // columns) for column in range(columns)]
    good = [value for value in values if value is not None and not fault_of(value)]
    if not good:
        return ["No rate to draw."]
    low, high = min(good), max(good)
    logarithmic = differ_much(good)
    levels = [_level(value, low, high, logarithmic) for value in values]
    labels = {HEIGHT - 1: number_text(float(f"{high:.3g}")), 0: number_text(float(f"{low:.3g}")) if logarithmic else "0"}
    margin = max(map(len, labels.values()))
    lines = []
    for height in reversed(range(HEIGHT)):
        blocks = "".join(
            _EIGHTHS[min(8, max(0, level - 8 * height))] if isinstance(level, int) else (level if height == 0 else " ")
            for level in levels
        )
        label = labels.get(height, "")
        axis = "┤" if label else "│"
        lines.append(f"{label:>{margin}} {axis}{blocks.rstrip()}")
    end = f"{course.length - 1:,}"
    lines.append(f"{'':>{margin}} └{'─' * columns}")
    lines.append(f"{'':>{margin}}  0{end:>{max(columns - 1, len(end) + 1)}}" + (" (logarithmic)" if logarithmic else ""))
    lines[-1] = fitted(lines[-1], width)
    signs = {level for level in levels if isinstance(level, str)}
    meanings = {sign: fault for fault, sign in _SIGNS.items() if fault != INFINITE} | {"!": "infinite or NaN", "?": "unknown"}
    if signs:
        lines.append(f"{'':>{margin}}  " + ", ".join(f"{sign} {meanings[sign]}" for sign in sorted(signs)))
    return [paint(line, "dim", colour) if not line.strip(" │") else line for line in lines]


def _level(value: float | None, low: float, high: float, logarithmic: bool) -> int | str:
    """Return the height of a rate in eighths of a line, or the symbol of one that cannot be drawn."""
    if value is None:
        return "?"
    fault = fault_of(value)
    if fault:
        return _SIGNS[fault]
    if logarithmic:
        share = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        return 1 + round(share * (8 * HEIGHT - 1))
    return max(1, round(8 * HEIGHT * value / high))


def as_json(path: str, course: Course) -> str:
    """Return the rows as JSON; a rate that is not finite or not known is null."""
    rows = [
        {
            "iteration": row.iteration,
            "rate": row.rate if row.rate is not None and math.isfinite(row.rate) else None,
            "what": row.what,
            "fault": row.fault,
        }
        for row in course.rows
    ]
    content = {
        "version": 1,
        "solver": path,
        "policy": course.policy.name,
        "iterations": course.length,
        "stepwise": course.stepwise,
        "rows": rows,
    }
    return json.dumps(content, indent=2) + "\n"
