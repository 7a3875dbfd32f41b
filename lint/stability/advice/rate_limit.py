"""The largest learning rate of a training whose signal cannot be computed, judged by what its files say.

It is asked only where weights are loaded, or a layer type or shape is not known. benchmarks/thresholds.py rate shows that it is
worth its place there: with SGD and Nesterov it finds 75 % of the trainings that diverge, and 85 % of what it finds do.

A plain classifier (inputs around 1, softmax, momentum 0.9, batches of 64) bears about `BASE`. Each thing
that makes the steps larger or smaller than that one's multiplies the limit: `FACTORS` lists them all. The
numbers are powers of the root of ten, chosen on 360 trainings with the real Caffe
(`benchmarks/thresholds.py`).
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

if TYPE_CHECKING:
    from ...moments.graph import Param
    from ...net.job import Job
    from ...net.net import Net
    from ...proto.binder import Message

# The learning rate that the plain classifier bears, and its items in a batch. Chosen by hand on benchmarks/thresholds.py rate,
# as all factors below; the benchmark prints what other limits would give, and the best one for families left out.
BASE = 0.4
BATCH = 64

# Learning rates of solvers whose steps are about the rate itself, whatever the size of the gradients: nothing else counts
# for them. Chosen as `BASE`; the benchmark shows precision 0.31 for divergence, as most of what it finds ends at chance.
ADAPTIVE_LIMITS = {"Adam": 0.08, "RMSProp": 0.08, "AdaGrad": 0.5}
MOMENTUM_SOLVERS = ("SGD", "Nesterov")


class Factor(NamedTuple):
    """What multiplies the limit, and why: a sentence part such as `momentum 0.99`."""

    bears: float
    why: str


class Judgement(NamedTuple):
    """The largest rate of a training, the largest that it is likely to bear, and what makes that so."""

    rate: Rate
    limit: float
    factors: tuple[Factor, ...]

    @property
    def excess(self) -> float:
        """How many times over the limit the rate is: over 1 is high."""
        return self.rate.value / self.limit


class _Training(NamedTuple):
    """What the factors look at."""

    solver: Message
    net: Net
    losses: list[SizedLoss]
    weights: list[Param]
    normalises: bool


def judge_rate(job: Job) -> Judgement | None:
    """The largest rate of a job against its limit. None where the files do not tell enough to judge.

    That is the case for policies and solver types that Caffe does not have, for AdaDelta, whose rate has no
    natural size, with NVIDIA's LARC, which sets the rate of each layer anew, and mostly where the net is
    not found.
    """
    solver = job.solver.message
    rate = largest_rate(solver)
    if rate is None or not rate.value > 0 or solver.get("larc", False):
        return None
    training = _training(job)
    kind = solver.get("type", "SGD")
    if kind in ADAPTIVE_LIMITS:
        limit = ADAPTIVE_LIMITS[kind]
        factors: tuple[Factor, ...]
        multiplier = _lr_mult(training) if training else None
        factors = (multiplier,) if multiplier else ()
    elif kind in MOMENTUM_SOLVERS and training is not None and 0 <= solver["momentum"] < 1:
        limit = BASE
        factors = tuple(found for factor in FACTORS if (found := factor(training)) is not None)
    else:
        return None
    return Judgement(rate, limit * math.prod(factor.bears for factor in factors), factors)


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
    return _Training(job.solver.message, net, losses, weights, normalises)


def _momentum(training: _Training) -> Factor | None:
    """Steps of one direction add up to 1 / (1 - momentum) of one."""
    momentum = training.solver["momentum"]
    return Factor((1 - momentum) / 0.1, f"momentum {momentum:g}") if abs(momentum - 0.9) > 1e-6 else None


def _batch(training: _Training) -> Factor | None:
    """The noise of a gradient falls with the root of the number of items that it is the mean of."""
    size = net_batch_size(training.net.layers)
    if not size:
        return None
    items = size * max(1, training.solver.get("iter_size", 1))
    return Factor(math.sqrt(items / BATCH), f"batches of {items}") if items != BATCH else None


def _input(training: _Training) -> Factor | None:
    """Gradients of the first layer grow with its input; a normalising net makes up for that."""
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
    return Factor(10**-1.5, f"pixels up to {max(ranges):g} without a mean taken off")


def _shared_weights(training: _Training) -> Factor | None:
    """The gradient of a convolution's weights adds up over all positions; without any it is smaller."""
    if any(param.layer.traits.slides for param in training.weights) or not training.weights:
        return None
    return Factor(10**0.5, "no convolutions")


def _is_centred(param: Param) -> bool:
    layer = next((each for each in param.layer.upstream() if each.traits.is_data), None)
    transform = layer.message["transform_param"] if layer is not None else None
    return transform is not None and bool(transform["mean_value"] or transform["mean_file"])


def _normalisation(training: _Training) -> Factor | None:
    return Factor(10**0.5, "normalising layers") if training.normalises else None


def _loss_weight(training: _Training) -> Factor | None:
    """The weight of the only loss is as good as a rate; of several, each drives a part of the net."""
    weight = max(abs(loss.loss.weight) for loss in training.losses)
    if weight == 1 or (weight < 1 and len(training.losses) > 1):
        return None
    return Factor(1 / weight if len(training.losses) == 1 else weight**-0.5, f"a loss weight of {weight:g}")


def _regression(training: _Training) -> Factor | None:
    """The gradient of a Euclidean loss is the distance itself, where that of a softmax is at most 1."""
    layers = [loss.layer for loss in training.losses if loss.layer.traits.squared]
    if not layers:
        return None
    if any((pixel_range(blob) or 0) >= 100 for layer in layers for blob in layer.bottoms):
        return Factor(0.01, "EuclideanLoss on pixels up to 255")
    return Factor(0.1, "EuclideanLoss, whose gradient is not bounded")


def _sum(training: _Training) -> Factor | None:
    """A sum over all positions is as many times a mean."""
    sums = [loss for loss in training.losses if loss.unnormalised and loss.layer.traits.loss_family != REGRESSION]
    if not sums:
        return None
    loss = max(sums, key=lambda each: each.terms or 0)
    assert loss.terms is not None
    return Factor(1 / loss.terms, f"{loss.layer.type} '{loss.layer.name}' that sums {loss.terms:g} terms")


def _clipping(training: _Training) -> Factor | None:
    clip = training.solver.get("clip_gradients", -1.0)
    return Factor(10**1.5, f"clip_gradients {clip:g}") if clip > 0 else None


def _first_weights(training: _Training) -> Factor | None:
    """Large weights make large gradients; from very small ones it is a long way up."""
    spreads = [_spread(param) for param in training.weights]
    known = [spread for spread in spreads if spread is not None]
    if not known:
        return None
    if max(known) >= 0.05:
        return Factor(10**-0.5, f"first weights of standard deviation {max(known):g}")
    if min(known) == 0:
        return Factor(10.0, "weights that start at one constant")
    if min(known) <= 0.001:
        return Factor(10**0.5, f"first weights of standard deviation {min(known):g}")
    return None


def _spread(param: Param) -> float | None:
    """The standard deviation of a parameter's first values; None where its filler makes it fit the layer."""
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
    _first_weights,
    _lr_mult,
)
