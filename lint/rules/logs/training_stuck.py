"""Why a finite training does not learn: a rate of 0, no gradients, dead or saturated layers, gradients that
fade.

The pages; what they describe is judged in `training_log.standstill`, which only a log needs loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.registry import Option, rule

if TYPE_CHECKING:
    from ...training_log.causes import Cause
    from ...training_log.evidence import Evidence


@rule("T301", "learning-rate-zero", subject="log", severity="error")
def learning_rate_zero(log: Evidence) -> Iterator[Cause]:
    """The log says `lr = 0`: nothing is learnt from that iteration on.

    ## What it finds

    A displayed rate of exactly 0, before the last hundredth of the training: base_lr or gamma is missing or 0 (a
    step policy without gamma falls to 0 at its first step), or it underflowed.

    ## Why it hurts

    Every update is 0; the training goes on and tells nothing of it.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 sgd_solver.cpp:112] Iteration 0, lr = 0.01
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.111 2729 sgd_solver.cpp:112] Iteration 100, lr = 0.01
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 200, loss = 0.67
        I1122 13:20:00.185 2729 sgd_solver.cpp:112] Iteration 200, lr = 0
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 300, loss = 0.66
        I1122 13:20:00.259 2729 sgd_solver.cpp:112] Iteration 300, lr = 0

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "step"
        stepsize: 200
        max_iter: 10000
        momentum: 0.9
        display: 100
        snapshot_prefix: "lenet"

    ## Use instead

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "step"
        stepsize: 200
        max_iter: 10000
        momentum: 0.9
        gamma: 0.1
        display: 100
        snapshot_prefix: "lenet"

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 sgd_solver.cpp:112] Iteration 0, lr = 0.01
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.111 2729 sgd_solver.cpp:112] Iteration 100, lr = 0.01
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 200, loss = 0.67
        I1122 13:20:00.185 2729 sgd_solver.cpp:112] Iteration 200, lr = 0.001
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 300, loss = 0.61
        I1122 13:20:00.259 2729 sgd_solver.cpp:112] Iteration 300, lr = 0.001

    `--fix` writes `base_lr: 0.01` where base_lr is 0 or missing.

    ## When to ignore it

    A poly policy ends at 0: its last iterations are no finding.

    ## Sources

    sgd_solver.cpp, GetLearningRate.
    """
    from ...training_log.standstill import learning_rate_zero as judged

    yield from judged(log)


@rule("T302", "gradients-zero", subject="log", severity="error")
def no_gradient(log: Evidence) -> Iterator[Cause]:
    """No gradient reaches any weight: the diffs of all parameters are exactly 0, or there is no backward pass.

    ## What it finds

    `All net params (data, diff): L1 norm = (X, 0)` in pass after pass. Without a single [Backward] line of a layer,
    nothing is to be learnt: every lr_mult is 0, or `propagate_down: false` or a loss_weight of 0 cuts the way. With
    such lines and a loss of 0, the loss counts nothing: all labels are those to be ignored, or the infogain matrix
    is 0. A loss of exactly 0 from the start is reported without debug_info as well.

    ## Why it hurts

    There are no updates and no learning, and no message.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.037 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.074 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.9
        I1122 13:20:00.111 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.148 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.31
        I1122 13:20:00.185 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 0); L2 norm = (1.6, 0)
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.259 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.296 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.333 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.9
        I1122 13:20:00.370 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.407 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.34
        I1122 13:20:00.444 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 0); L2 norm = (1.6, 0)
        I1122 13:20:00.481 2729 solver.cpp:239] Iteration 1, loss = 2.34

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
          param { lr_mult: 0 }
          param { lr_mult: 0 }
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
          param { lr_mult: 1 }
          param { lr_mult: 2 }
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

    `--fix` has no repair for it: only you know which layers are to learn.

    ## When to ignore it

    The run was there to see the loss alone, or how fast the net is.

    ## Sources

    net.cpp, BackwardDebugInfo, Init ("does not need backward computation"); loss_layer.cpp, GetNormalizer.
    """
    from ...training_log.standstill import no_gradient as judged

    yield from judged(log)


@rule("T303", "dead-units", subject="log", severity="error")
def dead_units(log: Evidence) -> Iterator[Cause]:
    """A layer gives exactly 0 for every input, or its weights are all 0 or all equal: nothing below it learns.

    ## What it finds

    In the last pass that is finite, and in the first:

    - weights that are exactly 0, with tops of 0 above them: no weight_filler, which means constant 0
    - a ReLU whose top is exactly 0 (mean |x| 0): every unit is dead, and every diff below it is exactly 0
    - weights that a constant filler made all equal: all units of a layer then learn the same

    ## Why it hurts

    The gradient below is exactly 0. Only the biases above still move, to the frequencies of the labels, and the
    loss stays at ln K.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.037 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.074 2729 net.cpp:593]     [Forward] Layer ip1, top blob ip1 data: 0
        I1122 13:20:00.111 2729 net.cpp:605]     [Forward] Layer ip1, param blob 0 data: 0
        I1122 13:20:00.148 2729 net.cpp:593]     [Forward] Layer relu1, top blob ip1 data: 0
        I1122 13:20:00.185 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0
        I1122 13:20:00.222 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.259 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.3
        I1122 13:20:00.296 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: 0.01
        I1122 13:20:00.333 2729 net.cpp:619]     [Backward] Layer score, bottom blob ip1 diff: 0.001
        I1122 13:20:00.370 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: 0
        I1122 13:20:00.407 2729 net.cpp:619]     [Backward] Layer relu1, bottom blob ip1 diff: 0
        I1122 13:20:00.444 2729 net.cpp:630]     [Backward] Layer ip1, param blob 0 diff: 0
        I1122 13:20:00.481 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 2); L2 norm = (1.6, 0.1)
        I1122 13:20:00.518 2729 solver.cpp:239] Iteration 0, loss = 2.3026
        I1122 13:20:00.555 2729 solver.cpp:239] Iteration 1000, loss = 2.3026
        I1122 13:20:00.592 2729 solver.cpp:239] Iteration 2000, loss = 2.3026

    `solver.prototxt`:

        net: "net.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 1000
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
          name: "ip1"
          type: "InnerProduct"
          bottom: "data"
          top: "ip1"
          inner_product_param { num_output: 50 }
        }
        layer {
          name: "relu1"
          type: "ReLU"
          bottom: "ip1"
          top: "ip1"
        }
        layer {
          name: "score"
          type: "InnerProduct"
          bottom: "ip1"
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
          name: "ip1"
          type: "InnerProduct"
          bottom: "data"
          top: "ip1"
          inner_product_param { num_output: 50 weight_filler { type: "msra" } }
        }
        layer {
          name: "relu1"
          type: "ReLU"
          bottom: "ip1"
          top: "ip1"
        }
        layer {
          name: "score"
          type: "InnerProduct"
          bottom: "ip1"
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

    A weight_filler (msra before ReLU, xavier else); a lower rate or bias where ReLUs died in the course. `--fix`
    has no repair for it.

    ## When to ignore it

    Never: nothing below that layer learns.

    ## Sources

    filler.hpp; relu_layer.cpp; net.cpp, ForwardDebugInfo. Checked by running Caffe.
    """
    from ...training_log.standstill import dead_units as judged

    yield from judged(log)


@rule(
    "T304",
    "vanishing-gradient",
    subject="log",
    severity="warning",
    options={"ratio": Option(1e-4, "first over last gradient of the weights, below which gradients have vanished")},
)
def vanishing_gradient(log: Evidence, *, ratio: float) -> Iterator[Cause]:
    """Gradients or signals fade layer by layer until the first layers do not learn.

    ## What it finds

    A training that does not learn in whose debug_info

    - the mean |diff| of the first weights is less than 1e-4 of the last ones', or
    - all weights' diffs are less than 1e-4 of their data, because the signal itself fades on its way up: the tops
      shrink layer by layer (weights too small), so that only the last bias learns

    It names the first layer that is out of reach and what the values are there.

    ## Why it hurts

    A sigmoid passes on a quarter of a gradient at most: after 8 of them 1e-5 is left. Weights with a std of 0.01 in
    12 layers leave 1e-14.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.037 2729 net.cpp:593]     [Forward] Layer ip1, top blob ip1 data: 0.002
        I1122 13:20:00.074 2729 net.cpp:605]     [Forward] Layer ip1, param blob 0 data: 8e-05
        I1122 13:20:00.111 2729 net.cpp:593]     [Forward] Layer sig1, top blob sig1 data: 0.5
        I1122 13:20:00.148 2729 net.cpp:593]     [Forward] Layer ip2, top blob ip2 data: 0.0003
        I1122 13:20:00.185 2729 net.cpp:605]     [Forward] Layer ip2, param blob 0 data: 8e-05
        I1122 13:20:00.222 2729 net.cpp:593]     [Forward] Layer sig2, top blob sig2 data: 0.5
        I1122 13:20:00.259 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.4
        I1122 13:20:00.296 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.2
        I1122 13:20:00.333 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.31
        I1122 13:20:00.370 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: 0.01
        I1122 13:20:00.407 2729 net.cpp:619]     [Backward] Layer score, bottom blob sig2 diff: 0.005
        I1122 13:20:00.444 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: 0.04
        I1122 13:20:00.481 2729 net.cpp:619]     [Backward] Layer sig2, bottom blob ip2 diff: 0.001
        I1122 13:20:00.518 2729 net.cpp:619]     [Backward] Layer ip2, bottom blob sig1 diff: 4e-07
        I1122 13:20:00.555 2729 net.cpp:630]     [Backward] Layer ip2, param blob 0 diff: 0.0004
        I1122 13:20:00.592 2729 net.cpp:619]     [Backward] Layer sig1, bottom blob ip1 diff: 1e-07
        I1122 13:20:00.629 2729 net.cpp:630]     [Backward] Layer ip1, param blob 0 diff: 6e-08
        I1122 13:20:00.666 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (82, 18); L2 norm = (4.1, 0.9)
        I1122 13:20:00.703 2729 solver.cpp:239] Iteration 0, loss = 2.304
        I1122 13:20:00.740 2729 solver.cpp:239] Iteration 1000, loss = 2.302
        I1122 13:20:00.777 2729 solver.cpp:239] Iteration 2000, loss = 2.304
        I1122 13:20:00.814 2729 solver.cpp:239] Iteration 3000, loss = 2.302
        I1122 13:20:00.851 2729 solver.cpp:239] Iteration 4000, loss = 2.304
        I1122 13:20:00.888 2729 solver.cpp:239] Iteration 5000, loss = 2.302
        I1122 13:20:00.925 2729 solver.cpp:239] Iteration 6000, loss = 2.304
        I1122 13:20:00.962 2729 solver.cpp:239] Iteration 7000, loss = 2.302
        I1122 13:20:00.999 2729 solver.cpp:239] Iteration 8000, loss = 2.304

    `solver.prototxt`:

        net: "net.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 1000
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
          name: "ip1"
          type: "InnerProduct"
          bottom: "data"
          top: "ip1"
          inner_product_param { num_output: 50 weight_filler { type: "gaussian" std: 0.0001 } }
        }
        layer {
          name: "sig1"
          type: "Sigmoid"
          bottom: "ip1"
          top: "sig1"
        }
        layer {
          name: "ip2"
          type: "InnerProduct"
          bottom: "sig1"
          top: "ip2"
          inner_product_param { num_output: 50 weight_filler { type: "gaussian" std: 0.0001 } }
        }
        layer {
          name: "sig2"
          type: "Sigmoid"
          bottom: "ip2"
          top: "sig2"
        }
        layer {
          name: "score"
          type: "InnerProduct"
          bottom: "sig2"
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
          name: "ip1"
          type: "InnerProduct"
          bottom: "data"
          top: "ip1"
          inner_product_param { num_output: 50 weight_filler { type: "msra" } }
        }
        layer {
          name: "sig1"
          type: "ReLU"
          bottom: "ip1"
          top: "sig1"
        }
        layer {
          name: "ip2"
          type: "InnerProduct"
          bottom: "sig1"
          top: "ip2"
          inner_product_param { num_output: 50 weight_filler { type: "msra" } }
        }
        layer {
          name: "sig2"
          type: "ReLU"
          bottom: "ip2"
          top: "sig2"
        }
        layer {
          name: "score"
          type: "InnerProduct"
          bottom: "sig2"
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

    msra with ReLU instead of sigmoids, xavier instead of a small gaussian, BatchNorm. `--fix` has no repair for it.

    ## When to ignore it

    The log is the beginning of a training that starts slowly: look again when it has run for longer.

    ## Options

    `ratio`: 1e-4 (healthy nets measured 0.05 to 2).

    ## Sources

    net.cpp, BackwardDebugInfo: means of |x|, not norms. Measured on the runs of `python benchmarks/log_judge.py`.
    """
    from ...training_log.standstill import vanishing_gradient as judged

    yield from judged(log, ratio=ratio)


@rule("T305", "saturated-activation", subject="log", severity="warning")
def saturated_activation(log: Evidence) -> Iterator[Cause]:
    """Sigmoids or TanHs give nearly nothing but their limits, and the training does not learn.

    ## What it finds

    In a training that did not learn: a TanH whose top has a mean |x| over 0.9, or a Sigmoid over 0.97 or under 0.03
    - the mean of |x| of what lies between -1 and 1, or 0 and 1.

    ## Why it hurts

    Their slope is next to 0 there, so gradients below are noise or nothing. Weights or inputs are too large.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.037 2729 net.cpp:593]     [Forward] Layer ip1, top blob ip1 data: 22
        I1122 13:20:00.074 2729 net.cpp:605]     [Forward] Layer ip1, param blob 0 data: 0.8
        I1122 13:20:00.111 2729 net.cpp:593]     [Forward] Layer tanh1, top blob ip1 data: 0.97
        I1122 13:20:00.148 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.6
        I1122 13:20:00.185 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.2
        I1122 13:20:00.222 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.4
        I1122 13:20:00.259 2729 solver.cpp:239] Iteration 0, loss = 2.41
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 1000, loss = 2.39
        I1122 13:20:00.333 2729 solver.cpp:239] Iteration 2000, loss = 2.41
        I1122 13:20:00.370 2729 solver.cpp:239] Iteration 3000, loss = 2.39
        I1122 13:20:00.407 2729 solver.cpp:239] Iteration 4000, loss = 2.41
        I1122 13:20:00.444 2729 solver.cpp:239] Iteration 5000, loss = 2.39
        I1122 13:20:00.481 2729 solver.cpp:239] Iteration 6000, loss = 2.41
        I1122 13:20:00.518 2729 solver.cpp:239] Iteration 7000, loss = 2.39
        I1122 13:20:00.555 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.592 2729 net.cpp:593]     [Forward] Layer ip1, top blob ip1 data: 22
        I1122 13:20:00.629 2729 net.cpp:605]     [Forward] Layer ip1, param blob 0 data: 0.8
        I1122 13:20:00.666 2729 net.cpp:593]     [Forward] Layer tanh1, top blob ip1 data: 0.97
        I1122 13:20:00.703 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.6
        I1122 13:20:00.740 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.2
        I1122 13:20:00.777 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2.4
        I1122 13:20:00.814 2729 solver.cpp:239] Iteration 8000, loss = 2.4

    `solver.prototxt`:

        net: "net.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 1000
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
          name: "ip1"
          type: "InnerProduct"
          bottom: "data"
          top: "ip1"
          inner_product_param { num_output: 50 weight_filler { type: "gaussian" std: 1 } }
        }
        layer {
          name: "tanh1"
          type: "TanH"
          bottom: "ip1"
          top: "ip1"
        }
        layer {
          name: "score"
          type: "InnerProduct"
          bottom: "ip1"
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
          name: "ip1"
          type: "InnerProduct"
          bottom: "data"
          top: "ip1"
          inner_product_param { num_output: 50 weight_filler { type: "xavier" } }
        }
        layer {
          name: "tanh1"
          type: "TanH"
          bottom: "ip1"
          top: "ip1"
        }
        layer {
          name: "score"
          type: "InnerProduct"
          bottom: "ip1"
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

    Smaller weights or inputs. `--fix` has no repair for it.

    ## When to ignore it

    The values are meant to be at their limits: gates that are open or closed.

    ## Sources

    tanh_layer.cpp, sigmoid_layer.cpp, Backward_cpu.
    """
    from ...training_log.standstill import saturated_activation as judged

    yield from judged(log)


@rule("T306", "double-activation-loss", subject="log", severity="warning")
def double_activation_loss(log: Evidence) -> Iterator[Cause]:
    """A loss that has its own Softmax or Sigmoid is fed with one: it learns slowly, down to a floor.

    ## What it finds

    From the net (given, or printed at the log's beginning): a Softmax below SoftmaxWithLoss or InfogainLoss, a
    Sigmoid below SigmoidCrossEntropyLoss; where the loss stays over the floor that this gives.

    ## Why it hurts

    Scores between 0 and 1 can hardly be told apart by a second softmax: for 10 classes the loss cannot go below
    ln((e + 9) / e) = 1.46, and gradients are a tenth.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.3
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 1000, loss = 2.08
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 2000, loss = 1.92
        I1122 13:20:00.111 2729 solver.cpp:239] Iteration 3000, loss = 1.81
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 4000, loss = 1.74
        I1122 13:20:00.185 2729 solver.cpp:239] Iteration 5000, loss = 1.69
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 6000, loss = 1.66
        I1122 13:20:00.259 2729 solver.cpp:239] Iteration 7000, loss = 1.64
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 8000, loss = 1.63

    `solver.prototxt`:

        net: "net.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 1000
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
          name: "prob"
          type: "Softmax"
          bottom: "score"
          top: "prob"
        }
        layer {
          name: "loss"
          type: "SoftmaxWithLoss"
          bottom: "prob"
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

    Feed the scores to the loss. `--fix` has no repair for it.

    ## When to ignore it

    The second softmax is meant, and its floor accepted.

    ## Sources

    softmax_loss_layer.cpp, infogain_loss_layer.cpp (since 2017-04; before, InfogainLoss wanted probabilities).
    """
    from ...training_log.standstill import double_activation_loss as judged

    yield from judged(log)


@rule("T307", "weights-decay-away", subject="log", severity="warning")
def weights_decay_away(log: Evidence) -> Iterator[Cause]:
    """Weight decay shrinks the weights to nothing faster than they learn.

    ## What it finds

    A training that does not learn in which the norm of all parameters (`All net params (data, …)`) fell below a
    half of what it was, or in which rate times weight_decay is 1e-3 or more.

    ## Why it hurts

    Each step multiplies weights by 1 - rate * decay; what gradients write is forgotten within 1 / (rate * decay)
    steps.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.304
        I1122 13:20:00.037 2729 sgd_solver.cpp:112] Iteration 0, lr = 0.01
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 1000, loss = 2.302
        I1122 13:20:00.111 2729 solver.cpp:239] Iteration 2000, loss = 2.304
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 3000, loss = 2.302
        I1122 13:20:00.185 2729 solver.cpp:239] Iteration 4000, loss = 2.304
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 5000, loss = 2.302
        I1122 13:20:00.259 2729 solver.cpp:239] Iteration 6000, loss = 2.304
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 7000, loss = 2.302
        I1122 13:20:00.333 2729 solver.cpp:239] Iteration 8000, loss = 2.304

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        weight_decay: 5
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

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    `--fix` writes `weight_decay: 0.0005`.

    ## When to ignore it

    The loss is to stay where it is, and only small weights are wanted.

    ## Sources

    sgd_solver.cpp, Regularize.
    """
    from ...training_log.standstill import weights_decay_away as judged

    yield from judged(log)


@rule("T308", "infogain-matrix-useless", subject="log", severity="warning")
def infogain_matrix_useless(log: Evidence) -> Iterator[Cause]:
    """InfogainLoss starts at K ln K and stays: its matrix rewards every class alike.

    ## What it finds

    An InfogainLoss whose first value is near K times ln K and which does not fall: rows that are all ones, so that
    the best it can do is to give every class the same probability. A matrix of the wrong shape with the right
    number of entries does that too.

    ## Why it hurts

    Nothing can be learnt from it.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 23.04
        I1122 13:20:00.037 2729 solver.cpp:258]     Train net output #0: loss = 23.04 (* 1 = 23.04 loss)
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 1000, loss = 23.02
        I1122 13:20:00.111 2729 solver.cpp:258]     Train net output #0: loss = 23.02 (* 1 = 23.02 loss)
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 2000, loss = 23.04
        I1122 13:20:00.185 2729 solver.cpp:258]     Train net output #0: loss = 23.04 (* 1 = 23.04 loss)
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 3000, loss = 23.02
        I1122 13:20:00.259 2729 solver.cpp:258]     Train net output #0: loss = 23.02 (* 1 = 23.02 loss)
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 4000, loss = 23.04
        I1122 13:20:00.333 2729 solver.cpp:258]     Train net output #0: loss = 23.04 (* 1 = 23.04 loss)
        I1122 13:20:00.370 2729 solver.cpp:239] Iteration 5000, loss = 23.02
        I1122 13:20:00.407 2729 solver.cpp:258]     Train net output #0: loss = 23.02 (* 1 = 23.02 loss)
        I1122 13:20:00.444 2729 solver.cpp:239] Iteration 6000, loss = 23.04
        I1122 13:20:00.481 2729 solver.cpp:258]     Train net output #0: loss = 23.04 (* 1 = 23.04 loss)
        I1122 13:20:00.518 2729 solver.cpp:239] Iteration 7000, loss = 23.02
        I1122 13:20:00.555 2729 solver.cpp:258]     Train net output #0: loss = 23.02 (* 1 = 23.02 loss)
        I1122 13:20:00.592 2729 solver.cpp:239] Iteration 8000, loss = 23.04
        I1122 13:20:00.629 2729 solver.cpp:258]     Train net output #0: loss = 23.04 (* 1 = 23.04 loss)

    `solver.prototxt`:

        net: "net.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 1000
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
          type: "InfogainLoss"
          bottom: "score"
          bottom: "label"
          top: "loss"
          infogain_loss_param { source: "ones.binaryproto" }
        }

    Comes with: T204.

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
          name: "loss"
          type: "InfogainLoss"
          bottom: "score"
          bottom: "label"
          top: "loss"
          infogain_loss_param { source: "identity.binaryproto" }
        }

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    A matrix that rewards the right class more than others. `--fix` has no repair for it.

    ## When to ignore it

    Never: nothing can be learnt from such a matrix.

    ## Sources

    infogain_loss_layer.cpp, Forward_cpu: the sum of H[label, l] * log(p_l) over all l.
    """
    from ...training_log.standstill import infogain_matrix_useless as judged

    yield from judged(log)


@rule("T309", "loss-not-decreasing", subject="log", severity="warning")
def loss_not_decreasing(log: Evidence) -> Iterator[Cause]:
    """The loss does not fall, and nothing else says why.

    ## What it finds

    From 8 displayed iterations on: the mean of the last tenth of the losses is more than 98.5 % of the first
    tenth's, or it sits within 2 % of ln K, where a softmax tells nothing apart (0.6931 for 2 classes, 2.3026 for
    10, 6.9078 for 1000). Reported only where no cause of this family explains it. With debug_info it says how large
    updates are against the weights: about 1e-3 is usual, 1e-6 does nothing within a day.

    ## Why it hurts

    Nothing is learnt. The usual reasons: labels that do not belong to the data, a rate far too low, weights of a
    net for another input, or too few iterations to tell.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.305
        I1122 13:20:00.037 2729 sgd_solver.cpp:112] Iteration 0, lr = 1e-07
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 1000, loss = 2.301
        I1122 13:20:00.111 2729 solver.cpp:239] Iteration 2000, loss = 2.305
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 3000, loss = 2.301
        I1122 13:20:00.185 2729 solver.cpp:239] Iteration 4000, loss = 2.305
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 5000, loss = 2.301
        I1122 13:20:00.259 2729 solver.cpp:239] Iteration 6000, loss = 2.305
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 7000, loss = 2.301
        I1122 13:20:00.333 2729 solver.cpp:239] Iteration 8000, loss = 2.305

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 1e-07
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
        display: 1000
        snapshot_prefix: "lenet"

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    or other labels, or more time: here a rate a hundred thousand times too low was to blame. `--fix` has no repair
    for it.

    ## When to ignore it

    The log is the beginning of a training that starts slowly, or goes on from a snapshot that had learnt.

    ## Sources

    softmax_loss_layer.cpp. See SageMaker Debugger's LossNotDecreasing and UpdateTooSmall in docs/log.md.
    """
    from ...training_log.standstill import loss_not_decreasing as judged

    yield from judged(log)
