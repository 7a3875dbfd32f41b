"""Logs without the lines that would show where a training failed."""

from __future__ import annotations

from collections.abc import Iterator

from ...rule.registry import rule
from ...source.wording import counted
from ...training_log.causes import UNEXPLAINED, Cause, shown, step_line, value_line
from ...training_log.evidence import Evidence


@rule(
    "T405",
    "missing-debug-info",
    subject="log",
    severity="error",
    causes={
        "not-finite": "Values became NaN or infinite, and the log does not show why.",
    },
)
def missing_debug_info(log: Evidence) -> Iterator[Cause]:
    """Flags logs of a failed training that lack the lines to tell where it failed.

    ## What it does

    Flags a loss that is NaN or infinite in a log without `debug_info`, or without any healthy iteration before it. If no
    other rule finds a cause, it also flags the first value of `debug_info` that is not finite.

    ## Why is this bad?

    The loss alone does not tell which layer failed first, or whether it was the data.

    ## When it is reported

    - **advice** if another rule finds a likely cause (a confidence of 0.5 or more);
    - **error** otherwise.

    Ignore it if you know the cause.

    ## Fix

    `caffe-lint log --fix` sets `debug_info: true` and `display: 1`. Run the training again for as many iterations as it took
    to fail; the new log then names the layer that failed first. `good/train.log` is that of the training after
    the cause was repaired.

    ## References

    solver.cpp, Step: debug_info is printed in displayed iterations only.
    """
    bad = log.first_bad
    if bad is not None:
        iteration = log.bad_pass.iteration if log.bad_pass is not None else None
        since = "" if iteration is None else f" from iteration {iteration} on"
        yield Cause(
            UNEXPLAINED,
            f"values are NaN or infinite{since}, first in {bad.key.role} '{bad.key.blob}' of layer"
            f" '{bad.key.layer}'",
            "The log does not show why: neither loss nor gradients had grown before.",
            0.1,
            bad.key.layer,
            bad.key.blob,
            iteration,
            bad.line,
            shown((step_line(each) for each in log.healthy[-2:]), value_line(bad)),
        )
        return
    step = log.first_bad_step
    if step is None:
        return
    sound = len(log.healthy)
    before = log.healthy[-1] if log.healthy else None
    between = (
        f" At iteration {before.iteration}, it was {before.loss:.4g}: either a batch held NaN, or the training diverged in between."
        if before is not None
        else ""
    )
    yield Cause(
        "missing-debug-info",
        f"the loss is {step.loss:g} at iteration {step.iteration}; without debug_info, the first bad layer is unknown",
        f"Set debug_info: true and display: 1, and run the training again for "
        f"{counted(step.iteration + 1, 'iteration')}.{between}",
        0.2 if sound > 1 else 0.5,
        None,
        None,
        step.iteration,
        step.line,
        shown((step_line(s) for s in log.healthy[-2:]), step_line(step)),
    )
