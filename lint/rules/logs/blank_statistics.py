"""BatchNorm layers that use statistics which were never computed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...rule.registry import rule
from ...training_log.causes import Cause, shown, value_line
from ...training_log.evidence import Evidence
from ...training_log.runs import Pass, Value

LEAST_GAIN = 30.0  # of the output over the input; with the default eps of 1e-5, it is 316


@rule("T207", "batch-norm-blank-statistics", subject="log", severity="error")
def batch_norm_blank_statistics(log: Evidence) -> Iterator[Cause]:
    """Flags BatchNorm layers that normalise by statistics that are all 0.

    ## What it does

    In `debug_info`, flags a BatchNorm whose three blobs (mean, variance and factor) are all 0 after a forward pass, and whose output
    is at least 30 times its input, or no longer finite. In an excerpt that begins after its output, three such blobs before the
    first value that is not finite are enough.

    ## Why is this bad?

    `use_global_stats: true` in a training from scratch divides by sqrt(0 + eps), so that each such layer multiplies by 316. A few of
    them overflow. No learning rate and no clip threshold mends that.

    ## When it is reported

    **error**, always.

    ## Example

    There is no automatic fix: remove `use_global_stats`, so that Caffe sets it by the phase, or start from weights that have
    statistics.

    ## References

    batch_norm_layer.cpp, Forward_cpu: stored statistics are divided by blob 2, or multiplied by 0 if that is 0.
    """
    for passed in dict.fromkeys((*log.run.passes.first, *log.passes)):
        blank = _blank(log, passed)
        if not blank:
            continue
        top, gain, params = blank[0]
        name = params[0].key.layer
        times = f"multiplies by {gain:.3g}" if math.isfinite(gain) else "overflows"
        others = f" So do {len(blank) - 1} more." if len(blank) > 1 else ""
        yield Cause(
            "batch-norm-blank-statistics",
            f"BatchNorm '{name}' {times}: its statistics are blank",
            f"All three of its blobs are 0, so it divides by sqrt(eps). use_global_stats needs stored statistics.{others}",
            0.97,
            name,
            top.key.blob,
            log.first_bad_iteration if log.first_bad is not None else passed.iteration,
            log.first_bad.line if log.first_bad is not None else top.line,
            shown(value_line(value) for value in (top, *params)),
            help="Remove use_global_stats (Caffe sets it by the phase), or start from weights that have statistics.",
        )
        return


def _blank(log: Evidence, passed: Pass) -> list[tuple[Value, float, list[Value]]]:
    """The BatchNorm layers with blank statistics: output, gain and blobs."""
    found: list[tuple[Value, float, list[Value]]] = []
    before: dict[str, Value] = {}  # the last value of each blob
    last: Value | None = None
    views = {view.name: view for view in log.views(passed)}
    for view in views.values():
        bottoms = log.bottoms_of(passed, view.name) if log.layers else [before.get(view.tops[0].key.blob, last)] if view.tops else []
        below = max((value.value for value in bottoms if value is not None), default=0.0)
        params = list(view.params[:3])
        if len(params) == 3 and all(value.value == 0 for value in params) and _may_be_batch_norm(log, view.name):
            bad = log.first_bad
            if view.tops and math.isfinite(below) and below > 0 and not view.tops[0].value / below < LEAST_GAIN:
                found.append((view.tops[0], view.tops[0].value / below, params))
            elif not view.tops and bad is not None and bad.line == params[2].line + 1:
                found.append((bad, math.inf, params))
        for top in view.tops:
            before[top.key.blob] = last = top
    return found


def _may_be_batch_norm(log: Evidence, layer: str) -> bool:
    return not log.type_of(layer) or log.traits_of(layer).stores_statistics
