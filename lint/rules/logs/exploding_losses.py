"""Explosions caused by a loss: its weight, its scale, or that it has no lower bound."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...layers.loss import LARGEST_SOFTMAX_TERM
from ...moments.layer_type import REGRESSION, SIGMOID
from ...moments.shapes import count
from ...net.loss_sizes import known_shape
from ...rule.registry import Option, rule
from ...training_log.causes import Cause, shown, step_line, value_line
from ...training_log.course import Explosion, find_explosion
from ...training_log.evidence import Evidence, Output
from ...training_log.runs import Value
from .exploded import explosion_cause


@rule(
    "T202",
    "loss-weight-explosion",
    subject="log",
    severity="error",
    options={"share": Option(0.75, "the part of the first loss from which on one loss dominates", least=0, greatest=1)},
    causes={
        "loss-weight-too-high": "A loss weight multiplies every gradient below its loss.",
        "loss-weight-negative": "A negative loss weight makes the training maximise that loss.",
    },
)
def loss_weight_explosion(log: Evidence, *, share: float) -> Iterator[Cause]:
    """Flags loss weights that made a run diverge.

    ## What it does

    In a run that diverged, flags an output with a weight above 1 (`aux_loss = 2.37 (* 1000 = 2367 loss)`) that makes up 75 %
    of the first displayed loss or more, and the only loss if its weight is 10 or more. A negative weight is flagged as well:
    the training then maximises that loss.

    ## Why is this bad?

    A loss weight multiplies the gradients of its loss, so the layers below are trained with the learning rate times the
    weight. In a small net, weights of 1 and 3 were fine, 10 led to NaN in iteration 13 and 1000 in iteration 5. Lowering the
    learning rate instead starves the other losses.

    ## When it is reported

    **error**, if the run diverged.

    ## Fix

    `caffe-lint log --fix` sets the weight that makes this loss as large as the largest of the others in the first iteration,
    or 1 if it is the only loss. A negative weight is made positive.

    ## Example

    Comes with: T201, T405.

    ## Options

    `share`: the part of the first displayed loss from which on one loss dominates; 0.75 by default.

    ## References

    layer.hpp, SetLossWeights; solver.cpp, Step. Measured on the runs of `python benchmarks/log_judge.py`.
    """
    explosion = find_explosion(log)
    if explosion is None:
        return
    for out in log.outputs:
        if out.weight < 0:
            yield explosion_cause(
                log,
                explosion,
                "loss-weight-negative",
                f"loss_weight of '{out.layer}' is {out.weight:g}: the training maximises this loss",
                "Caffe accepts negative loss weights without a message.",
                0.98,
                layer=out.layer,
                blob=out.name,
            )
    total = sum(abs(out.weighted) for out in log.outputs if math.isfinite(out.weighted))
    for out in log.outputs:
        part = abs(out.weighted) / total if total else 0.0
        several = len(log.outputs) > 1 and out.weight > 1 and part >= share
        if several or (len(log.outputs) == 1 and out.weight >= 10):
            yield explosion_cause(
                log,
                explosion,
                "loss-weight-too-high",
                f"loss '{out.layer}' with loss_weight {out.weight:g} makes up {part:.0%} of the first loss",
                f"The weight turns its first value of {out.first:.4g} into {out.weighted:.4g}, and multiplies every "
                f"gradient below it by {out.weight:g}.{_diff_share(log)}",
                0.93 if several or out.weight >= 30 else 0.75,
                layer=out.layer,
                blob=out.name,
            )


@rule(
    "T203",
    "loss-scale-explosion",
    subject="log",
    severity="error",
    causes={
        "targets-not-scaled": "The targets of a regression are large, and its gradient grows with them.",
        "loss-not-normalised": "The loss is a sum over items, pixels or outputs, so its gradient is as many times too large.",
        "loss-wants-probabilities": "MultinomialLogisticLoss has no softmax of its own, but was given raw scores.",
        "infogain-matrix-scale": "The entries of the infogain matrix are large, and the gradient grows with them.",
    },
)
def loss_scale_explosion(log: Evidence) -> Iterator[Cause]:
    """Flags losses that made a run diverge because they are sums or have unscaled targets.

    ## What it does

    In a run that diverged, flags

    - EuclideanLoss and other regression losses on targets with a mean |x| of 3 or more (pixels, coordinates, class numbers),
      or that add up 32 or more outputs per item, as they divide by the number of items only;
    - a softmax or sigmoid loss that starts at a multiple of ln K (ln 2) although its scores are small: a sum over the batch
      or image (`normalization: NONE`, `BATCH_SIZE`), or an infogain matrix with large entries;
    - MultinomialLogisticLoss on scores that are not probabilities: its first loss is near 46.05 times their share.

    ## Why is this bad?

    The gradient is larger by the same factor, which acts like a learning rate that is higher by that factor.

    ## When it is reported

    **error**, if the run diverged.

    ## Fix

    For a sum or an infogain matrix, `caffe-lint log --fix` sets the loss weight that makes the first loss as large as a mean
    would be. It also sets a `clip_gradients` that limits the size of a step. Alternatively, remove `normalization: NONE`, or
    scale the targets with a `Power` layer, for example with `scale: 0.00392`.

    ## Example

    Comes with: T201.

    ## References

    euclidean_loss_layer.cpp; loss_layer.cpp, GetNormalizer; multinomial_logistic_loss_layer.cpp.
    """
    explosion = find_explosion(log)
    if explosion is None or log.run.resumed:
        return
    for out in log.outputs:
        if out.layer not in log.layers:
            continue  # the net in the log is truncated
        if out.traits.loss_family == REGRESSION:
            yield from _regression(log, explosion, out)
        elif out.traits.log_likelihood:
            yield from _softmax_scale(log, explosion, out)


@rule(
    "T206",
    "unbounded-loss",
    subject="log",
    severity="error",
    causes={
        "target-out-of-range": "SigmoidCrossEntropyLoss has targets outside 0 to 1, which make it unbounded below.",
        "infogain-matrix-negative": "The infogain matrix has negative entries, which make the loss unbounded below.",
        "loss-negative": "The loss is below 0, which it cannot be with valid inputs.",
    },
)
def unbounded_loss(log: Evidence) -> Iterator[Cause]:
    """Flags losses that fall below 0, which they cannot do with valid inputs.

    ## What it does

    Flags a displayed loss below 0 from a loss layer that cannot go there with valid inputs: SigmoidCrossEntropyLoss with
    targets outside 0 to 1 (a class number, 255), or InfogainLoss with negative entries in its matrix. Negative loss weights
    are reported by T202.

    ## Why is this bad?

    Such a loss has no minimum: it goes to minus infinity, then to NaN. Clipping only slows this down.

    ## When it is reported

    **error**, always: without a minimum, there is nothing to learn.

    ## Example

    There is no automatic fix. Use targets between 0 and 1, or a matrix without negative entries.

    ## References

    sigmoid_cross_entropy_loss_layer.cpp; infogain_loss_layer.cpp. Checked by running Caffe.
    """
    for out in log.outputs:
        if not out.traits.nonnegative or out.weight < 0:
            continue
        below = next(((iteration, value) for iteration, value in out.values if value < -0.01), None)
        if below is None:
            continue
        iteration, value = below
        step = next(step for step in log.steps if step.iteration == iteration)
        target = _target(log, out)
        cause, why = "loss-negative", "its labels or its code are wrong, since this loss cannot be below 0"
        if out.traits.applies == SIGMOID:
            cause, why = "target-out-of-range", "its targets must be between 0 and 1"
        elif out.traits.takes_matrix:
            cause, why = "infogain-matrix-negative", "its infogain matrix has negative entries"
        of_target = f" The mean |x| of '{target.key.blob}' is {target.value:.4g}." if target is not None else ""
        bad = log.first_bad
        yield Cause(
            cause,
            f"loss '{out.layer}' ({out.type}) fell below 0: {value:.4g} at iteration {iteration}",
            f"Below 0, this loss has no minimum; {why}.{of_target}",
            0.96,
            out.layer,
            target.key.blob if target is not None else out.name,
            log.first_bad_iteration if log.first_bad_iteration is not None else iteration,
            bad.line if bad is not None else step.line,
            shown(
                value_line(target) if target else None,
                step_line(log.steps[0]),
                step_line(step),
                (step_line(s) for s in log.healthy[-2:]),
                value_line(bad) if bad else None,
            ),
        )


def _diff_share(log: Evidence) -> str:
    """The diffs that each loss passes down in the first pass, as a sentence."""
    if log.first_pass is None:
        return ""
    names = {out.layer for out in log.outputs}
    diffs = [
        f"'{value.key.layer}' {value.value:.3g}"
        for value in log.first_pass
        if value.key.direction == "Backward" and value.key.role == "bottom" and value.key.layer in names
    ]
    return f" Mean |diff| that the losses pass down in the first pass: {', '.join(diffs)}." if len(diffs) > 1 else ""


def _regression(log: Evidence, explosion: Explosion, out: Output) -> Iterator[Cause]:
    layer = log.layers[out.layer]
    first = log.first_pass
    target = None
    if first is not None and len(layer.bottoms) > 1:
        target = next(
            (value for value in log.bottoms_of(first, out.layer) if value.key.blob == layer.bottoms[1].name),
            None,
        )
    items = _elements(log, out.layer)
    if target is not None and target.value >= 3 and target.finite:
        yield explosion_cause(
            log,
            explosion,
            "targets-not-scaled",
            f"targets '{target.key.blob}' of '{out.layer}' are not scaled: their mean |x| is {target.value:.4g}",
            f"The first loss is {out.first:.4g}. The gradient of a squared difference grows with the target. "
            "Scale the targets to about 1.",
            0.93 if target.value >= 10 else 0.85,
            layer=out.layer,
            blob=target.key.blob,
            extra=(value_line(target),),
        )
    elif items is not None and items >= 32:
        yield explosion_cause(
            log,
            explosion,
            "loss-not-normalised",
            f"'{out.layer}' sums {items} outputs per item: its first value is {out.first:.4g}",
            f"{out.type} divides by the number of items only, so its gradient is {items} times that of a "
            f"mean. Lower the learning rate by that factor, or set loss_weight to {1 / items:.1g}.",
            0.82,
            layer=out.layer,
            blob=out.name,
        )
    elif target is None and out.first >= 10:
        yield explosion_cause(
            log,
            explosion,
            "targets-not-scaled",
            f"'{out.layer}' starts at {out.first:.4g}: its targets are not scaled, or it sums many outputs",
            f"{out.type} divides by the number of items only. A log with `debug_info: true` shows the targets.",
            0.8,
            layer=out.layer,
            blob=out.name,
        )


def _elements(log: Evidence, loss: str) -> int | None:
    """How many values a loss compares per item."""
    layer = log.layers[loss]
    for blob in layer.bottoms[:2]:
        shape = known_shape(blob)
        number = count(shape, 1) if shape is not None else None
        if number is None and blob.producer is not None:
            shapes = log.run.shapes.get(blob.producer.name)
            if shapes and blob.top_index < len(shapes):
                number = math.prod(shapes[blob.top_index][1:])
        if number:
            return number
    return None


def _softmax_scale(log: Evidence, explosion: Explosion, out: Output) -> Iterator[Cause]:
    layer = log.layers[out.layer]
    classes = log.classes_of(layer)
    first = log.first_pass
    if classes is None or not math.isfinite(out.first):
        return
    times = out.first / math.log(classes)
    scores = None
    if first is not None and layer.bottoms:
        scores = next((v for v in log.bottoms_of(first, out.layer) if v.key.blob == layer.bottoms[0].name), None)
    normalization = str(layer.message["loss_param"]["normalization"]) if "loss_param" in layer.message else ""
    summed = (
        "normalization" in layer.message["loss_param"] and normalization in ("NONE", "0", "BATCH_SIZE", "3", "2")
        if "loss_param" in layer.message
        else False
    )
    if times <= 3:
        return
    if summed:
        yield explosion_cause(
            log,
            explosion,
            "loss-not-normalised",
            f"'{out.layer}' is a sum (normalization: {normalization}): "
            f"it starts at {out.first:.4g}, {times:.3g} times ln {classes}",
            f"Its gradient is {times:.3g} times that of a mean, which acts like a learning rate higher by that factor.",
            0.95,
            layer=out.layer,
            blob=out.name,
        )
        return
    if out.traits.wants_probabilities:
        yield explosion_cause(
            log,
            explosion,
            "loss-wants-probabilities",
            f"inputs of '{out.layer}' (MultinomialLogisticLoss) are not probabilities: it starts at {out.first:.4g}",
            "Its largest value is 46.05. It has no built-in softmax, and its gradient divides by its input, "
            "or by 1e-20 if that is larger. Use SoftmaxWithLoss.",
            0.95,
            layer=out.layer,
            blob=out.name,
        )
        return
    if scores is None and out.first > LARGEST_SOFTMAX_TERM + 1:
        yield explosion_cause(
            log,
            explosion,
            "loss-not-normalised",
            f"'{out.layer}' starts at {out.first:.4g}, {times:.3g} times ln {classes}: it is a sum",
            "A mean over terms of at most 87.34 cannot be that large.",
            0.9,
            layer=out.layer,
            blob=out.name,
        )
    if scores is not None and scores.value < 3:
        matrix = out.traits.takes_matrix
        yield explosion_cause(
            log,
            explosion,
            "infogain-matrix-scale" if matrix else "loss-not-normalised",
            f"'{out.layer}' starts at {out.first:.4g}, {times:.3g} times ln {classes}, with small scores "
            f"(mean |x| {scores.value:.3g})",
            ("The entries of its infogain matrix are too large." if matrix else "It is a sum over many terms.")
            + " Its gradient grows with them, which acts like a higher learning rate.",
            0.94,
            layer=out.layer,
            blob=out.name,
            extra=(value_line(scores),),
        )


def _target(log: Evidence, out: Output) -> Value | None:
    layer = log.layers.get(out.layer)
    if layer is None or log.first_pass is None or len(layer.bottoms) < 2:
        return None
    return next((v for v in log.bottoms_of(log.first_pass, out.layer) if v.key.blob == layer.bottoms[1].name), None)
