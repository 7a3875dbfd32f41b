"""Numbers that Caffe accepts without a message: `dropout_ratio`, `lr_mult` and `decay_mult`."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...net.job import NetInPhase
from ...net.names import named
from ...rule.finding import Hit
from ...rule.registry import rule


@rule("N206", "dropout-ratio-one", subject="net", severity="warning")
def dropout_ratio_one(subject: NetInPhase) -> Iterator[Hit]:
    """Flags Dropout layers that drop everything.

    ## What it does

    Flags `dropout_ratio: 1`. At a ratio over 1, Caffe stops, which E209 reports.

    ## Why is this bad?

    The values that are kept are scaled by 1 / (1 - ratio), which is infinite, and 0 times infinity is NaN: in the first
    forward pass, every value becomes NaN.

    ## When it is reported

    - **warning** in phase TRAIN;
    - **advice** in phase TEST, where nothing is dropped, once per net.

    There is no fix, because only you know the ratio. It is the share that is dropped, not the share that is kept. Do not
    ignore it in a net for training.

    ## References

    `LayerSetUp` in dropout_layer.cpp.
    """
    for layer in subject.net.layers:
        if layer.traits.settings == "dropout_param":
            param = layer.message["dropout_param"]
            if param["dropout_ratio"] == 1:
                message = f"{named(layer)} has dropout_ratio 1 and drops everything"
                reason = "Caffe scales the kept values by 1 / (1 - 1), so every value becomes NaN in training."
                severity = "" if layer.phase == "TRAIN" else "advice"
                yield Hit(subject.file, param.span("dropout_ratio"), message, reason, severity)
                if severity:
                    return  # once is enough, since it does no harm


@rule("N211", "invalid-lr-mult", subject="net", severity="warning")
def invalid_lr_mult(subject: NetInPhase) -> Iterator[Hit]:
    """Flags parameters whose `lr_mult` or `decay_mult` is negative, infinite or NaN.

    ## What it does

    Flags such values in the `param` entries of layers.

    ## Why is this bad?

    With a negative `lr_mult`, every update of a parameter increases the loss. With a negative `decay_mult`, it grows
    without bound. An infinite or NaN value makes it NaN in the first update. Caffe checks neither field.

    ## When it is reported

    Reported as a **warning**. There is no fix, because only you know the value. Ignore it if you reverse a gradient on
    purpose, as in adversarial training.

    ## References

    `SGDSolver::ComputeUpdateValue` and `Regularize` in sgd_solver.cpp.
    """
    for param in subject.net.params():
        if param.spec is None:
            continue
        for field, effect in (("lr_mult", "increases the loss"), ("decay_mult", "makes it grow")):
            value = param.spec.get(field, 1.0)
            if value >= 0 and math.isfinite(value):
                continue
            message = f"{named(param.layer)} has {field} {value:g} for its {param.role}"
            reason = f"Every update of the {param.role} {effect}." if value < 0 else "It becomes NaN in the first update."
            yield Hit(subject.file, param.spec.span(field), message, reason)
