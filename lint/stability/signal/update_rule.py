"""How a solver turns gradients into updates: their sizes for every solver type, in the order of Caffe's steps.

Source: sgd_solver.cpp and the files of the other solvers; the order is clip, divide by iter_size, decay, update.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient
from ...moments.weights import Weights
from ...proto.named_tuple import NamedTuple
from ...solver.schedule import largest_rate, learning_rate

if TYPE_CHECKING:
    from ...moments.graph import Param
    from ...proto.binder import Message

# The range of a solver's numbers that can be computed with: a momentum of 1 would never decay, and a delta of 0 divides by 0
# where the gradient is 0. Numbers beyond _LARGE overflow whatever they multiply.
_MOST_MOMENTUM, _LEAST_DELTA, _LARGE = 0.9999, 1e-30, 1e30
_LEAST_FRICTION, _LEAST_CORRECTION = 1e-3, 1e-12  # the least 1 - momentum, and 1 - momentum2 of Adam
ADAPTIVE = frozenset({"Adam", "RMSProp", "AdaGrad", "AdaDelta"})


class UpdateRule(NamedTuple):
    """A solver's settings. `rate` is the learning rate of iteration 0, `largest` the largest of the whole run."""

    type: str
    rate: float
    largest: float
    momentum: float
    momentum2: float
    rms_decay: float
    delta: float
    decay: float
    l1: bool
    clip: float  # negative: none
    iter_size: int
    max_iter: int
    scale: float = 1.0  # factor for every rate, to try others

    def changed(self, scale: float = 1.0, clip: float | None = None) -> UpdateRule:
        """The same solver with all learning rates multiplied by a factor, and with another clip_gradients if given."""
        return self._replace(
            rate=self.rate * scale, largest=self.largest * scale, scale=self.scale * scale,
            clip=self.clip if clip is None else clip,
        )  # fmt: skip

    def rate_at(self, solver: Message, iteration: int) -> float:
        """The learning rate at an iteration; the first one if it is unknown."""
        rate = learning_rate(solver, iteration)
        return self.rate if rate is None or not math.isfinite(rate) else rate * self.scale

    @property
    def adaptive(self) -> bool:
        """Whether updates do not grow with gradients."""
        return self.type in ADAPTIVE

    @property
    def momentum_gain(self) -> float:
        """By what factor momentum enlarges the steps of a constant gradient."""
        if self.type in ("RMSProp", "AdaGrad", "AdaDelta"):
            return 1.0
        if self.type == "Adam":
            return 1.0
        return 1 / max(1 - self.momentum, _LEAST_FRICTION)

    @property
    def stability_limit(self) -> float:
        """The learning rate times curvature times `momentum_gain` above which steps overshoot.

        Source: gradient descent with momentum m is stable on a parabola if learning rate times curvature is below 2 (1 + m).
        """
        return 2.0 if self.adaptive else 2 * (1 + self.momentum) * self.momentum_gain


def update_rule_of(solver: Message) -> UpdateRule:
    """The update rule of a solver."""
    first = learning_rate(solver, 0)
    largest = largest_rate(solver)
    rate = first if first is not None and math.isfinite(first) else float(solver["base_lr"])
    return UpdateRule(
        solver["type"],
        rate,
        largest.value if largest is not None else rate,
        _within(solver["momentum"], 0.0, _MOST_MOMENTUM),
        _within(solver["momentum2"], 0.0, 1.0),
        _within(solver["rms_decay"], 0.0, 1.0),
        _within(solver["delta"], _LEAST_DELTA, _LARGE),
        _within(solver["weight_decay"], -_LARGE, _LARGE),
        solver["regularization_type"] == "L1",
        solver["clip_gradients"],
        max(1, solver["iter_size"]),
        solver["max_iter"],
    )


def _within(value: float, low: float, high: float) -> float:
    """A number within bounds, beyond which nothing can be computed with it."""
    return min(value, high) if value >= low else low


def clip_factor(rule: UpdateRule, l2: float) -> float:
    """The factor by which clipping multiplies the gradients."""
    if rule.clip < 0 or not l2 > rule.clip or not math.isfinite(l2):
        return 1.0 if math.isfinite(l2) or rule.clip < 0 else 0.0
    return rule.clip / l2


class Update(NamedTuple):
    """The first update of a parameter: mean absolute value, and its ratio to the parameter's."""

    size: float
    ratio: float


def step_size(rule: UpdateRule, gradient: float, rate: float) -> float:
    """The size of the first update for a gradient of a size, after clipping and decay."""
    if gradient == 0:
        return 0.0
    kind = rule.type
    delta = rule.delta
    if kind == "AdaGrad":
        return rate * gradient / (gradient + delta)
    if kind == "RMSProp":
        return rate * gradient / (math.sqrt(1 - rule.rms_decay) * gradient + delta)
    if kind == "AdaDelta":
        square = (1 - rule.momentum) * gradient * gradient
        return rate * gradient * math.sqrt(delta / (delta + square))
    if kind == "Adam":
        return rate * gradient / (gradient + delta / math.sqrt(max(_LEAST_CORRECTION, 1 - rule.momentum2)))
    if kind == "Nesterov":
        return rate * gradient * (1 + rule.momentum)
    return rate * gradient


def update_of(rule: UpdateRule, param: Param, gradient: float, weight: float, rate: float) -> float:
    """The size of the first update of a parameter with weights and a clipped gradient of these mean absolute values."""
    decay = rule.decay * param.decay_mult
    decayed = decay * (1.0 if rule.l1 else weight) if weight else 0.0
    return step_size(rule, math.hypot(gradient, decayed), rate * abs(param.lr_mult))


def first_updates(
    rule: UpdateRule, gradients: Mapping[Param, Gradient], weights: Mapping[Param, Weights], l2: float
) -> dict[Param, Update]:
    """The first update of each parameter with a learning rate."""
    factor = clip_factor(rule, l2) / rule.iter_size
    found = {}
    for param, gradient in gradients.items():
        mean_abs = weights[param].mean_abs
        update = update_of(rule, param, gradient.mean_abs * factor, mean_abs, rule.rate)
        ratio = update / mean_abs if mean_abs else (math.inf if update else 0.0)
        found[param] = Update(update, ratio)
    return found
