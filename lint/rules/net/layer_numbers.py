"""Numbers that Caffe accepts without a message: `dropout_ratio`, `lr_mult` and `decay_mult`."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...moments.graph import Param
from ...net.job import NetInPhase
from ...net.names import also_in, named
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
                message = f"{named(layer)} has dropout_ratio 1"
                if layer.phase != "TRAIN":
                    reason = "In phase TEST, Dropout has no effect; in phase TRAIN, every value would become NaN."
                    yield Hit(subject.file, param.span("dropout_ratio"), message, reason, "advice")
                    return  # once is enough, since it does no harm
                reason = "Caffe scales the kept values by 1 / (1 - 1), so every value becomes NaN in training."
                yield Hit(subject.file, param.span("dropout_ratio"), f"{message} and drops everything", reason)


@rule("N211", "invalid-lr-mult", subject="net", severity="warning")
def invalid_lr_mult(subject: NetInPhase) -> Iterator[Hit]:
    """Flags parameters whose `lr_mult` or `decay_mult` is negative, infinite or NaN.

    ## What it does

    Flags such values in the `param` entries of layers. A negative `decay_mult` beside a negative `lr_mult` is right: the update is
    multiplied by both.

    ## Why is this bad?

    With a negative `lr_mult`, every update of a parameter increases the loss. If only one of the two is negative, weight decay makes
    the parameter grow without bound. An infinite or NaN value makes it NaN in the first update. Caffe checks neither field.

    ## When it is reported

    - **warning** for each parameter;
    - **advice**, once per net, if gradients seem to be reversed on purpose, as in adversarial training: other layers learn as
      usual, and `lr_mult` is negative in several layers, or beside a negative `decay_mult`.

    There is no fix, because only you know the value.

    ## References

    `SGDSolver::ComputeUpdateValue` and `Regularize` in sgd_solver.cpp.
    """
    params = list(subject.net.params())
    reversed_ones: list[Param] = []
    for param in params:
        wrong = [name for name in ("lr_mult", "decay_mult") if not math.isfinite(getattr(param, name))]
        if wrong:
            yield _hit(subject, param, wrong[0], "It becomes NaN in the first update.")
        elif param.lr_mult < 0:
            reversed_ones.append(param)
        elif param.lr_mult > 0 and param.decay_mult < 0:
            yield _hit(subject, param, "decay_mult", f"Weight decay makes the {param.role} grow.")
    layers = list(dict.fromkeys(param.layer for param in reversed_ones))
    is_meant = len(layers) > 1 or any(param.decay_mult < 0 for param in reversed_ones)
    if is_meant and any(param.lr_mult > 0 for param in params):
        reason = "Every update increases the loss, which is right only if that is meant, as in adversarial training."
        reason += also_in(layers, subject.file.tree)
        if any(param.decay_mult > 0 for param in reversed_ones):
            reason += " Where decay_mult is positive, weight decay makes the parameter grow."
        yield _hit(subject, reversed_ones[0], "lr_mult", reason)._replace(severity="advice")
        return
    for param in reversed_ones:
        decay = ", and weight decay makes it grow" if param.decay_mult > 0 else ""
        yield _hit(subject, param, "lr_mult", f"Every update of the {param.role} increases the loss{decay}.")


def _hit(subject: NetInPhase, param: Param, field: str, reason: str) -> Hit:
    assert param.spec is not None
    message = f"{named(param.layer)} has {field} {getattr(param, field):g} for its {param.role}"
    return Hit(subject.file, param.spec.span(field), message, reason)
