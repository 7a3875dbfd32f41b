"""Why gradients and loss blew up: the rate, a loss's weight or scale, a start that is too large, the
solver's numbers.

The pages; what they describe is judged in `training_log.explosions`, which only a log needs loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.registry import Option, rule

if TYPE_CHECKING:
    from ...training_log.causes import Cause  # keeps what judges logs out of a list of rules
    from ...training_log.evidence import Evidence  # keeps what judges logs out of a list of rules


@rule("T201", "learning-rate-explosion", subject="log", severity="error")
def learning_rate_explosion(log: Evidence) -> Iterator[Cause]:
    """Gradients and loss grew over iterations until the training was lost: the learning rate is too high.

    ## What it does

    A run that began sound - a first loss like chance, gradients of ordinary size - and in which the gradient's norm
    or the loss then grew by decades within a few iterations, into NaN or infinity, or to a loss from which it did
    not come back. A softmax loss sits at k/N of 87.3365 (-ln FLT_MIN: probabilities that are 0) on the way,
    MultinomialLogisticLoss and InfogainLoss at 46.05 (-ln 1e-20).

    It names the layer whose value overflowed first, which is merely the one with the largest numbers, and the layer
    whose gradient led. Where the rate rose just before (a step with gamma over 1, a warm-up), or is negative, it
    says so. Where another cause fits as well - a start that was too large, a loss weight - the rate comes after it.

    ## Why is this bad?

    A step that overshoots makes the next gradient larger than the last; with momentum it takes a handful of
    iterations from the first sign to NaN. Values of debug_info towards 1e8 are never reasonable. Note that these
    are means of |x|, not norms; only the line "All net params" has norms.

    ## When it is reported

    The run was meant to find the highest rate.

    ## Fix

    `--fix` writes a tenth of `base_lr`, or a hundredth where it took less than 10 iterations, and `clip_gradients`
    by the norms of the sound part where the log has them. Of 48 runs that went NaN, a tenth of the rate made 17
    finite, a hundredth 29, clipping at 1 made 44 finite; but 11, 16 and 23 of them learnt.

    ## Example

    Comes with: T405.

    ## References

    softmax_loss_layer.cpp, Forward_cpu; infogain_loss_layer.hpp; sgd_solver.cpp, ApplyUpdate. Measured on the runs
    that `python benchmarks/log_judge.py` reads.
    """
    # Keeps what judges logs out of a list of rules.
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

    ## What it does

    In a run that blew up: an output with a weight (`aux_loss = 2.37 (* 1000 = 2367 loss)`) over 1 that makes 75 %
    of the first displayed loss or more, or the only loss with a weight of 10 or more. A negative weight is named
    too: the training then climbs.

    ## Why is this bad?

    A weight is a factor on that loss's gradients: what the layers below feel is rate times weight. In a small net
    weights of 1 and 3 were fine, 10 was NaN in iteration 13, 1000 in 5. Lowering the rate instead starves the other
    losses.

    ## When it is reported

    Never: the training is lost.

    ## Fix

    `--fix` writes the weight that makes the loss as large as the next one in the first iteration, 1 where it is the
    only one.

    ## Example

    Comes with: T201, T405.

    ## Options

    `share`: 0.75.

    ## References

    layer.hpp, SetLossWeights; solver.cpp, Step. Measured on the runs of `python benchmarks/log_judge.py`.
    """
    # Keeps what judges logs out of a list of rules.
    from ...training_log.explosions import loss_weight_explosion as judged

    yield from judged(log, share=share)


@rule("T203", "loss-scale-explosion", subject="log", severity="error")
def loss_scale_explosion(log: Evidence) -> Iterator[Cause]:
    """Gradients blew up because the loss is large by its making: a sum, or targets that are not scaled.

    ## What it does

    In a run that blew up:

    - EuclideanLoss and its kin on targets whose mean |x| is 3 or more (pixels, coordinates, class numbers), or that
      adds up 32 or more outputs for each item, as it divides by the number of items only
    - a softmax or sigmoid loss that is a multiple of ln K (ln 2) at the start though its scores are small: the sum
      over a batch or picture (`normalization: NONE`, `BATCH_SIZE`), or an infogain matrix with large entries
    - MultinomialLogisticLoss on scores that are no probabilities: a first loss near 46.05 times their share

    ## Why is this bad?

    Its gradient is that many times larger, like a rate that much higher.

    ## When it is reported

    Never: the training is lost.

    ## Fix

    Or take `normalization: NONE` out; targets are scaled by `Power` with `scale: 0.00392`, say. `--fix` writes the
    weight that makes the first loss as large as a mean would be, and a bound that steps keep to.

    ## Example

    Comes with: T201.

    ## References

    euclidean_loss_layer.cpp; loss_layer.cpp, GetNormalizer; multinomial_logistic_loss_layer.cpp.
    """
    # Keeps what judges logs out of a list of rules.
    from ...training_log.explosions import loss_scale_explosion as judged

    yield from judged(log)


@rule("T204", "exploding-activations", subject="log", severity="error")
def exploding_activations(log: Evidence) -> Iterator[Cause]:
    """Activations are large from the start, and the training is lost by it.

    ## What it does

    A run that blew up, or never got below chance, whose first softmax loss is 3 times ln K or more because its
    scores are large. What made them so, by the means of |x| of the first pass:

    - the input: a data layer's top with a mean |x| of 10 or more (pixels from 0 to 255)
    - BatchNorm with `use_global_stats` on blank statistics: each multiplies by 1/sqrt(eps) = 316
    - a layer whose weights make its output several times its input (a gaussian without std has std 1)
    - a division or product, a chain of Eltwise sums without normalisation

    ## Why is this bad?

    The loss is saturated: probabilities are 0 (87.3365 each), gradients are as large as they get, and the first
    steps throw the weights about.

    ## When it is reported

    Never: the training is lost.

    ## Fix

    That is, scale the input (`transform_param { scale: 0.00390625 }` for pixels), use msra or xavier,
    `use_global_stats: false`. `--fix` writes only the bound of gradients: the rest changes what the weights of
    others mean.

    ## Example

    Comes with: T201.

    ## References

    softmax_loss_layer.cpp; batch_norm_layer.cpp; filler.hpp. Measured on the runs of `python
    benchmarks/log_judge.py`.
    """
    from ...training_log.explosions import start_too_large as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)


@rule("T205", "solver-setting-explosion", subject="log", severity="error")
def solver_setting_explosion(log: Evidence) -> Iterator[Cause]:
    """Gradients or weights blew up by a number of the solver: its momentum or its weight decay.

    ## What it does

    A run that blew up whose solver (given, or printed at the log's beginning) has a `momentum` of 1 or more or
    below 0, or a weight decay that by itself makes weights grow: rate times decay over 2 (1 + momentum). Also a
    negative weight decay.

    ## Why is this bad?

    A momentum of 1 never forgets a step. Weight decay comes after clipping, so clipping does not bound it: a weight
    is multiplied by 1 - rate * decay in each step, and beyond 2 that grows.

    ## When it is reported

    Never: the training is lost.

    ## Fix

    `--fix` writes `momentum: 0.9`, or `weight_decay: 0.0005`.

    ## Example

    Comes with: T405.

    ## References

    sgd_solver.cpp, Regularize, ComputeUpdateValue. Checked by running Caffe.
    """
    from ...training_log.explosions import solver_explosion as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)


@rule("T206", "unbounded-loss", subject="log", severity="error")
def unbounded_loss(log: Evidence) -> Iterator[Cause]:
    """The loss went below 0 and falls without bound: its targets, matrix or kind allow that.

    ## What it does

    A displayed loss below 0 from a loss layer that cannot go there with sound inputs: SigmoidCrossEntropyLoss with
    targets outside 0 to 1 (a class number, 255), InfogainLoss with negative entries, a softmax loss with a negative
    weight (T202), a layer that is no loss but has a loss_weight.

    ## Why is this bad?

    There is no minimum: the loss goes to minus infinity, then NaN. Clipping only slows it down.

    ## When it is reported

    Never: there is no minimum.

    ## Example

    Targets between 0 and 1, a matrix without negative entries, a loss that is one. `--fix` has no repair for it.

    ## References

    sigmoid_cross_entropy_loss_layer.cpp; infogain_loss_layer.cpp. Checked by running Caffe.
    """
    from ...training_log.explosions import loss_unbounded as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)
