"""How large the learning rate, clip_gradients or a loss weight may be for a training to be safe, all else being equal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...net.rounding import one_digit_above, one_digit_below
from ...proto.named_tuple import NamedTuple
from ...solver.step_limit import LARGEST_STEP, largest_norm
from ..signal.features import Signal, Trial, unit_step
from ..verdict.reasons import dominant_loss
from .safety import SAFE, is_safe, risk

_FACTORS = (0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)  # of a learning rate or a loss weight, the mildest first
_CLIPS = (10.0, 5.0, 1.0, 0.1)  # usual values of clip_gradients, the loosest first

# A threshold of this many times the largest gradient norm of the simulated iterations is not reached in a healthy run. Set by
# hand. In ../shared/divergence/course.tsv the largest of 150 norms is up to 9 times the larger of the first and the median in
# nine of ten runs that learn steadily; benchmarks/repair_judge.py prints how many thresholds are 5 times the first norm.
HEALTHY = 20.0
# A simulation whose norms grow beyond this many times the first is no healthy run. Set by hand; no script fits it.
GROWTH = 5.0
# The least threshold, a gradient norm of one pass. Source: benchmarks/thresholds.py clipping: of trainings that learn with a
# softmax on inputs around 1, 84 % have a first norm of up to 35.
LEAST_BOUND = 35.0
# The farthest that a step of a healthy run may move the weights, relative to their norm. Of 51 runs of ../shared/divergence
# that learned without a threshold on known data, 46 started with less; no script prints that.
FARTHEST = 1.0
# If the data are known, a threshold is at least this many times the first norm. Set by hand; no script fits it.
ABOVE_FIRST = 2.0


class Limits(NamedTuple):
    """The largest safe values, each with all else being equal; None if no value is enough, or none is needed."""

    base_lr: float | None
    clip_gradients: float | None
    loss_weight: dict[str, float]


def limits(signals: Sequence[Signal]) -> Limits:
    """The limits of a training that hold at every point of the range that its signals cover."""
    found = [_limits(signal) for signal in signals]
    clips = [each.clip_gradients for each in found]
    if all(risk(signal) <= SAFE for signal in signals):
        clip = max((each for each in clips if each is not None), default=None)
    else:
        clip = _least([_clip(signal) for signal in signals if risk(signal) > SAFE])
    weights = {
        name: min((each.loss_weight[name] for each in found), key=abs)
        for name in found[0].loss_weight
        if all(name in each.loss_weight for each in found)
    }
    return Limits(_least([each.base_lr for each in found]), clip, weights)


def _least(values: Sequence[float | None]) -> float | None:
    """The least of some values, None if one of them is."""
    return None if None in values else min(value for value in values if value is not None)


def _limits(signal: Signal) -> Limits:
    if risk(signal) <= SAFE:
        return Limits(signal.update_rule.rate or None, healthy_bound(signal), {})
    scale = _largest(lambda factor: is_safe(signal, Trial(rate=factor)))
    rate = None if scale is None else float(f"{signal.update_rule.rate * scale:.6g}")
    return Limits(rate, _clip(signal), _weights(signal))


def healthy_bound(signal: Signal) -> float:
    """A `clip_gradients` above every gradient norm of a healthy run, for the sum over `iter_size` passes.

    A simulation that grows without limit is no healthy run, so it counts for at most `GROWTH` times its first norm. Neither is
    a run whose steps move the weights by their own norm, so the threshold is no higher than that; but it never lies below
    the first norm of known data.
    """
    simulated = min(max(signal.simulation.norms, default=0.0), GROWTH * signal.l2)
    norm = max(signal.l2, simulated) if math.isfinite(signal.l2) else 0.0
    passes = signal.update_rule.iter_size
    bound = max(LEAST_BOUND, one_digit_above(HEALTHY * norm)) * passes
    most = one_digit_below(FARTHEST / LARGEST_STEP * norm_limit(signal))
    if signal.training.basis.is_known:
        most = max(most, one_digit_above(ABOVE_FIRST * norm) * passes)
    return min(bound, most)


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
