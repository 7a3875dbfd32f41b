"""Counts of iterations that must be positive."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import set_field
from ...net.job import SolverFile
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.written import is_absent, place_beside


@rule("S106", "zero-max-iter", subject="solver", severity="error")
def zero_max_iter(solver: SolverFile) -> Iterator[Hit]:
    """The training has no iterations.

    ## What it does

    No `max_iter`, or one of 0 and less. Only an advice where that seems meant: `max_iter: 0` in a solver
    that tests (Caffe tests once, before the first iteration), and no `max_iter` beside `snapshot: 0`, as in
    solvers for scripts that call `solver.step(n)` and save the weights themselves. But policy poly divides
    by `max_iter` there, too.

    ## Why is this bad?

    `max_iter` has no default: it reads as 0. `caffe train` builds the nets, says `Optimization Done.`,
    writes a snapshot of weights that were never trained, and ends well.

    ## When it is reported

    The solver is read by a program that counts the iterations itself (`solver.step(n)` in Python).

    ## Example

    There is no fix: only you know the value.

    ## References

    solver.cpp, Solver::Solve and Solver::Step. Tried with the real Caffe.
    """
    message = solver.message
    if "max_iter" in message:
        value = message["max_iter"]
        if value <= 0:
            meant = bool(message["test_iter"])
            reason = (
                "Caffe tests once and trains nothing."
                if meant
                else "Caffe trains nothing and says that it is done."
            )
            severity = "advice" if meant else "error"
            yield Hit(solver.file, message.span("max_iter"), f"max_iter is {value}", reason, severity)
    elif is_absent(message, "max_iter"):
        reason = "It has no default: caffe train trains nothing and says that it is done."
        severity = "error"
        if message["lr_policy"] == "poly":
            reason += " Policy poly divides by it: in a script that calls step() the rate is NaN."
        elif "snapshot" in message and message["snapshot"] == 0:
            reason += " A script that calls step() does not need it."
            severity = "advice"
        beside = place_beside(message, "lr_policy", "base_lr")
        yield Hit(solver.file, beside, "the solver has no max_iter", reason, severity)


@rule("S107", "invalid-iter-size", subject="solver", severity="error")
def invalid_iter_size(solver: SolverFile) -> Iterator[Hit]:
    """`iter_size` is zero or negative.

    ## What it does

    An `iter_size` below 1.

    ## Why is this bad?

    Caffe runs no forward and backward pass at all, divides by `iter_size`, and goes on through all
    iterations: the loss is NaN from the first on and nothing is learnt. No message.

    ## When it is reported

    Never: every gradient is divided by it.

    ## Example

    There is no fix: only you know over how many batches the gradient was to be summed.

    ## References

    solver.cpp, Solver::Step. Tried with the real Caffe.
    """
    message = solver.message
    if message["iter_size"] < 1:
        reason = "Caffe runs no pass at all: the loss is NaN and nothing is learnt."
        yield Hit(solver.file, message.span("iter_size"), f"iter_size is {message['iter_size']}", reason)


@rule("S108", "invalid-average-loss", subject="solver", severity="error", fixes="safe")
def invalid_average_loss(solver: SolverFile) -> Iterator[Hit]:
    """`average_loss` is zero or negative.

    ## What it does

    An `average_loss` below 1.

    ## Why is this bad?

    Caffe stops. The number says over how many iterations the displayed loss is averaged: 1 means not at all.

    ## When it is reported

    Never: Caffe does not start.

    ## Fix

    The fix is safe: it writes 1 for 0, which can only mean that nothing is to be averaged. It changes what is
    displayed and nothing else.

    ## References

    solver.cpp, Solver::Init. Tried with the real Caffe.
    """
    message = solver.message
    value = message["average_loss"]
    if value < 1:
        fix = None
        if value == 0:
            patch = set_field(solver.file.tree, solver.file.message, "average_loss", 1)
            fix = patch.fix(solver.file.path, "write average_loss: 1")
        reason = f"Caffe stops: Check failed: average_loss() >= 1 ({value} vs. 1)."
        yield Hit(solver.file, message.span("average_loss"), f"average_loss is {value}", reason, fix=fix)
