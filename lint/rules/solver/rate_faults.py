"""Family S, schedules whose rate becomes one, at some iteration of the run, from which nothing good is learnt."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import number_text
from ...net.job import SolverFile
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.rate_course import INFINITE, NAN, NEGATIVE, ZERO, Fault, course, where_to_see
from ...source.written import is_absent

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
