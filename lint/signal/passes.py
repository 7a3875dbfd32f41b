"""The signal of one iteration: values forward through a net, gradients back, as Caffe's debug_info prints them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from . import elementwise, joints, linear, losses, normalisation, sources, windows  # noqa: F401  (fill the table)
from .carriers import CARRIERS, PASS, Gradient, Step, size_of
from .fillers import Weights, filled
from .losses import Loss
from .normalisation import BatchNorm
from .statistics import NO_DIFFS, NOTHING, Diffs, Values, added

if TYPE_CHECKING:
    from ..graph import Blob, Layer, Net, Param
    from .sources import Surroundings


class Pass:
    """A forward pass: the values of every blob, the step of every layer, and the losses with their weights."""

    def __init__(self, net: Net, weights: Mapping[Param, Weights], around: Surroundings) -> None:
        self.net = net
        self.around = around
        self.values: dict[Blob, Values] = {}
        self.steps: list[Step] = []
        values = self.values
        for layer in net.layers:
            step = Step(
                layer,
                [values.get(blob, NOTHING) for blob in layer.bottoms],
                (),
                [weights[param.owner] for param in layer.params],
                around,
            )
            carrier = CARRIERS.get(layer.type, PASS)
            try:
                tops = carrier.forward(step)
            except (OverflowError, ZeroDivisionError):
                tops = [NAN] * len(layer.tops)
            for blob, value in zip(layer.tops, tops, strict=False):
                values[blob] = value
            self.steps.append(step._replace(tops=tops))

    def loss_terms(self) -> list[tuple[Layer, int, float, float]]:
        """The losses: layer, top, weight, and value before the weight."""
        found = []
        for loss in self.net.losses:
            if loss.weight:
                carrier = CARRIERS.get(loss.layer.type, PASS)
                value = self.values.get(loss.blob, NOTHING)
                number = 1 if isinstance(carrier, Loss) else size_of(loss.blob)
                weight = self.around.weights_of(loss.layer)[loss.top_index]
                found.append((loss.layer, loss.top_index, weight, value.mean * number))
        return found

    @property
    def loss(self) -> float:
        """The loss as Caffe displays it."""
        return sum(weight * value for _, _, weight, value in self.loss_terms())


NAN = Values(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)


class Back:
    """A backward pass: for each layer the gradients of its bottoms, and those of its parameters.

    `only` is a loss to look at alone; with `probe` the losses send down what tells their curvature.
    """

    def __init__(self, forward: Pass, only: Layer | None = None, probe: bool = False) -> None:
        net = forward.net
        self.forward = forward
        self.bottoms: list[Sequence[Diffs] | None] = [None] * len(net.layers)
        self.gradients: dict[Param, Gradient] = {}
        self.tops: dict[Blob, Diffs] = {}
        own: dict[Param, Gradient] = {}
        self.of_layer: list[Sequence[Gradient]] = [()] * len(net.layers)
        tops = self.tops
        for layer in reversed(net.layers):
            if not layer.runs_backward:
                continue
            step = forward.steps[layer.index]
            carrier = CARRIERS.get(layer.type, PASS)
            weighted = forward.around.weights_of(layer)
            is_loss = any(weighted) and (only is None or only is layer)
            diffs = [tops.get(blob, NO_DIFFS) for blob in layer.tops]
            if not is_loss and not any(diff.square for diff in diffs):
                self.bottoms[layer.index] = [NO_DIFFS] * len(layer.bottoms)
                for computes, blob in zip(layer.gradient_bottoms, layer.bottoms, strict=False):
                    if computes:
                        tops.setdefault(blob, NO_DIFFS)
                self.of_layer[layer.index] = [Gradient(0.0, 0.0)] * len(layer.params)
                for param in layer.params:
                    own.setdefault(param.owner, Gradient(0.0, 0.0))
                continue
            bottoms: Sequence[Diffs]
            gradients: Sequence[Gradient]
            try:
                if isinstance(carrier, Loss):
                    weight = weighted[0] if weighted and is_loss else diffs[0].size
                    if probe:
                        down = carrier.probe(step, weight)
                        bottoms, gradients = [down, *[carrier.second(step, down)] * (len(layer.bottoms) - 1)], []
                    else:
                        bottoms, gradients = carrier.backward(step, [NO_DIFFS._replace(drift=weight)])
                else:
                    if is_loss:
                        diffs = [
                            _of_weight(d, w, probe, b) for d, w, b in zip(diffs, weighted, layer.tops, strict=True)
                        ]
                    bottoms, gradients = carrier.backward(step, diffs)
            except (OverflowError, ZeroDivisionError):
                bad = Diffs(math.nan, math.nan, math.nan, math.nan, math.nan)
                bottoms, gradients = [bad] * len(layer.bottoms), [Gradient(math.nan, math.nan)] * len(layer.params)
            self.bottoms[layer.index] = bottoms
            self.of_layer[layer.index] = gradients
            for computes, blob, diff in zip(layer.gradient_bottoms, layer.bottoms, bottoms, strict=False):
                if computes:
                    before = tops.get(blob)
                    tops[blob] = diff if before is None else added(before, diff)
            for param, gradient in zip(layer.params, gradients, strict=False):
                before_own = own.get(param.owner)
                if before_own is not None:
                    gradient = Gradient(
                        before_own.square + gradient.square,
                        math.hypot(before_own.size, gradient.size),
                        before_own.drift + gradient.drift,
                    )
                own[param.owner] = gradient
        self.gradients = {param: own[param] for param in own if param.lr_mult != 0}

    @property
    def l2(self) -> float:
        """The L2 norm of the gradients of all parameters, which clip_gradients is held against."""
        total = sum(g.square * (param.count or 1) for param, g in self.gradients.items())
        return math.sqrt(total) if total >= 0 else math.nan


def _of_weight(diff: Diffs, weight: float, probe: bool, blob: Blob) -> Diffs:
    w2 = weight * weight
    if not weight:
        return diff
    if probe:
        return diff
    return Diffs(
        diff.square + w2, diff.size + abs(weight), diff.level + w2, diff.shared + w2, diff.cross + w2, None, weight
    )


def initial_weights(net: Net) -> dict[Param, Weights]:
    """Every parameter before the first step."""
    return {param: filled(param) for param in net.params() if param.owner is param}


def weight_rows(forward: Pass, weights: Mapping[Param, Weights], layer: Layer) -> list[float]:
    """The mean absolute value of a layer's parameters after the first forward pass."""
    carrier = CARRIERS.get(layer.type, PASS)
    if isinstance(carrier, BatchNorm) and layer.type == "BatchNorm" and not carrier.stored(forward.steps[layer.index]):
        return carrier.statistics(forward.steps[layer.index])[: len(layer.params)]
    return [weights[param.owner].size for param in layer.params]
