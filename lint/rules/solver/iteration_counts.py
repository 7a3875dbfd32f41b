"""Numbers of iterations that must be positive."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import set_field
from ...net.job import Job, SolverFile
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.written import is_absent, place_beside


@rule("S106", "zero-max-iter", subject="job", severity="error")
def zero_max_iter(job: Job) -> Iterator[Hit]:
    """Flags solvers that train for no iterations.

    ## What it does

    Flags a `max_iter` that is missing, 0 or negative.

    ## Why is this bad?

    `max_iter` has no default and reads as 0. `caffe train` builds the nets, prints `Optimization Done.`, writes a
    snapshot of untrained weights and exits successfully.

    ## When it is reported

    - **error** in general.
    - **advice** if it looks intended: `max_iter: 0` in a solver with `test_iter` (Caffe runs the test once, before
      the first iteration), or no `max_iter` where a program seems to count the iterations with `solver.step(n)`: a
      script of the repository does, the training net has only inputs that a program fills, or the solver has
      `snapshot: 0`, because the program saves the weights. With policy poly a missing `max_iter` stays an error,
      because the rate is divided by it.

    There is no fix, because only you know the value. Ignore it if a program that is not in the repository calls
    `solver.step(n)`.

    ## References

    `Solver::Solve` and `Solver::Step` in solver.cpp. Verified with the real Caffe.
    """
    solver = job.solver
    message = solver.message
    if "max_iter" in message:
        value = message["max_iter"]
        if value <= 0:
            intended = bool(message["test_iter"])
            reason = (
                "Caffe runs the test once and trains nothing."
                if intended
                else "Caffe trains nothing and still reports success."
            )
            severity = "advice" if intended else "error"
            yield Hit(solver.file, message.span("max_iter"), f"max_iter is {value}", reason, severity)
    elif is_absent(message, "max_iter"):
        reason = "max_iter has no default: caffe train trains nothing and still reports success."
        severity = "error"
        if message["lr_policy"] == "poly":
            reason += " Policy poly divides by max_iter: in a script that calls step() the rate is NaN."
        elif _is_stepped(job):
            reason += " A script that calls step() does not need max_iter."
            severity = "advice"
        beside = place_beside(message, "lr_policy", "base_lr")
        yield Hit(solver.file, beside, "the solver has no max_iter", reason, severity)


def _is_stepped(job: Job) -> bool:
    """Whether a program seems to count the iterations of a solver by calls of `step`."""
    message = job.solver.message
    if ("snapshot" in message and message["snapshot"] == 0) or (job.train is not None and job.train.net.is_fed):
        return True
    from ...source.run_scripts import runs_of_solver  # keeps what reads scripts out of the start

    return any(run.steps for run in runs_of_solver(job.solver.file.path).runs)


@rule("S107", "invalid-iter-size", subject="solver", severity="error")
def invalid_iter_size(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers whose `iter_size` is zero or negative.

    ## What it does

    Flags an `iter_size` below 1.

    ## Why is this bad?

    Caffe runs no forward and no backward pass, divides by `iter_size`, and goes on through all iterations. The loss
    is NaN from the first iteration on, nothing is learned, and no message is printed.

    ## When it is reported

    Reported as an **error**. There is no fix, because only you know over how many batches to sum the gradient.

    ## References

    `Solver::Step` in solver.cpp. Verified with the real Caffe.
    """
    message = solver.message
    if message["iter_size"] < 1:
        reason = "Caffe runs no forward or backward pass: the loss is NaN and nothing is learned."
        yield Hit(solver.file, message.span("iter_size"), f"iter_size is {message['iter_size']}", reason)


@rule("S108", "invalid-average-loss", subject="solver", severity="error", fixes="safe")
def invalid_average_loss(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers whose `average_loss` is zero or negative.

    ## What it does

    Flags an `average_loss` below 1.

    ## Why is this bad?

    Caffe stops. `average_loss` is the number of iterations over which the displayed loss is averaged; 1 means no
    averaging.

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Replaces 0 with 1, since 0 can only mean that nothing is to be averaged. The fix is safe: it changes only what is
    displayed. Negative values are not fixed.

    ## References

    `Solver::Init` in solver.cpp. Verified with the real Caffe.
    """
    message = solver.message
    value = message["average_loss"]
    if value < 1:
        fix = None
        if value == 0:
            patch = set_field(solver.file.tree, solver.file.message, "average_loss", 1)
            fix = patch.fix(solver.file.path, "set average_loss to 1")
        reason = f"Caffe stops: Check failed: average_loss() >= 1 ({value} vs. 1)."
        yield Hit(solver.file, message.span("average_loss"), f"average_loss is {value}", reason, fix=fix)
