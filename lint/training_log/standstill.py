"""Why a finite training does not learn: a rate of 0, no gradients, dead or saturated layers, gradients that
fade.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..moments.layer_type import SOFTMAX
from .causes import Cause, norms_line, rate_line, shown, step_line, value_line
from .course import FEW, STUCK, course, explosion, learnt
from .evidence import Evidence, LayerView
from .runs import Pass, Value

if TYPE_CHECKING:
    from ..moments.graph import Layer



def stuck(log: Evidence) -> bool:
    """Whether the displayed loss did not fall: enough iterations, all finite, none of them an explosion."""
    how = course(log)
    if how is None or how.steps < FEW or log.first_bad_iteration is not None or learnt(log):
        return False
    span = log.steps[-1].iteration - log.steps[0].iteration
    return span >= FEW and (how.end > STUCK * how.start or _at_chance(log, how.end))


def _at_chance(log: Evidence, end: float) -> bool:
    only = log.single_loss
    return (
        log.chance is not None
        and only is not None
        and only.traits.log_likelihood
        and abs(end - log.chance) < 0.02 * log.chance
    )


def learning_rate_zero(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T301 finds: see its page."""
    zero = next((step for step in log.steps if step.rate == 0), None)
    if zero is None:
        return
    total = log.setting("max_iter") or log.steps[-1].iteration
    if zero.iteration >= 0.98 * total and zero.iteration > 0:
        return
    earlier = [step for step in log.steps if step.rate and step.iteration < zero.iteration]
    how = f"it was {earlier[-1].rate:g} before" if earlier else "it is 0 from the start: base_lr is 0 or missing"
    yield Cause(
        "zero-learning-rate",
        f"the learning rate is 0 from iteration {zero.iteration} on",
        f"No weight changes any more; {how}."
        + (" A policy without gamma falls to 0 at its first step." if earlier else ""),
        0.99,
        iteration=zero.iteration,
        line=zero.rate_line,
        evidence=shown(rate_line(earlier[-1]) if earlier else None, rate_line(zero), step_line(zero)),
    )


def no_gradient(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T302 finds: see its page."""
    if not log.steps and log.first_pass is None:
        return
    first = log.first_pass
    with_norms = [each for each in log.passes if each.norms is not None]  # the last pass is a forward only
    all_zero = bool(with_norms) and all(each.norms is not None and each.norms.l1_diff == 0 for each in with_norms)
    losses = [step.loss for step in log.steps]
    zero_loss = len(losses) >= 3 and all(loss == 0 for loss in losses)
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
        yield Cause(
            "loss-always-zero",
            "the loss is exactly 0 in every iteration" + (" and so is every gradient" if all_zero else ""),
            f"Nothing is counted: {why}.",
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
            "every gradient of every parameter is exactly 0",
            "The loss passes nothing down.",
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
        "no layer runs backward: nothing is learnt",
        f"There is no [Backward] line of any layer. {why}",
        0.97,
        layer,
        None,
        iteration,
        at,
        evidence,
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
            return f"all labels are {ignored}, which are ignored (ignore_label)", label
        if out.traits.takes_matrix:
            return "the infogain matrix is 0", None
    if log.steps and not log.outputs:
        return "no output of the net counts in the loss (loss_weight 0, or no loss layer)", None
    return "labels that are all ignored, a matrix or weight of 0", None


def _why_frozen(log: Evidence) -> tuple[str, str, str | None]:
    for layer in log.layers.values():
        if "propagate_down" in layer.message and not any(layer.message["propagate_down"]):
            return (
                "propagate-down-false",
                f"propagate_down: false of '{layer.name}' cuts the way down.",
                layer.name,
            )
    learning = [layer for layer in log.layers.values() if layer.params]
    frozen = [layer for layer in learning if _frozen(layer)]
    if frozen and len(frozen) == len(learning):
        return "all-frozen", "lr_mult is 0 for every parameter.", frozen[0].name
    zero = [
        layer
        for layer in log.layers.values()
        if "loss_weight" in layer.message and not any(layer.message["loss_weight"])
    ]
    if zero:
        return "loss-weight-zero", f"loss_weight is 0 for '{zero[0].name}'.", zero[0].name
    return "all-frozen", "lr_mult is 0 everywhere, or propagate_down or loss_weight cuts the way.", None


def _frozen(layer: Layer) -> bool:
    params = layer.message["param"]
    return bool(params) and all(param["lr_mult"] == 0 for param in params)


def dead_units(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T303 finds: see its page."""
    if learnt(log) or log.first_bad_iteration is not None:
        return
    first, last = log.first_pass, log.last_pass
    if first is None or last is None:
        return
    constant = list(_constant(log, first))
    if constant:
        yield constant[0]
        return
    for passed in dict.fromkeys((first, last)):
        views = log.views(passed)
        for position, view in enumerate(views):
            found = _zero_weights(log, views, position) or _dead_rectifier(log, views, position, passed is first)
            if found is not None:
                cause, message, reason, value, more = found
                sure = 0.95 if passed is first else 0.85 if explosion(log) is None else 0.6
                yield Cause(
                    cause,
                    message,
                    reason,
                    sure,
                    view.name,
                    value.key.blob,
                    passed.iteration,
                    value.line,
                    shown(
                        value_line(value),
                        (value_line(each) for each in more),
                        step_line(log.steps[-1]) if log.steps else None,
                    ),
                )
                return


_Found = tuple[str, str, str, Value, tuple[Value, ...]]


def _zero_weights(log: Evidence, views: list[LayerView], position: int) -> _Found | None:
    view = views[position]
    if not view.params or not view.tops or log.traits_of(view.name).channel_params:
        return None
    if view.params[0].value != 0 or (not view.param_diffs and not log.layers):
        return None
    above = [v.tops[0] for v in views[position + 1 :] if v.tops and v.tops[0].value == 0]
    if view.tops[0].value == 0 and len([v for v in views if v.params]) > 1:
        return (
            "zero-weights",
            f"the weights of '{view.name}' are all 0, and so is what it gives",
            "Without a weight_filler weights are 0 (constant): the gradients below are 0 for ever.",
            view.params[0],
            (view.tops[0], *above[:1]),
        )
    return None


def _dead_rectifier(log: Evidence, views: list[LayerView], position: int, at_first: bool) -> _Found | None:
    view = views[position]
    kind = log.type_of(view.name)
    if (
        not view.tops
        or view.tops[0].value != 0
        or (not log.traits_of(view.name).rectifies and (kind or "relu" not in view.name.lower()))
    ):
        return None
    below = views[position - 1] if position else None
    if below is not None and below.tops and below.tops[0].value == 0:
        return None
    when = (
        "from the start: its inputs are all below 0 (see the bias_filler below it)"
        if at_first
        else "since the rate threw its weights off"
    )
    return (
        "dead-relu",
        f"ReLU '{view.name}' is dead: all it gives is 0",
        f"Every gradient below it is exactly 0, {when}.",
        view.tops[0],
        (below.tops[0],) if below is not None and below.tops else (),
    )


def _constant(log: Evidence, first: Pass) -> Iterator[Cause]:
    for view, weight, _ in log.weights(first):
        layer = log.layers.get(view.name)
        if layer is None:
            continue
        for name in ("convolution_param", "inner_product_param"):
            param = layer.message[name] if name in layer.message else None  # noqa: SIM401  (get gives defaults)
            filler = param["weight_filler"] if param is not None and "weight_filler" in param else None
            if filler is not None and filler["type"] == "constant" and filler["value"] and not log.run.resumed:
                yield Cause(
                    "constant-weights",
                    f"all weights of '{view.name}' are {filler['value']:g}: its units cannot be told apart",
                    "A constant weight_filler makes every unit of a layer compute, and learn, the same.",
                    0.93,
                    view.name,
                    weight.key.blob,
                    first.iteration,
                    weight.line,
                    shown(value_line(weight), step_line(log.steps[-1]) if log.steps else None),
                )
                return


def vanishing_gradient(log: Evidence, *, ratio: float) -> Iterator[Cause]:
    """The causes that rule T304 finds: see its page."""
    passed = log.first_pass
    if passed is None or not stuck(log) or log.run.resumed:
        return
    weights = [(view, data, diff) for view, data, diff in log.weights(passed) if diff is not None]
    if len(weights) < 3 or any(data.value == 0 for _, data, _ in weights):
        return
    first, last = weights[0], weights[-1]
    assert first[2] is not None
    assert last[2] is not None
    step = log.steps[0]
    if last[2].value > 0 and first[2].value / last[2].value < ratio and first[2].value < 1e-6:
        fading = next(
            (each for each in reversed(weights) if each[2] is not None and each[2].value / last[2].value < ratio),
            first,
        )
        yield Cause(
            "vanishing-gradient",
            f"gradients fade on their way down: {first[2].value:.2g} at '{first[0].name}' against "
            f"{last[2].value:.2g} at '{last[0].name}'",
            f"From '{fading[0].name}' down they are less than {ratio:g} of the last layer's, and the "
            f"loss stays at {log.steps[-1].loss:.4g}.",
            0.9,
            first[0].name,
            first[2].key.blob,
            passed.iteration,
            first[2].line,
            shown(
                value_line(last[2]),
                value_line(fading[2]) if fading[2] else None,
                value_line(first[2]),
                step_line(step),
                step_line(log.steps[-1]),
            ),
        )
        return
    tops = _signal(log, passed)
    if len(tops) < 4:
        return
    # BatchNorm and losses set their own size; what matters is the signal that reaches the last weights.
    begin, end = tops[0], tops[-2] if len(tops) > 4 else tops[-1]
    fade = min(value.value for value in tops[1:]) / begin.value if begin.value else 1.0
    steps = max((diff.value / data.value for _, data, diff in weights if diff is not None), default=1.0)
    if fade < 0.02 or (steps < 1e-4 and end.value < begin.value):
        low = min(tops[1:], key=lambda value: value.value)
        yield Cause(
            "vanishing-signal",
            f"the signal fades on its way up: mean |x| {begin.value:.2g} at '{begin.key.layer}', "
            f"{low.value:.2g} at '{low.key.layer}'",
            f"So the weights' gradients are {steps:.1g} of the weights at most, only the last bias "
            f"learns, and the loss stays at {log.steps[-1].loss:.4g}: "
            "weights too small, or products of small values.",
            0.88,
            low.key.layer,
            low.key.blob,
            passed.iteration,
            low.line,
            shown(
                value_line(begin),
                value_line(low),
                value_line(first[2]),
                value_line(last[2]),
                step_line(log.steps[-1]),
            ),
        )


def _signal(log: Evidence, passed: Pass) -> list[Value]:
    """The first data top and the tops of what follows it, without losses, labels and what only judges."""
    found = []
    for view in log.views(passed):
        kind, traits = log.type_of(view.name), log.traits_of(view.name)
        if (
            not view.tops
            or "Loss" in kind
            or traits.activation == SOFTMAX
            or not traits.has_backward
            or "loss" in view.name.lower()
        ):
            continue
        if log.is_data(view.name):
            found += [top for top in view.tops if not log.is_label(view.name, top.key.blob)][:1]
        else:
            found.append(view.tops[0])
    return found


def saturated_activation(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T305 finds: see its page."""
    passed = log.last_pass
    if passed is None or learnt(log) or len(log.steps) < FEW:
        return
    full = []
    for view in log.views(passed):
        kind = log.type_of(view.name)
        if _is_saturated(log, view):
            full.append((view, view.tops[0], kind))
    if not full:
        return
    view, top, kind = full[0]
    early = log.first_pass
    yield Cause(
        "saturated-activations",
        f"{len(full)} {kind} layer{'s are' if len(full) > 1 else ' is'} saturated, '{view.name}' first: "
        f"mean |x| {top.value:.3g}",
        "Their slope is next to nothing there: weights or inputs are too large, and gradients do not get through.",
        0.86 if early is not None and _saturated_early(log, early) else 0.7,
        view.name,
        top.key.blob,
        passed.iteration,
        top.line,
        shown((value_line(value) for _, value, _ in full[:3]), step_line(log.steps[0]), step_line(log.steps[-1])),
    )


def _saturated_early(log: Evidence, passed: Pass) -> bool:
    return any(_is_saturated(log, view) for view in log.views(passed))


def _is_saturated(log: Evidence, view: LayerView) -> bool:
    usual = log.traits_of(view.name).unsaturated
    return bool(view.tops) and usual is not None and not usual[0] <= view.tops[0].value <= usual[1]


def double_activation_loss(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T306 finds: see its page."""
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


def weights_decay_away(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T307 finds: see its page."""
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
    told = (
        f": the L2 norm of all parameters fell from {before.norms.l2_data:.3g} to {after.norms.l2_data:.3g}"
        if before.norms and after.norms
        else ""
    )
    yield Cause(
        "weight-decay-too-high",
        f"weight_decay {decay:g} shrinks the weights away{told}",
        f"With a rate of {rate:g} a weight is forgotten within {1 / (rate * decay):.0f} steps.",
        0.93,
        iteration=after.iteration,
        line=after.norms_line or after.line,
        evidence=shown(norms_line(before), norms_line(after), step_line(log.steps[0]), step_line(log.steps[-1])),
    )


def infogain_matrix_useless(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T308 finds: see its page."""
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


def loss_not_decreasing(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T309 finds: see its page."""
    if not stuck(log) or explosion(log) is not None:
        return
    how = course(log)
    assert how is not None
    chance = log.chance is not None and abs(how.end - log.chance) < 0.04 * log.chance
    if log.run.resumed and not chance:
        return
    others = (
        learning_rate_zero,
        no_gradient,
        dead_units,
        vanishing_gradient_default,
        saturated_activation,
        double_activation_loss,
        weights_decay_away,
        infogain_matrix_useless,
    )
    if any(True for other in others for _ in other(log)):
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


def vanishing_gradient_default(log: Evidence) -> Iterator[Cause]:
    """T304 with its default options."""
    return vanishing_gradient(log, ratio=1e-4)


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
