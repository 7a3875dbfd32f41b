"""Accuracies that no guessing net can have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...rule.registry import rule
from ...training_log.causes import Cause, Shown, shown
from ...training_log.evidence import Evidence
from ...training_log.runs import Step, Test

LEAST_TESTS = 3
LEAST_STEPS = 10  # with an accuracy of one batch each, if there is no test
MOST_CLASSES = 100  # with more, a short test may be wrong every time
FELL = 0.5  # times the first loss


@rule("T407", "zero-accuracy", subject="log", severity="error")
def zero_accuracy(log: Evidence) -> Iterator[Cause]:
    """Flags accuracies that are exactly 0 in every test.

    ## What it does

    Flags an accuracy that is exactly 0 in 3 tests or more, or without tests in 10 displayed iterations, the training being finite, if
    there are at most 100 classes or the loss has fallen by half. The number of classes comes from the net, or from the loss of
    iteration 0, which is about ln K.

    ## Why is this bad?

    A net that guesses is right for 1/K of K classes. Exactly 0 is below chance: no label is a class that the net can predict. Labels
    are not 0 to K - 1, or those of the test set are not those of the training. Release builds do not check them.

    ## When it is reported

    **error**, always.

    ## Example

    There is no automatic fix. Run `caffe-lint inputs` on the net: it lists the labels.

    ## References

    accuracy_layer.cpp; softmax_loss_layer.cpp (checks that are compiled out).
    """
    limit = log.first_bad_iteration
    tests = [test for test in log.tests if limit is None or (test.iteration or 0) < limit]
    what: tuple[Sequence[Test | Step], str, int] = (tests, "tests", LEAST_TESTS)
    if not tests:
        what = (log.healthy, "displayed iterations", LEAST_STEPS)
    shown_in, word, least = what
    for name in dict.fromkeys(out.name for each in shown_in for out in each.outputs if "acc" in out.name.lower()):
        values = [(each, out.value) for each in shown_in for out in each.outputs if out.name == name]
        if len(values) < least or any(value != 0 for _, value in values) or not values[-1][0].iteration:
            continue
        losses = [out.value for test in tests for out in test.outputs if out.weight and math.isfinite(out.value)]
        losses = losses or [log.raw_loss(step) for step in log.healthy]
        classes = log.likely_classes
        fell = bool(losses) and min(losses) < FELL * losses[0]
        if not fell and (classes is None or classes > MOST_CLASSES):
            continue
        chance = f" Guessing would give 1/{classes}." if classes else ""
        yield Cause(
            "zero-accuracy",
            f"'{name}' is exactly 0 in all {len(values)} {word}, below chance: labels are not 0 to K - 1",
            f"No label is a class that the net can predict, or the labels of the test set are not those of the training.{chance}",
            0.92,
            None,
            name,
            values[-1][0].iteration,
            values[-1][0].line,
            shown(Shown(each.line, f"{each.heading}: {name} = 0") for each, _ in values[-3:]),
            help="Run `caffe-lint inputs` on the net: it lists the labels. Count them from 0, and give the last "
            "layer one output for each.",
        )
        return
