"""The smallest change that brings a training into the safe region.

In this order: the weight of a loss that alone is the cause; else `clip_gradients`; else the rate by whole powers of
ten, with a bound. Where several losses pull, the rate is not lowered for all of them as long as a weight will do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..losses import has_own_weight
from .features import Signal, Trial, tried
from .limits import healthy_bound, one_digit_below, risk
from .reasons import guilty_loss, pulls
from .verdict import chance
from .verdict_table import EXPLODES

if TYPE_CHECKING:
    from ..graph import Layer

TARGET = 0.02  # the chance to explode that a repair has to come down to
BEARABLE = 0.25  # and with data that are larger than those it is judged by
BOUNDS = (100.0, 35.0, 10.0, 5.0, 1.0)  # of one pass, tried from the loosest
LOOSE = 3.0  # times the norm of the first gradients
DECADES = 7  # by how many the rate may be lowered


class Repair(NamedTuple):
    """What to change: new loss weights, `clip_gradients` (None: it stays), and what to multiply the rate by.

    `before` and `after` are the chances to explode.
    """

    weights: Mapping[Layer, float]
    clip: float | None
    scale: float
    before: float
    after: float

    @property
    def holds(self) -> bool:
        """Whether it brings the training into the safe region."""
        return self.after <= TARGET


def repair(signal: Signal, other: Signal | None = None) -> Repair:
    """The repair of a training that is judged to explode.

    `other` is its signal with larger data, where neither is known: with those it must become bearable at least.
    """
    before = _risk(signal)
    weights: dict[Layer, float] = {}
    lighter, larger = signal, other
    for weights in _lighter(signal):
        trial = Trial(loss_weights=weights)
        lighter, larger = tried(signal, trial), other and tried(other, trial)
        if _risk(lighter) <= TARGET and (larger is None or _risk(larger) <= BEARABLE):
            bound = None if signal.solving.clip > 0 else healthy_bound(lighter)
            return Repair(weights, bound, 1.0, before, _risk(lighter))
    best: Repair | None = None
    for decade in range(DECADES + 1):
        for clip in _bounds(lighter):
            trial = Trial(rate=10.0**-decade, clip=clip)
            after = risk(lighter, trial)
            found = Repair(weights, clip, trial.rate, before, after)
            if after <= TARGET and (larger is None or risk(larger, trial) <= BEARABLE):
                return found
            if best is None or after < best.after:
                best = found
    return best or Repair(weights, None, 1.0, before, before)


def _risk(signal: Signal) -> float:
    return chance(EXPLODES, signal.features)


def _bounds(signal: Signal) -> Iterator[float | None]:
    """The bounds to try, from the loosest, beginning with the present one (None).

    None is far over the gradients of the start: what grows beyond them is what is to be held.
    """
    present = signal.solving.clip
    passes = signal.solving.iter_size
    largest = max(BOUNDS[-1], LOOSE * signal.l2) * passes
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
    losses = {loss.layer: loss for loss in signal.setup.net.losses if loss.layer in signal.losses}
    known = pulls(signal)
    if len(losses) == 1:
        loss = next(iter(losses.values()))
        least = abs(loss.weight) if signal.solving.adaptive else 1.0
    else:
        found = [loss for loss in losses.values() if loss.layer.name == guilty_loss(signal)]
        if not found:
            return
        loss = found[0]
        others = sum(pull for name, pull in known.items() if name != loss.layer.name)
        least = abs(loss.weight) * others / known[loss.layer.name]
    weight = abs(loss.weight)
    while has_own_weight(loss) and weight > least * (1 + 1e-9):
        weight = max(one_digit_below(weight / 10), one_digit_below(least))
        yield {loss.layer: math.copysign(weight, loss.weight)}
