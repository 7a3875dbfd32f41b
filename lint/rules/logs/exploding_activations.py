"""Explosions caused by activations that are large from the start."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...layers.record import is_loss_type
from ...rule.registry import rule
from ...training_log.causes import Cause, value_line
from ...training_log.course import Explosion, find_explosion
from ...training_log.evidence import Evidence
from ...training_log.runs import Value
from .exploded import explosion_cause


@rule(
    "T204",
    "exploding-activations",
    subject="log",
    severity="error",
    causes={
        "input-not-scaled": "The inputs are pixels from 0 to 255 or alike, while fillers assume inputs around 1.",
        "weights-too-large": "A layer's initial weights make its output several times as large as its input.",
        "layer-amplifies": "A division or product makes values many times larger.",
        "residual-growth": "Eltwise sums without normalisation add up variance from block to block.",
    },
)
def exploding_activations(log: Evidence) -> Iterator[Cause]:
    """Flags runs that diverged because activations were too large from the start.

    ## What it does

    Flags a run that diverged, or never got below chance level, if its first softmax loss is 3 times ln K or more because the
    scores are large. The means of |x| of the first pass tell why they are large:

    - the input: a data layer's top with a mean |x| of 10 or more (pixels from 0 to 255);
    - a layer whose weights make its output several times as large as its input (a gaussian filler without std has std 1);
    - a division or product, or a chain of Eltwise sums without normalisation.

    ## Why is this bad?

    The loss is saturated: probabilities are 0 (87.3365 each), gradients are as large as they can be, and the first steps
    throw the weights far off.

    ## When it is reported

    **error**, if the run diverged or never got below chance level.

    ## Fix

    `caffe-lint log --fix` sets `clip_gradients` only, since any other change gives existing weights a different meaning.
    Scale the input yourself (`transform_param { scale: 0.00390625 }` for pixels), or use msra or xavier fillers.

    ## Example

    Comes with: T201.

    ## References

    softmax_loss_layer.cpp; filler.hpp. Measured on the runs of `python benchmarks/log_judge.py`.
    """
    explosion = find_explosion(log)
    if explosion is None or explosion.at_start < 3 or log.run.resumed:
        return
    confidence = 0.6 if explosion.at_start < 6 else 0.88
    first = log.first_pass
    if first is None:
        yield explosion_cause(
            log,
            explosion,
            "exploding-activations",
            f"the first loss is {explosion.at_start:.3g} times chance level (ln {log.classes})",
            "Inputs or weights are too large, or the loss is a sum. A log with `debug_info: true` and "
            "`display: 1` shows which.",
            confidence - 0.1,
        )
        return
    scores = _scores(log)
    if scores is not None and scores.value < 3:
        return  # the scale of the loss is the cause: T203
    yield from _large_start(log, explosion, confidence)


def _scores(log: Evidence) -> Value | None:
    for out in log.outputs:
        layer = log.layers.get(out.layer)
        if layer is not None and out.traits.log_likelihood and layer.bottoms and log.first_pass is not None:
            for value in log.bottoms_of(log.first_pass, out.layer):
                if value.key.blob == layer.bottoms[0].name:
                    return value
    return None


def _large_start(log: Evidence, explosion: Explosion, confidence: float) -> Iterator[Cause]:
    assert log.first_pass is not None
    factors: list[tuple[float, str, str, str, Value, tuple[Value, ...]]] = []
    sums: list[tuple[float, Value]] = []
    for view in log.views(log.first_pass):
        if not view.tops or not view.tops[0].finite:
            continue
        top, kind, traits = view.tops[0], log.type_of(view.name), log.traits_of(view.name)
        if log.is_data(view.name):
            for value in view.tops:
                if value.value >= 10 and value.finite and not log.is_label(view.name, value.key.blob):
                    factors.append(  # noqa: PERF401  (too long for an expression)
                        (
                            value.value / 0.5,
                            "input-not-scaled",
                            f"input '{value.key.blob}' is not scaled: its mean |x| is {value.value:.4g}",
                            "Weight fillers assume inputs around 1.",
                            value,
                            (),
                        )
                    )
            continue
        bottoms = log.bottoms_of(log.first_pass, view.name)
        below = max((value.value for value in bottoms if value.finite), default=0.0)
        if not below or is_loss_type(kind):
            continue
        gain = top.value / below
        evidence = tuple(bottoms[:1])
        if view.params and gain >= 3 and not traits.channel_params:
            factors.append(
                (
                    gain,
                    "weights-too-large",
                    f"the weights of '{view.name}' are too large: its output is {gain:.3g} times its input",
                    f"The mean |x| of its weights is {view.params[0].value:.3g}. Check its weight_filler: "
                    "a gaussian without std has a std of 1.",
                    top,
                    (*evidence, view.params[0]),
                )
            )
        elif traits.combines:
            sums.append((gain, top))
            if gain >= 10:
                factors.append(
                    (
                        gain,
                        "layer-amplifies",
                        f"the output of Eltwise '{view.name}' is {gain:.3g} times its inputs",
                        "A product of values above 1, or a division, causes this.",
                        top,
                        evidence,
                    )
                )
        elif gain >= 10 and not traits.keeps_range:
            factors.append(
                (
                    gain,
                    "layer-amplifies",
                    f"the output of layer '{view.name}' ({kind or 'type unknown'}) is {gain:.3g} times its input",
                    "Its input is close to a point where its output grows without bound.",
                    top,
                    evidence,
                )
            )
    growth = math.prod(gain for gain, _ in sums)
    if len(sums) >= 3 and growth >= 4:
        last = sums[-1][1]
        factors.append(
            (
                growth,
                "residual-growth",
                f"{len(sums)} Eltwise sums without normalisation multiply activations by {growth:.3g}: "
                f"mean |x| of '{last.key.blob}' is {last.value:.4g}",
                "Each sum adds the variance of its branch. Insert BatchNorm and Scale in the branches, "
                "or initialise their last weights with 0.",
                last,
                (sums[0][1],),
            )
        )
    factors.sort(key=lambda factor: -factor[0])
    leading = {factor[1]: factor for factor in reversed(factors)}  # the largest of each kind
    for position, (_, cause, message, reason, value, evidence) in enumerate(
        sorted(leading.values(), key=lambda each: -each[0])
    ):
        others = [factor[4].key.layer for factor in factors if factor[1] == cause and factor[4] is not value]
        if others:
            reason += f" Also in {', '.join(others[:4])}."
        yield explosion_cause(
            log,
            explosion,
            cause,
            message,
            f"The first loss is {explosion.at_start:.3g} times ln {log.classes}. {reason}",
            confidence - 0.04 * position,
            layer=value.key.layer,
            blob=value.key.blob,
            extra=(*(value_line(each) for each in evidence), value_line(value)),
        )
    if not factors:
        scores = _scores(log)
        yield explosion_cause(
            log,
            explosion,
            "exploding-activations",
            f"the first loss is {explosion.at_start:.3g} times chance level: the scores are too large",
            f"The mean |x| of the scores is {scores.value:.3g}." if scores else "",
            confidence - 0.1,
            layer=scores.key.layer if scores else None,
            blob=scores.key.blob if scores else None,
            extra=(value_line(scores),) if scores else (),
        )
