"""How a training went that neither broke nor stood still: overfitting, tests at chance, clipping, labels.

The pages; what they describe is judged in `training_log.progress`, which only a log needs loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.registry import Option, rule

if TYPE_CHECKING:
    from ...training_log.causes import Cause
    from ...training_log.evidence import Evidence


@rule(
    "T401",
    "overfitting",
    subject="log",
    severity="warning",
    options={"rise": Option(1.25, "how many times its lowest the test loss must be at the end")},
)
def overfitting(log: Evidence, *, rise: float) -> Iterator[Cause]:
    """The test loss rises while the training loss still falls.

    ## What it finds

    At least 4 tests of a net with a loss, whose lowest loss lies before the last quarter of them, which at the end
    is 1.25 times that or more, and above the training loss, which is lower at the end than it was then. Where there
    is an accuracy, it must not have gained meanwhile. Where the test loss has only stopped falling over the last
    half of the tests, nothing is said: that may be the rate.

    ## Why it hurts

    What is learnt from then on is the training set. The snapshot nearest to the lowest test loss is the one to use.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:347] Iteration 0, Testing net (#0)
        I1122 13:20:00.037 2729 solver.cpp:414]     Test net output #0: loss = 2.3 (* 1 = 2.3 loss)
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.111 2729 solver.cpp:347] Iteration 1000, Testing net (#0)
        I1122 13:20:00.148 2729 solver.cpp:414]     Test net output #0: loss = 1.05 (* 1 = 1.05 loss)
        I1122 13:20:00.185 2729 solver.cpp:239] Iteration 1000, loss = 0.9
        I1122 13:20:00.222 2729 solver.cpp:347] Iteration 2000, Testing net (#0)
        I1122 13:20:00.259 2729 solver.cpp:414]     Test net output #0: loss = 0.8 (* 1 = 0.8 loss)
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 2000, loss = 0.5
        I1122 13:20:00.333 2729 solver.cpp:347] Iteration 3000, Testing net (#0)
        I1122 13:20:00.370 2729 solver.cpp:414]     Test net output #0: loss = 0.95 (* 1 = 0.95 loss)
        I1122 13:20:00.407 2729 solver.cpp:239] Iteration 3000, loss = 0.2
        I1122 13:20:00.444 2729 solver.cpp:347] Iteration 4000, Testing net (#0)
        I1122 13:20:00.481 2729 solver.cpp:414]     Test net output #0: loss = 1.2 (* 1 = 1.2 loss)
        I1122 13:20:00.518 2729 solver.cpp:239] Iteration 4000, loss = 0.08
        I1122 13:20:00.555 2729 solver.cpp:347] Iteration 5000, Testing net (#0)
        I1122 13:20:00.592 2729 solver.cpp:414]     Test net output #0: loss = 1.5 (* 1 = 1.5 loss)
        I1122 13:20:00.629 2729 solver.cpp:239] Iteration 5000, loss = 0.03

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 1000
        snapshot_prefix: "lenet"

    ## Use instead

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        weight_decay: 0.0005
        display: 1000
        snapshot_prefix: "lenet"

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:347] Iteration 0, Testing net (#0)
        I1122 13:20:00.037 2729 solver.cpp:414]     Test net output #0: loss = 2.3 (* 1 = 2.3 loss)
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.111 2729 solver.cpp:347] Iteration 1000, Testing net (#0)
        I1122 13:20:00.148 2729 solver.cpp:414]     Test net output #0: loss = 1.05 (* 1 = 1.05 loss)
        I1122 13:20:00.185 2729 solver.cpp:239] Iteration 1000, loss = 0.95
        I1122 13:20:00.222 2729 solver.cpp:347] Iteration 2000, Testing net (#0)
        I1122 13:20:00.259 2729 solver.cpp:414]     Test net output #0: loss = 0.8 (* 1 = 0.8 loss)
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 2000, loss = 0.6
        I1122 13:20:00.333 2729 solver.cpp:347] Iteration 3000, Testing net (#0)
        I1122 13:20:00.370 2729 solver.cpp:414]     Test net output #0: loss = 0.7 (* 1 = 0.7 loss)
        I1122 13:20:00.407 2729 solver.cpp:239] Iteration 3000, loss = 0.4
        I1122 13:20:00.444 2729 solver.cpp:347] Iteration 4000, Testing net (#0)
        I1122 13:20:00.481 2729 solver.cpp:414]     Test net output #0: loss = 0.64 (* 1 = 0.64 loss)
        I1122 13:20:00.518 2729 solver.cpp:239] Iteration 4000, loss = 0.3
        I1122 13:20:00.555 2729 solver.cpp:347] Iteration 5000, Testing net (#0)
        I1122 13:20:00.592 2729 solver.cpp:414]     Test net output #0: loss = 0.62 (* 1 = 0.62 loss)
        I1122 13:20:00.629 2729 solver.cpp:239] Iteration 5000, loss = 0.25

    More data or augmentation, Dropout, weight_decay, or an earlier end. `--fix` has no repair for it.

    ## When to ignore it

    The net is wanted at its end, whatever the test says: its accuracy is what counts, and still rises.

    ## Options

    `rise`: 1.25.

    ## Sources

    solver.cpp, TestAll. SageMaker Debugger's Overfit and Overtraining.
    """
    from ...training_log.progress import overfitting as judged

    yield from judged(log, rise=rise)


@rule("T402", "test-at-chance", subject="log", severity="warning")
def test_at_chance(log: Evidence) -> Iterator[Cause]:
    """The training loss falls, but the tests stay where guessing is.

    ## What it finds

    A softmax training that has learnt, and at least 3 tests whose accuracy is within a tenth of 1/K, or whose loss
    is at or over ln K, to the end. Also an accuracy of exactly 1 while the loss is NaN: comparisons with NaN are
    false, so Accuracy counts every item.

    ## Why it hurts

    The test net sees other data (another transform, mean or label order), or BatchNorm's stored statistics are not
    those of the training.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:347] Iteration 0, Testing net (#0)
        I1122 13:20:00.037 2729 solver.cpp:414]     Test net output #0: accuracy = 0.101
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.111 2729 solver.cpp:258]     Train net output #0: loss = 2.31 (* 1 = 2.31 loss)
        I1122 13:20:00.148 2729 solver.cpp:347] Iteration 1000, Testing net (#0)
        I1122 13:20:00.185 2729 solver.cpp:414]     Test net output #0: accuracy = 0.1
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 1000, loss = 0.9
        I1122 13:20:00.259 2729 solver.cpp:258]     Train net output #0: loss = 0.9 (* 1 = 0.9 loss)
        I1122 13:20:00.296 2729 solver.cpp:347] Iteration 2000, Testing net (#0)
        I1122 13:20:00.333 2729 solver.cpp:414]     Test net output #0: accuracy = 0.099
        I1122 13:20:00.370 2729 solver.cpp:239] Iteration 2000, loss = 0.5
        I1122 13:20:00.407 2729 solver.cpp:258]     Train net output #0: loss = 0.5 (* 1 = 0.5 loss)
        I1122 13:20:00.444 2729 solver.cpp:347] Iteration 3000, Testing net (#0)
        I1122 13:20:00.481 2729 solver.cpp:414]     Test net output #0: accuracy = 0.1
        I1122 13:20:00.518 2729 solver.cpp:239] Iteration 3000, loss = 0.2
        I1122 13:20:00.555 2729 solver.cpp:258]     Train net output #0: loss = 0.2 (* 1 = 0.2 loss)

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 100
        snapshot_prefix: "lenet"

    ## Use instead

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:347] Iteration 0, Testing net (#0)
        I1122 13:20:00.037 2729 solver.cpp:414]     Test net output #0: accuracy = 0.101
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.111 2729 solver.cpp:258]     Train net output #0: loss = 2.31 (* 1 = 2.31 loss)
        I1122 13:20:00.148 2729 solver.cpp:347] Iteration 1000, Testing net (#0)
        I1122 13:20:00.185 2729 solver.cpp:414]     Test net output #0: accuracy = 0.68
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 1000, loss = 0.9
        I1122 13:20:00.259 2729 solver.cpp:258]     Train net output #0: loss = 0.9 (* 1 = 0.9 loss)
        I1122 13:20:00.296 2729 solver.cpp:347] Iteration 2000, Testing net (#0)
        I1122 13:20:00.333 2729 solver.cpp:414]     Test net output #0: accuracy = 0.79
        I1122 13:20:00.370 2729 solver.cpp:239] Iteration 2000, loss = 0.5
        I1122 13:20:00.407 2729 solver.cpp:258]     Train net output #0: loss = 0.5 (* 1 = 0.5 loss)
        I1122 13:20:00.444 2729 solver.cpp:347] Iteration 3000, Testing net (#0)
        I1122 13:20:00.481 2729 solver.cpp:414]     Test net output #0: accuracy = 0.84
        I1122 13:20:00.518 2729 solver.cpp:239] Iteration 3000, loss = 0.2
        I1122 13:20:00.555 2729 solver.cpp:258]     Train net output #0: loss = 0.2 (* 1 = 0.2 loss)

    There is nothing to change in the solver: compare transform_param, mean and label order of the two nets, and
    look at BatchNorm's use_global_stats. The log is that of the training with test data that go with the training
    data.

    ## When to ignore it

    The test data have labels that mean nothing.

    ## Sources

    accuracy_layer.cpp; batch_norm_layer.cpp; solver.cpp, Test.
    """
    from ...training_log.progress import test_at_chance as judged

    yield from judged(log)


@rule("T403", "clipping-always", subject="log", severity="warning")
def clipping_always(log: Evidence) -> Iterator[Cause]:
    """Gradients are clipped in every iteration, far below their usual size: the bound acts as a learning rate.

    ## What it finds

    `Gradient clipping: scaling down gradients (L2 norm A > B)` in every iteration with a median norm of 10 times
    the bound or more, in logs with at least 4 such lines and a loss that did not learn, or with nothing else to
    judge by (an excerpt). Recurrent nets that clip always and learn are healthy and not reported. One or two lines
    are no finding, as clipping is there to act now and then.

    ## Why it hurts

    Every step has the same length, whatever the gradient; what the rate says no longer counts, and the norm tells
    that something is large by its making: a loss that is a sum, targets that are not scaled.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 sgd_solver.cpp:98] Gradient clipping: scaling down gradients (L2 norm 8 > 0.1) by scale factor 0.0125
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 1, loss = 2.32
        I1122 13:20:00.111 2729 sgd_solver.cpp:98] Gradient clipping: scaling down gradients (L2 norm 10 > 0.1) by scale factor 0.01
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 2, loss = 2.3
        I1122 13:20:00.185 2729 sgd_solver.cpp:98] Gradient clipping: scaling down gradients (L2 norm 6.25 > 0.1) by scale factor 0.016
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 3, loss = 2.31
        I1122 13:20:00.259 2729 sgd_solver.cpp:98] Gradient clipping: scaling down gradients (L2 norm 8 > 0.1) by scale factor 0.0125
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 4, loss = 2.31
        I1122 13:20:00.333 2729 sgd_solver.cpp:98] Gradient clipping: scaling down gradients (L2 norm 16 > 0.1) by scale factor 0.00625
        I1122 13:20:00.370 2729 solver.cpp:239] Iteration 5, loss = 2.3
        I1122 13:20:00.407 2729 sgd_solver.cpp:98] Gradient clipping: scaling down gradients (L2 norm 10 > 0.1) by scale factor 0.01

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        clip_gradients: 0.1
        display: 1
        snapshot_prefix: "lenet"

    ## Use instead

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        clip_gradients: 16
        display: 1
        snapshot_prefix: "lenet"

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    Look for what makes the norm so large. `--fix` writes the 90th percentile of the norms, as half of the steps
    would be cut by the median, and the largest would let through what clipping is for.

    ## When to ignore it

    Steps of one length are wanted: then a lower rate with no bound does the same more plainly.

    ## Sources

    sgd_solver.cpp, ClipGradients.
    """
    from ...training_log.progress import clipping_always as judged

    yield from judged(log)


@rule("T404", "label-out-of-range", subject="log", severity="error")
def label_out_of_range(log: Evidence) -> Iterator[Cause]:
    """The mean of the labels is larger than the number of classes allows.

    ## What it finds

    In debug_info: a top of a data layer that a softmax loss over K classes takes as its labels, with a mean |x|
    over K - 1, where the loss ignores no label. Labels that are merely shifted by one have a mean below that, and
    leave no trace in the log.

    ## Why it hurts

    A release build does not check labels: the loss reads the memory beside the row. That gives a loss that looks
    sound, or a crash without a word.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.037 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 499
        I1122 13:20:00.074 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.9
        I1122 13:20:00.111 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.148 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.3
        I1122 13:20:00.185 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: 0.01
        I1122 13:20:00.222 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: 0.02
        I1122 13:20:00.259 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 28); L2 norm = (1.6, 1.4)
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 0, loss = 2.3
        I1122 13:20:00.333 2729 solver.cpp:258]     Train net output #0: loss = 2.3 (* 1 = 2.3 loss)
        I1122 13:20:00.370 2729 solver.cpp:239] Iteration 1, loss = 2.1
        I1122 13:20:00.407 2729 solver.cpp:258]     Train net output #0: loss = 2.1 (* 1 = 2.1 loss)
        I1122 13:20:00.444 2729 solver.cpp:239] Iteration 2, loss = 1.9
        I1122 13:20:00.481 2729 solver.cpp:258]     Train net output #0: loss = 1.9 (* 1 = 1.9 loss)

    `solver.prototxt`:

        net: "net.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 1
        debug_info: true
        snapshot_prefix: "lenet"

    `net.prototxt`:

        layer {
          name: "data"
          type: "DummyData"
          top: "data"
          top: "label"
          dummy_data_param {
            shape { dim: 64 dim: 1 dim: 28 dim: 28 }
            shape { dim: 64 }
            data_filler { type: "gaussian" std: 1 }
            data_filler { type: "constant" value: 0 }
          }
        }
        layer {
          name: "score"
          type: "InnerProduct"
          bottom: "data"
          top: "score"
          inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
        }
        layer {
          name: "loss"
          type: "SoftmaxWithLoss"
          bottom: "score"
          bottom: "label"
          top: "loss"
        }

    ## Use instead

    `net.prototxt`:

        layer {
          name: "data"
          type: "DummyData"
          top: "data"
          top: "label"
          dummy_data_param {
            shape { dim: 64 dim: 1 dim: 28 dim: 28 }
            shape { dim: 64 }
            data_filler { type: "gaussian" std: 1 }
            data_filler { type: "constant" value: 0 }
          }
        }
        layer {
          name: "score"
          type: "InnerProduct"
          bottom: "data"
          top: "score"
          inner_product_param { num_output: 1000 weight_filler { type: "xavier" } }
        }
        layer {
          name: "loss"
          type: "SoftmaxWithLoss"
          bottom: "score"
          bottom: "label"
          top: "loss"
        }

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    Count labels from 0, or raise num_output. `caffe-lint inputs` reads all labels. `--fix` has no repair for it.

    ## When to ignore it

    Never: the loss reads memory that is not its own.

    ## Sources

    softmax_loss_layer.cpp (DCHECK_GE, DCHECK_LT). Checked by running Caffe.
    """
    from ...training_log.progress import label_out_of_range as judged

    yield from judged(log)


@rule("T405", "need-debug-info", subject="log", severity="error")
def need_debug_info(log: Evidence) -> Iterator[Cause]:
    """The training broke, and the log lacks the lines that would say where.

    ## What it finds

    A loss that is NaN or infinite in a log without debug_info, or without any sound iteration before; and, where no
    other rule finds a cause, the first value of debug_info that is not finite. Where another rule finds a likely cause
    (a confidence of 0.5 or more), it is an advice.

    ## Why it hurts

    Which layer went first, and whether it was the data, cannot be told from the loss alone.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = nan
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = nan

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 100
        snapshot_prefix: "lenet"

    ## Use instead

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        debug_info: true
        display: 1
        snapshot_prefix: "lenet"

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    `--fix` writes both. Run it again for as many iterations as it took to break; then the log names the layer that
    went first. The log above is that of the training once this is repaired.

    ## When to ignore it

    You know the cause.

    ## Sources

    solver.cpp, Step: debug_info is printed in displayed iterations only.
    """
    from ...training_log.progress import need_debug_info as judged

    yield from judged(log)
