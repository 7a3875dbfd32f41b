"""What the page shows of a run in a log: curves, and the values of debug_info by layer and iteration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypedDict

from ...source.visible import visible
from ...training_log.causes import Diagnosed
from ...training_log.evidence import Evidence
from ...training_log.runs import Key, Pass
from ..repository import plain_text
from .update_ratios import update_ratios

MOST_POINTS = 6000  # of a curve; a run keeps fewer
MOST_VALUES = (
    300_000  # of debug_info in all runs of a page; passes are left out evenly, but not those around the first NaN
)

Number = float | str | None  # a number that is not finite is "NaN", "Infinity" or "-Infinity"
MEASURES = ("activation", "gradient", "param_gradient", "update_ratio")


class CurveContent(TypedDict):
    """A curve. `group` is what shares an axis: `loss`, `accuracy`, `learning rate` or `gradient norm`."""

    name: str
    group: str
    phase: str
    iterations: list[int]
    values: list[Number]


class ValuesContent(TypedDict):
    """Values of debug_info: for each measure a row for each layer, with a value for each iteration; null is not in the log.

    `update_basis` is what the update ratios rest on, or why there are none.
    """

    layers: list[str]
    iterations: list[int]
    activation: list[list[Number]]
    gradient: list[list[Number]]
    param_gradient: list[list[Number]]
    update_ratio: list[list[Number]]
    update_basis: str


class CauseContent(TypedDict):
    """A cause of what went wrong, with the lines of the log that show it."""

    code: str
    name: str
    severity: str
    confidence: str
    message: str
    reason: str
    help: str
    layer: str | None
    iteration: int | None
    evidence: list[list[int | str]]


class RunContent(TypedDict):
    """A run. `first_bad` is the first displayed iteration with NaN or infinity, `guilty` the layer that is
    marked, and `guilty_for` says for what."""

    title: str
    log: str
    number: int
    iterations: int
    first_bad: int | None
    guilty: str | None
    guilty_for: str
    note: str
    curves: list[CurveContent]
    values: ValuesContent | None
    causes: list[CauseContent]


def run_content(
    path: str, title: str, log: Evidence, found: Iterable[Diagnosed], *, note: str, several: bool, most_values: int
) -> RunContent:
    """What the page shows of a run. `title` is that of its log, `several`: the log has other runs; `most_values` of debug_info."""
    run = log.run
    causes = [_cause(each) for each in found if each.run == run.number]
    name = visible(plain_text(path))
    first = log.first_bad
    blamed = next((cause for cause in causes if cause["layer"]), None)
    overflowed = visible(first.key.layer) if first is not None else None
    guilty = blamed["layer"] if blamed is not None else overflowed
    why = f"{blamed['code']} {blamed['name']}" if blamed is not None else ""
    if first is not None and guilty == overflowed:
        why = f"first {'NaN' if math.isnan(first.value) else 'infinity'}, in {_part(first.key)}"
    return {
        "title": f"{title}, run {run.number}" if several else title,
        "log": name,
        "number": run.number,
        "iterations": run.steps.count,
        "first_bad": log.first_bad_iteration,
        "guilty": guilty,
        "guilty_for": why,
        "note": visible(plain_text(note)),
        "curves": [curve for curve in _curves(log) if curve["iterations"]],
        "values": _values(log, most_values),
        "causes": causes,
    }


def _part(key: Key) -> str:
    """What of a layer a value of debug_info is of."""
    name = f"parameter {key.blob}" if key.role == "param" else key.blob
    return visible(plain_text(f"the gradient of {name}" if key.what == "diff" else name))


def _cause(each: Diagnosed) -> CauseContent:
    cause = each.cause
    return {
        "code": each.code,
        "name": each.name,
        "severity": each.severity,
        "confidence": each.confidence,
        "message": visible(plain_text(cause.message)),
        "reason": visible(plain_text(cause.reason)),
        "help": visible(plain_text(cause.help)),
        "layer": visible(cause.layer) if cause.layer else None,
        "iteration": cause.iteration,
        "evidence": [[shown.line, visible(plain_text(shown.text))] for shown in cause.evidence],
    }


# -- curves -------------------------------------------------------------------------------------------------


def _curves(log: Evidence) -> Iterable[CurveContent]:
    steps = log.steps
    yield _curve("loss", "loss", "train", [(step.iteration, step.loss) for step in steps])
    if len(log.outputs) > 1:
        for out in log.outputs:
            yield _curve(out.name, "loss", "train", out.values)
    yield from _train_accuracies(log)
    outputs: dict[tuple[int, str], list[tuple[int, float]]] = {}
    losses: set[tuple[int, str]] = set()
    for test in log.tests:
        for output in test.outputs:
            if test.iteration is not None:
                outputs.setdefault((test.net, output.name), []).append((test.iteration, output.value))
                if output.weight is not None or "loss" in output.name.lower():
                    losses.add((test.net, output.name))
    nets = {number for number, _ in outputs}
    for (number, name), values in outputs.items():
        shown = f"{name} (net {number})" if len(nets) > 1 else name
        yield _curve(shown, "loss" if (number, name) in losses else "accuracy", "test", values)
    yield _curve(
        "learning rate",
        "learning rate",
        "train",
        [(step.iteration, step.rate) for step in steps if step.rate is not None],
    )
    yield _curve("gradient norm", "gradient norm", "train", [(step.iteration, norm) for step, norm in log.norms])


def _train_accuracies(log: Evidence) -> Iterable[CurveContent]:
    found: dict[str, list[tuple[int, float]]] = {}
    for step in log.steps:
        for out in step.outputs:
            if out.weight is None:
                found.setdefault(out.name, []).append((step.iteration, out.value))
    for name, values in found.items():
        yield _curve(name, "accuracy", "train", values)


def _curve(name: str, group: str, phase: str, points: Sequence[tuple[int, float]]) -> CurveContent:
    step = max(1, -(-len(points) // MOST_POINTS))
    kept = [*points[: len(points) - 1 : step], points[-1]] if len(points) > 1 else list(points)
    return {
        "name": visible(plain_text(name)),
        "group": group,
        "phase": phase,
        "iterations": [iteration for iteration, _ in kept],
        "values": [number(value) for _, value in kept],
    }


def number(value: float) -> Number:
    """A number with five digits, as JSON can hold it."""
    if math.isfinite(value):
        return float(f"{value:.5g}")
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


# -- debug_info ---------------------------------------------------------------------------------------------


def _values(log: Evidence, most: int) -> ValuesContent | None:
    chosen = _chosen(log, most)
    if not chosen:
        return None
    layers: dict[str, None] = {}
    columns: list[dict[str, dict[str, float]]] = []
    for passed in chosen:
        column: dict[str, dict[str, float]] = {measure: {} for measure in MEASURES}
        for value in passed:
            key = value.key
            if key.layer.endswith("_split"):
                continue
            layers.setdefault(key.layer)
            measure, size = _measure(key), value.value
            if measure:
                known = column[measure].get(key.layer)
                if known is None or not size <= known:
                    column[measure][key.layer] = size if known is None or known == known else known
        columns.append(column)
    ratios = update_ratios(log, chosen)
    for column, of_pass in zip(columns, ratios.by_pass, strict=True):
        column["update_ratio"] = of_pass

    def rows(measure: str) -> list[list[Number]]:
        found = [
            [None if (size := column[measure].get(name)) is None else number(size) for column in columns]
            for name in layers
        ]
        return [row if any(each is not None for each in row) else [] for row in found]

    return {
        "layers": [visible(name) for name in layers],
        "iterations": [
            passed.iteration if passed.iteration is not None else place for place, passed in enumerate(chosen)
        ],
        "activation": rows("activation"),
        "gradient": rows("gradient"),
        "param_gradient": rows("param_gradient"),
        "update_ratio": rows("update_ratio"),
        "update_basis": visible(ratios.basis),
    }


def _measure(key: Key) -> str:
    """What a value is shown as; empty for what is not, such as the values of parameters."""
    if key.direction == "Forward":
        return "activation" if key.role == "top" else ""
    if key.direction == "Backward" and key.what == "diff":
        return "gradient" if key.role == "bottom" else "param_gradient"
    return ""


def _chosen(log: Evidence, most: int) -> list[Pass]:
    """The passes to show, in the order of the log, each iteration once: an even selection, and those around the first NaN."""
    passes = log.run.passes
    kept = {each.line: each for each in passes.sample}
    always = {
        each.line: each
        for each in (*passes.first[:1], *passes.around_bad, *([passes.recent[-1]] if passes.recent else []))
    }
    room = max(2, most // max(1, max((len(each.values) for each in list(kept.values())[:1]), default=1)))
    lines = sorted(kept)
    step = max(1, -(-len(lines) // room))
    chosen = {**{line: kept[line] for line in lines[::step]}, **always}
    by_iteration: dict[object, Pass] = {}
    for line in sorted(chosen):
        passed = chosen[line]
        by_iteration[passed.iteration if passed.iteration is not None else ("line", line)] = passed
    return list(by_iteration.values())
