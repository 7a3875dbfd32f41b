"""The first iterations of a training, simulated on the moments: a few numbers for each blob and parameter.

Every iteration is a forward and a backward pass of these moments, followed by the solver's own update rule with momentum,
clipping and weight decay. The gradient of a parameter has two parts. In one, all items agree: it moves the outputs of all
items together and is the first to become unstable, since ordinary nets have by far their largest curvature in this direction
(LeCun et al. 1991, "Eigenvalues of covariance matrices"; Karakida et al. 2019, "Universal statistics of Fisher information in
deep neural networks"). It has a sign, so that overshooting shows. The other part adds up at random and widens the distribution
of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient
from ...moments.statistics import GAUSSIAN_MEAN_ABS, root
from ...moments.weights import Weights
from ...proto.named_tuple import NamedTuple
from .passes import Back, Pass
from .update_rule import UpdateRule, clip_factor

if TYPE_CHECKING:
    from ...moments.graph import Param
    from ...proto.binder import Message

ITERATIONS = 12  # set by hand, few enough for a check; no script compares other numbers
# The loss beyond which the simulation counts as overflowed; gradient norms may be its square. Set by hand, far below the
# largest float (1e38), as a blob's largest value lies far above its mean.
OVERFLOW = 1e15
# Limits that keep a step finite: 1 - momentum is at least LEAST_FRICTION, and decay changes a weight by a factor of at most
# MOST_DECAY. No usable solver reaches them.
LEAST_FRICTION, MOST_DECAY = 1e-3, 1e6


class SolverHistory:
    """The state of a solver for a parameter: sums of both parts of its gradients, and of their squares."""

    __slots__ = ("common", "own", "square")

    def __init__(self) -> None:
        self.common = 0.0
        self.own = 0.0
        self.square = 0.0


class Simulation(NamedTuple):
    """The simulated iterations: the loss and gradient norm of each, the final weights, and whether all stayed finite."""

    losses: list[float]
    norms: list[float]
    weights: Mapping[Param, Weights]
    finite: bool


def simulate(
    solver: Message, rule: UpdateRule, forward: Pass, back: Back, weights: Mapping[Param, Weights]
) -> Simulation:
    """Simulates the first iterations of a training, given the passes of iteration 0."""
    current = dict(weights)
    adaptive = rule.adaptive
    learning = [(param, abs(param.lr_mult), rule.decay * param.decay_mult, SolverHistory()) for param in back.gradients]
    found: list[float] = []
    norms: list[float] = []
    steps = steps_of(rule)
    for step in range(steps):
        if step:
            forward = Pass(forward.prepared, current, forward)
            back = Back(forward)
        loss, l2 = forward.loss, back.l2
        found.append(loss)
        norms.append(l2)
        if not (abs(loss) <= OVERFLOW and l2 <= OVERFLOW * OVERFLOW):
            return Simulation(found, norms, current, False)
        if step + 1 == steps:
            break
        rate = rule.rate_at(solver, step)
        factor = clip_factor(rule, l2) / rule.iter_size
        gradients = back.gradients
        for param, multiplier, decay, history in learning:
            weight, gradient = current[param], gradients[param]
            if adaptive:
                current[param] = _scaled_update(rule, gradient, weight, history, rate * multiplier, decay, factor, step)
            else:
                current[param] = _updated(rule, gradient, weight, history, rate * multiplier, decay, factor)
    return Simulation(found, norms, current, True)


def steps_of(rule: UpdateRule) -> int:
    """How many iterations are simulated: no more than the training has."""
    return min(ITERATIONS, rule.max_iter) if rule.max_iter > 0 else ITERATIONS


def _updated(
    rule: UpdateRule, gradient: Gradient, weight: Weights, history: SolverHistory, local: float, decay: float, factor: float
) -> Weights:
    """A parameter after one step, at its own rate and decay, of a solver whose steps grow with gradients."""
    mean, variance, _, learned_shift = weight
    second_moment, _, shared = gradient
    own = root(second_moment - shared * shared) * factor
    momentum, before = rule.momentum, history.common
    history.common = move = momentum * before + local * (shared * factor + decay * learned_shift)
    if rule.type == "Nesterov":
        move = (1 + momentum) * move - momentum * before
    random = local * own
    history.own = momentum * momentum * history.own + random * random
    # Consecutive steps correlate through momentum.
    spread = history.own * (1 + momentum) / max(1 - momentum, LEAST_FRICTION)
    shrink = max(-MOST_DECAY, 1 - local * decay)
    return _moved(mean * shrink, variance * (shrink * shrink) + spread, learned_shift - move)


def _scaled_update(
    rule: UpdateRule, gradient: Gradient, weight: Weights, history: SolverHistory, local: float, decay: float, factor: float,
    step: int,
) -> Weights:  # fmt: skip
    """The same for an adaptive solver."""
    mean, variance, _, learned_shift = weight
    shared = gradient.common
    common = shared * factor + decay * learned_shift
    own = root(gradient.second_moment - shared * shared) * factor
    square = gradient.second_moment * factor * factor + decay * decay * variance
    move, spread = _scaled_step(rule, history, local, common, own, square, step)
    return _moved(mean, variance + spread, learned_shift - move)


def _moved(mean: float, variance: float, learned_shift: float) -> Weights:
    size = root(variance + mean * mean + learned_shift * learned_shift) * GAUSSIAN_MEAN_ABS
    return Weights(mean, variance, size, learned_shift)


def _scaled_step(
    rule: UpdateRule, history: SolverHistory, local: float, common: float, own: float, square: float, step: int
) -> tuple[float, float]:
    """A step of an adaptive solver: of the common part, and the mean square of the other's."""
    momentum, delta = rule.momentum, rule.delta
    if rule.type == "AdaGrad":
        history.square += square
        scale = local / (root(history.square) + delta)
    elif rule.type == "RMSProp":
        history.square = rule.rms_decay * history.square + (1 - rule.rms_decay) * square
        scale = local / (root(history.square) + delta)
    elif rule.type == "Adam":
        history.square = rule.momentum2 * history.square + (1 - rule.momentum2) * square
        correction = root(1 - rule.momentum2 ** (step + 1)) / max(1e-9, 1 - momentum ** (step + 1))
        scale = local * correction / (root(history.square) + delta)
        history.common = common = momentum * history.common + (1 - momentum) * common
        history.own = own = momentum * history.own + (1 - momentum) * own
    else:
        history.square = momentum * history.square + (1 - momentum) * square
        scale = local * root(delta / (delta + history.square))
    random = scale * own
    return scale * common, random * random
