"""The largest learning rate of a training whose signal cannot be computed, estimated from its settings.

It is used only where weights are loaded, or a layer type or shape is unknown. `benchmarks/thresholds.py rate` shows that it is
useful there: with SGD and Nesterov it finds 75 % of the trainings that diverge, and 85 % of those that it finds do diverge.

A plain classifier (inputs around 1, softmax, momentum 0.9, batches of 64) is stable up to about `BASE`. Every setting that
makes steps larger or smaller multiplies this limit: `FACTORS` lists them all. The factors are powers of the square root of
ten, chosen on 360 trainings with the real Caffe (`benchmarks/thresholds.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...moments.layer_type import REGRESSION
from ...net.batch_size import net_batch_size
from ...net.loss_sizes import SizedLoss, pixel_range, sized_losses
from ...proto.named_tuple import NamedTuple
from ...solver.schedule import Rate, largest_rate
from ..signal.basis import features_not_modelled

if TYPE_CHECKING:
    from ...moments.graph import Param
    from ...net.job import Job
    from ...net.net import Net
    from ...proto.binder import Message

# The learning rate up to which the plain classifier is stable, and its batch size. Chosen by hand on `benchmarks/thresholds.py
# rate`, like all factors below; the benchmark prints what other limits would give, and the best one for families left out.
BASE = 0.4
BATCH = 64

# Limits for solvers whose steps are about as large as the learning rate, whatever the gradients: no other factor applies.
# Chosen like `BASE`; the benchmark shows a precision of 0.31 for divergence, as most of what they flag ends at chance.
ADAPTIVE_LIMITS = {"Adam": 0.08, "RMSProp": 0.08, "AdaGrad": 0.5}
MOMENTUM_SOLVERS = ("SGD", "Nesterov")
# The largest `delta` beside which the gradients of most weights are large, so that steps are about as large as the rate.
LARGEST_DELTA = 1e-6
# How many times its limit a rate must be if the training is predicted not to diverge. In ../shared/divergence three such runs
# are that far above it, and none of them learned; no public solver is.
FAR = 10.0


class Factor(NamedTuple):
    """A factor of the limit and its cause, a noun phrase such as `momentum 0.99`."""

    value: float
    cause: str


class Judgement(NamedTuple):
    """The largest learning rate of a training, the limit for it, and the factors of this limit."""

    rate: Rate
    limit: float
    factors: tuple[Factor, ...]

    @property
    def excess(self) -> float:
        """How many times the limit the rate is; above 1 it is high."""
        return self.rate.value / self.limit


class _Training(NamedTuple):
    """What the factors depend on."""

    solver: Message
    net: Net
    losses: list[SizedLoss]
    weights: list[Param]
    normalises: bool
    gpus: int


def judge_rate(job: Job) -> Judgement | None:
    """The largest learning rate of a job and its limit; None if the files do not tell enough.

    That is so for what is not modelled of a solver or of the way it is run (a policy or type of a fork, rates for each layer,
    several nodes), for AdaDelta, whose rate has no natural size, for a `delta` that makes steps smaller by an unknown factor,
    and usually if the net is not found.
    """
    solver = job.solver.message
    rate = largest_rate(solver)
    if rate is None or not rate.value > 0 or any(features_not_modelled(solver, job.train and job.train.net)):
        return None
    training = _training(job)
    kind = solver.get("type", "SGD")
    if kind in ADAPTIVE_LIMITS:
        if solver.get("delta", 0.0) > LARGEST_DELTA:
            return None
        limit = ADAPTIVE_LIMITS[kind]
        factors: tuple[Factor, ...]
        multiplier = _lr_mult(training) if training else None
        factors = (multiplier,) if multiplier else ()
    elif kind in MOMENTUM_SOLVERS and training is not None and 0 <= solver["momentum"] < 1:
        limit = BASE
        factors = tuple(found for factor in FACTORS if (found := factor(training)) is not None)
    else:
        return None
    limit *= math.prod(factor.value for factor in factors)
    # An extreme factor, such as that of a loss weight of 1e300, leaves no limit to compare with.
    return Judgement(rate, limit, factors) if 0 < limit < math.inf else None


def _training(job: Job) -> _Training | None:
    if job.train is None:
        return None
    net = job.train.net
    losses = sized_losses(net)
    weights = [
        param
        for layer in net.layers
        if layer.traits.weighted_sum
        for param in layer.params[:1]
        if param.lr_mult > 0
    ]
    if not losses:
        return None
    normalises = any(layer.traits.normalises for layer in net.layers)
    return _Training(job.solver.message, net, losses, weights, normalises, job.origin.gpus)


def _momentum(training: _Training) -> Factor | None:
    """Steps in one direction sum to 1 / (1 - momentum) times a single step."""
    momentum = training.solver["momentum"]
    return Factor((1 - momentum) / 0.1, f"momentum {momentum:g}") if abs(momentum - 0.9) > 1e-6 else None


def _batch(training: _Training) -> Factor | None:
    """The noise of a gradient falls with the square root of the number of items that it averages."""
    size = net_batch_size(training.net.layers)
    if not size or size < 0:
        return None
    items = size * max(1, training.solver.get("iter_size", 1)) * training.gpus
    on = f" on {training.gpus} GPUs" if training.gpus > 1 else ""
    return Factor(math.sqrt(items / BATCH), f"batches of {items}{on}") if items != BATCH else None


def _input(training: _Training) -> Factor | None:
    """Gradients of the first layer grow with its input; normalisation compensates for that."""
    if training.normalises:
        return None
    ranges = []
    centred = True
    for param in training.weights:
        blob = param.layer.bottoms[0]
        pixels = pixel_range(blob)
        if pixels is not None:
            ranges.append(pixels)
            centred = centred and _is_centred(param)
    if not ranges or max(ranges) < 100:
        return None
    if centred:
        return Factor(0.1, f"pixels up to {max(ranges):g}")
    return Factor(10**-1.5, f"pixels up to {max(ranges):g} without mean subtraction")


def _shared_weights(training: _Training) -> Factor | None:
    """The gradient of a convolution's weights sums over all positions; without convolutions it is smaller."""
    if any(param.layer.traits.slides for param in training.weights) or not training.weights:
        return None
    return Factor(10**0.5, "no convolutions")


def _is_centred(param: Param) -> bool:
    layer = next((each for each in param.layer.upstream() if each.traits.is_data), None)
    transform = layer.message["transform_param"] if layer is not None else None
    return transform is not None and bool(transform["mean_value"] or transform["mean_file"])


def _normalisation(training: _Training) -> Factor | None:
    return Factor(10**0.5, "normalisation") if training.normalises else None


def _loss_weight(training: _Training) -> Factor | None:
    """The weight of the only loss acts like a learning rate; of several, each drives a part of the net."""
    weight = max(abs(loss.loss.weight) for loss in training.losses)
    if weight == 1 or (weight < 1 and len(training.losses) > 1):
        return None
    return Factor(1 / weight if len(training.losses) == 1 else weight**-0.5, f"a loss weight of {weight:g}")


def _regression(training: _Training) -> Factor | None:
    """The gradient of a Euclidean loss is the distance itself, while that of a softmax is at most 1."""
    layers = [loss.layer for loss in training.losses if loss.layer.traits.squared]
    if not layers:
        return None
    if any((pixel_range(blob) or 0) >= 100 for layer in layers for blob in layer.bottoms):
        return Factor(0.01, "EuclideanLoss on pixels up to 255")
    return Factor(0.1, "the unbounded gradient of EuclideanLoss")


def _sum(training: _Training) -> Factor | None:
    """A sum over n positions is n times their mean."""
    sums = [loss for loss in training.losses if loss.unnormalised and loss.layer.traits.loss_family != REGRESSION]
    if not sums:
        return None
    loss = max(sums, key=lambda each: each.terms or 0)
    assert loss.terms is not None
    return Factor(1 / loss.terms, f"the sum over {loss.terms:g} terms in {loss.layer.type} '{loss.layer.name}'")


def _clipping(training: _Training) -> Factor | None:
    clip = training.solver.get("clip_gradients", -1.0)
    return Factor(10**1.5, f"clip_gradients {clip:g}") if clip > 0 else None


def _initial_weights(training: _Training) -> Factor | None:
    """Large initial weights make large gradients; very small ones leave room to grow."""
    spreads = [_spread(param) for param in training.weights]
    known = [spread for spread in spreads if spread is not None]
    if not known:
        return None
    if max(known) >= 0.05:
        return Factor(10**-0.5, f"initial weights with standard deviation {max(known):g}")
    if min(known) == 0:
        return Factor(10.0, "constant initial weights")
    if min(known) <= 0.001:
        return Factor(10**0.5, f"initial weights with standard deviation {min(known):g}")
    return None


def _spread(param: Param) -> float | None:
    """The standard deviation of a parameter's initial values; None if its filler adapts it to the layer."""
    filler = param.filler
    if filler is None or filler["type"] == "constant":
        return 0.0
    if filler["type"] == "gaussian":
        return float(filler["std"])
    if filler["type"] == "uniform":
        return float(filler["max"] - filler["min"]) / math.sqrt(12)
    return None


def _lr_mult(training: _Training) -> Factor | None:
    if not training.weights:
        return None
    multipliers = sorted(param.lr_mult for param in training.weights)
    multiplier = multipliers[len(multipliers) // 2]
    return Factor(1 / multiplier, f"lr_mult {multiplier:g}") if multiplier != 1 else None


FACTORS: tuple[Callable[[_Training], Factor | None], ...] = (
    _momentum,
    _batch,
    _input,
    _shared_weights,
    _normalisation,
    _loss_weight,
    _regression,
    _sum,
    _clipping,
    _initial_weights,
    _lr_mult,
)
