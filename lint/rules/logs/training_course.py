"""How a training went that neither broke nor stood still: overfitting, tests at chance, clipping, labels.

The pages; what they describe is judged in `training_log.progress`, which only a log needs loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.registry import Option, rule

if TYPE_CHECKING:
    from ...training_log.causes import Cause  # keeps what judges logs out of a list of rules
    from ...training_log.evidence import Evidence  # keeps what judges logs out of a list of rules


@rule(
    "T401",
    "overfitting",
    subject="log",
    severity="warning",
    options={"rise": Option(1.25, "how many times its lowest the test loss must be at the end")},
)
def overfitting(log: Evidence, *, rise: float) -> Iterator[Cause]:
    """The test loss rises while the training loss still falls.

    ## What it does

    At least 4 tests of a net with a loss, whose lowest loss lies before the last quarter of them, which at the end
    is 1.25 times that or more, and above the training loss, which is lower at the end than it was then. Where there
    is an accuracy, it must not have gained meanwhile. Where the test loss has only stopped falling over the last
    half of the tests, nothing is said: that may be the rate.

    ## Why is this bad?

    What is learnt from then on is the training set. The snapshot nearest to the lowest test loss is the one to use.

    ## When it is reported

    The net is wanted at its end, whatever the test says: its accuracy is what counts, and still rises.

    ## Example

    More data or augmentation, Dropout, weight_decay, or an earlier end. `--fix` has no repair for it.

    ## Options

    `rise`: 1.25.

    ## References

    solver.cpp, TestAll. SageMaker Debugger's Overfit and Overtraining.
    """
    from ...training_log.progress import overfitting as judged  # keeps what judges logs out of a list of rules

    yield from judged(log, rise=rise)


@rule("T402", "chance-level-accuracy", subject="log", severity="warning")
def chance_level_accuracy(log: Evidence) -> Iterator[Cause]:
    """The training loss falls, but the tests stay where guessing is.

    ## What it does

    A softmax training that has learnt, and at least 3 tests whose accuracy is within a tenth of 1/K, or whose loss
    is at or over ln K, to the end. Also an accuracy of exactly 1 while the loss is NaN: comparisons with NaN are
    false, so Accuracy counts every item.

    ## Why is this bad?

    The test net sees other data (another transform, mean or label order), or BatchNorm's stored statistics are not
    those of the training.

    ## When it is reported

    The test data have labels that mean nothing.

    ## Example

    There is nothing to change in the solver: compare transform_param, mean and label order of the two nets, and
    look at BatchNorm's use_global_stats. The log is that of the training with test data that go with the training
    data.

    ## References

    accuracy_layer.cpp; batch_norm_layer.cpp; solver.cpp, Test.
    """
    from ...training_log.progress import test_at_chance as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)


@rule("T403", "constant-clipping", subject="log", severity="warning")
def constant_clipping(log: Evidence) -> Iterator[Cause]:
    """Gradients are clipped in every iteration, far below their usual size: the bound acts as a learning rate.

    ## What it does

    `Gradient clipping: scaling down gradients (L2 norm A > B)` in every iteration with a median norm of 10 times
    the bound or more, in logs with at least 4 such lines and a loss that did not learn, or with nothing else to
    judge by (an excerpt). Recurrent nets that clip always and learn are healthy and not reported. One or two lines
    are no finding, as clipping is there to act now and then.

    ## Why is this bad?

    Every step has the same length, whatever the gradient; what the rate says no longer counts, and the norm tells
    that something is large by its making: a loss that is a sum, targets that are not scaled.

    ## When it is reported

    Steps of one length are wanted: then a lower rate with no bound does the same more plainly.

    ## Fix

    Look for what makes the norm so large. `--fix` writes the 90th percentile of the norms, as half of the steps
    would be cut by the median, and the largest would let through what clipping is for.

    ## References

    sgd_solver.cpp, ClipGradients.
    """
    from ...training_log.progress import clipping_always as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)


@rule("T404", "label-out-of-range", subject="log", severity="error")
def label_out_of_range(log: Evidence) -> Iterator[Cause]:
    """The mean of the labels is larger than the number of classes allows.

    ## What it does

    In debug_info: a top of a data layer that a softmax loss over K classes takes as its labels, with a mean |x|
    over K - 1, where the loss ignores no label. Labels that are merely shifted by one have a mean below that, and
    leave no trace in the log.

    ## Why is this bad?

    A release build does not check labels: the loss reads the memory beside the row. That gives a loss that looks
    sound, or a crash without a word.

    ## When it is reported

    Never: the loss reads memory that is not its own.

    ## Example

    Count labels from 0, or raise num_output. `caffe-lint inputs` reads all labels. `--fix` has no repair for it.

    ## References

    softmax_loss_layer.cpp (DCHECK_GE, DCHECK_LT). Checked by running Caffe.
    """
    from ...training_log.progress import label_out_of_range as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)


@rule("T405", "missing-debug-info", subject="log", severity="error")
def missing_debug_info(log: Evidence) -> Iterator[Cause]:
    """The training broke, and the log lacks the lines that would say where.

    ## What it does

    A loss that is NaN or infinite in a log without debug_info, or without any sound iteration before; and, where no
    other rule finds a cause, the first value of debug_info that is not finite. Where another rule finds a likely cause
    (a confidence of 0.5 or more), it is an advice.

    ## Why is this bad?

    Which layer went first, and whether it was the data, cannot be told from the loss alone.

    ## When it is reported

    You know the cause.

    ## Fix

    `--fix` writes both. Run it again for as many iterations as it took to break; then the log names the layer that
    went first. The log above is that of the training once this is repaired.

    ## References

    solver.cpp, Step: debug_info is printed in displayed iterations only.
    """
    from ...training_log.progress import need_debug_info as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)
