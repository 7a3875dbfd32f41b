"""A learning rate over a run, for a terminal: where it changes, as a table and a curve; or as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

from ..fixes.fields import number_text
from ..solver.rate_course import INFINITE, NAN, NEGATIVE, ZERO, Course, Fault, Row, differ_much, fault_of
from .colours import paint

Rate = Callable[[int], "float | None"]

WIDTH = 72  # columns of the curve
HEIGHT = 8  # its lines
_EIGHTHS = " ▁▂▃▄▅▆▇█"

# What a rate from which nothing good is learnt does, and its sign in the curve.
_MEANINGS = {
    ZERO: "nothing is learnt",
    NEGATIVE: "the loss is made to grow",
    INFINITE: "every weight becomes infinite or NaN",
    NAN: "every weight becomes NaN",
}
_SIGNS = {ZERO: "0", NEGATIVE: "-", INFINITE: "!", NAN: "!"}


def as_text(path: str, course: Course, rate: Rate, *, colour: bool = False) -> str:
    """The table, the curve, and what is wrong with it."""
    first = number_text(course.rows[0].rate or 0)
    kind = "the rate stays as it is from each of these on" if course.stepwise else "the rate changes all along"
    head = f"{path}: policy '{course.policy.name}', {course.length:,} iterations from a rate of {first}; {kind}"
    lines = [head, "", *_table(course.rows, colour), "", *_curve(course, rate, colour)]
    faults = course.faults
    if faults:
        lines.append("")
    lines += [paint(_sentence(fault, course.length), "error", colour) for fault in faults]
    return "\n".join(lines) + "\n"


def _sentence(fault: Fault, length: int) -> str:
    until = "on" if fault.last == length - 1 else f"to {fault.last:,}"
    return f"From iteration {fault.first:,} {until} the rate is {fault.kind}: {_MEANINGS[fault.kind]}."


def _table(rows: Sequence[Row], colour: bool) -> list[str]:
    start = rows[0].rate
    cells = [("iteration", "rate", "of the first", "")]
    for row in rows:
        rate = "not told by the file" if row.rate is None else _short(row.rate)
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


def _curve(course: Course, rate: Rate, colour: bool) -> list[str]:
    """The curve in blocks, a column for equally many iterations; by its logarithm where rates differ much."""
    columns = min(WIDTH, course.length)
    values = [rate(column * course.length // columns) for column in range(columns)]
    good = [value for value in values if value is not None and not fault_of(value)]
    if not good:
        return ["There is no rate to draw."]
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
    signs = {level for level in levels if isinstance(level, str)}
    meanings = {sign: fault for fault, sign in _SIGNS.items() if fault != INFINITE} | {"!": "infinite or NaN", "?": "not told"}
    if signs:
        lines.append(f"{'':>{margin}}  " + ", ".join(f"{sign} {meanings[sign]}" for sign in sorted(signs)))
    return [paint(line, "dim", colour) if not line.strip(" │") else line for line in lines]


def _level(value: float | None, low: float, high: float, logarithmic: bool) -> int | str:
    """How many eighths of a line a rate is high, or the sign of one that cannot be drawn."""
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
    """The same rows for programs; a rate that is no number, or not told, is null."""
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
