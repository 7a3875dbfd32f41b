"""Losses that dominate the others of their net."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...moments.graph import Loss
from ...net.job import NetInPhase
from ...net.loss_sizes import DOMINANT, Dominance, dominant_losses, sized_losses
from ...net.rounding import two_digits
from ...rule.finding import Hit, Related
from ...rule.registry import Option, rule
from ...stability.advice.patches import loss_weight_fix
from ...stability.computed import cannot_tell, stability_of

if TYPE_CHECKING:
    from ...stability.advice.stability import Stability


@rule(
    "G103",
    "dominant-loss",
    subject="net",
    severity="warning",
    fixes="safe, unsafe",
    options={
        "times": Option(DOMINANT, "how many times as large as another loss a loss must be", least=1),
        "alone": Option(100.0, "the weight from which the only loss of a net is flagged", least=1),
    },
)
def dominant_loss(net: NetInPhase, *, times: float, alone: float) -> Iterator[Hit]:
    """Flags a loss that dominates the other losses of its net.

    ## What it does

    Where the training can be judged (a solver, its net, initial weights from fillers), flags the loss that makes it likely to
    diverge because the norm of its gradient is at least 10 times that of all other losses.

    Otherwise, and as advice where the training is judged to cope with it, flags a loss whose share of the first iteration's
    loss is at least 10 times that of another, either because of a weight over 1 or because it sums over positions or elements
    where others average (`normalization: NONE`, `BATCH_SIZE` over an image, EuclideanLoss on many outputs). Sizes come from
    the files: ln K for a softmax over K classes, ln 2 for a sigmoid, half the mean square of the targets for EuclideanLoss
    (0.1 for targets between 0 and 1, or what the pixels of a data layer give), times the number of terms. Losses of one type
    and normalisation are compared by their weights alone.

    The only loss of a net is flagged as advice if its weight is 100 or more: that is the same as a learning rate that many
    times higher (G102 takes it into account).

    ## Why is this bad?

    The layers that the losses share follow the dominant one, whatever the learning rate: what suits it makes the other diverge
    or starves it. With an auxiliary loss of weight 1000 a small net was NaN in iteration 5. With a thousandth of the learning
    rate it stayed finite, but the main loss rose (2.31 to 2.34); with the weight set to 1, both losses fell. Weights of 1 and
    3 were fine, 10 was NaN in iteration 13.

    ## When it is reported

    In nets for training: as a **warning** if the training is judged likely to diverge because of it, otherwise as **advice** at
    low confidence. Nothing is reported where the size of a loss is unknown, or where small losses merely accompany a
    large one (a centre loss of weight 0.008, auxiliary classifiers of weight 0.3). Ignore it if the weight compensates for
    targets much smaller than 1, or if one loss is meant to lead.

    ## Fix

    Writes the largest weight, in steps of ten, with which the training is judged safe, but none at which the gradients of this
    loss would be smaller than those of the others. `base_lr` stays as it is, since it applies to all losses. This is safe if
    the training is said to diverge as it is and to learn afterwards, whatever is unknown of it, with SGD or Nesterov; otherwise
    it is unsafe, and the finding says why. Where the training cannot be judged, or is judged to cope with the weight, the fix
    writes the weight that makes the losses equal in the first iteration; it is unsafe. With `--simulate`, the largest weight with
    which simulated trainings learn is written, and it is safe; if that takes another learning rate or `clip_gradients` as well,
    both files are changed, or neither. Nets in the old format (`layers`) are fixed the same way. No fix is offered unless all
    solvers of the repository that train the net need the same weight, or if none is found.

    ## Options

    `times`: by what factor a loss must exceed another. `alone`: from which weight on the only loss is flagged.

    ## References

    `Layer::SetLossWeights` in layer.hpp; `get_normalizer` in softmax_loss_layer.cpp; euclidean_loss_layer.cpp. The trainings
    were run with the real Caffe: LeNet with an auxiliary loss, momentum 0.9, learning rate 0.01.
    Figures: `python benchmarks/thresholds.py losses`.
    """
    if net.phase != "TRAIN":
        return
    computed = [known for job in net.jobs if (known := stability_of(job)) is not None]
    for training in computed:
        if training.risky and training.repair.weights:
            yield _computed(net, training)
            return
    unknown = [reason.sentence for job in net.jobs if not computed and (reason := cannot_tell(job)) is not None]
    for found in dominant_losses(net.net, times):
        yield Hit(
            net.file,
            _place(found.loss.loss),
            _message(found),
            " ".join([_reason(found), *unknown[:1]]),
            severity="advice",
            confidence="low",
            related=(Related(net.file, found.other.layer.place(), f"loss '{found.other.layer.name}'"),),
            fix=loss_weight_fix(net, found.loss.loss, found.balanced, safe=False),
        )
    losses = sized_losses(net.net)
    if len(losses) == 1 and abs(losses[0].loss.weight) >= alone:
        weight = losses[0].loss.weight
        yield Hit(
            net.file,
            _place(losses[0].loss),
            f"the only loss, '{losses[0].layer.name}', has a weight of {weight:g}",
            f"It multiplies every gradient by {abs(weight):g}, like a learning rate {abs(weight):g} times as high.",
            severity="advice",
        )


def _computed(net: NetInPhase, training: Stability) -> Hit:
    """The finding for a loss that alone makes training diverge."""
    repair, norms = training.repair, training.loss_gradient_norms
    layer, weight = next(iter(repair.weights.items()))
    loss = next(each for each in training.signal.training.net.losses if each.layer is layer)
    others = [each for each in training.signal.losses if each is not layer]
    if others:
        other_norm = math.hypot(*(norms.get(each.name, 0.0) for each in others))
        message = f"gradient norm of loss '{layer.name}' is {two_digits(norms[layer.name])}, against"
        message += f" {two_digits(other_norm)} for the other {'losses' if len(others) > 1 else 'loss'}"
        reason = "This loss dominates the shared layers at any learning rate"
    else:
        message = f"the only loss, '{layer.name}', has a weight of {loss.weight:g}"
        reason = "It multiplies every gradient, like a learning rate that many times as high"
    change = f"with a weight of {weight:g}"
    if repair.scale < 1:
        change += " and a lower learning rate (G102)"
    elif repair.clip is not None and not training.is_in_steps:
        change += f" and clip_gradients {repair.clip:g} (G101)"
    return Hit(
        net.file,
        _place(loss),
        message,
        f"{reason}. Training {repair.outlook}; {change}, it {repair.outlook_after}.{training.unsafe_because}{training.evidence}",
        severity="warning",
        confidence=training.confidence_in("diverge"),
        related=tuple(Related(net.file, each.place(), f"loss '{each.name}'") for each in others),
        fix=training.part(loss_weight_fix(net, loss, weight, safe=not training.doubt)),
    )


def _place(loss: Loss) -> tuple[int, int]:
    node = loss.entry[1] if loss.entry is not None else None
    return (node.start, node.end) if node is not None else loss.layer.place()


def _message(found: Dominance) -> str:
    this, other = found.loss, found.other
    sizes = ""
    if this.weighted is not None and other.weighted is not None:
        sizes = f" ({two_digits(this.weighted)} against {two_digits(other.weighted)} in iteration 0)"
    return f"loss '{this.layer.name}' is {two_digits(found.times)} times as large as '{other.layer.name}'{sizes}"


def _reason(found: Dominance) -> str:
    loss = found.loss
    causes = []
    if abs(loss.loss.weight) > 1:
        causes.append(f"its weight is {loss.loss.weight:g}")
    if loss.unnormalised:
        causes.append(f"it is a sum over {loss.terms:g} terms")
    return f"It dominates the shared layers at any learning rate: {' and '.join(causes)}."
