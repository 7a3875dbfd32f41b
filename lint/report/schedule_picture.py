"""A picture of the learning rate over a run."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..fixes.fields import number_text
from ..solver.rate_course import Course, differ_much, fault_of
from .pictures import figure_type, write

_POINTS = 600  # of a continuous curve


def plot(target: str, path: str, course: Course, rate: Callable[[int], float | None]) -> None:
    """Draw the learning rate and mark where it is unusable. Raises pictures.Missing, OSError."""
    figure = figure_type(target)(figsize=(9, 4), layout="constrained")
    axis = figure.subplots()
    places = {row.iteration for row in course.rows} | {course.length - 1}
    if not course.stepwise:
        places.update(part * (course.length - 1) // _POINTS for part in range(_POINTS))
    iterations = sorted(places)
    rates = [rate(iteration) for iteration in iterations]
    drawn = [math.nan if value is None or fault_of(value) else value for value in rates]
    style = "steps-post" if course.stepwise else "default"
    single = len(iterations) == 1
    axis.plot(iterations, drawn, drawstyle=style, color="tab:green", linewidth=1.6, marker="o" if single else None)
    good = [value for value in drawn if not math.isnan(value)]
    if differ_much(good):
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    if course.stepwise:
        for row in course.rows:
            if row.rate is not None and not row.fault:
                place = (row.iteration, row.rate)
                axis.annotate(number_text(float(f"{row.rate:.3g}")), place, (3, 4), textcoords="offset points", fontsize=7)
    for fault in course.faults:
        label = f"{fault.kind}: iterations {fault.first:,} to {fault.last:,}"
        axis.axvspan(fault.first, fault.last, color="tab:red", alpha=0.18, label=label)
        axis.axvline(fault.first, color="tab:red", linestyle="--", linewidth=1)
    if course.faults:
        axis.legend(fontsize=8, loc="best")
    axis.set_xlabel("iteration")
    axis.set_ylabel("learning rate")
    axis.grid(True, alpha=0.25)
    axis.margins(x=0.02, y=0.12)
    described = f"{path}: policy '{course.policy.name}', {course.length:,} iterations"
    axis.set_title(described, fontsize=9, loc="left")
    write(figure, target)
