"""Losses that do not fall."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...moments.layer_type import SOFTMAX
from ...rule.registry import RULES, rule
from ...training_log.causes import Cause, shown, step_line
from ...training_log.course import FEW, find_explosion, is_rising, loss_curve, stuck
from ...training_log.evidence import Evidence

# The rules whose causes explain why a loss does not fall.
_EXPLAINED_BY = ("T301", "T302", "T303", "T304", "T305", "T306", "T307", "T308")


@rule(
    "T306",
    "double-activation-loss",
    subject="log",
    severity="warning",
    causes={
        "double-softmax": "A Softmax stands before a loss that applies one itself.",
        "double-sigmoid": "A Sigmoid stands before a loss that applies one itself.",
    },
)
def double_activation_loss(log: Evidence) -> Iterator[Cause]:
    """Flags a Softmax or Sigmoid before a loss that already applies one.

    ## What it does

    Flags a Softmax before SoftmaxWithLoss or InfogainLoss, and a Sigmoid before SigmoidCrossEntropyLoss, in the net that was
    given or printed at the beginning of the log, if the loss stays above the floor that this causes.

    ## Why is this bad?

    Softmax applied twice gives a nearly uniform distribution. For 10 classes, the loss cannot go below ln((e + 9) / e) =
    1.46, and gradients are a tenth as large.

    ## When it is reported

    **warning**. Ignore it if the second softmax is intended and its floor is acceptable.

    ## Example

    There is no automatic fix. Feed the scores to the loss directly.

    ## References

    softmax_loss_layer.cpp, infogain_loss_layer.cpp (since 2017-04; before, InfogainLoss expected probabilities).
    """
    curve = loss_curve(log)
    if curve is None or curve.steps < FEW or log.first_bad_iteration is not None:
        return
    for layer in log.layers.values():
        what = layer.traits.applies
        producer = layer.bottoms[0].producer if layer.bottoms else None
        if not what or producer is None or producer.traits.activation != what:
            continue
        classes = log.classes_of(layer)
        floor = math.log((math.e + classes - 1) / math.e) if what == SOFTMAX and classes else None
        if floor is not None and curve.smallest < 0.97 * floor and log.single_loss is not None:
            continue  # InfogainLoss before April 2017 expects probabilities
        yield Cause(
            f"double-{what}",
            f"'{layer.name}' ({layer.type}) applies {what} a second time, after '{producer.name}'",
            f"The net learns slowly, and the loss cannot go below {floor:.4g}."
            if floor is not None
            else "The net learns slowly, and the loss cannot go below a floor.",
            0.93,
            layer.name,
            layer.bottoms[0].name,
            log.steps[-1].iteration,
            log.steps[-1].line,
            shown(step_line(log.steps[0]), step_line(log.steps[len(log.steps) // 2]), step_line(log.steps[-1])),
        )


@rule("T308", "uniform-infogain-matrix", subject="log", severity="warning")
def uniform_infogain_matrix(log: Evidence) -> Iterator[Cause]:
    """Flags an InfogainLoss that stays at K ln K because its matrix rewards every class alike.

    ## What it does

    Flags an InfogainLoss whose first value is near K times ln K and which does not fall. The rows of its matrix are all
    ones, so the best it can do is to give every class the same probability. A matrix of the wrong shape with the right
    number of entries has the same effect.

    ## Why is this bad?

    Nothing can be learned from such a matrix.

    ## When it is reported

    **warning**, always: no setting of the solver makes it learn.

    ## Example

    There is no automatic fix. Use a matrix that rewards the correct class more than the others.

    Comes with: T204.

    ## References

    infogain_loss_layer.cpp, Forward_cpu: the sum of H[label, l] * log(p_l) over all l.
    """
    if not stuck(log):
        return
    for out in log.outputs:
        layer = log.layers.get(out.layer)
        classes = log.classes_of(layer) if layer is not None and out.traits.takes_matrix else None
        if classes is None or not 0.9 < out.first / (classes * math.log(classes)) < 1.15:
            continue
        yield Cause(
            "uniform-infogain-matrix",
            f"'{out.layer}' starts at {out.first:.4g} ({classes} ln {classes}) and stays there",
            "Its matrix rewards all classes alike (rows of ones, or a matrix of another shape), so a uniform "
            "guess is the best it can do.",
            0.93,
            out.layer,
            out.name,
            log.steps[0].iteration,
            log.steps[0].line,
            shown(step_line(log.steps[0]), step_line(log.steps[-1])),
        )


@rule(
    "T309",
    "loss-not-decreasing",
    subject="log",
    severity="warning",
    causes={
        "update-too-small": "One update changes the weights by less than 1e-5 of their size.",
        "learning-rate-too-high": "The loss rises steadily: each step overshoots.",
    },
)
def loss_not_decreasing(log: Evidence) -> Iterator[Cause]:
    """Flags losses that do not fall, if no other rule finds the reason.

    ## What it does

    Flags a run with 8 or more displayed iterations in which the mean of the last tenth of the losses is more than 98.5 % of
    the mean of the first tenth, or within 2 % of ln K, where a softmax does not distinguish the classes (0.6931 for 2
    classes, 2.3026 for 10, 6.9078 for 1000). With `debug_info`, it says how large updates are relative to the weights: about
    1e-3 is usual, 1e-6 has no effect within a day.

    ## Why is this bad?

    Nothing is learned. The usual reasons are labels that do not match the data, a learning rate that is far too low, weights
    of a net for another input, or too few iterations to tell.

    ## When it is reported

    **warning**, if none of T301 to T308 explains it. Ignore it if the log is the beginning of a training that starts slowly. A
    loss that is not at ln K in a log that begins late, as an excerpt does, may have fallen before, and is not reported.

    ## Example

    There is no automatic fix. Here, the learning rate was a hundred thousand times too low; in other cases, different labels
    or more time may help.

    ## References

    softmax_loss_layer.cpp. See SageMaker Debugger's LossNotDecreasing and WeightUpdateRatio in docs/log.md.
    """
    if not stuck(log) or find_explosion(log) is not None:
        return
    curve = loss_curve(log)
    assert curve is not None
    chance = log.chance is not None and abs(curve.end - log.chance) < 0.04 * log.chance
    if log.begins_late and not chance:
        return
    if any(_finds(code, log) for code in _EXPLAINED_BY):
        return
    ratio = update_ratio(log)
    words = (
        f"The mean loss is {curve.start * log.loss_scale:.4g} in the first tenth of the iterations, "
        f"{curve.end * log.loss_scale:.4g} in the last"
    )
    if log.chance is not None:
        words += f"; chance level is ln {log.classes} = {log.chance:.4g}"
    if ratio is not None:
        words += f"; one update changes the weights by {ratio:.1g} of their size"
    small = ratio is not None and ratio < 1e-5
    high = curve.end > 1.05 * curve.start and chance is False and is_rising(log)
    yield Cause(
        "update-too-small" if small else "learning-rate-too-high" if high else "loss-not-decreasing",
        "the loss rises: the learning rate is too high"
        if high
        else "the loss does not fall" + (": it is at chance level" if chance else ""),
        words + ".",
        0.5 if not high else 0.6,
        None,
        None,
        log.steps[-1].iteration,
        log.steps[-1].line,
        shown(step_line(log.steps[0]), step_line(log.steps[len(log.steps) // 2]), step_line(log.steps[-1])),
    )


def update_ratio(log: Evidence) -> float | None:
    """The size of an update relative to the weights; None if it is unknown.

    It is the median over layers of rate / (1 - momentum) * mean |diff| / mean |weight| in the first pass.
    """
    rate = next((step.rate for step in log.steps if step.rate), None)
    if log.first_pass is None or rate is None or log.solver_type not in ("SGD", "Nesterov"):
        return None
    gain = rate / (1 - log.setting("momentum")) if 0 <= log.setting("momentum") < 1 else rate
    ratios = [gain * diff.value / data.value for _, data, diff in log.weights(log.first_pass) if data.value]
    return log.typical(ratios) if ratios else None


def _finds(code: str, log: Evidence) -> bool:
    """Whether another rule, with its default options, finds a cause in this log."""
    rule = RULES[code]
    defaults = {name: option.default for name, option in rule.options.items()}
    return any(True for _ in rule.check(log, **defaults))
