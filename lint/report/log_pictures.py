"""Pictures of a run: curves of loss, learning rate and gradient norm, and heat maps of debug_info (layers by iterations)."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

from ..training_log.evidence import Evidence
from ..training_log.runs import Pass, Run
from .pictures import figure_type, write

if TYPE_CHECKING:
    from ..training_log.causes import Diagnosed

ROWS = 60  # layers in a heat map; if there are more, an even selection
_LOWEST, _HIGHEST = -12.0, 8.0  # decades of the colour scale


def plot(target: str, runs: list[Run], found: list[Diagnosed]) -> None:
    """Draw the run of the first diagnosis, otherwise the last run. Raises pictures.Missing, OSError."""
    kind = figure_type(target)
    number = found[0].run if found else runs[-1].number
    log = Evidence(next(run for run in runs if run.number == number))
    described = "curves and heat maps"
    write(_figure(kind, log, found), target, title="caffe-lint log", described=described, text=_causes(found))


def _figure(kind: Any, log: Evidence, found: list[Diagnosed]) -> Any:
    end = _interesting_end(log)
    passes = [each for each in log.run.passes.sample if each.iteration is None or each.iteration <= end]
    heat = [("Forward", "data", "top", "data of tops"), ("Backward", "diff", "param", "diffs of params")]
    tables = [(title, *_table(log, passes, direction, what, role)) for direction, what, role, title in heat]
    tables = [table for table in tables if table[2]]
    heights = [2.4, *(max(1.6, 0.19 * len(table[2]) + 0.5) for table in tables)]
    figure = kind(figsize=(11, sum(heights) + 0.9), layout="constrained")
    axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    _curves(axes[0], log)
    for axis, (title, iterations, names, values) in zip(axes[1:], tables, strict=True):
        _heat_map(figure, axis, title, iterations, names, values, log)
    if found:
        first = found[0]
        figure.suptitle(f"{first.code} {first.name}: {_short(first.cause.message)}", fontsize=10)
    return figure


def _interesting_end(log: Evidence) -> float:
    """Return the last iteration to draw, shortly after the first NaN, since only NaN follows."""
    if log.first_bad_iteration is None:
        return math.inf
    return max(log.first_bad_iteration * 1.3, log.first_bad_iteration + 5)


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:119] + "…"


def _curves(axis: Any, log: Evidence) -> None:
    def positive(value: float | None) -> float:
        return value if value is not None and math.isfinite(value) and value > 0 else math.nan

    end = _interesting_end(log)
    steps = [step for step in log.steps if step.iteration <= end]
    iterations = [step.iteration for step in steps]
    below = any(math.isfinite(step.loss) and step.loss < 0 for step in steps)
    losses = [step.loss if math.isfinite(step.loss) else math.nan for step in steps]
    axis.plot(iterations, losses, color="tab:blue", linewidth=1.2, label="loss")
    for index, out in enumerate(log.outputs if len(log.outputs) > 1 else []):
        color = f"C{index + 4}"
        axis.plot(*zip(*out.values, strict=True), color=color, linewidth=0.8, label=f"{out.name} (before weight)")
    tests = [
        (test.iteration, out.value)
        for test in log.tests
        for out in test.outputs
        if out.weight and test.iteration is not None and math.isfinite(out.value)
    ]
    if tests:
        axis.plot(*zip(*tests, strict=True), color="tab:orange", marker=".", linewidth=0.8, label="test loss")
    axis.set_yscale("symlog" if below else "log")
    axis.set_ylabel("loss")
    axis.set_xlabel("iteration")
    axis.grid(True, alpha=0.25)
    other = axis.twinx()
    other.plot(
        iterations,
        [positive(s.rate) for s in steps],
        color="tab:green",
        linewidth=0.9,
        label="learning rate",
    )
    known = [(step.iteration, positive(norm)) for step, norm in log.norms if step.iteration <= end]
    if any(not math.isnan(norm) for _, norm in known):
        other.plot(
            *zip(*known, strict=True),
            color="tab:red",
            linewidth=0.9,
            label="gradient L2 norm",
        )
    other.set_yscale("log")
    other.set_ylabel("rate, norm")
    _mark(axis, log)
    handles = [*axis.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
    axis.legend(handles=handles, fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False)


def _mark(axis: Any, log: Evidence) -> None:
    if log.first_bad_iteration is not None:
        axis.axvline(
            log.first_bad_iteration, color="black", linestyle="--", linewidth=1,
            label=f"first NaN or inf: iteration {log.first_bad_iteration}",
        )  # fmt: skip


def _table(
    log: Evidence, passes: list[Pass], direction: str, what: str, role: str
) -> tuple[list[int], list[str], list[list[float]]]:
    """Return the iterations, row names and values of a heat map, one row per blob, in forward order."""
    rows: dict[str, list[float]] = {}
    iterations = []
    for number, passed in enumerate(passes):
        if not any(value.key.direction == "Backward" for value in passed) and direction == "Backward":
            continue
        iterations.append(passed.iteration if passed.iteration is not None else number)
        for value in passed:
            key = value.key
            if (key.direction, key.what, key.role) != (direction, what, role) or key.layer.endswith("_split"):
                continue
            name = f"{key.layer} {key.blob}" if role == "param" or key.blob != key.layer else key.layer
            row = rows.setdefault(name, [])
            if len(row) < len(iterations):
                row += [math.nan] * (len(iterations) - 1 - len(row))
                row.append(value.value)
    names = list(rows)
    if direction == "Backward":  # from the loss down, with each layer's blobs in order: reverse the layers
        order = {layer: index for index, layer in enumerate(dict.fromkeys(name.split(" ")[0] for name in names))}
        names.sort(key=lambda name: -order[name.split(" ")[0]])
    step = max(1, -(-len(names) // ROWS))
    names = names[::step]
    return (
        iterations,
        names,
        [rows[name] + [math.nan] * (len(iterations) - len(rows[name])) for name in names],
    )


def _heat_map(
    figure: Any,
    axis: Any,
    title: str,
    iterations: list[int],
    names: list[str],
    values: list[list[float]],
    log: Evidence,
) -> None:
    from matplotlib.colors import ListedColormap  # of the extra `plot`

    broken = [[1.0 if not math.isfinite(value) else math.nan for value in row] for row in values]
    logarithms = [[_decade(value) for value in row] for row in values]
    finite = [value for row in logarithms for value in row if not math.isnan(value)]
    low, high = (min(finite), max(finite)) if finite else (_LOWEST, _HIGHEST)
    extent = (-0.5, len(iterations) - 0.5, len(names) - 0.5, -0.5)
    image = axis.imshow(
        logarithms, aspect="auto", cmap="viridis", vmin=max(low, _LOWEST), vmax=max(min(high, _HIGHEST), low + 1),
        extent=extent, interpolation="nearest",
    )  # fmt: skip
    axis.imshow(broken, aspect="auto", cmap=ListedColormap(["red"]), extent=extent, interpolation="nearest")
    axis.set_yticks(range(len(names)), names, fontsize=6)
    ticks = sorted({round(index * (len(iterations) - 1) / 10) for index in range(11)})
    axis.set_xticks(ticks, [str(iterations[tick]) for tick in ticks], fontsize=7)
    axis.set_title(f"mean |x|, {title} (log10; red: NaN or infinite)", fontsize=8, loc="left")
    figure.colorbar(image, ax=axis, pad=0.01)
    if log.first_bad_iteration in iterations:
        axis.axvline(iterations.index(log.first_bad_iteration) - 0.5, color="white", linestyle="--", linewidth=1)
    bad = log.first_bad
    if bad is None or log.bad_pass is None or log.bad_pass.iteration not in iterations:
        return
    for row, name in enumerate(names):
        if name in (bad.key.layer, f"{bad.key.layer} {bad.key.blob}") and not math.isfinite(
            values[row][iterations.index(log.bad_pass.iteration)]
        ):
            column = iterations.index(log.bad_pass.iteration)
            axis.plot(column, row, marker="x", color="white", markersize=7, markeredgewidth=1.6)
            axis.annotate("first", (column, row), color="white", fontsize=7, xytext=(5, -3), textcoords="offset points")


def _decade(value: float) -> float:
    if not math.isfinite(value):
        return math.nan
    return max(_LOWEST, math.log10(value)) if value > 0 else _LOWEST


def _causes(found: list[Diagnosed]) -> str:
    """Return the causes as a list in HTML."""
    causes = "".join(
        f"<li><b>{html.escape(f'{each.code} {each.name}')}</b> {html.escape(each.cause.message)}. "
        f"{html.escape(each.cause.reason)}</li>"
        for each in found
    )
    return f"<ol>{causes or '<li>No problem found.</li>'}</ol>\n"
