"""How much a training would learn if nothing became unstable: gradient flow with one gain for each layer.

In a deep linear net, the gradient of a layer is proportional to the gains of all others, so small weights first grow slowly
and then fast (Saxe, McClelland and Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
networks"). With normalisation, the gain of a layer does not affect the gradients of others.

The part of a gradient in which all items agree can reduce the loss no further than to that of the best constant answer, one
that is the same for every item; the other part distinguishes items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from ...layers.models.loss_models import Loss
from ...moments.weights import Weights, dims
from .passes import Back, Pass
from .update_rule import UpdateRule, clip_factor, step_size

if TYPE_CHECKING:
    from ...moments.graph import Param
    from ...proto.binder import Message


class _Gain:
    """A layer in the gradient flow: the two parts of its first gradient norm, and its first and its current gain."""

    __slots__ = ("common", "first", "now", "number", "own", "param")

    def __init__(self, param: Param, number: int, common: float, own: float, gain: float) -> None:
        self.param = param
        self.number = number
        self.common = common
        self.own = own
        self.first = gain
        self.now = gain


_STRIDES = 40  # the number of equal parts that a run is computed in. Set by hand; no script compares others
# The share of the initial loss whose removal counts as having learned. ../shared/divergence labels a run `learns` from 0.02 on;
# more is required here, as part of the estimate is noise. Set by hand with benchmarks/verdict.py; no script searches for it.
LEARNED_SHARE = 0.3
# By what factor a layer's gain may grow in a stride, so that exponential growth stays finite. Set by hand.
_FASTEST = 3.0
# Limits on the growth of a gain and of a gradient and on the exponent of decay, which keep numbers finite.
_MOST_GROWTH, _MOST_GRADIENT, _MOST_EXPONENT = 1e6, 1e15, 50.0
BIASES = frozenset({"bias", "input bias", "output bias"})


def total_rate(solver: Message, rule: UpdateRule) -> list[float]:
    """The sum of the learning rates over each stride of the run, relative to the first rate."""
    last = max(1, rule.max_iter)
    edges = [last * i // _STRIDES for i in range(_STRIDES + 1)]
    found = []
    for start, end in pairwise(edges):
        if end > start:
            rate = rule.rate_at(solver, (start + end) // 2)
            found.append((end - start) * (rate / rule.rate if rule.rate else 0.0))
    return found


def excess(forward: Pass) -> float:
    """By how much the initial loss exceeds that of the best constant answer."""
    total = 0.0
    for layer, _, weight, value in forward.loss_terms():
        model = forward.prepared.models[layer.index]
        floor = model.constant_answer_value(forward.steps[layer.index].bottoms) if isinstance(model, Loss) else 0.0
        total += max(0.0, weight * (value - floor))
    return total


def progress(solver: Message, rule: UpdateRule, forward: Pass, back: Back, weights: Mapping[Param, Weights]) -> float:
    """How much the training would learn, regardless of instability.

    Below 1: the share of the initial loss that it would remove, relative to `LEARNED_SHARE`. From 1 on: how many times longer
    the run lasts than it takes to remove that share.
    """
    loss = abs(forward.loss)
    clip = clip_factor(rule, back.l2)
    layers: list[_Gain] = []
    normalised = any(layer.traits.normalises for layer in forward.net.layers)
    for param, gradient in back.gradients.items():
        number = back.counts[param]
        square = gradient.second_moment
        if not 0 < square < math.inf:
            continue
        together = min(gradient.common * gradient.common, square)
        is_bias = param.role in BIASES
        shape = dims(param)
        fan = number / shape[0] if shape and len(shape) > 1 else 1.0
        gain = 0.0 if is_bias else math.sqrt(weights[param.owner].second_moment * fan)
        own = 0.0 if is_bias else square - together
        layers.append(_Gain(param, number, math.sqrt(together * number), math.sqrt(own * number), gain))
    if not layers or not loss or not math.isfinite(loss):
        return 0.0
    common = own = 0.0
    most = excess(forward)
    seen = drop = 0.0
    strides = total_rate(solver, rule)
    for stride in strides:
        ratios = [layer.now / layer.first if layer.first else 1.0 for layer in layers]
        together = math.prod(min(ratio, _MOST_GROWTH) for ratio in ratios) if not normalised else 1.0
        for layer, ratio in zip(layers, ratios, strict=True):
            grown = min(together / ratio if not normalised and ratio else 1.0, _MOST_GRADIENT)
            norm = math.hypot(layer.common, layer.own) * grown
            if not norm:
                continue
            each = norm / math.sqrt(layer.number)
            local = rule.rate * abs(layer.param.lr_mult)
            step = step_size(rule, each * clip, local) * rule.momentum_gain
            if rule.type == "AdaGrad":
                step *= math.sqrt(seen + stride) - math.sqrt(seen)
            else:
                step *= stride
            moved = step * math.sqrt(layer.number)
            common += moved * (layer.common * grown) * (layer.common * grown / norm)
            own += moved * (layer.own * grown) * (layer.own * grown / norm)
            if layer.first:
                decay = (
                    0.0 if rule.adaptive else rule.decay * layer.param.decay_mult * local * rule.momentum_gain * stride
                )
                layer.now = min(layer.now * _decayed(decay) + moved, layer.now * _FASTEST)
        before, drop = drop, (min(common, most) + own) / loss
        if drop > LEARNED_SHARE:
            needed = seen + stride * (LEARNED_SHARE - before) / (drop - before)
            return sum(strides) / needed if needed > 0 else math.inf
        seen += stride
    return drop / LEARNED_SHARE


def _decayed(exponent: float) -> float:
    """The factor by which weight decay reduces a gain."""
    return math.exp(-min(max(exponent, -_MOST_EXPONENT), _MOST_EXPONENT))
