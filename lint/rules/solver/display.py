"""What a training prints: its loss and its debug lines."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import set_field
from ...net.job import SolverFile
from ...rule.finding import Hit
from ...rule.registry import Option, rule
from ...source.written import is_whole


@rule("S109", "debug-info-without-display", subject="solver", severity="advice")
def debug_info_without_display(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers with `debug_info: true` that never display an iteration.

    ## What it does

    Flags `debug_info: true` together with a `display` that is missing or 0.

    ## Why is this bad?

    Caffe prints the debug lines of the training net only in iterations that it displays. Without `display`, the log
    has neither losses nor debug lines of the training net; only the test nets print theirs.

    ## When it is reported

    Reported as **advice**. There is no fix, because only you know how often to display. Ignore it if a program reads
    the solver and sets `display` itself.

    ## References

    `Solver::Step` in solver.cpp. Verified with the real Caffe.
    """
    message = solver.message
    if message["debug_info"] and message["display"] == 0 and is_whole(message, "display"):
        reason = "The training net prints debug lines only in displayed iterations, and no iteration is displayed."
        yield Hit(solver.file, message.span("debug_info"), "debug_info is true, but display is 0", reason)


@rule("S142", "missing-display", subject="solver", severity="advice", fixes="unsafe")
def missing_display(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers whose training prints no loss.

    ## What it does

    Flags a `display` that is written as 0, or is larger than `max_iter`.

    ## Why is this bad?

    Caffe prints neither loss nor learning rate while it trains. A loss that explodes goes unnoticed until the next
    test or the end of the training.

    ## When it is reported

    Reported as **advice**. Nothing is reported for solvers with `debug_info` (S109), nor for solvers that do not
    set `display`. Ignore it if a script runs the solver and prints the loss itself.

    ## Fix

    Sets `display` to 20, as in many of Caffe's own examples and models, or to a hundredth of a training of less than
    2,000 iterations. The fix changes only the log; it is unsafe because how much to print is your decision.

    ## References

    `Solver::Step` in solver.cpp. Verified with the real Caffe.
    """
    message = solver.message
    every, length = message["display"], message["max_iter"]
    if "display" not in message or message["debug_info"] or every < 0 or length <= 0 or 0 < every <= length:
        return
    if every:
        shown = f"display is {every:,}, but the training ends at max_iter {length:,}"
        reason = "Caffe prints the loss of iteration 0 only."
    else:
        shown, reason = "display is 0", "Caffe prints neither loss nor learning rate while it trains."
    number = min(20, max(1, length // 100))
    fix = set_field(solver.file.tree, solver.file.message, "display", number).fix(
        solver.file.path, f"set display to {number}", safe=False
    )
    yield Hit(solver.file, message.span("display"), shown, reason, fix=fix)


@rule(
    "S143",
    "debug-info-left-on",
    subject="solver",
    severity="advice",
    fixes="safe",
    by_name=True,
    options={"most": Option(1000, "the largest number of displayed iterations that is not reported", least=0)},
)
def debug_info_left_on(solver: SolverFile, most: int) -> Iterator[Hit]:
    """Flags long trainings that keep printing `debug_info`.

    ## What it does

    Flags `debug_info: true` in a solver that displays more than 1000 iterations (`most`).

    ## Why is this bad?

    In each displayed iteration, Caffe reads every blob of the net and prints a line for it, in the forward and in the
    backward pass, and more lines in each test. This takes time, and the log grows
    so large that the loss is hard to find in it.

    ## When it is reported

    Reported as **advice**. Ignore it if you are looking for the layer in which a long training diverges: `caffe-lint
    log` reads these lines.

    ## Fix

    Sets `debug_info` to false. The fix is safe, since it changes only the log. It is applied only if this rule is
    selected by its code or name.

    ## Options

    `most`: the largest number of displayed iterations that is not reported. The default, 1000, corresponds to 20,000
    iterations of which every 20th is displayed.

    ## References

    `Solver::Step` in solver.cpp; `Net::ForwardDebugInfo` and `Net::BackwardDebugInfo` in net.cpp.
    """
    message = solver.message
    every, length = message["display"], message["max_iter"]
    if not message["debug_info"] or every <= 0 or length // every <= most:
        return
    patch = set_field(solver.file.tree, solver.file.message, "debug_info", False)
    yield Hit(
        solver.file,
        message.span("debug_info"),
        f"debug_info prints every blob in {length // every:,} of {length:,} iterations (display: {every})",
        "Computing and printing these lines slows the training down and makes the log large.",
        fix=patch.fix(solver.file.path, "set debug_info to false"),
    )
