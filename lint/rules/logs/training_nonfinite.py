"""What is NaN or infinite without having grown so: data, labels, a layer out of its domain, a broken
update.

The pages; what they describe is judged in `training_log.nonfinite`, which only a log needs loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.registry import rule

if TYPE_CHECKING:
    from ...training_log.causes import Cause
    from ...training_log.evidence import Evidence


@rule("T101", "input-not-finite", subject="log", severity="error")
def input_not_finite(log: Evidence) -> Iterator[Cause]:
    """The data or the labels are NaN or infinite: the first bad value of the log is the top of a data layer.

    ## What it finds

    The first value of debug_info that is NaN or infinite, in the order of the log, where it is a data layer's top:
    `[Forward] Layer data, top blob data data: nan`. What stands before it is sound. It says whether it is the data
    or what the losses compare with.

    Where only every so many iterations are displayed, the guilty batch may lie between two of them. Then the first
    bad value is that of the first layer with weights, which are NaN already, while the data of that iteration are
    clean; and neither loss nor gradients had grown. That is said with less confidence.

    In the log of a probe (`caffe-lint probe`) every batch with such a value is named, and every one with a label
    that no class has.

    ## Why it hurts

    One NaN in one picture makes every weight NaN in that iteration, for good, whatever comes after. Clipping, a
    lower rate or another loss weight cannot help: NaN compares with nothing, so the clipping test is false. An
    infinite value may leave the loss of its iteration finite, as MAX pooling drops NaN.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.037 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.074 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.9
        I1122 13:20:00.111 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.148 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.3
        I1122 13:20:00.185 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: 0.01
        I1122 13:20:00.222 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: 0.02
        I1122 13:20:00.259 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 28); L2 norm = (1.6, 1.4)
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 0, loss = 2.3
        I1122 13:20:00.333 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.370 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.407 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.9
        I1122 13:20:00.444 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.481 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.1
        I1122 13:20:00.518 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: 0.01
        I1122 13:20:00.555 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: 0.02
        I1122 13:20:00.592 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 26); L2 norm = (1.6, 1.3)
        I1122 13:20:00.629 2729 solver.cpp:239] Iteration 1, loss = 2.1
        I1122 13:20:00.666 2729 net.cpp:593]     [Forward] Layer data, top blob data data: nan
        I1122 13:20:00.703 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.740 2729 net.cpp:593]     [Forward] Layer score, top blob score data: nan
        I1122 13:20:00.777 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.814 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: nan
        I1122 13:20:00.851 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: nan
        I1122 13:20:00.888 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: nan
        I1122 13:20:00.925 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, nan); L2 norm = (1.6, nan)
        I1122 13:20:00.962 2729 solver.cpp:239] Iteration 2, loss = nan

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 1
        debug_info: true
        snapshot_prefix: "lenet"

    ## Use instead

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    There is nothing to change in the prototxts: find the entry (batch_size times the iteration tells where, if
    nothing is shuffled) with `caffe-lint inputs`, and repair or remove it. The log is that of the training with
    sound data.

    ## When to ignore it

    Never: the training is lost.

    ## Sources

    net.cpp, ForwardDebugInfo; pooling_layer.cpp; sgd_solver.cpp, ClipGradients. `python benchmarks/log_judge.py`
    prints how it does on real logs.
    """
    from ...training_log.nonfinite import input_not_finite as judged

    yield from judged(log)


@rule("T102", "layer-out-of-domain", subject="log", severity="error")
def layer_out_of_domain(log: Evidence) -> Iterator[Cause]:
    """A layer makes NaN or infinity out of finite inputs, with finite weights.

    ## What it finds

    The first value that is not finite is a layer's top, its inputs and weights in the same pass are finite, and
    nothing had grown before: the layer was asked for what has no value. Which that is follows from its type: the
    logarithm of 0, a root of a negative number, 0/0 in BatchNorm with `eps: 0`, a Dropout of ratio 1, an infogain
    matrix with an infinity, a loss out of its domain.

    ## Why it hurts

    It is a matter of that layer, not of the solver: no rate is low enough.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.037 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.074 2729 net.cpp:593]     [Forward] Layer log, top blob log data: nan
        I1122 13:20:00.111 2729 net.cpp:593]     [Forward] Layer score, top blob score data: nan
        I1122 13:20:00.148 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.185 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: nan
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 0, loss = nan

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
          name: "log"
          type: "Log"
          bottom: "data"
          top: "log"
        }
        layer {
          name: "score"
          type: "InnerProduct"
          bottom: "log"
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
          name: "log"
          type: "Log"
          bottom: "data"
          top: "log"
          log_param { shift: 5 }
        }
        layer {
          name: "score"
          type: "InnerProduct"
          bottom: "log"
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

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    or whatever keeps that layer's input where it has a value. `--fix` has no repair for it: only you know what was
    meant.

    ## When to ignore it

    Never: the training is lost from that iteration on.

    ## Sources

    The layers' Forward_cpu: log_layer.cpp, power_layer.cpp, batch_norm_layer.cpp, infogain_loss_layer.cpp.
    """
    from ...training_log.nonfinite import layer_out_of_domain as judged

    yield from judged(log)


@rule("T103", "gradient-not-finite", subject="log", severity="error")
def gradient_not_finite(log: Evidence) -> Iterator[Cause]:
    """The forward pass is finite, but a layer's gradient is NaN or infinite, and nothing had grown.

    ## What it finds

    The first value that is not finite is a diff: `[Backward] Layer L, bottom blob B diff: nan`. What lies above
    that layer is finite, so it is this layer's gradient that has no value: a root at 0, a division by a distance of
    0, a layer of one's own. Where it is the loss's own gradient, the loss is out of its domain.

    ## Why it hurts

    The next update makes every weight below NaN.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.037 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.074 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.9
        I1122 13:20:00.111 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.148 2729 net.cpp:593]     [Forward] Layer root, top blob root data: 0.9
        I1122 13:20:00.185 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.31
        I1122 13:20:00.222 2729 net.cpp:619]     [Backward] Layer loss, bottom blob root diff: 0.01
        I1122 13:20:00.259 2729 net.cpp:619]     [Backward] Layer root, bottom blob score diff: 0.02
        I1122 13:20:00.296 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: 0.02
        I1122 13:20:00.333 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 28); L2 norm = (1.6, 1.4)
        I1122 13:20:00.370 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.407 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.444 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.481 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.9
        I1122 13:20:00.518 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.555 2729 net.cpp:593]     [Forward] Layer root, top blob root data: 0.9
        I1122 13:20:00.592 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.29
        I1122 13:20:00.629 2729 net.cpp:619]     [Backward] Layer loss, bottom blob root diff: 0.01
        I1122 13:20:00.666 2729 net.cpp:619]     [Backward] Layer root, bottom blob score diff: nan
        I1122 13:20:00.703 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: nan
        I1122 13:20:00.740 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, nan); L2 norm = (1.6, nan)
        I1122 13:20:00.777 2729 solver.cpp:239] Iteration 1, loss = 2.29
        I1122 13:20:00.814 2729 solver.cpp:239] Iteration 2, loss = nan

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
          name: "root"
          type: "Power"
          bottom: "score"
          top: "root"
          power_param { power: 0.5 shift: 1 }
        }
        layer {
          name: "loss"
          type: "SoftmaxWithLoss"
          bottom: "root"
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
          inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
        }
        layer {
          name: "root"
          type: "Power"
          bottom: "score"
          top: "root"
          power_param { power: 0.5 shift: 5 }
        }
        layer {
          name: "loss"
          type: "SoftmaxWithLoss"
          bottom: "root"
          bottom: "label"
          top: "loss"
        }

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    or whatever keeps that layer's input away from where its slope has no value. `--fix` has no repair for it.

    ## When to ignore it

    Never: every weight below is NaN after the next update.

    ## Sources

    net.cpp, BackwardDebugInfo; power_layer.cpp, Backward_cpu; multinomial_logistic_loss_layer.cpp.
    """
    from ...training_log.nonfinite import gradient_not_finite as judged

    yield from judged(log)


@rule("T104", "update-not-finite", subject="log", severity="error")
def update_not_finite(log: Evidence) -> Iterator[Cause]:
    """Weights are NaN or infinite though the gradients before were finite and small: the update itself broke.

    ## What it finds

    In two displayed iterations in a row: in the first everything is finite, the gradients too, and none had grown;
    in the second the weights are not. What lies between is the solver's own arithmetic. With a rate that is NaN or
    infinite in the log, it says so.

    ## Why it hurts

    Adam with `momentum: 1` divides by 0 in its first step; `delta: 0` divides by 0 wherever a gradient is 0; a rate
    that overflows makes every weight infinite.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.037 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.074 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.9
        I1122 13:20:00.111 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.148 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.3
        I1122 13:20:00.185 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: 0.01
        I1122 13:20:00.222 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: 0.02
        I1122 13:20:00.259 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 28); L2 norm = (1.6, 1.4)
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 0, loss = 2.3
        I1122 13:20:00.333 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.370 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.407 2729 net.cpp:593]     [Forward] Layer score, top blob score data: nan
        I1122 13:20:00.444 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: nan
        I1122 13:20:00.481 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: nan
        I1122 13:20:00.518 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: nan
        I1122 13:20:00.555 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: nan
        I1122 13:20:00.592 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, nan); L2 norm = (1.6, nan)
        I1122 13:20:00.629 2729 solver.cpp:239] Iteration 1, loss = nan

    `solver.prototxt`:

        net: "train_val.prototxt"
        type: "Adam"
        base_lr: 0.001
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 1
        display: 1
        debug_info: true
        snapshot_prefix: "lenet"

    ## Use instead

    `solver.prototxt`:

        net: "train_val.prototxt"
        type: "Adam"
        base_lr: 0.001
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 1
        debug_info: true
        snapshot_prefix: "lenet"

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    `--fix` has no repair for it: more than one number of the solver may be to blame.

    ## When to ignore it

    Never: the training is lost.

    ## Sources

    adam_solver.cpp, adagrad_solver.cpp, ComputeUpdateValue; sgd_solver.cpp, GetLearningRate.
    """
    from ...training_log.nonfinite import update_not_finite as judged

    yield from judged(log)


@rule("T105", "test-not-finite", subject="log", severity="warning")
def test_not_finite(log: Evidence) -> Iterator[Cause]:
    """A test net's output is NaN or infinite while the training is sound.

    ## What it finds

    `Test net output` lines that are not finite before anything of the training is. With debug_info, which test nets
    print always, it names the first blob.

    ## Why it hurts

    The weights are sound, so it is the test's own data, or what differs in the phase TEST: BatchNorm uses its
    stored statistics there, which are blank before the first training iteration, and data come from another source
    with another transform.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:347] Iteration 0, Testing net (#0)
        I1122 13:20:00.037 2729 solver.cpp:414]     Test net output #0: loss = nan (* 1 = nan loss)
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.111 2729 solver.cpp:347] Iteration 500, Testing net (#0)
        I1122 13:20:00.148 2729 solver.cpp:414]     Test net output #0: loss = nan (* 1 = nan loss)
        I1122 13:20:00.185 2729 solver.cpp:239] Iteration 500, loss = 1.12

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
        I1122 13:20:00.037 2729 solver.cpp:414]     Test net output #0: loss = 2.36 (* 1 = 2.36 loss)
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.111 2729 solver.cpp:347] Iteration 500, Testing net (#0)
        I1122 13:20:00.148 2729 solver.cpp:414]     Test net output #0: loss = 1.17 (* 1 = 1.17 loss)
        I1122 13:20:00.185 2729 solver.cpp:239] Iteration 500, loss = 1.12

    There is nothing to change in the solver: look at the test's own data and transform, and at BatchNorm's stored
    statistics. The log is that of the training with sound test data.

    ## When to ignore it

    The test that is not finite is the one before the first iteration, and later ones are sound.

    ## Sources

    solver.cpp, Solver::Test; batch_norm_layer.cpp.
    """
    from ...training_log.nonfinite import test_not_finite as judged

    yield from judged(log)
