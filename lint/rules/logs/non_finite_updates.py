"""Gradients and updates that are NaN or infinite though nothing had grown."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...layers.record import is_loss_type
from ...rule.registry import rule
from ...training_log.causes import Cause, Shown, norms_line, shown, value_line
from ...training_log.course import grew, weights_bad
from ...training_log.evidence import Evidence


@rule("T103", "non-finite-gradient", subject="log", severity="error")
def non_finite_gradient(log: Evidence) -> Iterator[Cause]:
    """The forward pass is finite, but a layer's gradient is NaN or infinite, and nothing had grown.

    ## What it does

    The first value that is not finite is a diff: `[Backward] Layer L, bottom blob B diff: nan`. What lies above
    that layer is finite, so it is this layer's gradient that has no value: a root at 0, a division by a distance of
    0, a layer of one's own. Where it is the loss's own gradient, the loss is out of its domain.

    ## Why is this bad?

    The next update makes every weight below NaN.

    ## When it is reported

    Never: every weight below is NaN after the next update.

    ## Example

    Or whatever keeps that layer's input away from where its slope has no value. `--fix` has no repair for it.

    ## References

    net.cpp, BackwardDebugInfo; power_layer.cpp, Backward_cpu; multinomial_logistic_loss_layer.cpp.
    """
    # Keeps what judges logs out of a list of rules.
    bad = log.first_bad
    if bad is None or bad.key.direction != "Backward" or grew(log):
        return
    assert log.bad_pass is not None
    kind = log.type_of(bad.key.layer)
    is_loss = is_loss_type(kind) or (not kind and "loss" in bad.key.layer.lower())
    forward = any(value.key.direction == "Forward" for value in log.bad_pass)
    after = [value for value in log.bad_pass if value.line > bad.line]
    above = [value for value in log.bad_pass if value.line < bad.line and value.key.direction == "Backward"]
    stops = next((value for value in after if value.finite and value.value == 0 and value.key.role == "bottom"), None)
    absolute = log.traits_of(bad.key.layer).takes_absolute or (not kind and "abs" in bad.key.layer.lower())
    cause, reason = (
        "non-finite-gradient",
        "The gradients above it are finite, so this layer's own has no value.",
    )
    if bad.key.role == "param" and above and above[-1].value == 0 and not forward:
        # A param's diff is its input times the diff above: 0 * NaN. Its bottom's diff is weights times the
        # same 0.
        cause, reason = (
            "forward-not-finite",
            (
                "The gradients beside it are exactly 0, and 0 times a finite input would be 0: the "
                "layer's input is NaN or infinite, "
                "so the forward pass broke before. Weights or data are bad from the start, or the "
                "statistics of a BatchNorm are blank."
            ),
        )
    elif is_loss:
        cause, reason = (
            "loss-gradient-not-finite",
            "It is the loss's own: its scores are NaN or infinite, or it is out of its domain.",
        )
    elif absolute:
        cause, reason = (
            "abs-gradient",
            "Caffe of before 2014-10 divided x by |x| for the sign, which is 0/0 where x is 0 "
            "(BVLC/caffe#1326 repaired it).",
        )
    if not forward and cause != "abs-gradient":
        reason += " The excerpt has no forward pass to tell more: `debug_info: true` with `display: 1` would."
    if stops is not None and cause != "forward-not-finite":
        reason += f" Below '{stops.key.layer}' the gradients are exactly 0."
    yield Cause(
        cause,
        f"the gradient of layer '{bad.key.layer}'{f' ({kind})' if kind else ''} is {bad.value:g}: "
        f"{bad.key.role} '{bad.key.blob}'",
        reason,
        0.85 if forward else 0.7,
        bad.key.layer,
        bad.key.blob,
        log.bad_pass.iteration,
        bad.line,
        shown(
            (above[-1:] and value_line(above[-1])) or None,
            value_line(bad),
            (value_line(value) for value in after[:2]),
            value_line(stops) if stops else None,
        ),
    )


@rule("T104", "non-finite-update", subject="log", severity="error")
def non_finite_update(log: Evidence) -> Iterator[Cause]:
    """Weights are NaN or infinite though the gradients before were finite and small: the update itself broke.

    ## What it does

    In two displayed iterations in a row: in the first everything is finite, the gradients too, and none had grown;
    in the second the weights are not. What lies between is the solver's own arithmetic. With a rate that is NaN or
    infinite in the log, it says so.

    ## Why is this bad?

    Adam with `momentum: 1` divides by 0 in its first step; `delta: 0` divides by 0 wherever a gradient is 0; a rate
    that overflows makes every weight infinite.

    ## When it is reported

    Never: the training is lost.

    ## Example

    `--fix` has no repair for it: more than one number of the solver may be to blame.

    ## References

    adam_solver.cpp, adagrad_solver.cpp, ComputeUpdateValue; sgd_solver.cpp, GetLearningRate.
    """
    for step in log.steps:
        if step.rate is not None and not math.isfinite(step.rate):
            yield Cause(
                "learning-rate-not-finite",
                f"the learning rate is {step.rate:g} in iteration {step.iteration}",
                "base_lr, gamma and power are to blame: every update is NaN from here on.",
                0.99,
                iteration=step.iteration,
                line=step.rate_line,
                evidence=(Shown(step.rate_line, f"Iteration {step.iteration}, lr = {step.rate:g}"),),
            )
            return
    bad, before = log.first_bad, log.pass_before_bad
    if bad is None or before is None or log.bad_pass is None or not weights_bad(log, bad) or grew(log):
        return
    if before.iteration is None or log.bad_pass.iteration != before.iteration + 1:
        return
    if before.norms is not None and not all(math.isfinite(norm) for norm in before.norms):
        return
    culprits = [
        text
        for wrong, text in (
            (log.setting("momentum") >= 1, f"momentum is {log.setting('momentum'):g}"),
            (log.solver is not None and "delta" in log.solver and log.setting("delta") == 0, "delta is 0"),
        )
        if wrong
    ]
    settings = "; ".join(culprits) or f"look at the settings of the solver ({log.solver_type})"
    yield Cause(
        "non-finite-update",
        f"the update after iteration {before.iteration} made the weights of '{bad.key.layer}' {bad.value:g}",
        f"All gradients of iteration {before.iteration} were finite and ordinary, so the solver's own "
        f"arithmetic broke: {settings}.",
        0.9,
        bad.key.layer,
        bad.key.blob,
        log.bad_pass.iteration,
        bad.line,
        shown(norms_line(before), value_line(bad)),
    )
