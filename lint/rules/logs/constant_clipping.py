"""Gradient clipping that acts in every iteration."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...rule.registry import rule
from ...training_log.causes import Cause, Shown, shown
from ...training_log.course import explosion, learnt
from ...training_log.evidence import Evidence, median


@rule("T403", "constant-clipping", subject="log", severity="warning")
def constant_clipping(log: Evidence) -> Iterator[Cause]:
    """Gradients are clipped in every iteration, far below their usual size: the bound acts as a learning rate.

    ## What it does

    `Gradient clipping: scaling down gradients (L2 norm A > B)` in every iteration with a median norm of 10 times
    the bound or more, in logs with at least 4 such lines and a loss that did not learn, or with nothing else to
    judge by (an excerpt). Recurrent nets that clip always and learn are healthy and not reported. One or two lines
    are no finding, as clipping is there to act now and then.

    ## Why is this bad?

    Every step has the same length, whatever the gradient; what the rate says no longer counts, and the norm tells
    that something is large by its making: a loss that is a sum, targets that are not scaled.

    ## When it is reported

    Steps of one length are wanted: then a lower rate with no bound does the same more plainly.

    ## Fix

    Look for what makes the norm so large. `--fix` writes the 90th percentile of the norms, as half of the steps
    would be cut by the median, and the largest would let through what clipping is for.

    ## References

    sgd_solver.cpp, ClipGradients.
    """
    clipped = list(log.run.clipped)
    if len(clipped) < 4 or not all(math.isfinite(each.norm) for each in clipped):
        return
    norms = [each.norm for each in clipped]
    times = median(norms) / clipped[-1].bound if clipped[-1].bound > 0 else math.inf
    iterations = log.steps[-1].iteration - log.steps[0].iteration if len(log.steps) > 1 else 0
    always = iterations == 0 or log.run.clipped.count >= 0.95 * iterations
    if not always or times < 10 or learnt(log) or explosion(log) is not None:
        return
    yield Cause(
        "constant-clipping",
        f"gradients are clipped in every iteration: a norm of {median(norms):.3g} "
        f"against a bound of {clipped[-1].bound:g}",
        f"Each step is cut to 1/{times:.0f}: the bound, not the rate, sets its length. Norms that large "
        f"come of a loss that is a sum, or of targets that are not scaled.",
        0.75,
        None,
        None,
        clipped[0].iteration,
        clipped[0].line,
        shown(Shown(each.line, f"Gradient clipping: L2 norm {each.norm:g} > {each.bound:g}") for each in clipped[:3]),
    )
