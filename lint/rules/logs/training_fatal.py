"""Where Caffe itself stopped: what its FATAL lines mean, and crashes without one.

The pages; what they describe is judged in `training_log.fatal`, which only a log needs loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.registry import rule

if TYPE_CHECKING:
    from ...training_log.causes import Cause
    from ...training_log.evidence import Evidence


@rule("T501", "caffe-stopped", subject="log", severity="error")
def caffe_stopped(log: Evidence) -> Iterator[Cause]:
    """Caffe stopped with a FATAL line (`F… Check failed: …`): what it means.

    ## What it finds

    Every first FATAL line of a run, with what it means and the layer that was being set up or is named in it. With
    `--solver` it points to that layer.

    ## Why it hurts

    Nothing was trained from there on.

    ## Example

    `train.log`:

        F1122 13:20:00.000 2729 insert_splits.cpp:29] Unknown bottom blob 'dat' (layer 'score', bottom index 0)

    `solver.prototxt`:

        net: "net.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 100
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
          bottom: "dat"
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

    `--fix` has no repair for it here: `caffe-lint` on the solver finds the mistake with its place, and often
    repairs it.

    ## When to ignore it

    Never: nothing was trained from there on.

    ## Sources

    The source file that the line itself names.
    """
    from ...training_log.fatal import caffe_stopped as judged

    yield from judged(log)


@rule("T502", "crashed", subject="log", severity="error")
def crashed(log: Evidence) -> Iterator[Cause]:
    """The process died without a FATAL line: a segmentation fault, an allocator's complaint, a kill.

    ## What it finds

    `*** Aborted at`, `Segmentation fault`, `malloc(): …`, `Killed`, `std::bad_alloc` in the log of a run that did
    not end with `Optimization Done.`

    ## Why it hurts

    A release build does not check labels: one far out of range reads or writes beside the blob. `Killed` is the
    system's, for want of memory.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.92
        *** Aborted at 1669123205 (unix time) try "date -d @1669123205" if you are using GNU date ***
        Segmentation fault (core dumped)

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

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    There is nothing to change in the solver: look for labels out of range with `caffe-lint inputs`, or give the
    process more memory. The log is that of a training which ends by itself.

    ## When to ignore it

    You ended the process yourself.

    ## Sources

    softmax_loss_layer.cpp (checks that are compiled out). Checked by running Caffe with labels of 1e9.
    """
    from ...training_log.fatal import crashed as judged

    yield from judged(log)
