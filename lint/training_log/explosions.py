"""Why gradients and loss blew up: the rate, a loss's weight or scale, a start that is too large, the
solver's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..moments.layer_type import REGRESSION, SIGMOID
from ..moments.shapes import count
from ..net.loss_sizes import known_shape
from .causes import Cause, Shown, norms_line, rate_line, shown, step_line, value_line
from .course import Explosion, course, explosion
from .evidence import LARGEST_SOFTMAX_TERM, Evidence, Output
from .runs import Step, Value

_ADAPTIVE = frozenset({"Adam", "RMSProp", "AdaGrad", "AdaDelta", "AMSGrad"})


def _path(log: Evidence, blown: Explosion) -> tuple[Shown | None, ...]:
    steps = [log.steps[0], *blown.path[:3]]
    return tuple(line for step in steps for line in (step_line(step), norms_line(step)) if line is not None)


def _told(log: Evidence, blown: Explosion) -> str:
    """The explosion in a sentence: where it began, how far it went, how it ended."""
    steps = blown.path
    words = "The loss " + _went(log.steps[0].loss, max((abs(step.loss) for step in steps), default=0.0))
    norms = [step.norms.l2_diff for step in (log.steps[0], *steps) if step.norms is not None]
    if norms:
        words += f", the gradient's L2 norm {_went(norms[0], max(norms))}"
    if blown.finite:
        how = course(log)
        return words + (f"; it ended at {how.end * log.loss_scale:.4g}." if how else ".")
    where = (
        f" in '{log.first_bad.key.layer}' ({log.first_bad.key.role} '{log.first_bad.key.blob}')"
        if log.first_bad
        else ""
    )
    overflow = "" if not where else ", which overflowed first for being the largest, not for being to blame"
    return words + f"; the first value that is not finite is at iteration {log.first_bad_iteration}{where}{overflow}."


def _went(first: float, largest: float) -> str:
    return f"was {first:.4g}" if largest <= first else f"went from {first:.4g} to {largest:.4g}"


def _cause(
    log: Evidence,
    blown: Explosion,
    cause: str,
    message: str,
    reason: str,
    confidence: float,
    *,
    layer: str | None = None,
    blob: str | None = None,
    extra: tuple[Shown | None, ...] = (),
    severity: str = "",
) -> Cause:
    bad = log.first_bad
    iteration = log.first_bad_iteration if log.first_bad_iteration is not None else blown.begin.iteration
    line = bad.line if bad is not None else log.first_bad_step.line if log.first_bad_step else blown.begin.line
    if layer is None and bad is not None:
        layer, blob = bad.key.layer, bad.key.blob
    evidence = shown(*extra, *_path(log, blown), value_line(bad) if bad else None)
    return Cause(
        cause,
        message,
        f"{reason} {_told(log, blown)}{_clipping(log)}",
        confidence,
        layer,
        blob,
        iteration,
        line,
        evidence,
        severity,
    )


def _clipping(log: Evidence) -> str:
    """What clipping did, where the solver has it: a bound that is too loose never acts."""
    bound = log.setting("clip_gradients")
    if bound <= 0:
        return ""
    acted = next((each for each in log.run.clipped if each.iteration is not None), None)
    if acted is None:
        return f" clip_gradients is {bound:g} and never acted: no norm was over it, and NaN is over nothing."
    return f" clip_gradients {bound:g} acted from iteration {acted.iteration} on, and was not enough."


def learning_rate_explosion(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T201 finds: see its page."""
    blown = explosion(log)
    if blown is None:
        return
    begin = blown.begin
    negative = next((step for step in log.steps if step.rate is not None and step.rate < 0), None)
    if negative is not None:
        yield _cause(
            log,
            blown,
            "learning-rate-negative",
            f"the learning rate is negative: {negative.rate:g}",
            "Every step goes uphill.",
            0.99,
            extra=(rate_line(negative),),
        )
        return
    rose = _rose(log, begin)
    if rose is not None:
        before, after = rose
        yield _cause(
            log,
            blown,
            "learning-rate-step",
            f"the learning rate rose from {before.rate:g} to {after.rate:g} at iteration "
            f"{after.iteration}, and gradients blew up after it",
            "The training was sound at the lower rate.",
            0.95,
            extra=(rate_line(before), rate_line(after)),
        )
        return
    if (
        blown.finite
        and blown.at_start > 3
        and max(abs(log.raw_loss(step)) for step in log.healthy) < 1.5 * abs(log.raw_loss(log.steps[0]))
    ):
        return  # it was as large from the start: T204
    rate = next((step.rate for step in log.steps if step.rate), None)
    leader = _leader(log)
    led = f" The gradient of '{leader.key.layer}' grew most." if leader is not None else ""
    shared = log.setting("iter_size") > 1
    sure = 0.8 if blown.at_start < 2.5 else 0.65 if blown.at_start < 6 else 0.45
    if any(out.weight > 1 for out in log.outputs) or any(out.traits.loss_family == REGRESSION for out in log.outputs):
        sure = min(sure, 0.7)
    how = "diverged" if blown.finite else "exploded"
    told = f" of {rate:g}" if rate else ""
    kind = log.solver_type
    adaptive = (
        f" {kind}'s steps do not depend on the size of gradients, so clipping does not help; only the rate does."
        if kind in _ADAPTIVE
        else ""
    )
    yield _cause(
        log,
        blown,
        "learning-rate-too-high",
        f"the training {how}: a learning rate{told} is too high for it",
        f"It began to grow at iteration {begin.iteration}.{led}{adaptive}"
        + (" The gradients of iter_size passes are divided by their number." if shared else ""),
        sure,
        extra=(rate_line(log.steps[0]),),
    )


def _rose(log: Evidence, begin: Step) -> tuple[Step, Step] | None:
    """The last two displayed rates of which the second is at least twice the first, before the explosion
    began.
    """
    rates = [
        step for step in log.steps if step.rate is not None and step.rate > 0 and step.iteration <= begin.iteration
    ]
    for before, after in zip(rates[::-1][1:], rates[::-1], strict=False):
        assert before.rate is not None
        assert after.rate is not None
        if after.rate >= 2 * before.rate and begin.iteration - after.iteration <= max(200, after.iteration):
            return before, after
    return None


def _leader(log: Evidence) -> Value | None:
    """The weight whose gradient grew most between the first pass and the last that is finite."""
    first, last = log.first_pass, log.last_pass
    if first is None or last is None or first is last:
        return None
    start = {value.key: value.value for value in first}
    grown = [
        (value.value / start[value.key], value)
        for value in last
        if value.key.what == "diff" and value.key.role == "param" and start.get(value.key, 0) > 0 and value.finite
    ]
    return max(grown, key=lambda each: each[0])[1] if grown else None


def loss_weight_explosion(log: Evidence, *, share: float) -> Iterator[Cause]:
    """The causes that rule T202 finds: see its page."""
    blown = explosion(log)
    if blown is None:
        return
    for out in log.outputs:
        if out.weight < 0:
            yield _cause(
                log,
                blown,
                "loss-weight-negative",
                f"loss '{out.layer}' has a weight of {out.weight:g}: the training climbs it",
                "Caffe takes a negative weight without a word.",
                0.98,
                layer=out.layer,
                blob=out.name,
            )
    total = sum(abs(out.weighted) for out in log.outputs if math.isfinite(out.weighted))
    for out in log.outputs:
        part = abs(out.weighted) / total if total else 0.0
        several = len(log.outputs) > 1 and out.weight > 1 and part >= share
        if several or (len(log.outputs) == 1 and out.weight >= 10):
            yield _cause(
                log,
                blown,
                "loss-weight-too-high",
                f"loss '{out.layer}' has a weight of {out.weight:g} and makes {part:.0%} of the first loss",
                f"Of {out.first:.4g} it makes {out.weighted:.4g}; every gradient below it is "
                f"{out.weight:g} times as large.{_diff_share(log)}",
                0.93 if several or out.weight >= 30 else 0.75,
                layer=out.layer,
                blob=out.name,
            )


def _diff_share(log: Evidence) -> str:
    """The diffs that the losses pass down in the first pass."""
    if log.first_pass is None:
        return ""
    names = {out.layer for out in log.outputs}
    diffs = [
        f"'{value.key.layer}' {value.value:.3g}"
        for value in log.first_pass
        if value.key.direction == "Backward" and value.key.role == "bottom" and value.key.layer in names
    ]
    return f" Mean |diff| passed down in the first pass: {', '.join(diffs)}." if len(diffs) > 1 else ""


def loss_scale_explosion(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T203 finds: see its page."""
    blown = explosion(log)
    if blown is None or log.run.resumed:
        return
    for out in log.outputs:
        if out.layer not in log.layers:
            continue  # of a net whose text was cut
        if out.traits.loss_family == REGRESSION:
            yield from _regression(log, blown, out)
        elif out.traits.log_likelihood:
            yield from _softmax_scale(log, blown, out)


def _regression(log: Evidence, blown: Explosion, out: Output) -> Iterator[Cause]:
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
        yield _cause(
            log,
            blown,
            "targets-not-scaled",
            f"the targets of '{out.layer}' are large: mean |x| of '{target.key.blob}' is "
            f"{target.value:.4g}, the first loss {out.first:.4g}",
            "The gradient of a squared difference grows with the target. Scale the targets to about 1.",
            0.93 if target.value >= 10 else 0.85,
            layer=out.layer,
            blob=target.key.blob,
            extra=(value_line(target),),
        )
    elif items is not None and items >= 32:
        yield _cause(
            log,
            blown,
            "loss-not-normalised",
            f"'{out.layer}' adds up {items} outputs for each item: its first value is {out.first:.4g}",
            f"{out.type} divides by the number of items only, so its gradient is {items} times that of a "
            f"mean: it wants a rate that much lower, or a loss_weight of {1 / items:.1g}.",
            0.82,
            layer=out.layer,
            blob=out.name,
        )
    elif target is None and out.first >= 10:
        yield _cause(
            log,
            blown,
            "targets-not-scaled",
            f"the first value of '{out.layer}' is {out.first:.4g}: its targets are not near 1, or it adds up many",
            f"{out.type} divides by the number of items only. With `debug_info: true` the log would show the targets.",
            0.8,
            layer=out.layer,
            blob=out.name,
        )


def _elements(log: Evidence, loss: str) -> int | None:
    """How many values of each item a loss compares."""
    layer = log.layers[loss]
    for blob in layer.bottoms[:2]:
        shape = known_shape(blob)
        number = count(shape, 1) if shape is not None else None
        if number is None and blob.producer is not None:
            told = log.run.shapes.get(blob.producer.name)
            if told and blob.top_index < len(told):
                number = math.prod(told[blob.top_index][1:])
        if number:
            return number
    return None


def _softmax_scale(log: Evidence, blown: Explosion, out: Output) -> Iterator[Cause]:
    layer = log.layers[out.layer]
    classes = log.classes_of(layer)
    first = log.first_pass
    if classes is None or not math.isfinite(out.first):
        return
    times = out.first / math.log(classes)
    scores = None
    if first is not None and layer.bottoms:
        scores = next((v for v in log.bottoms_of(first, out.layer) if v.key.blob == layer.bottoms[0].name), None)
    how = str(layer.message["loss_param"]["normalization"]) if "loss_param" in layer.message else ""
    summed = (
        "normalization" in layer.message["loss_param"] and how in ("NONE", "0", "BATCH_SIZE", "3", "2")
        if "loss_param" in layer.message
        else False
    )
    if times <= 3:
        return
    if summed:
        yield _cause(
            log,
            blown,
            "loss-not-normalised",
            f"'{out.layer}' is a sum (normalization: {how}): "
            f"{out.first:.4g} at the start, {times:.3g} times ln {classes}",
            f"Its gradient is {times:.3g} times that of a mean, like a rate that much higher.",
            0.95,
            layer=out.layer,
            blob=out.name,
        )
        return
    if out.traits.wants_probabilities:
        yield _cause(
            log,
            blown,
            "loss-wants-probabilities",
            f"'{out.layer}' (MultinomialLogisticLoss) gets what is no probability: it starts at "
            f"{out.first:.4g}, of 46.05 at most",
            "It has no softmax inside, and its gradient divides by what it takes for a probability, "
            "floored at 1e-20. Use SoftmaxWithLoss.",
            0.95,
            layer=out.layer,
            blob=out.name,
        )
        return
    if scores is None and out.first > LARGEST_SOFTMAX_TERM + 1:
        yield _cause(
            log,
            blown,
            "loss-not-normalised",
            f"'{out.layer}' starts at {out.first:.4g}, {times:.3g} times ln {classes}: it is a sum",
            "A mean over terms of at most 87.34 cannot be that large.",
            0.9,
            layer=out.layer,
            blob=out.name,
        )
    if scores is not None and scores.value < 3:
        matrix = out.traits.takes_matrix
        yield _cause(
            log,
            blown,
            "infogain-matrix-scale" if matrix else "loss-not-normalised",
            f"'{out.layer}' starts at {out.first:.4g}, {times:.3g} times ln {classes}, though its scores "
            f"are small (mean |x| {scores.value:.3g})",
            ("The entries of its infogain matrix are that large." if matrix else "It is a sum over that many terms.")
            + " Its gradient grows with them, like a rate that much higher.",
            0.94,
            layer=out.layer,
            blob=out.name,
            extra=(value_line(scores),),
        )


def start_too_large(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T204 finds: see its page."""
    blown = explosion(log)
    if blown is None or blown.at_start < 3 or log.run.resumed:
        return
    sure = 0.6 if blown.at_start < 6 else 0.88
    first = log.first_pass
    if first is None:
        yield _cause(
            log,
            blown,
            "exploding-activations",
            f"the first loss is {blown.at_start:.3g} times chance (ln {log.classes})",
            "Inputs or weights are too large, or the loss is a sum. With `debug_info: true` and "
            "`display: 1` the log would tell which.",
            sure - 0.1,
        )
        return
    scores = _scores(log)
    if scores is not None and scores.value < 3:
        return  # the loss's own scale: T203
    yield from _large_start(log, blown, sure)


def _scores(log: Evidence) -> Value | None:
    for out in log.outputs:
        layer = log.layers.get(out.layer)
        if layer is not None and out.traits.log_likelihood and layer.bottoms and log.first_pass is not None:
            for value in log.bottoms_of(log.first_pass, out.layer):
                if value.key.blob == layer.bottoms[0].name:
                    return value
    return None


def _large_start(log: Evidence, blown: Explosion, sure: float) -> Iterator[Cause]:
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
                            f"the input '{value.key.blob}' is not scaled: its mean |x| is {value.value:.4g}",
                            "Inputs around 1 are what fillers are made for.",
                            value,
                            (),
                        )
                    )
            continue
        bottoms = log.bottoms_of(log.first_pass, view.name)
        below = max((value.value for value in bottoms if value.finite), default=0.0)
        if not below or "Loss" in kind:
            continue
        gain = top.value / below
        evidence = tuple(bottoms[:1])
        if traits.stores_statistics and gain > 30:
            factors.append(
                (
                    1e6 * gain,
                    "batch-norm-blank-statistics",
                    f"BatchNorm '{view.name}' multiplies by {gain:.3g}: its statistics are blank",
                    "With use_global_stats it reads stored statistics, which are 0 without training: x / sqrt(eps).",
                    top,
                    evidence,
                )
            )
        elif view.params and gain >= 3 and not traits.channel_params:
            factors.append(
                (
                    gain,
                    "weights-too-large",
                    f"the weights of '{view.name}' are too large: its output is {gain:.3g} times its input",
                    f"The mean |x| of its weights is {view.params[0].value:.3g}: see its "
                    f"weight_filler (a gaussian without std has "
                    f"1).",
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
                        f"Eltwise '{view.name}' makes its output {gain:.3g} times its inputs",
                        "A product of values over 1, or a division, does that.",
                        top,
                        evidence,
                    )
                )
        elif gain >= 10 and not traits.keeps_range:
            factors.append(
                (
                    gain,
                    "layer-amplifies",
                    f"layer '{view.name}' ({kind or 'type not known'}) makes its output {gain:.3g} times its input",
                    "It is asked for what is near a point where it grows without bound.",
                    top,
                    evidence,
                )
            )
    growth = math.prod(gain for gain, _ in sums)
    if len(sums) >= 3 and growth >= 4 and not any(factor[1] == "batch-norm-blank-statistics" for factor in factors):
        last = sums[-1][1]
        factors.append(
            (
                growth,
                "residual-growth",
                f"{len(sums)} Eltwise sums without normalisation make "
                f"the signal grow {growth:.3g} times: '{last.key.blob}' has a mean |x| of {last.value:.4g}",
                "Each sum adds the variance of its branch: put BatchNorm and Scale into the "
                "branches, or start their last weights at 0.",
                last,
                (sums[0][1],),
            )
        )
    factors.sort(key=lambda factor: -factor[0])
    leading = {factor[1]: factor for factor in reversed(factors)}  # of each kind the largest
    for position, (_, cause, message, reason, value, evidence) in enumerate(
        sorted(leading.values(), key=lambda each: -each[0])
    ):
        others = [factor[4].key.layer for factor in factors if factor[1] == cause and factor[4] is not value]
        if others:
            reason += f" Likewise {', '.join(others[:4])}."
        yield _cause(
            log,
            blown,
            cause,
            message,
            f"The first loss is {blown.at_start:.3g} times ln {log.classes}. {reason}",
            sure - 0.04 * position,
            layer=value.key.layer,
            blob=value.key.blob,
            extra=(*(value_line(each) for each in evidence), value_line(value)),
        )
    if not factors:
        scores = _scores(log)
        yield _cause(
            log,
            blown,
            "exploding-activations",
            f"the first loss is {blown.at_start:.3g} times chance: the scores are too large",
            f"Their mean |x| is {scores.value:.3g}." if scores else "",
            sure - 0.1,
            layer=scores.key.layer if scores else None,
            blob=scores.key.blob if scores else None,
            extra=(value_line(scores),) if scores else (),
        )


def solver_explosion(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T205 finds: see its page."""
    blown = explosion(log)
    if blown is None or log.solver is None:
        return
    momentum, decay = log.setting("momentum"), log.setting("weight_decay")
    rate = next((step.rate for step in log.steps if step.rate is not None), log.setting("base_lr"))
    if momentum >= 1 or momentum < 0:
        yield _cause(
            log,
            blown,
            "momentum-too-high",
            f"momentum is {momentum:g}",
            "It has to be below 1: at 1 no step is ever forgotten, and the weights run away.",
            0.97,
        )
    if rate * decay > 2 * (1 + max(momentum, 0.0)) or decay < 0:
        yield _cause(
            log,
            blown,
            "weight-decay-too-high",
            f"weight_decay is {decay:g}: each step multiplies weights by {1 - rate * decay:.3g}",
            "Decay alone makes the weights grow with alternating sign; clipping comes before it and cannot help.",
            0.97,
        )


def loss_unbounded(log: Evidence) -> Iterator[Cause]:
    """The causes that rule T206 finds: see its page."""
    for out in log.outputs:
        if not out.traits.nonnegative or out.weight < 0:
            continue
        below = next(((iteration, value) for iteration, value in out.values if value < -0.01), None)
        if below is None:
            continue
        iteration, value = below
        step = next(step for step in log.steps if step.iteration == iteration)
        target = _target(log, out)
        cause, why = "loss-negative", "its labels or its code are out of order: this loss cannot be below 0"
        if out.traits.applies == SIGMOID:
            cause, why = "target-out-of-range", "its targets must be between 0 and 1"
        elif out.traits.takes_matrix:
            cause, why = "infogain-matrix-negative", "its infogain matrix has negative entries"
        told = f" The mean |x| of '{target.key.blob}' is {target.value:.4g}." if target is not None else ""
        bad = log.first_bad
        yield Cause(
            cause,
            f"loss '{out.layer}' ({out.type}) fell below 0: {value:.4g} at iteration {iteration}",
            f"It then has no minimum: {why}.{told}",
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


def _target(log: Evidence, out: Output) -> Value | None:
    layer = log.layers.get(out.layer)
    if layer is None or log.first_pass is None or len(layer.bottoms) < 2:
        return None
    return next((v for v in log.bottoms_of(log.first_pass, out.layer) if v.key.blob == layer.bottoms[1].name), None)
