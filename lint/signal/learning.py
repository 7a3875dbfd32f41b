"""How far a training would come if nothing became unstable: gradient flow with one gain for each layer.

A deep linear net learns by growth: a layer's gradient is proportional to the gains of all others, so small
weights first grow slowly and then fast (Saxe, McClelland and Ganguli 2014, "Exact solutions to the nonlinear
dynamics of learning in deep linear neural networks"). Layers behind a normalisation do not make others grow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .fillers import Weights, dims
from .passes import Back, Pass
from .solving import Solving, clip_factor, step_size

if TYPE_CHECKING:
    from ..graph import Param
    from ..proto.binder import Message

_STRIDES = 40
_ENOUGH = 10.0
_FASTEST = 3.0  # times that a gain may grow in a stride
BIASES = frozenset({"bias", "input bias", "output bias"})


def total_rate(solver: Message, solving: Solving) -> list[float]:
    """The sum of the rates over each stride of the training, relative to the first rate; negative ones left out."""
    last = max(1, solving.max_iter)
    edges = [last * i // _STRIDES for i in range(_STRIDES + 1)]
    found = []
    for start, end in zip(edges, edges[1:], strict=False):
        if end > start:
            rate = solving.rate_at(solver, (start + end) // 2)
            found.append((end - start) * (rate / solving.rate if solving.rate else 0.0))
    return found


def progress(solver: Message, solving: Solving, forward: Pass, back: Back, weights: Mapping[Param, Weights]) -> float:
    """The part of the first loss that the training would take off, up to 10; without regard to instability."""
    loss = abs(forward.loss)
    clip = clip_factor(solving, back.l2)
    layers = []
    normalised = any(layer.kind is not None and layer.kind.normalises for layer in forward.net.layers)
    for param, gradient in back.gradients.items():
        number = param.count or 1
        if param.role in BIASES:
            each = abs(gradient.drift)
        else:
            each = math.sqrt(gradient.square) if gradient.square > 0 else 0.0
        if not each or not math.isfinite(each):
            continue
        weight = weights[param.owner]
        shape = dims(param)
        fan = number / shape[0] if shape and len(shape) > 1 else 1.0
        gain = math.sqrt(weight.square * fan) if param.role not in BIASES else 0.0
        layers.append([param, each * math.sqrt(number), number, gain, gain])
    if not layers or not loss or not math.isfinite(loss):
        return 0.0
    drop = 0.0
    seen = 0.0
    for stride in total_rate(solver, solving):
        ratios = [now / first if first else 1.0 for _, _, _, first, now in layers]
        together = math.prod(min(ratio, 1e6) for ratio in ratios) if not normalised else 1.0
        for layer, ratio in zip(layers, ratios, strict=True):
            param, norm, number, first, now = layer
            norm = min(norm * (together / ratio if not normalised and ratio else 1.0), 1e15)
            each = norm / math.sqrt(number)
            local = solving.rate * abs(param.lr_mult)
            step = step_size(solving, each * clip, local) * solving.gain
            if solving.type == "AdaGrad":
                step *= math.sqrt(seen + stride) - math.sqrt(seen)
            else:
                step *= stride
            moved = step * math.sqrt(number)
            drop += moved * norm
            if first:
                decay = (
                    solving.decay * param.decay_mult * local * solving.gain * stride if not solving.adaptive else 0.0
                )
                layer[4] = min(now * math.exp(-min(decay, 50.0)) + moved, now * _FASTEST)
        seen += stride
        if drop > _ENOUGH * loss:
            return _ENOUGH
    return min(_ENOUGH, drop / loss)
