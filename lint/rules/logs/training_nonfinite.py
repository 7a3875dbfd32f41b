"""What is NaN or infinite without having grown so: data, labels, a layer out of its domain, a broken
update.

The pages; what they describe is judged in `training_log.nonfinite`, which only a log needs loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.registry import rule

if TYPE_CHECKING:
    from ...training_log.causes import Cause  # keeps what judges logs out of a list of rules
    from ...training_log.evidence import Evidence  # keeps what judges logs out of a list of rules


@rule("T101", "non-finite-input", subject="log", severity="error")
def non_finite_input(log: Evidence) -> Iterator[Cause]:
    """The data or the labels are NaN or infinite: the first bad value of the log is the top of a data layer.

    ## What it does

    The first value of debug_info that is NaN or infinite, in the order of the log, where it is a data layer's top:
    `[Forward] Layer data, top blob data data: nan`. What stands before it is sound. It says whether it is the data
    or what the losses compare with.

    Where only every so many iterations are displayed, the guilty batch may lie between two of them. Then the first
    bad value is that of the first layer with weights, which are NaN already, while the data of that iteration are
    clean; and neither loss nor gradients had grown. That is said with less confidence.

    In the log of a probe (`caffe-lint probe`) every batch with such a value is named, and every one with a label
    that no class has.

    ## Why is this bad?

    One NaN in one picture makes every weight NaN in that iteration, for good, whatever comes after. Clipping, a
    lower rate or another loss weight cannot help: NaN compares with nothing, so the clipping test is false. An
    infinite value may leave the loss of its iteration finite, as MAX pooling drops NaN.

    ## When it is reported

    Never: the training is lost.

    ## Example

    There is nothing to change in the prototxts: find the entry (batch_size times the iteration tells where, if
    nothing is shuffled) with `caffe-lint inputs`, and repair or remove it. The log is that of the training with
    sound data.

    ## References

    net.cpp, ForwardDebugInfo; pooling_layer.cpp; sgd_solver.cpp, ClipGradients. `python benchmarks/log_judge.py`
    prints how it does on real logs.
    """
    from ...training_log.nonfinite import input_not_finite as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)


@rule("T102", "non-finite-activation", subject="log", severity="error")
def non_finite_activation(log: Evidence) -> Iterator[Cause]:
    """A layer makes NaN or infinity out of finite inputs, with finite weights.

    ## What it does

    The first value that is not finite is a layer's top, its inputs and weights in the same pass are finite, and
    nothing had grown before: the layer was asked for what has no value. Which that is follows from its type: the
    logarithm of 0, a root of a negative number, 0/0 in BatchNorm with `eps: 0`, a Dropout of ratio 1, an infogain
    matrix with an infinity, a loss out of its domain.

    ## Why is this bad?

    It is a matter of that layer, not of the solver: no rate is low enough.

    ## When it is reported

    Never: the training is lost from that iteration on.

    ## Example

    Or whatever keeps that layer's input where it has a value. `--fix` has no repair for it: only you know what was
    meant.

    ## References

    The layers' Forward_cpu: log_layer.cpp, power_layer.cpp, batch_norm_layer.cpp, infogain_loss_layer.cpp.
    """
    # Keeps what judges logs out of a list of rules.
    from ...training_log.nonfinite import layer_out_of_domain as judged

    yield from judged(log)


@rule("T103", "non-finite-gradient", subject="log", severity="error")
def non_finite_gradient(log: Evidence) -> Iterator[Cause]:
    """The forward pass is finite, but a layer's gradient is NaN or infinite, and nothing had grown.

    ## What it does

    The first value that is not finite is a diff: `[Backward] Layer L, bottom blob B diff: nan`. What lies above
    that layer is finite, so it is this layer's gradient that has no value: a root at 0, a division by a distance of
    0, a layer of one's own. Where it is the loss's own gradient, the loss is out of its domain.

    ## Why is this bad?

    The next update makes every weight below NaN.

    ## When it is reported

    Never: every weight below is NaN after the next update.

    ## Example

    Or whatever keeps that layer's input away from where its slope has no value. `--fix` has no repair for it.

    ## References

    net.cpp, BackwardDebugInfo; power_layer.cpp, Backward_cpu; multinomial_logistic_loss_layer.cpp.
    """
    # Keeps what judges logs out of a list of rules.
    from ...training_log.nonfinite import gradient_not_finite as judged

    yield from judged(log)


@rule("T104", "non-finite-update", subject="log", severity="error")
def non_finite_update(log: Evidence) -> Iterator[Cause]:
    """Weights are NaN or infinite though the gradients before were finite and small: the update itself broke.

    ## What it does

    In two displayed iterations in a row: in the first everything is finite, the gradients too, and none had grown;
    in the second the weights are not. What lies between is the solver's own arithmetic. With a rate that is NaN or
    infinite in the log, it says so.

    ## Why is this bad?

    Adam with `momentum: 1` divides by 0 in its first step; `delta: 0` divides by 0 wherever a gradient is 0; a rate
    that overflows makes every weight infinite.

    ## When it is reported

    Never: the training is lost.

    ## Example

    `--fix` has no repair for it: more than one number of the solver may be to blame.

    ## References

    adam_solver.cpp, adagrad_solver.cpp, ComputeUpdateValue; sgd_solver.cpp, GetLearningRate.
    """
    from ...training_log.nonfinite import update_not_finite as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)


@rule("T105", "non-finite-test-output", subject="log", severity="warning")
def non_finite_test_output(log: Evidence) -> Iterator[Cause]:
    """A test net's output is NaN or infinite while the training is sound.

    ## What it does

    `Test net output` lines that are not finite before anything of the training is. With debug_info, which test nets
    print always, it names the first blob.

    ## Why is this bad?

    The weights are sound, so it is the test's own data, or what differs in the phase TEST: BatchNorm uses its
    stored statistics there, which are blank before the first training iteration, and data come from another source
    with another transform.

    ## When it is reported

    The test that is not finite is the one before the first iteration, and later ones are sound.

    ## Example

    There is nothing to change in the solver: look at the test's own data and transform, and at BatchNorm's stored
    statistics. The log is that of the training with sound test data.

    ## References

    solver.cpp, Solver::Test; batch_norm_layer.cpp.
    """
    from ...training_log.nonfinite import test_not_finite as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)
