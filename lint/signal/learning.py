"""How far a training would come if nothing became unstable: gradient flow with one gain for each layer.

A deep linear net learns by growth: a layer's gradient is proportional to the gains of all others, so small
weights first grow slowly and then fast (Saxe, McClelland and Ganguli 2014, "Exact solutions to the nonlinear
dynamics of learning in deep linear neural networks"). Layers behind a normalisation do not make others grow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from .fillers import Weights, dims
from .passes import Back, Pass
from .solving import Solving, clip_factor, step_size

if TYPE_CHECKING:
    from ..graph import Param
    from ..proto.binder import Message


class _Gain:
    """A layer as the flow sees it: the norm of its first gradient, and its gain then and now."""

    __slots__ = ("first", "norm", "now", "number", "param")

    def __init__(self, param: Param, norm: float, gain: float) -> None:
        self.param = param
        self.norm = norm
        self.number = param.count or 1
        self.first = gain
        self.now = gain


_STRIDES = 40
_ENOUGH = 10.0
_FASTEST = 3.0  # times that a gain may grow in a stride
BIASES = frozenset({"bias", "input bias", "output bias"})


def total_rate(solver: Message, solving: Solving) -> list[float]:
    """The sum of the rates over each stride of the training, relative to the first rate; negative ones left out."""
    last = max(1, solving.max_iter)
    edges = [last * i // _STRIDES for i in range(_STRIDES + 1)]
    found = []
    for start, end in pairwise(edges):
        if end > start:
            rate = solving.rate_at(solver, (start + end) // 2)
            found.append((end - start) * (rate / solving.rate if solving.rate else 0.0))
    return found


def progress(solver: Message, solving: Solving, forward: Pass, back: Back, weights: Mapping[Param, Weights]) -> float:
    """The part of the first loss that the training would take off, up to 10; without regard to instability."""
    loss = abs(forward.loss)
    clip = clip_factor(solving, back.l2)
    layers: list[_Gain] = []
    normalised = any(layer.kind is not None and layer.kind.normalises for layer in forward.net.layers)
    for param, gradient in back.gradients.items():
        number = param.count or 1
        if param.role in BIASES:  # noqa: SIM108
            each = abs(gradient.drift)
        else:
            each = math.sqrt(gradient.square) if gradient.square > 0 else 0.0
        if not each or not math.isfinite(each):
            continue
        weight = weights[param.owner]
        shape = dims(param)
        fan = number / shape[0] if shape and len(shape) > 1 else 1.0
        gain = math.sqrt(weight.square * fan) if param.role not in BIASES else 0.0
        layers.append(_Gain(param, each * math.sqrt(number), gain))
    if not layers or not loss or not math.isfinite(loss):
        return 0.0
    drop = 0.0
    seen = 0.0
    for stride in total_rate(solver, solving):
        ratios = [layer.now / layer.first if layer.first else 1.0 for layer in layers]
        together = math.prod(min(ratio, 1e6) for ratio in ratios) if not normalised else 1.0
        for layer, ratio in zip(layers, ratios, strict=True):
            norm = min(layer.norm * (together / ratio if not normalised and ratio else 1.0), 1e15)
            each = norm / math.sqrt(layer.number)
            local = solving.rate * abs(layer.param.lr_mult)
            step = step_size(solving, each * clip, local) * solving.gain
            if solving.type == "AdaGrad":
                step *= math.sqrt(seen + stride) - math.sqrt(seen)
            else:
                step *= stride
            moved = step * math.sqrt(layer.number)
            drop += moved * norm
            if layer.first:
                decay = (
                    0.0 if solving.adaptive else solving.decay * layer.param.decay_mult * local * solving.gain * stride
                )
                layer.now = min(layer.now * math.exp(-min(decay, 50.0)) + moved, layer.now * _FASTEST)
        seen += stride
        if drop > _ENOUGH * loss:
            return _ENOUGH
    return min(_ENOUGH, drop / loss)
