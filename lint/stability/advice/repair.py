"""The smallest change that makes a training safe.

In this order: fillers, if activations vanish (which leads people to raise the learning rate until training diverges); the
weight of a loss that alone is the cause; otherwise `clip_gradients`; otherwise the learning rate by whole powers of ten, with
a clip threshold. With several losses, the learning rate is not lowered as long as changing a weight is enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from ...layers.fillers import suiting_filler
from ...moments.statistics import root
from ...moments.weights import filled_as
from ...net.loss_sizes import has_own_weight
from ...net.rounding import one_digit_below
from ...net.trained_weights import copied
from ...proto.named_tuple import NamedTuple
from ..signal.features import AS_WRITTEN, Signal, Trial, counterpart, signal_with
from ..verdict.reasons import dominant_loss, loss_gradient_norms
from ..verdict.verdict import EVEN, RISKY, logistic, outlook
from ..verdict.verdict_table import STALLS
from .clip_bound import clip_bound
from .limits import norm_limit
from .safety import SAFE, is_safe, risk

if TYPE_CHECKING:
    from ...moments.graph import Layer, Param
    from ...net.net import Net

# Probability of divergence at which changing the weight of the dominant loss is enough, without the margin of `is_safe`.
SAFE_BY_WEIGHT = 0.02
# Clip thresholds to try, the loosest first: gradient norms of one pass, in steps of 1, 2 and 5.
BOUNDS = (100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5)
LOOSEST = 3.0  # times the first gradient norm: growth beyond this is what a threshold must prevent
DECADES = 7  # by how many powers of ten the learning rate may be lowered
# Root mean squares: of a layer's top below which activations count as vanished, and of a later one above which they have
# recovered. And the fraction of a suitable filler's root mean square below which weights count as too small.
VANISHED, RECOVERED, TOO_SMALL = 1e-2, 0.1, 0.2
# All of these were set by hand while looking at benchmarks/repair_judge.py; no script searches for them.


class Repair(NamedTuple):
    """Changes to a training, and the probabilities of divergence `before` and `after` them, and of stalling afterwards.

    `learned` is how many simulated trainings learned with the changes; None if none was simulated.
    """

    trial: Trial
    before: float
    after: float
    stalls: float
    fits: bool = False
    learned: int | None = None

    @property
    def fillers(self) -> Mapping[Param, str]:
        """The changed fillers, by parameter."""
        return self.trial.fillers

    @property
    def weights(self) -> Mapping[Layer, float]:
        """The changed loss weights."""
        return self.trial.loss_weights

    @property
    def clip(self) -> float | None:
        """The changed `clip_gradients`; None if it is not changed."""
        return self.trial.clip

    @property
    def scale(self) -> float:
        """The factor for the learning rate."""
        return self.trial.rate

    def for_net(self, net: Net) -> Repair:
        """The same changes for another build of their net."""
        return self._replace(trial=self.trial.for_net(net))

    @property
    def is_enough(self) -> bool:
        """Whether the training is safe afterwards."""
        return self.after <= SAFE

    @property
    def trains(self) -> bool:
        """Whether the training is judged to train afterwards: neither to diverge nor to stall."""
        return self.is_enough and self.stalls < EVEN

    @property
    def in_net(self) -> str:
        """What else is changed in the net, for a sentence on changes of the solver, with a space before it."""
        weight = next((f" and a lower loss_weight for '{layer.name}' (G103)" for layer in self.weights), "")
        return weight + (" and other fillers (G106)" if self.fillers else "")

    @property
    def outlook(self) -> str:
        """What people are told of the training as it is."""
        return outlook(self.before)

    @property
    def outlook_after(self) -> str:
        """What people are told of the training with the changes."""
        if self.learned:
            return "learns when it is simulated" if self.learned == 1 else f"learns in all {self.learned} simulated trainings"
        return outlook(self.after)


class Judge(Protocol):
    """What judges a training with changes."""

    def attempt(self, trial: Trial) -> Repair | None:
        """A training with the changes of a trial; `fits` says whether they are enough. None if they are not worth considering."""


def first_that_fits(trials: Iterable[Trial], judge: Judge) -> Repair | None:
    """The first of some trials that is enough, in the eyes of a judge; otherwise the one that diverges least."""
    best: Repair | None = None
    for trial in trials:
        found = judge.attempt(trial)
        if found is None:
            continue
        if best is None or best.after > max(found.after, SAFE):
            best = found
        if found.fits:
            return best if best.is_enough and not found.trains else found
    return best


def repair(signal: Signal, other: Signal | None = None) -> Repair:
    """The repair of a training that is judged to diverge.

    `other` is its signal with larger data, if their size is unknown: with these it must at least not be risky afterwards.
    Changes after which it would be repaired again are none: each round of fixes would add to them.
    """
    net = signal.training.net
    fillers = {counterpart(param, net): kind for param, kind in vanishing_weights(other or signal).items()}
    found = first_that_fits(_static_trials(signal, fillers), _StaticJudge(signal, other))
    if found is None or not found.after < RISKY:
        return Repair(Trial(fillers=fillers), risk(signal), risk(signal), _stalls(signal))
    return found


class _StaticJudge:
    """Judges a training by its signal. With a lower weight alone, it adds the threshold of a safety net."""

    def __init__(self, signal: Signal, other: Signal | None) -> None:
        self._before = risk(signal)
        self._first = signal, other
        # The signals with the fillers and weights that were tried last, from which rates and thresholds cost next to nothing.
        self._base, self._signal, self._other = AS_WRITTEN, signal, other

    def attempt(self, trial: Trial) -> Repair | None:
        base = trial._replace(rate=1.0, clip=None)
        if base != self._base:
            signal, other = self._first
            self._base, self._signal = base, signal_with(signal, base)
            self._other = None if other is None else signal_with(other, base.for_net(other.training.net))
        own = Trial(rate=trial.rate, clip=trial.clip)
        changed = signal_with(self._signal, own)
        found = Repair(trial, self._before, risk(changed), _stalls(changed))
        if own != AS_WRITTEN:
            return found._replace(fits=is_safe(self._signal, own, self._other))
        by_weight = trial.loss_weights and found.after <= SAFE_BY_WEIGHT and self._other is None
        if not (by_weight or is_safe(self._signal, AS_WRITTEN, self._other)):
            return None
        bound = clip_bound([self._signal] if self._other is None else [self._signal, self._other]).value
        return found._replace(trial=trial._replace(clip=None if changed.update_rule.clip > 0 else bound), fits=True)


def _static_trials(signal: Signal, fillers: Mapping[Param, str]) -> Iterator[Trial]:
    """What is tried by the signal, in this order; with fillers for weights that are too small, whatever else is changed."""
    trial = Trial(fillers=fillers)
    filled = signal_with(signal, trial)
    for weights in ({}, *smaller_weights(filled)):
        trial = trial._replace(loss_weights=weights)
        yield trial
    changed = signal_with(signal, trial)
    for decade in range(DECADES + 1):
        for clip in thresholds(changed, 10.0**-decade):
            yield trial._replace(rate=10.0**-decade, clip=clip)


def _stalls(signal: Signal) -> float:
    """The probability of stalling of a training that does not diverge."""
    return logistic(STALLS, signal.features)


def vanishing_weights(signal: Signal) -> dict[Param, str]:
    """Weights so small that activations vanish, and the fillers that would suit them.

    Only those of layers with later layers that do not amplify the activations again: a last layer learns from any initial
    weights, and before a normalisation their size has no effect.
    """
    net = signal.training.net
    sizes = [max((root(top.second_moment) for top in step.tops), default=0.0) for step in signal.forward.steps]
    loaded = copied(net, signal.training.trained) if signal.training.trained is not None else {}
    found: dict[Param, str] = {}
    for layer in net.layers:
        if not layer.params or not layer.runs_backward or not layer.params[0].lr_mult:
            continue
        param = layer.params[0].owner
        if param in loaded:
            continue
        filler = suiting_filler(param)
        if filler is None or sizes[layer.index] >= VANISHED:
            continue
        later = [each for each in layer.downstream() if each.params]
        if not later or any(sizes[each.index] > RECOVERED for each in later):
            continue
        if signal.weights[param].second_moment < filled_as(param, filler).second_moment * TOO_SMALL**2:
            found[param] = filler
    return found


def thresholds(signal: Signal, scale: float) -> Iterator[float | None]:
    """The clip thresholds to try at `scale` times the learning rate: the present one (None), then the loosest first.

    Each is at most `LOOSEST` times the first gradient norm, since growth beyond this is what it must prevent. None lets a step
    move the weights too far (`norm_limit`), so there may be no threshold for this rate.
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


def smaller_weights(signal: Signal) -> Iterator[dict[Layer, float]]:
    """Ever smaller weights for the loss that is the cause, until it no longer outweighs the others.

    The weight of the only loss acts like a learning rate, for solvers whose steps grow with gradients.
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
        others = sum(norm for name, norm in known.items() if name != loss.layer.name)
        least = abs(loss.weight) * others / known[loss.layer.name]
    weight = abs(loss.weight)
    while has_own_weight(loss) and math.inf > weight > least * (1 + 1e-9):
        weight = max(one_digit_below(weight / 10), one_digit_below(least))
        yield {loss.layer: math.copysign(weight, loss.weight)}
