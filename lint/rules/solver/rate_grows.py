"""Family S, schedules that raise the learning rate step by step."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import number_text, set_field
from ...net.job import SolverFile
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.rate_course import course
from ...solver.schedule import grows


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
