"""Losses that stay where they are."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...moments.layer_type import SOFTMAX
from ...rule.registry import RULES, rule
from ...training_log.causes import Cause, shown, step_line
from ...training_log.course import FEW, course, explosion, stuck
from ...training_log.evidence import Evidence

# The rules whose causes explain why a loss does not fall.
_EXPLAINED_BY = ("T301", "T302", "T303", "T304", "T305", "T306", "T307", "T308")


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
    how = course(log)
    if how is None or how.steps < FEW or log.first_bad_iteration is not None:
        return
    for layer in log.layers.values():
        what = layer.traits.applies
        producer = layer.bottoms[0].producer if layer.bottoms else None
        if not what or producer is None or producer.traits.activation != what:
            continue
        classes = log.classes_of(layer)
        floor = math.log((math.e + classes - 1) / math.e) if what == SOFTMAX and classes else None
        if floor is not None and how.smallest < 0.97 * floor and log.single_loss is not None:
            continue  # an InfogainLoss of before 2017: it wants probabilities
        yield Cause(
            f"double-{what}",
            f"'{layer.name}' ({layer.type}) applies a {what} to what '{producer.name}' has already made",
            f"It learns slowly, and cannot go below {floor:.4g}."
            if floor is not None
            else "It learns slowly, down to a floor.",
            0.93,
            layer.name,
            layer.bottoms[0].name,
            log.steps[-1].iteration,
            log.steps[-1].line,
            shown(step_line(log.steps[0]), step_line(log.steps[len(log.steps) // 2]), step_line(log.steps[-1])),
        )


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
    if not stuck(log):
        return
    for out in log.outputs:
        layer = log.layers.get(out.layer)
        classes = log.classes_of(layer) if layer is not None and out.traits.takes_matrix else None
        if classes is None or not 0.9 < out.first / (classes * math.log(classes)) < 1.15:
            continue
        yield Cause(
            "uniform-infogain-matrix",
            f"'{out.layer}' starts at {out.first:.4g}, which is {classes} ln {classes}, and stays there",
            "Its matrix rewards all classes alike (rows of ones, or a matrix of another shape): the "
            "uniform guess is its best.",
            0.93,
            out.layer,
            out.name,
            log.steps[0].iteration,
            log.steps[0].line,
            shown(step_line(log.steps[0]), step_line(log.steps[-1])),
        )


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
    if not stuck(log) or explosion(log) is not None:
        return
    how = course(log)
    assert how is not None
    chance = log.chance is not None and abs(how.end - log.chance) < 0.04 * log.chance
    if log.run.resumed and not chance:
        return
    if any(_finds(code, log) for code in _EXPLAINED_BY):
        return
    ratio = update_ratio(log)
    words = (
        f"The mean of the first tenth is {how.start * log.loss_scale:.4g}, of the last {how.end * log.loss_scale:.4g}"
    )
    if log.chance is not None:
        words += f"; ln {log.classes} = {log.chance:.4g} is what guessing gives"
    if ratio is not None:
        words += f"; one update is {ratio:.1g} of the weights"
    small = ratio is not None and ratio < 1e-5
    high = how.end > 1.05 * how.start and chance is False
    yield Cause(
        "update-too-small" if small else "learning-rate-too-high" if high else "loss-not-decreasing",
        "the loss rises: the learning rate is too high"
        if high
        else "the loss does not fall" + (": it is at chance" if chance else ""),
        words + ".",
        0.5 if not high else 0.6,
        None,
        None,
        log.steps[-1].iteration,
        log.steps[-1].line,
        shown(step_line(log.steps[0]), step_line(log.steps[len(log.steps) // 2]), step_line(log.steps[-1])),
    )


def update_ratio(log: Evidence) -> float | None:
    """The median over layers of rate * mean |diff| / mean |weight| in the first pass, with momentum's
    factor.
    """
    rate = next((step.rate for step in log.steps if step.rate), None)
    if log.first_pass is None or rate is None or log.solver_type not in ("SGD", "Nesterov"):
        return None
    gain = rate / (1 - log.setting("momentum")) if 0 <= log.setting("momentum") < 1 else rate
    ratios = [gain * diff.value / data.value for _, data, diff in log.weights(log.first_pass) if diff and data.value]
    return log.typical(ratios) if ratios else None


def _finds(code: str, log: Evidence) -> bool:
    """Whether another rule, with its default options, finds a cause in this log."""
    rule = RULES[code]
    defaults = {name: option.default for name, option in rule.options.items()}
    return any(True for _ in rule.check(log, **defaults))
