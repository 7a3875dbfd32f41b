"""What a training prints: its loss and debug_info."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import set_field
from ...net.job import SolverFile
from ...rule.finding import Hit
from ...rule.registry import Option, rule
from ...source.written import is_whole


@rule("S109", "debug-info-without-display", subject="solver", severity="advice")
def debug_info_without_display(solver: SolverFile) -> Iterator[Hit]:
    """`debug_info` is on, but `display` is 0, so the training net shows nothing.

    ## What it does

    `debug_info: true` with a `display` that is missing or 0.

    ## Why is this bad?

    Caffe switches the training net's debug lines on in those iterations only that it displays. Without
    `display` the log holds neither losses nor debug lines; test nets alone print theirs.

    ## When it is reported

    The solver is read by a program that has `display` set.

    ## Example

    There is no fix: only you know how often to display.

    ## References

    solver.cpp, Solver::Step. Tried with the real Caffe.
    """
    message = solver.message
    if message["debug_info"] and message["display"] == 0 and is_whole(message, "display"):
        reason = "The training net prints its debug lines in displayed iterations only, and there is none."
        yield Hit(solver.file, message.span("debug_info"), "debug_info is on, but display is 0", reason)


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
