"""The smallest change that brings a training into the safe region.

In this order: fillers, where the signal dies on its way forward, so that people raise the rate until it explodes; the
weight of a loss that alone is the cause; else `clip_gradients`; else the rate by whole powers of ten, with a bound.
Where several losses pull, the rate is not lowered for all of them as long as a weight will do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ...layers.fillers import suiting_filler
from ...moments.statistics import root
from ...moments.weights import filled_as
from ...net.loss_sizes import has_own_weight
from ...net.rounding import one_digit_below
from ...proto.named_tuple import NamedTuple
from ..signal.features import AS_WRITTEN, Signal, Trial, counterpart, signal_with
from ..verdict.reasons import dominant_loss, loss_gradient_norms
from ..verdict.verdict import chance, outlook
from ..verdict.verdict_table import STALLS
from .limits import healthy_bound, norm_limit
from .safety import SAFE, is_safe, risk

if TYPE_CHECKING:
    from ...moments.graph import Layer, Param

# Probability to explode at which changing the weight of the dominant loss alone is enough, without the margin of `is_safe`.
SAFE_BY_WEIGHT = 0.02
# Clip thresholds to try, from the loosest: gradient norms of one pass, in steps of 1, 2 and 5.
BOUNDS = (100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5)
LOOSEST = 3.0  # times the first gradient norm: what grows beyond it is what is to be held
DECADES = 7  # by how many powers of ten the rate may be lowered
# Root mean squares: of a layer's top below which activations count as vanished, and of a later one above which they have
# recovered. And the part of a suiting filler's root mean square below which weights count as too small.
VANISHED, RECOVERED, TOO_SMALL = 1e-2, 0.1, 0.2
# All of these were set by hand while looking at benchmarks/repair_judge.py; no script searches for them.


class Repair(NamedTuple):
    """What to change: fillers by parameter, loss weights, `clip_gradients` (None: it stays), what to multiply the rate by.

    `before` and `after` are the chances to explode.
    """

    fillers: Mapping[Param, str]
    weights: Mapping[Layer, float]
    clip: float | None
    scale: float
    before: float
    after: float

    @property
    def holds(self) -> bool:
        """Whether it brings the training into the safe region."""
        return self.after <= SAFE

    @property
    def outlook(self) -> str:
        """What is said of the training as it is."""
        return outlook(self.before)


def repair(signal: Signal, other: Signal | None = None) -> Repair:
    """The repair of a training that is judged to explode.

    `other` is its signal with larger data, where neither is known: with those it must become bearable at least.
    """
    before = risk(signal)
    net = signal.training.net
    fillers = {counterpart(param, net): kind for param, kind in vanishing_weights(other or signal).items()}
    if fillers:
        trial = Trial(fillers={param: filled_as(param, kind) for param, kind in fillers.items()})
        signal, other = signal_with(signal, trial), other and signal_with(other, trial.for_net(other.training.net))
    weights: dict[Layer, float] = {}
    lighter, larger = signal, other
    present = signal.update_rule.clip > 0
    for weights in ({}, *_lighter(signal)):
        trial = Trial(loss_weights=weights)
        lighter, larger = signal, other
        if weights:
            lighter, larger = signal_with(signal, trial), other and signal_with(other, trial.for_net(other.training.net))
        if is_safe(lighter, AS_WRITTEN, larger) or (weights and risk(lighter) <= SAFE_BY_WEIGHT and larger is None):
            return Repair(fillers, weights, None if present else healthy_bound(lighter), 1.0, before, risk(lighter))
    best: Repair | None = None
    for decade in range(DECADES + 1):
        for clip in _bounds(lighter, 10.0**-decade):
            trial = Trial(rate=10.0**-decade, clip=clip)
            after = risk(lighter, trial)
            found = Repair(fillers, weights, clip, trial.rate, before, after)
            if best is None or best.after > max(after, SAFE):
                best = found
            if is_safe(lighter, trial, larger):
                stalls = chance(STALLS, signal_with(lighter, trial).features) >= 0.5
                return best if stalls and best.holds else found
    return best or Repair(fillers, weights, None, 1.0, before, before)


def vanishing_weights(signal: Signal) -> dict[Param, str]:
    """Weights so small that next to nothing comes out of them, and the fillers that would suit them.

    Only those that others lie behind, of which none makes the values larger again: a last layer learns from any
    start, and behind a normalisation the size of weights is of no account.
    """
    net = signal.training.net
    sizes = [max((root(top.second_moment) for top in step.tops), default=0.0) for step in signal.forward.steps]
    found: dict[Param, str] = {}
    for layer in net.layers:
        if not layer.params or not layer.runs_backward or not layer.params[0].lr_mult:
            continue
        param = layer.params[0].owner
        filler = suiting_filler(param)
        if filler is None or sizes[layer.index] >= VANISHED:
            continue
        behind = [each for each in layer.downstream() if each.params]
        if not behind or any(sizes[each.index] > RECOVERED for each in behind):
            continue
        if signal.weights[param].second_moment < filled_as(param, filler).second_moment * TOO_SMALL**2:
            found[param] = filler
    return found


def _bounds(signal: Signal, scale: float) -> Iterator[float | None]:
    """The bounds to try at a rate `scale` times as high, from the loosest, beginning with the present one (None).

    None is far over the gradients of the start: what grows beyond them is what is to be held. And none lets a step
    carry the weights too far (`norm_limit`), so that there may be none at this rate.
    """
    present = signal.update_rule.clip
    passes = signal.update_rule.iter_size
    largest = min(max(BOUNDS[-1], LOOSEST * signal.l2) * passes, norm_limit(signal, scale))
    if 0 < present <= largest:
        yield None
    for each in BOUNDS:
        bound = each * passes
        if bound <= largest and not 0 < present <= bound:
            yield bound


def _lighter(signal: Signal) -> Iterator[dict[Layer, float]]:
    """Ever smaller weights for the loss that is the cause, down to where it no longer outweighs the others.

    The weight of an only loss is as good as a rate for solvers whose steps grow with gradients.
    """
    losses = {loss.layer: loss for loss in signal.training.net.losses if loss.layer in signal.losses}
    known = loss_gradient_norms(signal)
    if len(losses) == 1:
        loss = next(iter(losses.values()))
        least = abs(loss.weight) if signal.update_rule.adaptive else 1.0
    else:
        found = [loss for loss in losses.values() if loss.layer.name == dominant_loss(signal)]
        if not found:
            return
        loss = found[0]
        others = sum(pull for name, pull in known.items() if name != loss.layer.name)
        least = abs(loss.weight) * others / known[loss.layer.name]
    weight = abs(loss.weight)
    while has_own_weight(loss) and weight > least * (1 + 1e-9):
        weight = max(one_digit_below(weight / 10), one_digit_below(least))
        yield {loss.layer: math.copysign(weight, loss.weight)}
