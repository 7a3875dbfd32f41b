"""Why gradients and loss blew up: the rate, a loss's weight or scale, a start that is too large, the
solver's numbers.

The pages; what they describe is judged in `training_log.explosions`, which only a log needs loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.registry import Option, rule

if TYPE_CHECKING:
    from ...training_log.causes import Cause
    from ...training_log.evidence import Evidence


@rule("T201", "learning-rate-explosion", subject="log", severity="error")
def learning_rate_explosion(log: Evidence) -> Iterator[Cause]:
    """Gradients and loss grew over iterations until the training was lost: the learning rate is too high.

    ## What it finds

    A run that began sound - a first loss like chance, gradients of ordinary size - and in which the gradient's norm
    or the loss then grew by decades within a few iterations, into NaN or infinity, or to a loss from which it did
    not come back. A softmax loss sits at k/N of 87.3365 (-ln FLT_MIN: probabilities that are 0) on the way,
    MultinomialLogisticLoss and InfogainLoss at 46.05 (-ln 1e-20).

    It names the layer whose value overflowed first, which is merely the one with the largest numbers, and the layer
    whose gradient led. Where the rate rose just before (a step with gamma over 1, a warm-up), or is negative, it
    says so. Where another cause fits as well - a start that was too large, a loss weight - the rate comes after it.

    ## Why it hurts

    A step that overshoots makes the next gradient larger than the last; with momentum it takes a handful of
    iterations from the first sign to NaN. Values of debug_info towards 1e8 are never reasonable. Note that these
    are means of |x|, not norms; only the line "All net params" has norms.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 sgd_solver.cpp:112] Iteration 0, lr = 0.5
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 100, loss = 2.28
        I1122 13:20:00.111 2729 sgd_solver.cpp:112] Iteration 100, lr = 0.5
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 200, loss = 8.4
        I1122 13:20:00.185 2729 sgd_solver.cpp:112] Iteration 200, lr = 0.5
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 300, loss = 41.7
        I1122 13:20:00.259 2729 sgd_solver.cpp:112] Iteration 300, lr = 0.5
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 400, loss = 87.3
        I1122 13:20:00.333 2729 sgd_solver.cpp:112] Iteration 400, lr = 0.5
        I1122 13:20:00.370 2729 solver.cpp:239] Iteration 500, loss = nan
        I1122 13:20:00.407 2729 sgd_solver.cpp:112] Iteration 500, lr = 0.5

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.5
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 100
        snapshot_prefix: "lenet"

    Comes with: T405.

    ## Use instead

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.05
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 100
        snapshot_prefix: "lenet"

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 sgd_solver.cpp:112] Iteration 0, lr = 0.05
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.111 2729 sgd_solver.cpp:112] Iteration 100, lr = 0.05
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 200, loss = 0.67
        I1122 13:20:00.185 2729 sgd_solver.cpp:112] Iteration 200, lr = 0.05

    `--fix` writes a tenth of `base_lr`, or a hundredth where it took less than 10 iterations, and `clip_gradients`
    by the norms of the sound part where the log has them. Of 48 runs that went NaN, a tenth of the rate made 17
    finite, a hundredth 29, clipping at 1 made 44 finite; but 11, 16 and 23 of them learnt.

    ## When to ignore it

    The run was meant to find the highest rate.

    ## Sources

    softmax_loss_layer.cpp, Forward_cpu; infogain_loss_layer.hpp; sgd_solver.cpp, ApplyUpdate. Measured on the runs
    that `python benchmarks/log_judge.py` reads.
    """
    from ...training_log.explosions import learning_rate_explosion as judged

    yield from judged(log)


@rule(
    "T202",
    "loss-weight-explosion",
    subject="log",
    severity="error",
    options={"share": Option(0.75, "which part of the first loss makes a loss the leading one")},
)
def loss_weight_explosion(log: Evidence, *, share: float) -> Iterator[Cause]:
    """Gradients blew up, and one loss with a weight over 1 made nearly all of them.

    ## What it finds

    In a run that blew up: an output with a weight (`aux_loss = 2.37 (* 1000 = 2367 loss)`) over 1 that makes 75 %
    of the first displayed loss or more, or the only loss with a weight of 10 or more. A negative weight is named
    too: the training then climbs.

    ## Why it hurts

    A weight is a factor on that loss's gradients: what the layers below feel is rate times weight. In a small net
    weights of 1 and 3 were fine, 10 was NaN in iteration 13, 1000 in 5. Lowering the rate instead starves the other
    losses.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 115.4
        I1122 13:20:00.037 2729 solver.cpp:258]     Train net output #0: loss = 2.308 (* 50 = 115.4 loss)
        I1122 13:20:00.074 2729 sgd_solver.cpp:112] Iteration 0, lr = 0.01
        I1122 13:20:00.111 2729 solver.cpp:239] Iteration 1, loss = 131
        I1122 13:20:00.148 2729 solver.cpp:258]     Train net output #0: loss = 2.62 (* 50 = 131 loss)
        I1122 13:20:00.185 2729 sgd_solver.cpp:112] Iteration 1, lr = 0.01
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 2, loss = 890
        I1122 13:20:00.259 2729 solver.cpp:258]     Train net output #0: loss = 17.8 (* 50 = 890 loss)
        I1122 13:20:00.296 2729 sgd_solver.cpp:112] Iteration 2, lr = 0.01
        I1122 13:20:00.333 2729 solver.cpp:239] Iteration 3, loss = 4365
        I1122 13:20:00.370 2729 solver.cpp:258]     Train net output #0: loss = 87.3 (* 50 = 4365 loss)
        I1122 13:20:00.407 2729 sgd_solver.cpp:112] Iteration 3, lr = 0.01
        I1122 13:20:00.444 2729 solver.cpp:239] Iteration 4, loss = nan
        I1122 13:20:00.481 2729 solver.cpp:258]     Train net output #0: loss = nan (* 50 = nan loss)
        I1122 13:20:00.518 2729 sgd_solver.cpp:112] Iteration 4, lr = 0.01

    `solver.prototxt`:

        net: "net.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 1
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
          loss_weight: 50
        }

    Comes with: T201, T405.

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
          loss_weight: 1
        }

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.308
        I1122 13:20:00.037 2729 solver.cpp:258]     Train net output #0: loss = 2.308 (* 1 = 2.308 loss)
        I1122 13:20:00.074 2729 sgd_solver.cpp:112] Iteration 0, lr = 0.01
        I1122 13:20:00.111 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.148 2729 solver.cpp:258]     Train net output #0: loss = 1.12 (* 1 = 1.12 loss)
        I1122 13:20:00.185 2729 sgd_solver.cpp:112] Iteration 100, lr = 0.01
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 200, loss = 0.67
        I1122 13:20:00.259 2729 solver.cpp:258]     Train net output #0: loss = 0.67 (* 1 = 0.67 loss)
        I1122 13:20:00.296 2729 sgd_solver.cpp:112] Iteration 200, lr = 0.01

    `--fix` writes the weight that makes the loss as large as the next one in the first iteration, 1 where it is the
    only one.

    ## When to ignore it

    Never: the training is lost.

    ## Options

    `share`: 0.75.

    ## Sources

    layer.hpp, SetLossWeights; solver.cpp, Step. Measured on the runs of `python benchmarks/log_judge.py`.
    """
    from ...training_log.explosions import loss_weight_explosion as judged

    yield from judged(log, share=share)


@rule("T203", "loss-scale-explosion", subject="log", severity="error")
def loss_scale_explosion(log: Evidence) -> Iterator[Cause]:
    """Gradients blew up because the loss is large by its making: a sum, or targets that are not scaled.

    ## What it finds

    In a run that blew up:

    - EuclideanLoss and its kin on targets whose mean |x| is 3 or more (pixels, coordinates, class numbers), or that
      adds up 32 or more outputs for each item, as it divides by the number of items only
    - a softmax or sigmoid loss that is a multiple of ln K (ln 2) at the start though its scores are small: the sum
      over a batch or picture (`normalization: NONE`, `BATCH_SIZE`), or an infogain matrix with large entries
    - MultinomialLogisticLoss on scores that are no probabilities: a first loss near 46.05 times their share

    ## Why it hurts

    Its gradient is that many times larger, like a rate that much higher.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.037 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.074 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 0.9
        I1122 13:20:00.111 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.148 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 147.6
        I1122 13:20:00.185 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: 0.6
        I1122 13:20:00.222 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: 1.3
        I1122 13:20:00.259 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 1840); L2 norm = (1.6, 92)
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 0, loss = 147.6
        I1122 13:20:00.333 2729 solver.cpp:258]     Train net output #0: loss = 147.6 (* 1 = 147.6 loss)
        I1122 13:20:00.370 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.407 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.444 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 40
        I1122 13:20:00.481 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.4
        I1122 13:20:00.518 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 2700
        I1122 13:20:00.555 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: 0.7
        I1122 13:20:00.592 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: 4
        I1122 13:20:00.629 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 2e+06); L2 norm = (1.6, 100000)
        I1122 13:20:00.666 2729 solver.cpp:239] Iteration 1, loss = 2700
        I1122 13:20:00.703 2729 solver.cpp:258]     Train net output #0: loss = 2700 (* 1 = 2700 loss)
        I1122 13:20:00.740 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 0.8
        I1122 13:20:00.777 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.814 2729 net.cpp:593]     [Forward] Layer score, top blob score data: nan
        I1122 13:20:00.851 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: nan
        I1122 13:20:00.888 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: nan
        I1122 13:20:00.925 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: nan
        I1122 13:20:00.962 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: nan
        I1122 13:20:00.999 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, nan); L2 norm = (1.6, nan)
        I1122 13:20:01.036 2729 solver.cpp:239] Iteration 2, loss = nan
        I1122 13:20:01.073 2729 solver.cpp:258]     Train net output #0: loss = nan (* 1 = nan loss)

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
          loss_param { normalization: NONE }
        }

    Comes with: T201.

    ## Use instead

    `solver.prototxt`:

        net: "net.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        clip_gradients: 0.64
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
          loss_weight: 0.02
          loss_param { normalization: NONE }
        }

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 200, loss = 0.67

    or take `normalization: NONE` out; targets are scaled by `Power` with `scale: 0.00392`, say. `--fix` writes the
    weight that makes the first loss as large as a mean would be, and a bound that steps keep to.

    ## When to ignore it

    Never: the training is lost.

    ## Sources

    euclidean_loss_layer.cpp; loss_layer.cpp, GetNormalizer; multinomial_logistic_loss_layer.cpp.
    """
    from ...training_log.explosions import loss_scale_explosion as judged

    yield from judged(log)


@rule("T204", "start-too-large", subject="log", severity="error")
def start_too_large(log: Evidence) -> Iterator[Cause]:
    """Activations are large from the start, and the training is lost by it.

    ## What it finds

    A run that blew up, or never got below chance, whose first softmax loss is 3 times ln K or more because its
    scores are large. What made them so, by the means of |x| of the first pass:

    - the input: a data layer's top with a mean |x| of 10 or more (pixels from 0 to 255)
    - BatchNorm with `use_global_stats` on blank statistics: each multiplies by 1/sqrt(eps) = 316
    - a layer whose weights make its output several times its input (a gaussian without std has std 1)
    - a division or product, a chain of Eltwise sums without normalisation

    ## Why it hurts

    The loss is saturated: probabilities are 0 (87.3365 each), gradients are as large as they get, and the first
    steps throw the weights about.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 127
        I1122 13:20:00.037 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.074 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 58
        I1122 13:20:00.111 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 0.03
        I1122 13:20:00.148 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 62
        I1122 13:20:00.185 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: 0.09
        I1122 13:20:00.222 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: 11
        I1122 13:20:00.259 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 23800); L2 norm = (1.6, 1190)
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 0, loss = 62
        I1122 13:20:00.333 2729 solver.cpp:258]     Train net output #0: loss = 62 (* 1 = 62 loss)
        I1122 13:20:00.370 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 127
        I1122 13:20:00.407 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.444 2729 net.cpp:593]     [Forward] Layer score, top blob score data: 40000
        I1122 13:20:00.481 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: 8
        I1122 13:20:00.518 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: 79
        I1122 13:20:00.555 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: 0.09
        I1122 13:20:00.592 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: 11
        I1122 13:20:00.629 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, 800000); L2 norm = (1.6, 40000)
        I1122 13:20:00.666 2729 solver.cpp:239] Iteration 1, loss = 79
        I1122 13:20:00.703 2729 solver.cpp:258]     Train net output #0: loss = 79 (* 1 = 79 loss)
        I1122 13:20:00.740 2729 net.cpp:593]     [Forward] Layer data, top blob data data: 127
        I1122 13:20:00.777 2729 net.cpp:593]     [Forward] Layer data, top blob label data: 4.5
        I1122 13:20:00.814 2729 net.cpp:593]     [Forward] Layer score, top blob score data: nan
        I1122 13:20:00.851 2729 net.cpp:605]     [Forward] Layer score, param blob 0 data: nan
        I1122 13:20:00.888 2729 net.cpp:593]     [Forward] Layer loss, top blob loss data: nan
        I1122 13:20:00.925 2729 net.cpp:619]     [Backward] Layer loss, bottom blob score diff: nan
        I1122 13:20:00.962 2729 net.cpp:630]     [Backward] Layer score, param blob 0 diff: nan
        I1122 13:20:00.999 2729 net.cpp:650]     [Backward] All net params (data, diff): L1 norm = (32, nan); L2 norm = (1.6, nan)
        I1122 13:20:01.036 2729 solver.cpp:239] Iteration 2, loss = nan
        I1122 13:20:01.073 2729 solver.cpp:258]     Train net output #0: loss = nan (* 1 = nan loss)

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
            data_filler { type: "uniform" min: 0 max: 255 }
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

    Comes with: T201.

    ## Use instead

    `solver.prototxt`:

        net: "net.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        clip_gradients: 0.64
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
            data_filler { type: "uniform" min: 0 max: 1 }
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

    that is, scale the input (`transform_param { scale: 0.00390625 }` for pixels), use msra or xavier,
    `use_global_stats: false`. `--fix` writes only the bound of gradients: the rest changes what the weights of
    others mean.

    ## When to ignore it

    Never: the training is lost.

    ## Sources

    softmax_loss_layer.cpp; batch_norm_layer.cpp; filler.hpp. Measured on the runs of `python
    benchmarks/log_judge.py`.
    """
    from ...training_log.explosions import start_too_large as judged

    yield from judged(log)


@rule("T205", "solver-explosion", subject="log", severity="error")
def solver_explosion(log: Evidence) -> Iterator[Cause]:
    """Gradients or weights blew up by a number of the solver: its momentum or its weight decay.

    ## What it finds

    A run that blew up whose solver (given, or printed at the log's beginning) has a `momentum` of 1 or more or
    below 0, or a weight decay that by itself makes weights grow: rate times decay over 2 (1 + momentum). Also a
    negative weight decay.

    ## Why it hurts

    A momentum of 1 never forgets a step. Weight decay comes after clipping, so clipping does not bound it: a weight
    is multiplied by 1 - rate * decay in each step, and beyond 2 that grows.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 sgd_solver.cpp:112] Iteration 0, lr = 0.01
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 100, loss = 2.28
        I1122 13:20:00.111 2729 sgd_solver.cpp:112] Iteration 100, lr = 0.01
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 200, loss = 8.4
        I1122 13:20:00.185 2729 sgd_solver.cpp:112] Iteration 200, lr = 0.01
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 300, loss = 41.7
        I1122 13:20:00.259 2729 sgd_solver.cpp:112] Iteration 300, lr = 0.01
        I1122 13:20:00.296 2729 solver.cpp:239] Iteration 400, loss = 87.3
        I1122 13:20:00.333 2729 sgd_solver.cpp:112] Iteration 400, lr = 0.01
        I1122 13:20:00.370 2729 solver.cpp:239] Iteration 500, loss = nan
        I1122 13:20:00.407 2729 sgd_solver.cpp:112] Iteration 500, lr = 0.01

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 1
        display: 100
        snapshot_prefix: "lenet"

    Comes with: T405.

    ## Use instead

    `solver.prototxt`:

        net: "train_val.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 100
        snapshot_prefix: "lenet"

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 2.31
        I1122 13:20:00.037 2729 sgd_solver.cpp:112] Iteration 0, lr = 0.01
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 100, loss = 1.12
        I1122 13:20:00.111 2729 sgd_solver.cpp:112] Iteration 100, lr = 0.01
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 200, loss = 0.67
        I1122 13:20:00.185 2729 sgd_solver.cpp:112] Iteration 200, lr = 0.01

    `--fix` writes `momentum: 0.9`, or `weight_decay: 0.0005`.

    ## When to ignore it

    Never: the training is lost.

    ## Sources

    sgd_solver.cpp, Regularize, ComputeUpdateValue. Checked by running Caffe.
    """
    from ...training_log.explosions import solver_explosion as judged

    yield from judged(log)


@rule("T206", "loss-unbounded", subject="log", severity="error")
def loss_unbounded(log: Evidence) -> Iterator[Cause]:
    """The loss went below 0 and falls without bound: its targets, matrix or kind allow that.

    ## What it finds

    A displayed loss below 0 from a loss layer that cannot go there with sound inputs: SigmoidCrossEntropyLoss with
    targets outside 0 to 1 (a class number, 255), InfogainLoss with negative entries, a softmax loss with a negative
    weight (T202), a layer that is no loss but has a loss_weight.

    ## Why it hurts

    There is no minimum: the loss goes to minus infinity, then NaN. Clipping only slows it down.

    ## Example

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 6.93
        I1122 13:20:00.037 2729 solver.cpp:258]     Train net output #0: loss = 6.93 (* 1 = 6.93 loss)
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 1, loss = -1280
        I1122 13:20:00.111 2729 solver.cpp:258]     Train net output #0: loss = -1280 (* 1 = -1280 loss)
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 2, loss = -51400
        I1122 13:20:00.185 2729 solver.cpp:258]     Train net output #0: loss = -51400 (* 1 = -51400 loss)
        I1122 13:20:00.222 2729 solver.cpp:239] Iteration 3, loss = -910000
        I1122 13:20:00.259 2729 solver.cpp:258]     Train net output #0: loss = -910000 (* 1 = -910000 loss)

    `solver.prototxt`:

        net: "net.prototxt"
        base_lr: 0.01
        lr_policy: "fixed"
        max_iter: 10000
        momentum: 0.9
        display: 1
        snapshot_prefix: "lenet"

    `net.prototxt`:

        layer {
          name: "data"
          type: "DummyData"
          top: "data"
          top: "label"
          dummy_data_param {
            shape { dim: 64 dim: 1 dim: 28 dim: 28 }
            shape { dim: 64 dim: 10 }
            data_filler { type: "gaussian" std: 1 }
            data_filler { type: "constant" value: 255 }
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
          type: "SigmoidCrossEntropyLoss"
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
            shape { dim: 64 dim: 10 }
            data_filler { type: "gaussian" std: 1 }
            data_filler { type: "constant" value: 1 }
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
          type: "SigmoidCrossEntropyLoss"
          bottom: "score"
          bottom: "label"
          top: "loss"
        }

    `train.log`:

        I1122 13:20:00.000 2729 solver.cpp:239] Iteration 0, loss = 6.93
        I1122 13:20:00.037 2729 solver.cpp:258]     Train net output #0: loss = 6.93 (* 1 = 6.93 loss)
        I1122 13:20:00.074 2729 solver.cpp:239] Iteration 100, loss = 3.1
        I1122 13:20:00.111 2729 solver.cpp:258]     Train net output #0: loss = 3.1 (* 1 = 3.1 loss)
        I1122 13:20:00.148 2729 solver.cpp:239] Iteration 200, loss = 1.7
        I1122 13:20:00.185 2729 solver.cpp:258]     Train net output #0: loss = 1.7 (* 1 = 1.7 loss)

    Targets between 0 and 1, a matrix without negative entries, a loss that is one. `--fix` has no repair for it.

    ## When to ignore it

    Never: there is no minimum.

    ## Sources

    sigmoid_cross_entropy_loss_layer.cpp; infogain_loss_layer.cpp. Checked by running Caffe.
    """
    from ...training_log.explosions import loss_unbounded as judged

    yield from judged(log)
