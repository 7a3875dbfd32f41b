"""Tests that get worse, or stay at chance level, while the training loss falls."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...rule.registry import Option, rule
from ...training_log.causes import Cause, Shown, shown, step_line
from ...training_log.course import find_explosion, learned
from ...training_log.evidence import Evidence, median
from ...training_log.runs import Test

NEAR_CHANCE = 0.1  # of 1/K
NEAR_LIKELY_CHANCE = 0.25  # of 1/K, if K is estimated
_ACCURACIES = ("acc", "top1", "top-1", "top5", "top-5", "precision", "score")


@rule(
    "T401",
    "overfitting",
    subject="log",
    severity="warning",
    options={"rise": Option(1.25, "how many times its lowest value the test loss must be at the end", least=1)},
)
def overfitting(log: Evidence, *, rise: float) -> Iterator[Cause]:
    """Flags runs whose test loss rises while the training loss still falls.

    ## What it does

    Flags a test net with at least 4 tests and one loss, if the lowest test loss lies before the last quarter of the tests,
    and the test loss at the end is at least 1.25 times as high and above the training loss, which has fallen in the
    meantime. If there is an accuracy, it must not have improved. A test loss that merely stopped falling over the last half
    of the tests is not reported, since the learning rate may be the reason.

    ## Why is this bad?

    From then on, the net overfits the training set. Use the snapshot nearest to the lowest test loss.

    ## When it is reported

    **warning**. Ignore it if you want the net as it is at the end, for example because the score that counts still rises.

    ## Example

    There is no automatic fix. Use more data or augmentation, Dropout or weight_decay, or stop earlier.

    ## Options

    `rise`: how many times its lowest value the test loss must be at the end; 1.25 by default.

    ## References

    solver.cpp, TestAll. SageMaker Debugger's Overfit and Overtraining.
    """
    if log.first_bad_iteration is not None or find_explosion(log) is not None:
        return
    for net in sorted({test.net for test in log.tests}):
        curve = [
            (test, out.value)
            for test in log.tests
            if test.net == net
            for out in test.outputs[:8]
            if out.weight and out.weight > 0 and math.isfinite(out.value)
        ]
        if len({test.line for test, _ in curve}) < 4:
            continue
        names = [out.name for out in curve[0][0].outputs if out.weight]
        if len(names) != 1:
            continue
        lowest = min(range(len(curve)), key=lambda index: curve[index][1])
        end = median([value for _, value in curve[-max(1, len(curve) // 8) :]])
        at, best = curve[lowest]
        if lowest >= len(curve) * 0.75 or end < rise * best or end - best < 0.02:
            continue
        train_then = [s.loss for s in log.steps if at.iteration is not None and s.iteration <= at.iteration][-5:]
        train_now = [s.loss for s in log.steps][-5:]
        if not train_then or median(train_now) > median(train_then) or median(train_now) > end:
            continue
        last = curve[-1][0]
        scored = [(_accuracy(test), test) for test, _ in curve]
        reached = _accuracy(at)
        if reached is not None and (scored[-1][0] or 0.0) >= reached:
            continue  # predictions are better, only overconfident
        yield Cause(
            "overfitting",
            f"test loss rose from {best:.4g} (iteration {at.iteration}) to {end:.4g} while training loss fell to "
            f"{median(train_now):.4g}",
            f"From iteration {at.iteration} on, the net overfits the training set. Use the snapshot nearest to it.",
            0.85,
            None,
            names[0],
            at.iteration,
            at.line,
            shown(_test_line(at, best), _test_line(last, end), step_line(log.steps[-1])),
        )


@rule(
    "T402",
    "chance-level-accuracy",
    subject="log",
    severity="warning",
    causes={
        "accuracy-of-nan": "Comparisons with NaN are false, so Accuracy counts every item as correct.",
    },
)
def chance_level_accuracy(log: Evidence) -> Iterator[Cause]:
    """Flags test accuracies that stay at chance level while the training loss falls.

    ## What it does

    Flags a softmax training that has learned, if the accuracy of its last 3 tests is within a tenth of 1/K. If the log does not
    show the net, K comes from the loss of iteration 0, which is about ln K, and a quarter is allowed. Also flags an
    accuracy of exactly 1 while the loss is NaN: comparisons with NaN are false, so Accuracy counts every item as correct.

    ## Why is this bad?

    The test net sees different data (another transform, mean or label order), or BatchNorm's stored statistics differ from
    those of the training.

    ## When it is reported

    **warning**. Ignore it if the labels of the test data are meaningless.

    ## Example

    There is nothing to change in the solver: compare transform_param, mean and label order of the two nets, and check
    BatchNorm's use_global_stats. `good/train.log` is that of the training with test data that match the training data.

    ## References

    accuracy_layer.cpp; batch_norm_layer.cpp; solver.cpp, Test.
    """
    for test in log.tests:
        perfect = [out for out in test.outputs if "acc" in out.name.lower() and out.value == 1]
        broken = [out for out in test.outputs if not math.isfinite(out.value) or 87.3 < out.value < 87.37]
        if perfect and broken:
            yield Cause(
                "accuracy-of-nan",
                f"accuracy is 1 while {broken[0].name} = {broken[0].value:g}: the scores are NaN",
                "Comparisons with NaN are false, so Accuracy counts every item as correct.",
                0.4,
                None,
                perfect[0].name,
                test.iteration,
                test.line,
                (_test_line(test, broken[0].value),),
            )
            break
    classes = log.likely_classes
    if classes is None or classes < 3 or log.first_bad_iteration is not None or not learned(log):
        return
    only = log.single_loss
    if only is None or (only.type and not only.traits.log_likelihood) or only.traits.takes_matrix:
        return
    slack = NEAR_CHANCE if log.classes is not None else NEAR_LIKELY_CHANCE
    last = log.tests[-3:]
    if len(last) < 3 or (log.tests[-1].iteration or 0) == 0:
        return
    values = [
        out.value for test in last for out in test.outputs if any(word in out.name.lower() for word in _ACCURACIES)
    ]
    if not values or any(abs(value - 1 / classes) > slack / classes for value in values):
        return
    if max(values) > (1 + NEAR_CHANCE) * min(values):
        return
    yield Cause(
        "chance-level-accuracy",
        f"test accuracy stays at {values[-1]:.4g} (chance level: 1/{classes}) while training loss fell to "
        f"{log.steps[-1].loss:.4g}",
        "The training and test nets see different data or statistics: compare transform_param, mean and label "
        "order, and check BatchNorm's use_global_stats.",
        0.8,
        None,
        None,
        log.tests[-1].iteration,
        log.tests[-1].line,
        shown(
            (
                Shown(
                    t.line,
                    f"{t.heading}: " + ", ".join(f"{o.name} = {o.value:g}" for o in t.outputs[:3]),
                )
                for t in last
            ),
            step_line(log.steps[-1]),
        ),
    )


def _accuracy(test: Test) -> float | None:
    return next((out.value for out in test.outputs if "acc" in out.name.lower()), None)


def _test_line(test: Test, value: float) -> Shown:
    return Shown(test.line, f"{test.heading}: loss = {value:g}")
