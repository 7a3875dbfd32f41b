"""Weights that do not change, or only shrink: no learning rate, no gradient, too much weight decay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.registry import rule
from ...training_log.causes import Cause, norms_line, rate_line, shown, step_line, value_line
from ...training_log.course import stuck
from ...training_log.evidence import Evidence
from ...training_log.runs import Value

if TYPE_CHECKING:
    from ...moments.graph import Layer


@rule("T301", "zero-learning-rate", subject="log", severity="error")
def zero_learning_rate(log: Evidence) -> Iterator[Cause]:
    """Flags runs whose learning rate becomes 0 before the end.

    ## What it does

    Flags a displayed `lr = 0` before the last 2 % of the training. `base_lr` or `gamma` is missing or 0 (a step policy
    without gamma falls to 0 at its first step), or the learning rate underflowed.

    ## Why is this bad?

    Every update is 0 from then on. Caffe goes on training and prints no message.

    ## When it is reported

    **error**. A poly policy ends at 0; its last iterations are not reported.

    ## Fix

    `caffe-lint log --fix` sets `base_lr: 0.01` if `base_lr` is 0 or missing, otherwise `gamma: 0.1` if `gamma` is.

    ## References

    sgd_solver.cpp, GetLearningRate.
    """
    zero = next((step for step in log.steps if step.rate == 0), None)
    if zero is None:
        return
    total = log.setting("max_iter") or log.steps[-1].iteration
    if zero.iteration >= 0.98 * total and zero.iteration > 0:
        return
    earlier = [step for step in log.steps if step.rate and step.iteration < zero.iteration]
    reason = f"before, it was {earlier[-1].rate:g}" if earlier else "base_lr is 0 or missing"
    yield Cause(
        "zero-learning-rate",
        f"the learning rate is 0 from iteration {zero.iteration} on",
        f"No weight changes from there on; {reason}."
        + (" Without gamma, a step policy falls to 0 at its first step." if earlier else ""),
        0.99,
        iteration=zero.iteration,
        line=zero.rate_line,
        evidence=shown(rate_line(earlier[-1]) if earlier else None, rate_line(zero), step_line(zero)),
    )


@rule(
    "T302",
    "zero-gradients",
    subject="log",
    severity="error",
    causes={
        "loss-always-zero": "The loss is exactly 0 from the start: all labels are ignored, or a weight or matrix is 0.",
        "all-frozen": "Every lr_mult is 0, so nothing is trained.",
        "loss-weight-zero": "The loss_weight of the only loss is 0.",
        "propagate-down-false": "propagate_down: false blocks the gradient.",
    },
)
def zero_gradients(log: Evidence) -> Iterator[Cause]:
    """Flags runs in which no gradient reaches any weight.

    ## What it does

    Flags `All net params (data, diff): L1 norm = (X, 0)` in every pass. If no layer has a [Backward] line, nothing is
    trainable: every lr_mult is 0, or `propagate_down: false` or a loss_weight of 0 blocks the gradient. If layers have such
    lines and the loss is 0, nothing contributes to the loss: all labels are ignored, or the infogain matrix is 0. A loss of
    exactly 0 from the start is reported without `debug_info` as well.

    ## Why is this bad?

    No weight changes and nothing is learned, and Caffe prints no message.

    ## When it is reported

    **error**. Ignore it if the run was only meant to compute the loss or to measure the speed of the net.

    ## Example

    There is no automatic fix: only you know which layers should learn.

    ## References

    net.cpp, BackwardDebugInfo, Init ("does not need backward computation"); loss_layer.cpp, GetNormalizer.
    """
    if not log.steps and log.first_pass is None:
        return
    first = log.first_pass
    with_norms = [each for each in log.passes if each.norms is not None]  # the last pass has no backward pass
    all_zero = bool(with_norms) and all(each.norms is not None and each.norms.l1_diff == 0 for each in with_norms)
    losses = [step.loss for step in log.steps]
    zero_loss = len(losses) >= 3 and all(step.is_zero for step in log.steps)
    if not all_zero and not zero_loss:
        return
    backward = first is not None and any(value.key.direction == "Backward" for value in first)
    step = log.steps[0] if log.steps else None
    evidence = shown(step_line(step) if step else None, (norms_line(each) for each in with_norms[:2]))
    iteration = step.iteration if step else None
    at = step.line if step else first.line if first else None
    if zero_loss:
        out = log.outputs[0] if log.outputs else None
        why, label = _why_zero(log)
        zero = f"0 up to rounding ({losses[-1]:.1g})" if any(losses) else "exactly 0"
        yield Cause(
            "loss-always-zero",
            f"the loss is {zero} in every iteration" + (", and so is every gradient" if all_zero else ""),
            f"Nothing contributes to the loss: {why}.",
            0.97,
            out.layer if out else None,
            label.key.blob if label else (out.name if out else None),
            iteration,
            at,
            shown(evidence, value_line(label) if label else None),
        )
        return
    if backward:
        views = [view for view in log.views(first) if view.bottom_diffs] if first else []
        cut = views[-1].name if views else None
        yield Cause(
            "zero-gradients",
            "all parameter gradients are exactly 0",
            "The loss passes no gradient to the layers below.",
            0.9,
            cut,
            None,
            iteration,
            at,
            evidence,
        )
        return
    cause, why, layer = _why_frozen(log)
    yield Cause(
        cause,
        "no layer runs backward: nothing is learned",
        f"No layer has a [Backward] line. {why}",
        0.97,
        layer,
        None,
        iteration,
        at,
        evidence,
    )


@rule(
    "T307",
    "vanishing-weights",
    subject="log",
    severity="warning",
    causes={
        "weight-decay-too-high": "Weight decay forgets the weights faster than they learn.",
    },
)
def vanishing_weights(log: Evidence) -> Iterator[Cause]:
    """Flags a weight decay that shrinks the weights faster than they learn.

    ## What it does

    Flags a run that does not learn, in which the norm of all parameters (`All net params (data, …)`) fell below half of its
    first value, or in which learning rate times weight_decay is 1e-3 or more.

    ## Why is this bad?

    Each step multiplies the weights by 1 - rate * decay, so whatever the gradients add is forgotten within 1 / (rate *
    decay) steps.

    ## When it is reported

    **warning**. Ignore it if small weights are the goal, and the loss may stay where it is.

    ## Fix

    `caffe-lint log --fix` sets `weight_decay: 0.0005`.

    ## References

    sgd_solver.cpp, Regularize.
    """
    if not stuck(log):
        return
    decay = log.setting("weight_decay")
    rate = next((step.rate for step in log.steps if step.rate), log.setting("base_lr")) or 0.0
    norms = [step for step in log.steps if step.norms is not None]
    shrank = (
        len(norms) > 1 and norms[0].norms and norms[-1].norms and norms[-1].norms.l2_data < 0.5 * norms[0].norms.l2_data
    )
    if decay <= 0 or rate * decay * max(log.steps[-1].iteration, 1) < 0.5 or not (shrank or rate * decay >= 1e-3):
        return
    before, after = (norms[0], norms[-1]) if shrank else (log.steps[0], log.steps[-1])
    forgotten_after = 1 / (rate * decay)
    fall = (
        f" The L2 norm of all parameters fell from {before.norms.l2_data:.3g} to {after.norms.l2_data:.3g}."
        if before.norms and after.norms
        else ""
    )
    yield Cause(
        "weight-decay-too-high",
        f"weight_decay {decay:g} shrinks the weights faster than they learn",
        f"With a learning rate of {rate:g}, a weight is forgotten within {forgotten_after:.0f} "
        f"iteration{'' if forgotten_after < 1.5 else 's'}.{fall}",
        0.93,
        iteration=after.iteration,
        line=after.norms_line or after.line,
        evidence=shown(norms_line(before), norms_line(after), step_line(log.steps[0]), step_line(log.steps[-1])),
    )


def _why_zero(log: Evidence) -> tuple[str, Value | None]:
    for out in log.outputs:
        layer = log.layers.get(out.layer)
        if layer is None or log.first_pass is None or len(layer.bottoms) < 2:
            continue
        label = next(
            (v for v in log.bottoms_of(log.first_pass, out.layer) if v.key.blob == layer.bottoms[1].name),
            None,
        )
        if "loss_param" in layer.message and "ignore_label" in layer.message["loss_param"]:
            ignored = layer.message["loss_param"]["ignore_label"]
            return f"all labels are {ignored}, which ignore_label excludes", label
        if out.traits.takes_matrix:
            return "the infogain matrix is 0", None
    if log.steps and not log.outputs:
        return "no output of the net is part of the loss (loss_weight is 0, or there is no loss layer)", None
    return "all labels are ignored, or a matrix or weight is 0", None


def _why_frozen(log: Evidence) -> tuple[str, str, str | None]:
    for layer in log.layers.values():
        if "propagate_down" in layer.message and not any(layer.message["propagate_down"]):
            return (
                "propagate-down-false",
                f"propagate_down: false in '{layer.name}' blocks the gradient.",
                layer.name,
            )
    learning = [layer for layer in log.layers.values() if layer.params]
    frozen = [layer for layer in learning if _frozen(layer)]
    if frozen and len(frozen) == len(learning):
        return "all-frozen", "Every lr_mult is 0.", frozen[0].name
    zero = [
        layer
        for layer in log.layers.values()
        if "loss_weight" in layer.message and not any(layer.message["loss_weight"])
    ]
    if zero:
        return "loss-weight-zero", f"The loss_weight of '{zero[0].name}' is 0.", zero[0].name
    return "all-frozen", "Every lr_mult is 0, or propagate_down or loss_weight blocks the gradient.", None


def _frozen(layer: Layer) -> bool:
    params = layer.message["param"]
    return bool(params) and all(param["lr_mult"] == 0 for param in params)
