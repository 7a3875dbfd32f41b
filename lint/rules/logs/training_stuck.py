"""Why a finite training does not learn: a rate of 0, no gradients, dead or saturated layers, gradients that
fade.

The pages; what they describe is judged in `training_log.standstill`, which only a log needs loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.registry import Option, rule

if TYPE_CHECKING:
    from ...training_log.causes import Cause  # keeps what judges logs out of a list of rules
    from ...training_log.evidence import Evidence  # keeps what judges logs out of a list of rules


@rule("T301", "zero-learning-rate", subject="log", severity="error")
def zero_learning_rate(log: Evidence) -> Iterator[Cause]:
    """The log says `lr = 0`: nothing is learnt from that iteration on.

    ## What it does

    A displayed rate of exactly 0, before the last hundredth of the training: base_lr or gamma is missing or 0 (a
    step policy without gamma falls to 0 at its first step), or it underflowed.

    ## Why is this bad?

    Every update is 0; the training goes on and tells nothing of it.

    ## When it is reported

    A poly policy ends at 0: its last iterations are no finding.

    ## Fix

    `--fix` writes `base_lr: 0.01` where base_lr is 0 or missing.

    ## References

    sgd_solver.cpp, GetLearningRate.
    """
    # Keeps what judges logs out of a list of rules.
    from ...training_log.standstill import learning_rate_zero as judged

    yield from judged(log)


@rule("T302", "zero-gradients", subject="log", severity="error")
def zero_gradients(log: Evidence) -> Iterator[Cause]:
    """No gradient reaches any weight: the diffs of all parameters are exactly 0, or there is no backward pass.

    ## What it does

    `All net params (data, diff): L1 norm = (X, 0)` in pass after pass. Without a single [Backward] line of a layer,
    nothing is to be learnt: every lr_mult is 0, or `propagate_down: false` or a loss_weight of 0 cuts the way. With
    such lines and a loss of 0, the loss counts nothing: all labels are those to be ignored, or the infogain matrix
    is 0. A loss of exactly 0 from the start is reported without debug_info as well.

    ## Why is this bad?

    There are no updates and no learning, and no message.

    ## When it is reported

    The run was there to see the loss alone, or how fast the net is.

    ## Example

    `--fix` has no repair for it: only you know which layers are to learn.

    ## References

    net.cpp, BackwardDebugInfo, Init ("does not need backward computation"); loss_layer.cpp, GetNormalizer.
    """
    from ...training_log.standstill import no_gradient as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)


@rule("T303", "dead-units", subject="log", severity="error")
def dead_units(log: Evidence) -> Iterator[Cause]:
    """A layer gives exactly 0 for every input, or its weights are all 0 or all equal: nothing below it learns.

    ## What it does

    In the last pass that is finite, and in the first:

    - weights that are exactly 0, with tops of 0 above them: no weight_filler, which means constant 0
    - a ReLU whose top is exactly 0 (mean |x| 0): every unit is dead, and every diff below it is exactly 0
    - weights that a constant filler made all equal: all units of a layer then learn the same

    ## Why is this bad?

    The gradient below is exactly 0. Only the biases above still move, to the frequencies of the labels, and the
    loss stays at ln K.

    ## When it is reported

    Never: nothing below that layer learns.

    ## Example

    A weight_filler (msra before ReLU, xavier else); a lower rate or bias where ReLUs died in the course. `--fix`
    has no repair for it.

    ## References

    filler.hpp; relu_layer.cpp; net.cpp, ForwardDebugInfo. Checked by running Caffe.
    """
    from ...training_log.standstill import dead_units as judged  # keeps what judges logs out of a list of rules

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

    ## What it does

    A training that does not learn in whose debug_info

    - the mean |diff| of the first weights is less than 1e-4 of the last ones', or
    - all weights' diffs are less than 1e-4 of their data, because the signal itself fades on its way up: the tops
      shrink layer by layer (weights too small), so that only the last bias learns

    It names the first layer that is out of reach and what the values are there.

    ## Why is this bad?

    A sigmoid passes on a quarter of a gradient at most: after 8 of them 1e-5 is left. Weights with a std of 0.01 in
    12 layers leave 1e-14.

    ## When it is reported

    The log is the beginning of a training that starts slowly: look again when it has run for longer.

    ## Example

    Msra with ReLU instead of sigmoids, xavier instead of a small gaussian, BatchNorm. `--fix` has no repair for it.

    ## Options

    `ratio`: 1e-4 (healthy nets measured 0.05 to 2).

    ## References

    net.cpp, BackwardDebugInfo: means of |x|, not norms. Measured on the runs of `python benchmarks/log_judge.py`.
    """
    # Keeps what judges logs out of a list of rules.
    from ...training_log.standstill import vanishing_gradient as judged

    yield from judged(log, ratio=ratio)


@rule("T305", "saturated-activations", subject="log", severity="warning")
def saturated_activations(log: Evidence) -> Iterator[Cause]:
    """Sigmoids or TanHs give nearly nothing but their limits, and the training does not learn.

    ## What it does

    In a training that did not learn: a TanH whose top has a mean |x| over 0.9, or a Sigmoid over 0.97 or under 0.03
    - the mean of |x| of what lies between -1 and 1, or 0 and 1.

    ## Why is this bad?

    Their slope is next to 0 there, so gradients below are noise or nothing. Weights or inputs are too large.

    ## When it is reported

    The values are meant to be at their limits: gates that are open or closed.

    ## Example

    Smaller weights or inputs. `--fix` has no repair for it.

    ## References

    tanh_layer.cpp, sigmoid_layer.cpp, Backward_cpu.
    """
    # Keeps what judges logs out of a list of rules.
    from ...training_log.standstill import saturated_activation as judged

    yield from judged(log)


@rule("T306", "double-activation-loss", subject="log", severity="warning")
def double_activation_loss(log: Evidence) -> Iterator[Cause]:
    """A loss that has its own Softmax or Sigmoid is fed with one: it learns slowly, down to a floor.

    ## What it does

    From the net (given, or printed at the log's beginning): a Softmax below SoftmaxWithLoss or InfogainLoss, a
    Sigmoid below SigmoidCrossEntropyLoss; where the loss stays over the floor that this gives.

    ## Why is this bad?

    Scores between 0 and 1 can hardly be told apart by a second softmax: for 10 classes the loss cannot go below
    ln((e + 9) / e) = 1.46, and gradients are a tenth.

    ## When it is reported

    The second softmax is meant, and its floor accepted.

    ## Example

    Feed the scores to the loss. `--fix` has no repair for it.

    ## References

    softmax_loss_layer.cpp, infogain_loss_layer.cpp (since 2017-04; before, InfogainLoss wanted probabilities).
    """
    # Keeps what judges logs out of a list of rules.
    from ...training_log.standstill import double_activation_loss as judged

    yield from judged(log)


@rule("T307", "vanishing-weights", subject="log", severity="warning")
def vanishing_weights(log: Evidence) -> Iterator[Cause]:
    """Weight decay shrinks the weights to nothing faster than they learn.

    ## What it does

    A training that does not learn in which the norm of all parameters (`All net params (data, …)`) fell below a
    half of what it was, or in which rate times weight_decay is 1e-3 or more.

    ## Why is this bad?

    Each step multiplies weights by 1 - rate * decay; what gradients write is forgotten within 1 / (rate * decay)
    steps.

    ## When it is reported

    The loss is to stay where it is, and only small weights are wanted.

    ## Fix

    `--fix` writes `weight_decay: 0.0005`.

    ## References

    sgd_solver.cpp, Regularize.
    """
    # Keeps what judges logs out of a list of rules.
    from ...training_log.standstill import weights_decay_away as judged

    yield from judged(log)


@rule("T308", "uniform-infogain-matrix", subject="log", severity="warning")
def uniform_infogain_matrix(log: Evidence) -> Iterator[Cause]:
    """InfogainLoss starts at K ln K and stays: its matrix rewards every class alike.

    ## What it does

    An InfogainLoss whose first value is near K times ln K and which does not fall: rows that are all ones, so that
    the best it can do is to give every class the same probability. A matrix of the wrong shape with the right
    number of entries does that too.

    ## Why is this bad?

    Nothing can be learnt from it.

    ## When it is reported

    Never: nothing can be learnt from such a matrix.

    ## Example

    A matrix that rewards the right class more than others. `--fix` has no repair for it.

    Comes with: T204.

    ## References

    infogain_loss_layer.cpp, Forward_cpu: the sum of H[label, l] * log(p_l) over all l.
    """
    # Keeps what judges logs out of a list of rules.
    from ...training_log.standstill import infogain_matrix_useless as judged

    yield from judged(log)


@rule("T309", "loss-not-decreasing", subject="log", severity="warning")
def loss_not_decreasing(log: Evidence) -> Iterator[Cause]:
    """The loss does not fall, and nothing else says why.

    ## What it does

    From 8 displayed iterations on: the mean of the last tenth of the losses is more than 98.5 % of the first
    tenth's, or it sits within 2 % of ln K, where a softmax tells nothing apart (0.6931 for 2 classes, 2.3026 for
    10, 6.9078 for 1000). Reported only where no cause of this family explains it. With debug_info it says how large
    updates are against the weights: about 1e-3 is usual, 1e-6 does nothing within a day.

    ## Why is this bad?

    Nothing is learnt. The usual reasons: labels that do not belong to the data, a rate far too low, weights of a
    net for another input, or too few iterations to tell.

    ## When it is reported

    The log is the beginning of a training that starts slowly, or goes on from a snapshot that had learnt.

    ## Example

    Or other labels, or more time: here a rate a hundred thousand times too low was to blame. `--fix` has no repair
    for it.

    ## References

    softmax_loss_layer.cpp. See SageMaker Debugger's LossNotDecreasing and UpdateTooSmall in docs/log.md.
    """
    # Keeps what judges logs out of a list of rules.
    from ...training_log.standstill import loss_not_decreasing as judged

    yield from judged(log)
