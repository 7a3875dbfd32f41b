"""How large the learning rate, clip_gradients or a loss weight may be for a training to be safe, all else being equal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...net.rounding import one_digit_below
from ...proto.named_tuple import NamedTuple
from ...solver.step_limit import largest_norm
from ..signal.features import Signal, Trial, unit_step
from ..verdict.reasons import dominant_loss
from .clip_bound import clip_bound
from .safety import SAFE, is_safe, risk

_FACTORS = (0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)  # of a learning rate or a loss weight, the mildest first
_CLIPS = (10.0, 5.0, 1.0, 0.1)  # usual values of clip_gradients, the loosest first


class Limits(NamedTuple):
    """The largest safe values, each with all else being equal; None if no value is enough, or none is needed."""

    base_lr: float | None
    clip_gradients: float | None
    loss_weight: dict[str, float]


def limits(signals: Sequence[Signal]) -> Limits:
    """The limits of a training that hold at every point of the range that its signals cover."""
    risky = [signal for signal in signals if risk(signal) > SAFE]
    if not risky:
        return Limits(signals[0].update_rule.rate or None, clip_bound(signals).value, {})
    found = [_weights(signal) for signal in risky]
    weights = {
        name: min((each[name] for each in found), key=abs) for name in found[0] if all(name in each for each in found)
    }
    return Limits(_least([_rate(signal) for signal in risky]), _least([_clip(signal) for signal in risky]), weights)


def _least(values: Sequence[float | None]) -> float | None:
    """The least of some values, None if one of them is."""
    return None if None in values else min(value for value in values if value is not None)


def _rate(signal: Signal) -> float | None:
    """The largest of some learning rates that is enough."""
    scale = _largest(lambda factor: is_safe(signal, Trial(rate=factor)))
    return None if scale is None else float(f"{signal.update_rule.rate * scale:.6g}")


def norm_limit(signal: Signal, scale: float = 1.0) -> float:
    """The gradient norm, summed over `iter_size` passes, that moves the weights by `LARGEST_STEP` at `scale` times the rate.

    Infinite for solvers whose steps do not grow with gradients, since no threshold makes them shorter.
    """
    return largest_norm(unit_step(signal.update_rule, signal.training.net) * scale)


def _clip(signal: Signal) -> float | None:
    """The largest of the usual values that is enough."""
    for clip in _CLIPS:
        if (signal.update_rule.clip < 0 or clip < signal.update_rule.clip) and is_safe(signal, Trial(clip=clip)):
            return clip
    return None


def _weights(signal: Signal) -> dict[str, float]:
    """The largest safe weight of the loss that dominates all others, under its layer's name; empty if none does."""
    name = dominant_loss(signal)
    if name is None:
        return {}
    layer = next(layer for layer in signal.losses if layer.name == name)
    weight = next(weight for other, _, weight, _ in signal.forward.loss_terms() if other is layer)
    factor = _largest(lambda each: is_safe(signal, Trial(loss_weights={layer: weight * each})))
    return {} if factor is None else {name: math.copysign(one_digit_below(abs(weight) * factor), weight)}


def _largest(is_safe_with: Callable[[float], bool]) -> float | None:
    """The largest power of ten below 1 that makes a training safe."""
    return next((factor for factor in _FACTORS if is_safe_with(factor)), None)
