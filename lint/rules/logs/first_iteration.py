"""Losses that are NaN or infinite before anything was updated."""

from __future__ import annotations

from collections.abc import Iterator

from ...rule.registry import rule
from ...training_log.causes import Cause, rate_line, shown, step_line, value_line
from ...training_log.course import weights_not_finite
from ...training_log.evidence import Evidence


@rule(
    "T106",
    "non-finite-start",
    subject="log",
    severity="error",
    causes={"non-finite-weights": "Weights are NaN or infinite before any update: their filler, or the file they were loaded from."},
)
def non_finite_start(log: Evidence) -> Iterator[Cause]:
    """Flags losses that are NaN or infinite at iteration 0, before any update.

    ## What it does

    Flags a loss that is not finite at iteration 0 in a log without `debug_info`. Caffe computes it with the initial weights, or
    with those that it loaded, so the solver has had no effect yet. With `debug_info`, it flags weights that are not finite then;
    T101 and T102 flag data and layers.

    ## Why is this bad?

    No learning rate, momentum or clip threshold can be to blame, and none helps. NaN or infinity is in the data, the labels or the
    weights, or a layer computes something undefined: the logarithm of 0, BatchNorm of a constant with `eps: 0`.

    ## When it is reported

    **error**, always: the training is lost from the first update on.

    ## Fix

    `caffe-lint log --fix` sets `debug_info: true` and `display: 1`. One iteration is enough: the new log names the layer.

    ## Example

    `good/train.log` is that of the training after the data were repaired.

    ## References

    solver.cpp, Solver::Step: the loss is displayed before the update.
    """
    step = log.steps[0] if log.steps else None
    if step is None or step.iteration or step.finite:
        return
    resumed = log.run.resumed
    bad = log.first_bad
    if bad is not None:
        if bad.key.direction == "Forward" and log.bad_pass is log.first_pass and weights_not_finite(log, bad):
            yield Cause(
                "non-finite-weights",
                f"the weights of '{bad.key.layer}' are {bad.value:g} before any update: no learning rate is to blame",
                "The weights that were loaded are damaged." if resumed else "Its filler gives NaN or infinity.",
                0.98,
                bad.key.layer,
                bad.key.blob,
                0,
                bad.line,
                shown(value_line(bad), step_line(step)),
                help="Look at the weights in the .caffemodel." if resumed else "Check the weight_filler of the layer, and its std.",
            )
        return
    rate = f" The learning rate, {step.rate:g}, has not been used yet." if step.rate is not None else ""
    yield Cause(
        "non-finite-start",
        f"the loss is {step.loss:g} at iteration 0, before any update: no learning rate is to blame",
        f"NaN or infinity is in the data, the labels or the {'loaded' if resumed else 'initial'} weights, or a layer is outside its "
        f"domain.{rate}",
        0.995,
        iteration=0,
        line=step.line,
        evidence=shown(step_line(step), rate_line(step)),
        help="Run `caffe-lint inputs` on the net, and one iteration with debug_info: true, whose log names the first bad layer.",
    )
