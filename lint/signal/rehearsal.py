"""The first steps of a training, rehearsed in the mean: a few numbers for each blob and parameter.

Every step is a forward and a backward pass of the statistics, and the solver's own rule with its momentum,
clipping and decay. Of a parameter's gradient two parts are told apart. In the one, all items agree: it moves
the outputs of all items together, and is what makes trainings unstable first, as ordinary nets have by far
their largest curvature there (LeCun et al. 1991, "Eigenvalues of covariance matrices"; Karakida et al. 2019,
"Universal statistics of Fisher information in deep neural networks"). It has a sign, so that overshooting can
be seen. The other adds up at random and widens the distribution of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from .carriers import Gradient
from .fillers import Weights
from .passes import Back, Circuit, Pass
from .solving import Solving, clip_factor
from .statistics import root

if TYPE_CHECKING:
    from ..graph import Param
    from ..proto.binder import Message

STEPS = 12
TOO_LARGE = 1e15


class History:
    """What a solver remembers of a parameter: of its two parts, the sums of gradients and of their squares."""

    __slots__ = ("common", "own", "square")

    def __init__(self) -> None:
        self.common = 0.0
        self.own = 0.0
        self.square = 0.0


class Rehearsal(NamedTuple):
    """What became of the rehearsed steps: the loss of each, the largest gradient, and how the weights grew."""

    losses: list[float]
    norms: list[float]
    weights: Mapping[Param, Weights]
    finite: bool

    @property
    def peak(self) -> float:
        """The largest loss."""
        return max((loss for loss in self.losses if loss == loss), default=math.inf)


def rehearse(
    circuit: Circuit, solver: Message, solving: Solving, weights: Mapping[Param, Weights], steps: int = STEPS
) -> Rehearsal:
    """Rehearses the first steps of a training."""
    current = dict(weights)
    histories: dict[Param, History] = {}
    found: list[float] = []
    norms: list[float] = []
    for step in range(min(steps, max(1, solving.max_iter or steps))):
        forward = Pass(circuit, current)
        loss = forward.loss
        back = Back(forward)
        l2 = back.l2
        found.append(loss)
        norms.append(l2)
        if not (math.isfinite(loss) and math.isfinite(l2)) or abs(loss) > TOO_LARGE or l2 > TOO_LARGE**2:
            return Rehearsal(found, norms, current, False)
        rate = solving.rate_at(solver, step)
        factor = clip_factor(solving, l2) / solving.iter_size
        for param, gradient in back.gradients.items():
            history = histories.setdefault(param, History())
            current[param] = _updated(solving, param, gradient, current[param], history, rate, factor, step)
    return Rehearsal(found, norms, current, True)


def _updated(
    solving: Solving, param: Param, gradient: Gradient, weight: Weights, history: History, rate: float, factor: float,
    step: int,
) -> Weights:  # fmt: skip
    """A parameter after one step."""
    local = rate * abs(param.lr_mult)
    decay = solving.decay * param.decay_mult
    deviation = root(weight.variance)
    common = gradient.drift * factor + decay * weight.pull
    own = root(max(0.0, gradient.square - gradient.drift**2)) * factor
    square = (gradient.square) * factor * factor + (decay * deviation) ** 2
    momentum = solving.momentum
    if solving.type in ("SGD", "Nesterov") or not solving.adaptive:
        before = history.common
        history.common = momentum * before + local * common
        move = history.common
        if solving.type == "Nesterov":
            move = (1 + momentum) * history.common - momentum * before
        history.own = momentum * momentum * history.own + (local * own) ** 2
        spread = history.own * (1 + momentum) / max(1 - momentum, 1e-3)  # steps that momentum strings together
    else:
        if solving.type == "AdaGrad":
            history.square += square
            scale = local / (math.sqrt(history.square) + solving.delta)
        elif solving.type == "RMSProp":
            history.square = solving.rms_decay * history.square + (1 - solving.rms_decay) * square
            scale = local / (math.sqrt(history.square) + solving.delta)
        elif solving.type == "Adam":
            history.square = solving.momentum2 * history.square + (1 - solving.momentum2) * square
            time = step + 1
            correction = math.sqrt(1 - solving.momentum2**time) / max(1e-9, 1 - momentum**time)
            scale = local * correction / (math.sqrt(history.square) + solving.delta)
        else:
            history.square = momentum * history.square + (1 - momentum) * square
            scale = local * math.sqrt(solving.delta / (solving.delta + history.square))
        if solving.type == "Adam":
            history.common = momentum * history.common + (1 - momentum) * common
            move = scale * history.common
            history.own = momentum * history.own + (1 - momentum) * own
            spread = (scale * history.own) ** 2
        else:
            move = scale * common
            spread = (scale * own) ** 2
    shrink = max(-1e6, 1 - local * decay) if not solving.adaptive else 1.0
    variance = weight.variance * shrink * shrink + spread
    pull = weight.pull - move
    size = root(variance + weight.mean * weight.mean + pull * pull) * 0.8
    return weight._replace(mean=weight.mean * shrink, variance=variance, pull=pull, size=size)
