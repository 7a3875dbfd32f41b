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
    """The learning rate is zero or negative from the start.

    ## What it does

    No `base_lr`, or one of zero or less, with a policy whose rates are multiples of it.

    ## Why is this bad?

    `base_lr` has no default: without it the rate is 0. Caffe trains to the end and changes no weight,
    without a word; the loss only wanders with the data. With a negative rate the loss is made to grow: 2.3
    became NaN in iteration 13.

    ## When it is reported

    You want to see how fast the net runs, or what the loss is without training.

    ## Example

    There is no fix: only you know the value.

    ## References

    sgd_solver.cpp, SGDSolver::GetLearningRate. Tried with the real Caffe.
    """
    message = solver.message
    policy = POLICIES.get(message["lr_policy"])
    base = message["base_lr"]
    if base > 0 or (policy is not None and policy.scales_with != "base_lr") or message.get("min_lr", 0) > 0:
        return
    if is_absent(message, "base_lr"):
        reason = "It has no default: every rate is 0, and no weight ever changes."
        yield Hit(solver.file, place_beside(message, "lr_policy"), "the solver has no base_lr", reason)
    elif "base_lr" in message and not _breaks_off(solver, "base_lr"):
        shown = f"base_lr is {number_text(base)}"
        reason = "Every rate is 0, and no weight ever changes."
        if base != 0:
            reason = "With a negative rate every step makes the loss grow."
        yield Hit(
            solver.file,
            message.span("base_lr"),
            shown,
            reason if base == base else "Every weight becomes NaN.",
        )


def _breaks_off(solver: SolverFile, name: str) -> bool:
    """Whether the parser has stopped inside the value of a field, as it does at the comma in 0,01."""
    field = solver.message.field(name)
    return field is not None and any(
        0 <= problem.start - field.end <= 1 for problem in solver.file.tree.problems
    )

# What each policy's rate depends on most, for the place of the finding.
_CAUSES = {"step": "gamma", "multistep": "gamma", "exp": "gamma", "inv": "power", "sigmoid": "gamma", "poly": "power"}


@rule("S128", "invalid-learning-rate", subject="solver", severity="error")
def invalid_learning_rate(solver: SolverFile) -> Iterator[Hit]:
    """The learning rate becomes zero, negative, infinite or NaN at some iteration of the run.

    ## What it does

    The whole schedule is walked through. What has a rule of its own is left to it: no rate from the start (S125), a
    field that is missing (S122) or refused (S123). Here are `gamma: 0`, a `gamma` with which the rate is too small for
    Caffe's 32 bits long before the end, and one over 1 with which it grows out of them. A rate of zero is a warning,
    or an advice if it fades away late in the run; the others are errors.

    ## Why is this bad?

    From that iteration on nothing is learnt, or every weight becomes infinite or NaN. Caffe says nothing but `lr = 0` or
    `lr = inf` in the log.

    ## When it is reported

    The training is stopped before, by hand.

    ## Example

    There is no fix: only you know the schedule. `caffe-lint schedule` shows the rates of the whole run.

    ## References

    sgd_solver.cpp, SGDSolver::GetLearningRate.
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
        value = f" with {field} {number_text(message[field])}" if field != "lr_policy" else ""
        shown = f"the rate of policy '{policy.name}'{value} is {fault.kind} {_when(fault, length)}"
        reason = f"{_MEANINGS[fault.kind]} {where_to_see(solver.file.path)}"
        severity = _of_zero(message, fault, length) if fault.kind == ZERO else ""
        yield Hit(solver.file, message.span(field), shown, reason, severity)

_MEANINGS = {
    ZERO: "Nothing is learnt then; a rate below 1e-45 is 0 to Caffe.",
    NEGATIVE: "The loss is made to grow then.",
    INFINITE: "Every weight becomes infinite or NaN then.",
    NAN: "Every weight becomes NaN then.",
}


def _of_zero(solver: Message, fault: Fault, length: int) -> str:
    """How bad a rate of zero is: one that fades for most of the run has had its effect."""
    return "advice" if solver["gamma"] and fault.first > length // 4 else "warning"


def _when(fault: Fault, length: int) -> str:
    if fault.last == length - 1:
        return f"from iteration {fault.first:,} on, of {length:,}"
    return f"in iterations {fault.first:,} to {fault.last:,}, of {length:,}"


@rule("S129", "growing-learning-rate", subject="solver", severity="warning", fixes="unsafe")
def growing_learning_rate(solver: SolverFile) -> Iterator[Hit]:
    """A `gamma` over 1 makes the learning rate larger at every step.

    ## What it does

    `gamma` over 1 with the policies step, multistep and exp, if a step is taken before `max_iter`. A gamma of 1 is a
    rate that stays, and not reported; one with which the rate becomes infinite is S128's.

    ## Why is this bad?

    These policies multiply the rate by `gamma`. Mostly the factor by which it is to be divided was written: with
    `gamma: 10` a training that was at a loss of 0.01 was NaN a few iterations after the first steps.

    ## When it is reported

    A search for the largest rate that a net bears, or a warm-up by steps.

    ## Fix

    The fix writes 1 / gamma. It is unsafe: the rate may be meant to grow.

    ## References

    sgd_solver.cpp, SGDSolver::GetLearningRate. Tried with the real Caffe.
    """
    message = solver.message
    found = course(message, message["max_iter"]) if grows(message) else None
    if found is None or found.faults:
        return  # where the rate grows out of Caffe's numbers, that is S128's
    gamma, falling = message["gamma"], float(f"{1 / message['gamma']:.3g}")
    first, last = found.policy.rate(message, 0), found.policy.rate(message, message["max_iter"] - 1)
    if not first or last is None:
        return
    shown = f"gamma {number_text(gamma)} makes the rate grow, from {number_text(first)} to {number_text(last)}"
    name = found.policy.name
    reason = f"Policy '{name}' multiplies by gamma: to divide by {number_text(gamma)}, write {number_text(falling)}."
    patch = set_field(solver.file.tree, message, "gamma", falling)
    fix = patch.fix(solver.file.path, f"write gamma: {number_text(falling)}", safe=False)
    yield Hit(solver.file, message.span("gamma"), shown, reason, fix=fix)
