"""Layers that output NaN or infinity for finite inputs."""

from __future__ import annotations

from collections.abc import Iterator

from ...layers.record import hazards, is_loss_type
from ...rule.registry import rule
from ...training_log.causes import Cause, shown, step_line, value_line
from ...training_log.course import growing_steps, weights_not_finite
from ...training_log.evidence import Evidence


@rule(
    "T102",
    "non-finite-activation",
    subject="log",
    severity="error",
    causes={"loss-out-of-domain": "A loss was given values for which it is undefined.", **hazards()},
)
def non_finite_activation(log: Evidence) -> Iterator[Cause]:
    """Flags layers that output NaN or infinity although their inputs and weights are finite.

    ## What it does

    Flags a layer if its top holds the first value in the log that is not finite, its inputs and weights in the same pass are
    finite, and neither loss nor gradients had grown before. The layer was asked for something that is undefined. Its type
    tells what: the logarithm of 0, the root of a negative number, 0/0 in BatchNorm with `eps: 0`, Dropout with a ratio of 1,
    an infogain matrix with an infinite entry, a loss outside its domain.

    ## Why is this bad?

    The cause is that layer, not the solver: no learning rate is low enough to avoid it.

    ## When it is reported

    **error**, always: the training is lost from that iteration on.

    ## Example

    There is no automatic fix, since only you know what was meant. Here, a `shift` keeps the argument of the logarithm
    positive; anything else that does so works as well.

    ## References

    The layers' Forward_cpu: log_layer.cpp, power_layer.cpp, batch_norm_layer.cpp, infogain_loss_layer.cpp.
    """
    bad = log.first_bad
    if bad is None or bad.key.direction != "Forward" or bad.key.role != "top" or log.is_data(bad.key.layer):
        return
    if weights_not_finite(log, bad) or (growing_steps(log) and not _at_once(log)):
        return
    assert log.bad_pass is not None
    bottoms = log.bottoms_of(log.bad_pass, bad.key.layer)
    if any(not bottom.finite for bottom in bottoms):
        return
    kind = log.type_of(bad.key.layer)
    loss = kind == "" or is_loss_type(kind)
    cause, why = log.traits_of(bad.key.layer).hazard or (
        "loss-out-of-domain" if loss else "non-finite-activation",
        "its output is undefined for these inputs",
    )
    yield Cause(
        cause,
        f"layer '{bad.key.layer}'{f' ({kind})' if kind else ''} outputs {bad.value:g} for finite inputs",
        f"Its bottoms and weights are finite in the same pass: {why}.",
        0.93 if bottoms else 0.7,
        bad.key.layer,
        bad.key.blob,
        log.bad_pass.iteration,
        bad.line,
        shown(
            (value_line(value) for value in bottoms),
            value_line(bad),
            (step_line(s) for s in log.healthy[-1:]),
        ),
    )


def _at_once(log: Evidence) -> bool:
    return log.first_bad_iteration is not None and not log.healthy
