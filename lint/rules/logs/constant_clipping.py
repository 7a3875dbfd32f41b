"""Clip thresholds that are exceeded in every iteration."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...rule.registry import rule
from ...training_log.causes import Cause, Shown, shown
from ...training_log.course import clips_always, find_explosion, learned
from ...training_log.evidence import Evidence, median


@rule("T403", "constant-clipping", subject="log", severity="warning")
def constant_clipping(log: Evidence) -> Iterator[Cause]:
    """Flags clip thresholds so low that they scale down the gradients in every iteration.

    ## What it does

    Flags `Gradient clipping: scaling down gradients (L2 norm A > B)` in every iteration with a median norm of 10 times the
    threshold or more, if the log has at least 4 such lines and the loss did not fall, or nothing else to judge by (an
    excerpt).

    ## Why is this bad?

    Every step has the same length, whatever the gradient, so the threshold acts as the learning rate. A norm that large
    shows that something is large by construction: a loss that is a sum, or targets that are not scaled.

    ## When it is reported

    **warning**. Recurrent nets that always clip and learn are healthy and not reported; nor are one or two such lines, since
    clipping is meant to act now and then. Ignore it if steps of equal length are intended; a lower learning rate without
    clipping does the same more plainly.

    There is no fix: a higher threshold would lengthen every step by as much. Look for what makes the norm so large. To learn
    faster or slower, change `clip_gradients` as you would change `base_lr`.

    ## References

    sgd_solver.cpp, ClipGradients.
    """
    clipped = list(log.run.clipped)
    if len(clipped) < 4 or not all(math.isfinite(each.norm) for each in clipped):
        return
    norms = [each.norm for each in clipped]
    times = median(norms) / clipped[-1].bound if clipped[-1].bound > 0 else math.inf
    if not clips_always(log) or times < 10 or learned(log) or find_explosion(log) is not None:
        return
    yield Cause(
        "constant-clipping",
        f"clip_gradients {clipped[-1].bound:g} acts in every iteration: the median gradient norm is {median(norms):.3g}",
        f"Each gradient is scaled down to 1/{times:.0f}, so the threshold is the learning rate. "
        "Norms this large come from a loss that is a sum, or from targets that are not scaled.",
        0.75,
        None,
        None,
        clipped[0].iteration,
        clipped[0].line,
        shown(Shown(each.line, f"Gradient clipping: L2 norm {each.norm:g} > {each.bound:g}") for each in clipped[:3]),
    )
