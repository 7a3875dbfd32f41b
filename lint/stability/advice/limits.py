"""The sizes of repairs: how large the rate, clip_gradients or a loss weight may be for a training to be safe."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...net.rounding import one_digit_above, one_digit_below
from ...proto.named_tuple import NamedTuple
from ..signal.features import Signal, Trial, relative_step, signal_with
from ..verdict.reasons import dominant_loss
from ..verdict.verdict import chance
from ..verdict.verdict_table import EXPLODES

SAFE = 0.05  # the largest chance to explode that counts as safe
_FACTORS = (0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)
HEALTHY = 20.0  # a bound so many times the largest gradient of the first steps does not bite in a healthy run
STEP = 0.05  # of the weights' size: of 46 trainings held to between 0.03 % and this, 44 learnt; see docs/signal.md
FARTHEST = 1.0  # of the weights' size: of 51 trainings that learnt without a bound 46 began with less (known data)
GROWTH = 5.0
LEAST_BOUND = 35.0  # of one pass


class Limits(NamedTuple):
    """The largest safe values, each with all else as it is; None where no value would do, or none is needed."""

    base_lr: float | None
    clip_gradients: float | None
    loss_weight: dict[str, float]


def risk(signal: Signal, trial: Trial) -> float:
    """The chance to explode, were it as `trial` says."""
    return chance(EXPLODES, signal_with(signal, trial).features)


def is_safe(signal: Signal, trial: Trial) -> bool:
    """Whether a training would be in the safe region, were it as `trial` says.

    What small first weights do later is not simulated, so where they have to grow it must also be stable then.
    """
    found = signal_with(signal, trial)
    solver, features = found.update_rule, found.features
    late = features["curvature_growth"] > 0 and features["sharpness"] > math.log10(solver.stability_limit)
    return chance(EXPLODES, features) <= SAFE and (solver.adaptive or not late)


def limits(signal: Signal) -> Limits:
    """The limits of a training."""
    if chance(EXPLODES, signal.features) <= SAFE:
        return Limits(signal.update_rule.rate or None, healthy_bound(signal), {})
    scale = _largest(lambda factor: is_safe(signal, Trial(rate=factor)))
    rate = None if scale is None else float(f"{signal.update_rule.rate * scale:.6g}")
    return Limits(rate, _clip(signal), _weights(signal))


def healthy_bound(signal: Signal) -> float:
    """A `clip_gradients` that does not bite in a healthy run: far over the gradients of the first steps.

    A simulation that grows without bound is none of a healthy run, so it counts for no more than a few times its start.
    Nor is a run in which a step carries the weights as far as they are large, so there is no need to let more through;
    but where it is known what the first gradients are, they are.
    """
    simulated = min(max(signal.simulation.norms, default=0.0), GROWTH * signal.l2)
    norm = max(signal.l2, simulated) if math.isfinite(signal.l2) else 0.0
    bound = max(LEAST_BOUND, one_digit_above(HEALTHY * norm)) * signal.update_rule.iter_size
    most = one_digit_below(FARTHEST / STEP * longest_step(signal))
    if not signal.training.context.assumed:
        most = max(most, one_digit_above(2 * norm) * signal.update_rule.iter_size)
    return min(bound, most)


def longest_step(signal: Signal, scale: float = 1.0) -> float:
    """The norm of gradients at which momentum carries the weights on by `STEP` of their size, each iteration.

    See `features.reach`. Infinite for solvers whose steps do not grow with gradients, which no bound makes shorter.
    """
    each = relative_step(signal.update_rule, signal.training.net) * scale
    return STEP / each if each > 0 else math.inf


def _clip(signal: Signal) -> float | None:
    """The largest of the usual values that will do."""
    for clip in (10.0, 5.0, 1.0, 0.1):
        if (signal.update_rule.clip < 0 or clip < signal.update_rule.clip) and is_safe(signal, Trial(clip=clip)):
            return clip
    return None


def _weights(signal: Signal) -> dict[str, float]:
    name = dominant_loss(signal)
    if name is None:
        return {}
    layer = next(layer for layer in signal.losses if layer.name == name)
    weight = next(weight for each, _, weight, _ in signal.forward.loss_terms() if each is layer)
    factor = _largest(lambda part: is_safe(signal, Trial(loss_weights={layer: weight * part})))
    return {} if factor is None else {name: math.copysign(one_digit_below(abs(weight) * factor), weight)}


def _largest(is_safe_with: Callable[[float], bool]) -> float | None:
    """The largest power of ten below 1 that brings a training into the safe region."""
    return next((factor for factor in _FACTORS if is_safe_with(factor)), None)


