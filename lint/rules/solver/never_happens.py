"""Family S, what a solver is to save, show, shrink and run on: snapshots and lines that never come, or too often."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...fixes.fields import number_text, set_field
from ...net.job import SolverFile
from ...rule.finding import Hit
from ...rule.registry import Option, rule
from ...solver.schedule import largest_rate
from ...source.written import is_whole


@rule("S141", "missing-snapshots", subject="solver", severity="advice", fixes="unsafe")
def missing_snapshots(solver: SolverFile) -> Iterator[Hit]:
    """What is learnt is not saved, or only at the very end.

    ## What it does

    - `snapshot_after_train: false` with a `snapshot` that is 0, missing, or larger than `max_iter`: nothing is saved,
    - a `snapshot` larger than `max_iter`: it is never reached, and the end alone is saved.

    ## Why is this bad?

    In the first case the training runs to its end and is lost. In the second it is lost if it breaks before the end.

    ## When it is reported

    A script runs the solver and saves the weights itself.

    ## Fix

    The fix lets Caffe save the end. It is unsafe: somebody has written `false`. A smaller `snapshot` saves more, and is
    yours to choose.

    ## References

    solver.cpp, Solver::Step and Solver::Solve.
    """
    message = solver.message
    every, length = message["snapshot"], message["max_iter"]
    if length <= 0 or every < 0 or not is_whole(message, "snapshot"):
        return
    if not message["snapshot_after_train"] and (every == 0 or every > length):
        why = f"snapshot is {every:,} and max_iter {length:,}" if every else "no snapshot is asked for"
        patch = set_field(solver.file.tree, solver.file.message, "snapshot_after_train", True)
        yield Hit(
            solver.file,
            message.span("snapshot_after_train"),
            f"nothing is saved: {why}, and snapshot_after_train is false",
            "Caffe trains to the end and drops all that it has learnt.",
            fix=patch.fix(solver.file.path, "write snapshot_after_train: true", safe=False),
        )
    elif every > length:
        yield Hit(
            solver.file,
            message.span("snapshot"),
            f"snapshot is {every:,}, but the training ends at max_iter {length:,}",
            "Only the end is saved: what breaks before is lost.",
            "advice",
        )


@rule("S142", "missing-display", subject="solver", severity="advice", fixes="unsafe")
def missing_display(solver: SolverFile) -> Iterator[Hit]:
    """The training prints no loss.

    ## What it does

    A `display` that is written as 0, or larger than `max_iter`. Solvers with `debug_info` are told so by S109.

    ## Why is this bad?

    Caffe trains without a line about loss or learning rate. A loss that explodes is seen at the end, or at the next
    test.

    ## When it is reported

    A script runs the solver and prints the loss itself.

    ## Fix

    The fix writes 20, as many solvers of Caffe's own examples and models have it, or a hundredth of a shorter training.
    It is unsafe, though it changes the log only: how much you want to read is yours to say.

    ## References

    solver.cpp, Solver::Step. Tried with the real Caffe.
    """
    message = solver.message
    every, length = message["display"], message["max_iter"]
    if "display" not in message or message["debug_info"] or every < 0 or length <= 0 or 0 < every <= length:
        return
    if every:
        shown = f"display is {every:,}, but the training ends at max_iter {length:,}"
        reason = "Caffe prints the loss of iteration 0 alone."
    else:
        shown, reason = "display is 0", "Caffe prints neither loss nor learning rate while it trains."
    number = min(20, max(1, length // 100))
    fix = set_field(solver.file.tree, solver.file.message, "display", number).fix(
        solver.file.path, f"write display: {number}", safe=False
    )
    yield Hit(solver.file, message.span("display"), shown, reason, fix=fix)


@rule(
    "S143",
    "debug-info-left-on",
    subject="solver",
    severity="advice",
    fixes="safe",
    by_name=True,
    options={"most": Option(1000, "displayed iterations up to which debug_info is taken for a look at the training")},
)
def debug_info_left_on(solver: SolverFile, most: int) -> Iterator[Hit]:
    """A long training prints `debug_info` again and again.

    ## What it does

    `debug_info: true` in a solver that displays more than 1000 iterations (`most`).

    ## Why is this bad?

    In each displayed iteration Caffe goes over every blob of the net and prints a line for it, forward and backward, and
    more for each test. It takes time, and the log grows to where nobody finds the loss in it.

    ## When it is reported

    You are looking for the layer in which a long training breaks: `caffe-lint log` reads these lines.

    ## Fix

    The fix is safe, since it changes the log only, and is applied only where this rule is selected by its code or name.

    ## Options

    `most` is 1000, which is 20,000 iterations of which every 20th is displayed.

    ## References

    solver.cpp, Solver::Step; net.cpp, Net::ForwardDebugInfo and BackwardDebugInfo.
    """
    message = solver.message
    every, length = message["display"], message["max_iter"]
    if not message["debug_info"] or every <= 0 or length // every <= most:
        return
    patch = set_field(solver.file.tree, solver.file.message, "debug_info", False)
    yield Hit(
        solver.file,
        message.span("debug_info"),
        f"debug_info prints every blob in {length // every:,} iterations, every {every:,} of {length:,}",
        "The log grows large, and the training waits for it.",
        fix=patch.fix(solver.file.path, "write debug_info: false"),
    )


@rule("S145", "gpu-solver-mode", subject="solver", severity="advice", fixes="safe", default=False, by_name=True)
def gpu_solver_mode(solver: SolverFile) -> Iterator[Hit]:
    """The solver asks for a GPU.

    ## What it does

    `solver_mode: GPU`. The rule is off unless it is selected: it is for files that are to train on a CPU.

    ## Why is this bad?

    A Caffe built with CPU_ONLY stops at that: `Cannot use GPU in CPU-only Caffe`. Only what is written counts: where no
    `solver_mode` stands, `caffe train` without `-gpu` trains on the CPU, though the field's declared default is GPU.

    ## When it is reported

    The Caffe that reads the file has a GPU, or is called with `-gpu`, which goes before the file.

    ## Fix

    The fix is safe: the training is the same but for its speed. It is applied only where this rule is selected by its
    code or name. Layers that need a GPU are E219's.

    ## References

    tools/caffe.cpp, train. Tried with the real Caffe.
    """
    message = solver.message
    if message.get("solver_mode") == "GPU":
        patch = set_field(solver.file.tree, solver.file.message, "solver_mode", "CPU", text="CPU")
        yield Hit(
            solver.file,
            message.span("solver_mode"),
            "solver_mode is GPU",
            "A Caffe built for the CPU only stops at that.",
            fix=patch.fix(solver.file.path, "write solver_mode: CPU"),
        )


@rule(
    "S144",
    "high-weight-decay",
    subject="solver",
    severity="warning",
    options={"most": Option(0.1, "the largest weight_decay that is not reported")},
)
def high_weight_decay(solver: SolverFile, most: float) -> Iterator[Hit]:
    """A `weight_decay` that shrinks the weights faster than most nets learn.

    ## What it does

    With SGD or Nesterov and L2, a `weight_decay` of 0.1 or more (`most`). Where it makes the weights grow instead, that
    is S138.

    ## Why is this bad?

    Each iteration takes the share rate * weight_decay / (1 - momentum) from every weight, whatever the gradients. With
    0.0005, the usual value, and a rate of 0.01 a weight that nothing holds is halved in some 14,000 iterations; with 0.5
    in 14. What the data teach in between is soon forgotten, and the loss stays where guessing is.

    ## When it is reported

    Every layer scales it by a small `decay_mult`.

    ## Example

    There is no fix: only you know the value.

    ## Options

    `most` is 0.1: of some 600 public solvers, 4 of two repositories have more, two of them to try what it does.

    ## References

    sgd_solver.cpp, SGDSolver::Regularize and ComputeUpdateValue.
    """
    message = solver.message
    decay, momentum = message["weight_decay"], message["momentum"]
    rate = largest_rate(message)
    if decay < most or message["regularization_type"] != "L2" or message["type"] not in ("SGD", "Nesterov"):
        return
    if rate is None or not 0 < rate.value < math.inf or not 0 <= momentum < 1:
        return
    share = rate.value * decay / (1 - momentum)
    if rate.value * decay >= 1:
        return  # it overshoots: S138
    half = max(1, round(math.log(2) / share))
    iterations = "one iteration" if half == 1 else f"{half:,} iterations"
    yield Hit(
        solver.file,
        message.span("weight_decay"),
        f"weight_decay {number_text(decay)} halves the weights in {iterations}",
        f"At a rate of {number_text(rate.value)} and momentum {number_text(momentum)} it takes {share:.2g} of each weight"
        " in every iteration; 0.0005 is usual.",
    )
