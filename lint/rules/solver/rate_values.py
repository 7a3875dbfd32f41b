"""Learning rates that are zero, negative or not finite, or grow."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import number_text, set_field
from ...net.job import SolverFile
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.rate_course import INFINITE, NAN, NEGATIVE, ZERO, Fault, course, where_to_see
from ...solver.schedule import POLICIES, grows
from ...source.written import is_absent, place_beside


@rule("S125", "invalid-base-lr", subject="solver", severity="error")
def invalid_base_lr(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers whose learning rate is zero or negative from the start.

    ## What it does

    Flags a `base_lr` that is missing, zero, negative or NaN, with a policy whose rates are multiples of it.

    ## Why is this bad?

    `base_lr` has no default: if it is missing, the rate is 0. Caffe trains to the end without changing a weight and
    prints no message; the loss varies only with the data. A negative rate increases the loss: 2.3 became NaN in
    iteration 13.

    ## When it is reported

    Reported as an **error**. Nothing is reported if a fork's `min_lr` keeps the rate above 0. There is no fix,
    because only you know the value. Ignore it if you measure how fast the net runs, or the loss of an untrained net.

    ## References

    `SGDSolver::GetLearningRate` in sgd_solver.cpp. Verified with the real Caffe.
    """
    message = solver.message
    policy = POLICIES.get(message["lr_policy"])
    base = message["base_lr"]
    if base > 0 or (policy is not None and policy.scales_with != "base_lr") or message.get("min_lr", 0) > 0:
        return
    if is_absent(message, "base_lr"):
        reason = "base_lr has no default: the learning rate is 0 in every iteration, and no weight ever changes."
        yield Hit(solver.file, place_beside(message, "lr_policy"), "the solver has no base_lr", reason)
    elif "base_lr" in message and not _breaks_off(solver, "base_lr"):
        shown = f"base_lr is {number_text(base)}"
        reason = "The learning rate is 0 in every iteration, and no weight ever changes."
        if base != 0:
            reason = "With a negative learning rate, every step increases the loss."
        yield Hit(
            solver.file,
            message.span("base_lr"),
            shown,
            reason if base == base else "Every weight becomes NaN.",
        )


def _breaks_off(solver: SolverFile, name: str) -> bool:
    """Return whether the parser stopped inside the value of a field, as it does at the comma of `0,01`."""
    field = solver.message.field(name)
    return field is not None and any(0 <= problem.start - field.end <= 1 for problem in solver.file.tree.problems)


# The field that each policy's rate depends on most: the finding points to it.
_CAUSES = {"step": "gamma", "multistep": "gamma", "exp": "gamma", "inv": "power", "sigmoid": "gamma", "poly": "power"}


@rule("S128", "invalid-learning-rate", subject="solver", severity="error")
def invalid_learning_rate(solver: SolverFile) -> Iterator[Hit]:
    """Flags schedules whose learning rate becomes zero, negative, infinite or NaN.

    ## What it does

    Computes the learning rate over the whole run and flags the first range of iterations in which it is unusable.
    Examples are `gamma: 0`, a `gamma` that makes the rate too small for Caffe's 32-bit floats long before the end,
    and a `gamma` over 1 that makes it too large for them.

    ## Why is this bad?

    From that iteration on, nothing is learned, or every weight becomes infinite or NaN. The only sign is `lr = 0` or
    `lr = inf` in the log.

    ## When it is reported

    - **error** if the rate becomes negative, infinite or NaN;
    - **warning** if it becomes zero;
    - **advice** if it fades to zero after the first quarter of the run.

    Other rules report a rate that is zero or negative from the start (S125), a missing field (S122) and an invalid
    value (S123). There is no fix, because only you know the schedule; `caffe-lint schedule` shows the rates of the
    whole run. Ignore it if you stop the training by hand before that iteration.

    ## References

    `SGDSolver::GetLearningRate` in sgd_solver.cpp.
    """
    message = solver.message
    length = message["max_iter"]
    found = course(message, length) if length > 0 else None
    if found is None or not message["base_lr"] > 0:
        return
    policy = found.policy
    if message["gamma"] < 0 or any(is_absent(message, name) for name in policy.needs):
        return
    for fault in found.faults[:1]:
        field = _CAUSES.get(policy.name, "lr_policy")
        if field not in message:
            field = "lr_policy"
        value = f", {field} {number_text(message[field])}" if field != "lr_policy" else ""
        shown = f"learning rate is {fault.kind} {_when(fault, length)} (policy '{policy.name}'{value})"
        reason = f"{_MEANINGS[fault.kind]} {where_to_see(solver.file.path)}"
        severity = _of_zero(message, fault, length) if fault.kind == ZERO else ""
        yield Hit(solver.file, message.span(field), shown, reason, severity)


_MEANINGS = {
    ZERO: "Nothing is learned at a rate of 0; in Caffe, rates below 1e-45 are 0.",
    NEGATIVE: "A negative rate makes every update increase the loss.",
    INFINITE: "An infinite rate makes every weight infinite or NaN.",
    NAN: "A rate of NaN makes every weight NaN.",
}


def _of_zero(solver: Message, fault: Fault, length: int) -> str:
    """Return the severity of a rate of zero: advice if it fades to zero late, since most of the training is done by
    then.
    """
    return "advice" if solver["gamma"] and fault.first > length // 4 else "warning"


def _when(fault: Fault, length: int) -> str:
    """Return the range of iterations with the unusable rate."""
    if fault.last == length - 1:
        return f"from iteration {fault.first:,} of {length:,} on"
    return f"in iterations {fault.first:,} to {fault.last:,} of {length:,}"


@rule("S129", "growing-learning-rate", subject="solver", severity="warning", fixes="unsafe")
def growing_learning_rate(solver: SolverFile) -> Iterator[Hit]:
    """Flags a `gamma` over 1, which raises the learning rate at every step.

    ## What it does

    Flags a `gamma` over 1 with the policies step, multistep and exp, if at least one step is taken before `max_iter`.

    ## Why is this bad?

    These policies multiply the rate by `gamma`. A value over 1 is usually the factor by which the rate was meant to
    be divided. With `gamma: 10`, a training with a loss of 0.01 became NaN a few iterations after the first steps.

    ## When it is reported

    Reported as a **warning**. A `gamma` of 1, which keeps the rate constant, is not reported, and a rate that becomes
    infinite is reported by S128. Ignore it if you search for the largest usable rate, or warm up in steps.

    ## Fix

    Sets `gamma` to its reciprocal. It is unsafe, since the rate may be meant to grow.

    ## References

    `SGDSolver::GetLearningRate` in sgd_solver.cpp. Verified with the real Caffe.
    """
    message = solver.message
    found = course(message, message["max_iter"]) if grows(message) else None
    if found is None or found.faults:
        return  # S128 reports a rate that exceeds Caffe's 32-bit floats
    gamma, falling = message["gamma"], float(f"{1 / message['gamma']:.3g}")
    first, last = found.policy.rate(message, 0), found.policy.rate(message, message["max_iter"] - 1)
    if not first or last is None:
        return
    shown = f"gamma {number_text(gamma)} raises the learning rate from {number_text(first)} to {number_text(last)}"
    name = found.policy.name
    reason = f"Policy '{name}' multiplies the rate by gamma: to divide it by {number_text(gamma)}, write {number_text(falling)}."
    patch = set_field(solver.file.tree, message, "gamma", falling)
    fix = patch.fix(solver.file.path, f"set gamma to {number_text(falling)}", safe=False)
    yield Hit(solver.file, message.span("gamma"), shown, reason, fix=fix)
