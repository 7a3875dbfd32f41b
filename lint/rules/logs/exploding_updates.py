"""Explosions caused by the solver: its learning rate, momentum or weight decay."""

from __future__ import annotations

from collections.abc import Iterator

from ...moments.layer_type import REGRESSION
from ...rule.registry import rule
from ...training_log.causes import Cause, rate_line
from ...training_log.course import find_explosion
from ...training_log.evidence import Evidence
from ...training_log.runs import Step, Value
from .exploded import explosion_cause

_ADAPTIVE = frozenset({"Adam", "RMSProp", "AdaGrad", "AdaDelta", "AMSGrad"})


@rule(
    "T201",
    "learning-rate-explosion",
    subject="log",
    severity="error",
    causes={
        "learning-rate-too-high":
            "Each step overshoots, so that the next gradient is larger, until the loss is 87.3365 or NaN.",
        "learning-rate-step": "The training was healthy until the learning rate rose.",
        "learning-rate-negative": "The learning rate is below 0, so every step increases the loss.",
    },
)
def learning_rate_explosion(log: Evidence) -> Iterator[Cause]:
    """Flags runs that diverged because the learning rate is too high.

    ## What it does

    Flags a run that started well - a first loss near chance level, gradients of ordinary size - and in which the gradient
    norm or the loss then grew by orders of magnitude within a few iterations, to NaN, to infinity, or to a loss from which
    it did not recover. On the way, a softmax loss sits at k/N of 87.3365 (-ln FLT_MIN: probabilities of 0),
    MultinomialLogisticLoss and InfogainLoss at 46.05 (-ln 1e-20).

    The finding names the layer whose value overflowed first, which is merely the one with the largest values, and the layer
    whose gradient grew most. It says so if the learning rate rose just before (a step with gamma above 1, a warm-up) or is
    negative. If another cause fits as well, such as large initial values or a loss weight, it is listed first.

    ## Why is this bad?

    A step that overshoots makes the next gradient larger than the last. With momentum, it takes only a few iterations from
    the first sign to NaN. Values near 1e8 in `debug_info` are never reasonable. Note that these are means of |x|, not norms;
    only the line "All net params" has norms.

    ## When it is reported

    **error**, if the run diverged. Ignore it if the run was meant to find the highest learning rate.

    ## Fix

    `caffe-lint log --fix` divides `base_lr` by 10, or by 100 if the run broke in less than 10 iterations. It also sets
    `clip_gradients` from the gradient norms of the healthy part, if the log has them. Of 48 runs that ended in NaN, a tenth
    of the learning rate made 17 finite, a hundredth 29, and clipping at 1 made 44 finite; but only 11, 16 and 23 of them
    learned.

    ## Example

    Comes with: T405.

    ## References

    softmax_loss_layer.cpp, Forward_cpu; infogain_loss_layer.hpp; sgd_solver.cpp, ApplyUpdate. Measured on the runs that
    `python benchmarks/log_judge.py` reads.
    """
    explosion = find_explosion(log)
    if explosion is None:
        return
    begin = explosion.begin
    negative = next((step for step in log.steps if step.rate is not None and step.rate < 0), None)
    if negative is not None:
        yield explosion_cause(
            log,
            explosion,
            "learning-rate-negative",
            f"the learning rate is negative: {negative.rate:g}",
            "Every step increases the loss.",
            0.99,
            extra=(rate_line(negative),),
        )
        return
    rose = _rose(log, begin)
    if rose is not None:
        before, after = rose
        yield explosion_cause(
            log,
            explosion,
            "learning-rate-step",
            f"gradients exploded after the learning rate rose from {before.rate:g} to {after.rate:g} "
            f"at iteration {after.iteration}",
            "The training was healthy at the lower learning rate.",
            0.95,
            extra=(rate_line(before), rate_line(after)),
        )
        return
    if (
        explosion.finite
        and explosion.at_start > 3
        and max(abs(log.raw_loss(step)) for step in log.healthy) < 1.5 * abs(log.raw_loss(log.steps[0]))
    ):
        return  # the loss was as large from the start: T204
    rate = next((step.rate for step in log.steps if step.rate), None)
    leader = _leader(log)
    led = f" The gradient of '{leader.key.layer}' grew the most." if leader is not None else ""
    shared = log.setting("iter_size") > 1
    confidence = 0.8 if explosion.at_start < 2.5 else 0.65 if explosion.at_start < 6 else 0.45
    if any(out.weight > 1 for out in log.outputs) or any(out.traits.loss_family == REGRESSION for out in log.outputs):
        confidence = min(confidence, 0.7)
    verb = "diverged" if explosion.finite else "exploded"
    of_rate = f" of {rate:g}" if rate else ""
    kind = log.solver_type
    adaptive = (
        f" The step size of {kind} does not depend on the size of gradients, so clipping does not help: only a lower"
        " learning rate does."
        if kind in _ADAPTIVE
        else ""
    )
    yield explosion_cause(
        log,
        explosion,
        "learning-rate-too-high",
        f"the training {verb}: the learning rate{of_rate} is too high",
        f"The growth began at iteration {begin.iteration}.{led}{adaptive}"
        + (" Caffe averages the gradients over iter_size passes." if shared else ""),
        confidence,
        extra=(rate_line(log.steps[0]),),
    )


@rule(
    "T205",
    "solver-setting-explosion",
    subject="log",
    severity="error",
    causes={
        "momentum-too-high": "With a momentum of 1 or more, no step is ever forgotten.",
        "weight-decay-too-high":
            "Weight decay alone multiplies the weights by more than 1 in each step, or forgets them faster than they learn.",
    },
)
def solver_setting_explosion(log: Evidence) -> Iterator[Cause]:
    """Flags a momentum or weight decay that made a run diverge.

    ## What it does

    In a run that diverged, flags a `momentum` of 1 or more or below 0, a negative `weight_decay`, and a weight decay that
    makes weights grow by itself: learning rate times weight decay above 2 (1 + momentum). The solver is the one given with
    `--solver`, or else the one printed at the beginning of the log.

    ## Why is this bad?

    With a momentum of 1, no step is ever forgotten. Weight decay is applied after clipping, so clipping does not limit it:
    each step multiplies a weight by 1 - rate * decay, and if rate * decay is above 2, the weight grows.

    ## When it is reported

    **error**, if the run diverged.

    ## Fix

    `caffe-lint log --fix` sets `momentum: 0.9` or `weight_decay: 0.0005`.

    ## Example

    Comes with: T405.

    ## References

    sgd_solver.cpp, Regularize, ComputeUpdateValue. Checked by running Caffe.
    """
    explosion = find_explosion(log)
    if explosion is None or log.solver is None:
        return
    momentum, decay = log.setting("momentum"), log.setting("weight_decay")
    rate = next((step.rate for step in log.steps if step.rate is not None), log.setting("base_lr"))
    if momentum >= 1 or momentum < 0:
        yield explosion_cause(
            log,
            explosion,
            "momentum-too-high",
            f"momentum is {momentum:g}, but must {'be below 1' if momentum >= 1 else 'not be negative'}",
            "With a momentum of 1, no step is ever forgotten, and the weights grow without bound.",
            0.97,
        )
    if rate * decay > 2 * (1 + max(momentum, 0.0)) or decay < 0:
        yield explosion_cause(
            log,
            explosion,
            "weight-decay-too-high",
            f"weight_decay {decay:g} multiplies the weights by {1 - rate * decay:.3g} in each step",
            "Weight decay alone makes the weights grow; clipping comes before it and cannot help.",
            0.97,
        )


def _rose(log: Evidence, begin: Step) -> tuple[Step, Step] | None:
    """The last two displayed learning rates before the explosion of which the second is at least twice the first."""
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
