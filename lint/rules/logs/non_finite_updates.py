"""Gradients and updates that are NaN or infinite although nothing had grown."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...layers.record import is_loss_type
from ...rule.registry import rule
from ...training_log.causes import Cause, Shown, norms_line, shown, value_line
from ...training_log.course import growing_steps, weights_not_finite
from ...training_log.evidence import Evidence


@rule(
    "T103",
    "non-finite-gradient",
    subject="log",
    severity="error",
    causes={
        "forward-not-finite": "The gradient is NaN because the forward pass was: 0 times NaN is NaN.",
        "loss-gradient-not-finite": "The gradient of the loss itself is NaN: its scores are, or it is outside its domain.",
        "abs-gradient": "AbsVal before October 2014 divided by |x|, which is 0/0 at 0.",
    },
)
def non_finite_gradient(log: Evidence) -> Iterator[Cause]:
    """Flags layers whose gradient is NaN or infinite although the forward pass is finite.

    ## What it does

    Flags a layer if the first value in the log that is not finite is one of its diffs, `[Backward] Layer L, bottom blob B
    diff: nan`, and neither loss nor gradients had grown before. The gradients above this layer are finite, so it is this
    layer's own gradient that is undefined: a root at 0, a division by a distance of 0, a fault in a custom layer. If it is
    the gradient of the loss itself, the loss is outside its domain.

    ## Why is this bad?

    The next update makes every weight below this layer NaN.

    ## When it is reported

    **error**, always: the training cannot recover.

    ## Example

    There is no automatic fix, since only you know what was meant. Here, a larger `shift` keeps the root away from 0;
    anything else that keeps the layer's input away from where its slope is undefined works as well.

    ## References

    net.cpp, BackwardDebugInfo; power_layer.cpp, Backward_cpu; multinomial_logistic_loss_layer.cpp.
    """
    bad = log.first_bad
    if bad is None or bad.key.direction != "Backward" or growing_steps(log):
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
        "The gradients above it are finite, so the gradient of this layer itself is undefined.",
    )
    if bad.key.role == "param" and above and above[-1].value == 0 and not forward:
        # A param's diff is the layer's input times the diff above: NaN * 0. Its bottom's diff is weights times the same 0.
        cause, reason = (
            "forward-not-finite",
            (
                "The gradients beside it are exactly 0, and 0 times a finite input is 0. So the layer's input is NaN or "
                "infinite, and the forward pass failed first: weights or data are bad from the start, or the "
                "statistics of a BatchNorm are blank."
            ),
        )
    elif is_loss:
        cause, reason = (
            "loss-gradient-not-finite",
            "This is the gradient of the loss itself: its scores are NaN or infinite, or it is outside its domain.",
        )
    elif absolute:
        cause, reason = (
            "abs-gradient",
            "Caffe before October 2014 computed the sign as x / |x|, which is 0/0 where x is 0 "
            "(fixed by BVLC/caffe#1326).",
        )
    if not forward and cause != "abs-gradient":
        reason += " This excerpt has no forward pass; a log with `debug_info: true` and `display: 1` shows more."
    if stops is not None and cause != "forward-not-finite":
        reason += f" Below '{stops.key.layer}', the gradients are exactly 0."
    yield Cause(
        cause,
        f"the gradient of layer '{bad.key.layer}'{f' ({kind})' if kind else ''} is {bad.value:g} for "
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


@rule(
    "T104",
    "non-finite-update",
    subject="log",
    severity="error",
    causes={
        "learning-rate-not-finite": "The learning rate itself is NaN or infinite: check base_lr, gamma and power.",
    },
)
def non_finite_update(log: Evidence) -> Iterator[Cause]:
    """Flags updates that make weights NaN or infinite although all gradients were finite.

    ## What it does

    Compares two consecutive displayed iterations. In the first, everything is finite, including the gradients, and nothing
    had grown; in the second, weights are not finite. All that lies between is the solver's own arithmetic. A learning rate
    that is NaN or infinite in the log is flagged as well.

    ## Why is this bad?

    Adam with `momentum: 1` divides by 0 in its first step; `delta: 0` divides by 0 wherever a gradient is 0; a learning rate
    that overflows makes every weight infinite.

    ## When it is reported

    **error**, always: the training is lost.

    ## Example

    There is no automatic fix, since more than one setting of the solver may be wrong. Here it is `momentum`.

    ## References

    adam_solver.cpp, adagrad_solver.cpp, ComputeUpdateValue; sgd_solver.cpp, GetLearningRate.
    """
    for step in log.steps:
        if step.rate is not None and not math.isfinite(step.rate):
            yield Cause(
                "learning-rate-not-finite",
                f"the learning rate is {step.rate:g} at iteration {step.iteration}",
                "Every update is NaN from there on. Check base_lr, gamma and power.",
                0.99,
                iteration=step.iteration,
                line=step.rate_line,
                evidence=(Shown(step.rate_line, f"Iteration {step.iteration}, lr = {step.rate:g}"),),
            )
            return
    bad, before = log.first_bad, log.pass_before_bad
    if bad is None or before is None or log.bad_pass is None or not weights_not_finite(log, bad) or growing_steps(log):
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
    settings = "; ".join(culprits) or f"check the settings of the solver ({log.solver_type})"
    yield Cause(
        "non-finite-update",
        f"the update after iteration {before.iteration} turned weights of '{bad.key.layer}' into {bad.value:g}",
        f"All gradients of iteration {before.iteration} were finite and of ordinary size, so the cause is the "
        f"solver's own arithmetic: {settings}.",
        0.9,
        bad.key.layer,
        bad.key.blob,
        log.bad_pass.iteration,
        bad.line,
        shown(norms_line(before), value_line(bad)),
    )
