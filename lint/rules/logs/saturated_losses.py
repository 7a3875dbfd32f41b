"""Losses that are as large as they can be from the first displayed iteration on."""

from __future__ import annotations

from collections.abc import Iterator

from ...rule.registry import rule
from ...training_log.causes import Cause, shown, step_line
from ...training_log.course import find_explosion, is_saturated
from ...training_log.evidence import Evidence


@rule("T208", "saturated-loss", subject="log", severity="error")
def saturated_loss(log: Evidence) -> Iterator[Cause]:
    """Flags losses of 87.3365 in every iteration that the log shows.

    ## What it does

    Flags a log in which every displayed loss is 87.3365, the largest that SoftmaxWithLoss can give, divided by its loss weight.
    If the loss was lower before, T201 and others report it.

    ## Why is this bad?

    The class of every label has a probability of 0. At iteration 0, inputs or weights are too large, or labels are out of range, and
    no learning rate is to blame. Later, the training may have diverged before.

    ## When it is reported

    **error**, always: nothing is learned.

    ## Example

    There is no automatic fix, since the log does not show the beginning. Look at the first iterations.

    ## References

    softmax_loss_layer.cpp, Forward_cpu.
    """
    steps = log.steps
    if not steps or not all(is_saturated(log, step) for step in steps) or find_explosion(log) is not None:
        return
    first = steps[0]
    at_start = not first.iteration
    yield Cause(
        "saturated-loss",
        f"the loss is 87.3365 from iteration {first.iteration} on: the class of every label has a probability of 0",
        "Nothing was updated before iteration 0, so no learning rate is to blame: inputs or weights are too large, or labels are out "
        "of range."
        if at_start
        else "The training diverged before, or its inputs or weights were too large from the start. The log does not show which.",
        0.9,
        iteration=first.iteration,
        line=first.line,
        evidence=shown(step_line(first), step_line(steps[-1])),
        help="Check the scale of the inputs and the fillers with `caffe-lint signal`, and the labels with `caffe-lint inputs`."
        if at_start
        else "Pass the log from iteration 0 on.",
    )
