"""What a report says of a run beside its causes: what is normal in it, and what could not be judged."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..layers.loss import LARGEST_SOFTMAX_TERM
from ..source.wording import counted
from .causes import Diagnosed
from .course import FEW, learned, swings
from .evidence import Evidence
from .runs import Run
from .symptoms import Seen, of_accuracy, of_loss

# Iterations after which nearly all trainings that diverge have shown it: 73 of the 75 in `python benchmarks/log_length.py`.
ENOUGH = 50
CANNOT_TELL = "Cannot tell"
_SAME = 0.02  # of the displayed loss by which the sum of its outputs may differ
_OF_BOXES = ("box", "loc", "coverage", "rpn", "reg")


def normal(log: Evidence, found: list[Diagnosed]) -> Iterator[Seen]:
    """The numbers of a run that people ask about: those of its causes, and those that are as they should be."""
    finite = [step for step in log.steps if math.isfinite(step.loss)]
    known = of_loss(log.raw_loss(finite[-1]), 5e-4) if finite else None
    is_level = bool(finite) and all(abs(step.loss - finite[-1].loss) < _SAME * abs(finite[-1].loss) for step in finite)
    if any(each.code in ("T501", "T502") for each in found):
        return
    if known is not None and known.name in ("softmax-floor", "log-floor", "chance") and (found or is_level):
        yield known
    if found:
        return
    if not log.steps:
        yield from _of_tests(log)
    weighted = [out for out in log.outputs if math.isfinite(out.weighted)]
    if finite and weighted:
        first = finite[0]
        added = sum((out.weight or 0) * out.value for out in first.outputs)
        if math.isfinite(added) and abs(added - first.loss) > _SAME * max(abs(first.loss), 1e-6):
            outputs = " + ".join(f"{(out.weight or 0) * out.value:.4g}" for out in first.outputs if out.weight is not None)
            yield Seen("loss-average", f"The loss of iteration {first.iteration} is {first.loss:.4g}, its outputs are {outputs}.")
    if finite and abs(log.raw_loss(finite[0])) > LARGEST_SOFTMAX_TERM + 1:
        yield Seen("large-loss", f"The loss starts at {log.raw_loss(finite[0]):.4g}.")
    for out in weighted:
        zeros = sum(value == 0 for _, value in out.values)
        if 0 < zeros < len(out.values) and any(word in out.name.lower() for word in _OF_BOXES):
            yield Seen("zero-loss", f"'{out.name}' is 0 in {zeros} of {len(out.values)} displayed iterations.")
            break
    if swings(log):
        yield Seen("swings")


def _of_tests(log: Evidence) -> Iterator[Seen]:
    """What the outputs of the last test mean, in a log that shows nothing else."""
    for out in log.tests[-1].outputs if log.tests else ():
        seen = of_accuracy(out.value) if "acc" in out.name.lower() else of_loss(out.value, 1e-3) if out.weight else None
        if seen is not None:
            yield seen


def unjudged(runs: list[Run], *, is_sure: bool) -> str:
    """What could not be judged of a log in which nothing was found, and what would settle it.

    If the log is too short for any judgement, the sentence begins with `Cannot tell`. `is_sure` says that every rule was asked.
    """
    log = Evidence(max(runs, key=lambda run: run.steps.count + run.passes.count))
    steps = log.steps
    count = log.run.steps.count
    span = steps[-1].iteration - steps[0].iteration if steps else 0
    has_debug = log.run.passes.count > 0
    if not steps:
        what = "only debug_info" if has_debug else "tests only" if log.tests else "no iteration"
        return (
            f"{CANNOT_TELL}: the log shows {what}, so there is no loss to judge. Pass the whole log, from `Initializing solver` on, "
            "or run a few iterations with `debug_info: true` and `display: 1`."
        )
    if count < FEW or (span < ENOUGH and not has_debug):
        debug = "with debug_info" if has_debug else "without debug_info"
        range_ = f"{steps[0].iteration} to {steps[-1].iteration}" if span else f"{steps[0].iteration}"
        many = f"{counted(count, 'displayed iteration')} ({range_}) {debug} {'are' if count > 1 else 'is'} too few"
        why = f"a course needs {FEW} or more" if count < FEW else f"trainings that diverge take up to {ENOUGH} iterations"
        return (
            f"{CANNOT_TELL}: {many}: {why}. Pass the whole log, or run {ENOUGH} iterations with `debug_info: true` and `display: 1`, "
            "and pass that log."
        )
    missing = []
    if not has_debug:
        missing.append("single layers and gradients (no debug_info)")
    if not log.tests:
        missing.append("generalisation (no test)")
    if not is_sure:
        missing.append("what the disabled rules look for")
    if not learned(log):
        missing.append("whether it learns (the loss has not fallen clearly)")
    return f"Not judged: {'; '.join(missing)}." if missing else ""
