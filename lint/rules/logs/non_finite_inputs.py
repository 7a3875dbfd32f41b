"""Data and labels that are NaN or infinite, of the training net or a test net."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...rule.registry import rule
from ...training_log.causes import Cause, Shown, norms_line, shown, step_line, value_line
from ...training_log.course import growing_steps, weights_not_finite
from ...training_log.evidence import Evidence
from ...training_log.probing import bad_batches

# Iterations between two displayed ones in which a training can diverge unseen: 60 of 75 in `python benchmarks/log_length.py` need no
# more.
LONGEST_GAP = 10


@rule(
    "T101",
    "non-finite-input",
    subject="log",
    severity="error",
    causes={
        "nan-in-data": "A batch of data holds NaN. Only the data can be repaired: no setting of the solver makes up for it.",
        "inf-in-data": "A batch of data holds infinity. Only the data can be repaired.",
        "nan-in-label": "The labels or targets hold NaN. Only the data can be repaired.",
        "inf-in-label": "The labels or targets hold infinity. Only the data can be repaired.",
        "label-out-of-range": "A probe found labels outside the classes. Release builds do not check them.",
    },
)
def non_finite_input(log: Evidence) -> Iterator[Cause]:
    """Flags data or labels that are NaN or infinite.

    ## What it does

    Flags a data layer's top if it holds the first value in the log that is NaN or infinite: `[Forward] Layer data, top blob
    data data: nan`. Every value before it is finite. The message says whether it is the data or the labels (or targets),
    that is, what the losses compare with.

    If the log shows only every n-th iteration (`display`), the bad batch may lie between two displayed iterations. The first
    bad value is then in the first layer with weights, which are NaN by then, while the data of that iteration are clean. If
    neither loss nor gradients had grown before, such a batch is the likely cause, and it is reported with medium confidence. Without
    `debug_info` and with more than 10 iterations between two displayed ones, the training may as well have diverged unseen.

    In the log of a probe (`caffe-lint probe`), every batch with such a value is named, and every batch with a label outside
    the classes.

    ## Why is this bad?

    A single NaN in a single image makes every weight NaN in that iteration, and they stay NaN. Clipping, a lower learning
    rate or another loss weight cannot help: comparisons with NaN are false, so Caffe's clipping never acts. An infinite
    value may leave the loss of its own iteration finite, since MAX pooling drops NaN.

    ## When it is reported

    **error**, always: the training cannot recover.

    ## Example

    There is no automatic fix, since only the data can be repaired. Find the bad item with `caffe-lint inputs`, and repair or
    remove it. If nothing is shuffled, batch_size times the iteration tells where it is. `good/train.log` is that of the
    training with clean data.

    ## References

    net.cpp, ForwardDebugInfo; pooling_layer.cpp; sgd_solver.cpp, ClipGradients. `python benchmarks/log_judge.py` compares
    the diagnoses with real logs.
    """
    if log.is_probe:
        yield from bad_batches(log)
        return
    bad = log.first_bad
    if bad is not None and bad.key.direction == "Forward" and log.is_data(bad.key.layer):
        kind = "inf" if math.isinf(bad.value) else "nan"
        what = "label" if log.is_label(bad.key.layer, bad.key.blob) else "data"
        assert log.bad_pass is not None
        number, size = log.bad_pass.iteration, log.batch
        batch = f" The batch is number {number}, counted from 0" if number is not None else ""
        if number is not None and size:
            batch += f": items {size * number} to {size * (number + 1) - 1} if nothing is shuffled"
        yield Cause(
            f"{kind}-in-{what}",
            f"{'infinity' if kind == 'inf' else 'NaN'} in the {'labels' if what == 'label' else what}: "
            f"top '{bad.key.blob}' of data layer '{bad.key.layer}'",
            f"All values before it are finite, and no solver setting can make up for such a value.{batch}{'.' if batch else ''}",
            0.98,
            bad.key.layer,
            bad.key.blob,
            log.bad_pass.iteration,
            bad.line,
            shown((step_line(step) for step in log.healthy[-2:]), _norms_before(log), value_line(bad)),
        )
        return
    step = log.first_bad_step
    if step is None or growing_steps(log) or len(log.healthy) < 2:
        return
    if not _hidden(log, step.iteration):
        return
    before = log.healthy[-1]
    if bad is None and step.iteration - before.iteration > LONGEST_GAP:
        return  # it may as well have diverged in between: T405
    yield Cause(
        "nan-in-data",
        f"a batch between iterations {before.iteration} and {step.iteration} is likely to contain NaN or infinity",
        f"At iteration {before.iteration}, loss and gradients were finite and had not grown; at "
        f"{step.iteration}, everything is NaN. A log with `display: 1` and `debug_info: true` shows the data layer first.",
        0.6,
        bad.key.layer if bad is not None else None,
        bad.key.blob if bad is not None else None,
        step.iteration,
        bad.line if bad is not None else step.line,
        shown((step_line(each) for each in log.healthy[-3:]), step_line(step), value_line(bad) if bad else None),
    )


@rule(
    "T105",
    "non-finite-test-output",
    subject="log",
    severity="warning",
    causes={
        "nan-in-test":
            "A test net outputs NaN while the training is finite: its data, transform or BatchNorm statistics differ.",
        "nan-in-test-data": "The data of a test net hold NaN.",
    },
)
def non_finite_test_output(log: Evidence) -> Iterator[Cause]:
    """Flags test nets whose output is NaN or infinite while the training is finite.

    ## What it does

    Flags the first `Test net output` that is not finite, unless something in the training was not finite before. With
    `debug_info`, which Caffe prints for every iteration of a test, it names the first blob that is not finite.

    ## Why is this bad?

    The weights are finite, so the cause is in the test data or in what differs in phase TEST: BatchNorm uses its stored
    statistics there, which are blank before the first training iteration, and the data come from another source with another
    transform.

    ## When it is reported

    **warning**. Ignore it if only the test before the first iteration is not finite, and later ones are.

    ## Example

    There is nothing to change in the solver: check the test data and their transform, and BatchNorm's stored statistics. The
    second log is that of the training with clean test data.

    ## References

    solver.cpp, Solver::Test; batch_norm_layer.cpp.
    """
    for test in log.tests:
        limit = log.first_bad_iteration
        if limit is not None and test.iteration is not None and test.iteration >= limit:
            return
        wrong = [out for out in test.outputs if not math.isfinite(out.value)]
        if not wrong:
            continue
        passed = log.run.test_bad
        bad = next((value for value in passed if not value.finite), None) if passed is not None else None
        first = bad.key if bad is not None else None
        in_data = first is not None and first == next(iter(passed or ())).key
        when = f" at iteration {test.iteration}" if test.iteration is not None else ""
        yield Cause(
            "nan-in-test-data" if in_data else "nan-in-test",
            f"test net #{test.net} outputs {wrong[0].name} = {wrong[0].value:g}{when} "
            "while the training is finite",
            "The weights are finite, so check the test data and their transform, and BatchNorm's stored statistics."
            + (f" The first NaN or infinite value is in '{first.blob}' of layer '{first.layer}'." if first else ""),
            0.9,
            first.layer if first else None,
            first.blob if first else wrong[0].name,
            test.iteration,
            bad.line if bad else test.line,
            shown(
                value_line(bad) if bad else None,
                Shown(
                    test.line,
                    f"{test.heading}: {wrong[0].name} = {wrong[0].value:g}",
                ),
                (step_line(step) for step in log.healthy[-1:]),
            ),
        )
        return


def _hidden(log: Evidence, iteration: int) -> bool:
    """Whether the cause lies in iterations that were not displayed, or that have no debug_info."""
    bad = log.first_bad
    if bad is None:
        return True
    if log.healthy and iteration - log.healthy[-1].iteration <= 1:
        return False
    return weights_not_finite(log, bad)


def _norms_before(log: Evidence) -> Shown | None:
    before = log.pass_before_bad
    return norms_line(before) if before is not None else None
