"""Layers that pass no activations or gradients on: dead, saturated, or vanishing."""

from __future__ import annotations

from collections.abc import Iterator

from ...layers.record import is_loss_type
from ...moments.layer_type import SOFTMAX
from ...rule.registry import Option, rule
from ...training_log.causes import Cause, shown, step_line, value_line
from ...training_log.course import FEW, find_explosion, learned, stuck
from ...training_log.evidence import Evidence, LayerView
from ...training_log.runs import Pass, Value

_Found = tuple[str, str, str, Value, tuple[Value, ...]]


@rule(
    "T303",
    "dead-units",
    subject="log",
    severity="error",
    causes={
        "zero-weights": "All weights of a layer are 0, which is what a missing weight_filler means.",
        "dead-relu": "A ReLU outputs only zeros, and passes no gradient on.",
        "constant-weights": "A constant filler made all units of a layer the same, and they stay so.",
    },
)
def dead_units(log: Evidence) -> Iterator[Cause]:
    """Flags layers that output only zeros, or whose weights are all 0 or all equal.

    ## What it does

    In a run that stayed finite and did not learn, flags, in the first pass and in the last:

    - weights that are exactly 0 in a layer that outputs zeros: there is no weight_filler, which means constant 0;
    - a ReLU that outputs only zeros (mean |x| 0): every unit is dead, and every diff below it is exactly 0;
    - weights that a constant filler made all equal: all units of the layer then learn the same.

    ## Why is this bad?

    The gradient below is exactly 0. Only the biases above still change, towards the frequencies of the labels, and the loss
    stays at ln K.

    ## When it is reported

    **error**, always: nothing below that layer learns.

    ## Example

    There is no automatic fix. Add a weight_filler (msra before ReLU, xavier otherwise). If ReLUs died during the training,
    lower the learning rate or the bias.

    ## References

    filler.hpp; relu_layer.cpp; net.cpp, ForwardDebugInfo. Checked by running Caffe.
    """
    if learned(log) or log.first_bad_iteration is not None:
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
                confidence = 0.95 if passed is first else 0.85 if find_explosion(log) is None else 0.6
                yield Cause(
                    cause,
                    message,
                    reason,
                    confidence,
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


@rule(
    "T304",
    "vanishing-gradient",
    subject="log",
    severity="warning",
    options={
        "ratio": Option(
            1e-4, "mean |diff| of the first weights over that of the last, below which gradients have vanished", least=0, greatest=1
        )
    },
    causes={
        "vanishing-signal": "The activations shrink from layer to layer, so that only the last bias learns.",
    },
)
def vanishing_gradient(log: Evidence, *, ratio: float) -> Iterator[Cause]:
    """Flags gradients or activations that vanish before they reach the other end of the net.

    ## What it does

    Flags a run that does not learn and in whose `debug_info`

    - the mean |diff| of the first weights is less than 1e-4 of that of the last weights, or
    - the diffs of all weights are less than 1e-4 of their data, because the activations themselves vanish: the tops shrink
      from layer to layer (weights too small), so that only the last bias learns.

    It names the first layer that is out of reach, and the values there.

    ## Why is this bad?

    A sigmoid passes on a quarter of a gradient at most: after 8 of them, 1e-5 is left. Weights with a std of 0.01 in 12
    layers leave 1e-14.

    ## When it is reported

    **warning**. Ignore it if the log is the beginning of a training that starts slowly, and check again when it has run for
    longer.

    ## Example

    There is no automatic fix. Use ReLU and msra instead of sigmoids, xavier instead of a small gaussian, or BatchNorm.

    ## Options

    `ratio`: the ratio of the first to the last gradient below which gradients have vanished; 1e-4 by default (healthy nets
    measured 0.05 to 2).

    ## References

    net.cpp, BackwardDebugInfo: means of |x|, not norms. Measured on the runs of `python benchmarks/log_judge.py`.
    """
    passed = log.first_pass
    if passed is None or not stuck(log) or log.run.resumed:
        return
    weights = list(log.weights(passed))
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
            f"gradients vanish: {first[2].value:.2g} at '{first[0].name}' against "
            f"{last[2].value:.2g} at '{last[0].name}'",
            f"From '{fading[0].name}' down, they are below {ratio:g} of those of the last layer, and the "
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
    # BatchNorm and losses set their own scale; what matters is what reaches the last weights.
    begin, end = tops[0], tops[-2] if len(tops) > 4 else tops[-1]
    fade = min(value.value for value in tops[1:]) / begin.value if begin.value else 1.0
    steps = max((diff.value / data.value for _, data, diff in weights if diff is not None), default=1.0)
    if fade < 0.02 or (steps < 1e-4 and end.value < begin.value):
        low = min(tops[1:], key=lambda value: value.value)
        yield Cause(
            "vanishing-signal",
            f"activations vanish: mean |x| is {begin.value:.2g} at '{begin.key.layer}', "
            f"{low.value:.2g} at '{low.key.layer}'",
            "Weights are too small, or small values are multiplied. Gradients are at most "
            f"{steps:.1g} of the weights, so only the last bias learns, and the loss stays at {log.steps[-1].loss:.4g}.",
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


@rule("T305", "saturated-activations", subject="log", severity="warning")
def saturated_activations(log: Evidence) -> Iterator[Cause]:
    """Flags saturated Sigmoid and TanH layers in a training that does not learn.

    ## What it does

    In a run that did not learn, flags a TanH whose top has a mean |x| above 0.9, and a Sigmoid with a mean above 0.97 or
    below 0.03. TanH outputs lie between -1 and 1, Sigmoid outputs between 0 and 1.

    ## Why is this bad?

    The slope is close to 0 there, so the gradients below are noise or vanish. Weights or inputs are too large.

    ## When it is reported

    **warning**. Ignore it if the values are meant to be at their limits, such as gates that are open or closed.

    ## Example

    There is no automatic fix. Use smaller weights or inputs.

    ## References

    tanh_layer.cpp, sigmoid_layer.cpp, Backward_cpu.
    """
    passed = log.last_pass
    if passed is None or learned(log) or len(log.steps) < FEW:
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
        f"{len(full)} {kind} layer{'s are' if len(full) > 1 else ' is'} saturated: mean |x| of '{view.name}' is "
        f"{top.value:.3g}",
        "Weights or inputs are too large. The slope is close to 0 there, so gradients do not get through.",
        0.86 if early is not None and _saturated_early(log, early) else 0.7,
        view.name,
        top.key.blob,
        passed.iteration,
        top.line,
        shown((value_line(value) for _, value, _ in full[:3]), step_line(log.steps[0]), step_line(log.steps[-1])),
    )


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
            f"all weights of '{view.name}' are 0, and so is its output",
            "Without a weight_filler, weights are constant 0, and the gradients below stay 0 for ever.",
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
        "from the start: its inputs are all negative (check the bias_filler of the layer before it)"
        if at_first
        else "since too high a learning rate moved the weights too far"
    )
    return (
        "dead-relu",
        f"ReLU '{view.name}' is dead: it outputs only zeros",
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
                    f"all weights of '{view.name}' are {filler['value']:g}: its units are identical",
                    "With a constant weight_filler, every unit of a layer computes and learns the same.",
                    0.93,
                    view.name,
                    weight.key.blob,
                    first.iteration,
                    weight.line,
                    shown(value_line(weight), step_line(log.steps[-1]) if log.steps else None),
                )
                return


def _signal(log: Evidence, passed: Pass) -> list[Value]:
    """The first data top and the tops of the layers after it, without losses, labels and layers that only measure."""
    found = []
    for view in log.views(passed):
        kind, traits = log.type_of(view.name), log.traits_of(view.name)
        if (
            not view.tops
            or is_loss_type(kind)
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


def _saturated_early(log: Evidence, passed: Pass) -> bool:
    return any(_is_saturated(log, view) for view in log.views(passed))


def _is_saturated(log: Evidence, view: LayerView) -> bool:
    usual = log.traits_of(view.name).unsaturated
    return bool(view.tops) and usual is not None and not usual[0] <= view.tops[0].value <= usual[1]
