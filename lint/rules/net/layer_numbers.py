"""Numbers of a layer that Caffe accepts silently: dropout_ratio, lr_mult and decay_mult."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...net.job import NetInPhase
from ...net.names import named
from ...rule.finding import Hit
from ...rule.registry import rule


@rule("N206", "dropout-ratio-one", subject="net", severity="warning")
def dropout_ratio_one(subject: NetInPhase) -> Iterator[Hit]:
    """A Dropout drops everything, and gives NaN.

    ## What it does

    `dropout_ratio: 1`; an advice, once in a net, in phase TEST, where nothing is dropped. Over 1 Caffe stops,
    which is E209.

    ## Why is this bad?

    What is left is scaled by 1 / (1 - ratio), which is infinite, and 0 times infinity is NaN: in the first
    forward pass, in every value.

    ## When it is reported

    Never in training. In a net for tests it does no harm.

    ## Example

    There is no fix: only you know the ratio. It is the share that is dropped, not the one that is kept.

    ## References

    dropout_layer.cpp, LayerSetUp.
    """
    for layer in subject.net.layers:
        if layer.traits.settings == "dropout_param":
            param = layer.message["dropout_param"]
            if param["dropout_ratio"] == 1:
                message = f"{named(layer)}: dropout_ratio is 1, so everything is dropped"
                reason = "What is left is scaled by 1 / (1 - 1): in training every value becomes NaN."
                severity = "" if layer.phase == "TRAIN" else "advice"
                yield Hit(subject.file, param.span("dropout_ratio"), message, reason, severity)
                if severity:
                    return  # once is enough where it does no harm


@rule("N211", "invalid-lr-mult", subject="net", severity="warning")
def invalid_lr_mult(subject: NetInPhase) -> Iterator[Hit]:
    """A parameter has a learning rate or decay of the wrong sign, or one that is no number.

    ## What it does

    lr_mult and decay_mult under 0, infinite or NaN.

    ## Why is this bad?

    With lr_mult under 0 a parameter climbs up the loss; with decay_mult under 0 it grows without end. Caffe
    checks neither.

    ## When it is reported

    A gradient is turned around on purpose, to learn what confuses a second net (adversarial training).

    ## Example

    There is no fix: only you know the value.

    ## References

    sgd_solver.cpp, SGDSolver::ComputeUpdateValue and Regularize.
    """
    for param in subject.net.params():
        if param.spec is None:
            continue
        for field, what in (("lr_mult", "climbs up the loss"), ("decay_mult", "grows without end")):
            value = param.spec.get(field, 1.0)
            if value >= 0 and math.isfinite(value):
                continue
            message = f"{named(param.layer)}: {field} of its {param.role} is {value:g}"
            reason = f"The {param.role} {what}." if value < 0 else "It becomes NaN in the first update."
            yield Hit(subject.file, param.spec.span(field), message, reason)
