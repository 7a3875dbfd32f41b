"""Layers that apply a function to each element, Dropout, and Parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient, SignalModel, Step
from ...moments.statistics import (
    ZERO_DIFFS,
    Diffs,
    Values,
    constant,
    gated,
    mapped,
    rectified,
    root,
    scaled,
    scaled_diffs,
    share_above,
    sign_correlations,
)
from ...moments.weights import Weights

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...moments.signal_model import SignalContext


_PRELU_SLOPE = 0.25  # prelu_layer.cpp's, where no filler is written; taken for Insanity's random slopes, too


class ReLU(SignalModel):
    """max(x, 0) + slope * min(x, 0) (relu_layer.cpp, prelu_layer.cpp). ReLU6 is taken for a ReLU without its limit.

    In place with a slope below 0, negative values become positive and are taken for such on the way back.
    """

    knows_in_place = True

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        written = layer.message["relu_param"]["negative_slope"] if layer.traits.base == "ReLU" else 0.0
        self.fixed = _PRELU_SLOPE if layer.traits.base in ("PReLU", "Insanity") else float(written)

    def slope(self, weights: Sequence[Weights]) -> float:
        """The slope of the negative side: the mean of the learned slopes, or the one in the settings."""
        return weights[0].mean if weights else self.fixed

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        values = bottoms[0]
        slope = self.slope(weights)
        if values.pre_activation is not None and not slope:
            # A maximum of rectified values is the rectified maximum.
            return [values]
        return [rectified(values, slope)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        values, diff = step.bottoms[0], diffs[0]
        if values.low >= 0 and values.pre_activation is None and values.second_moment > 0:
            return [diff], self.no_gradients
        if self.fixed < 0 and self.layer.in_place:
            return [diff], self.no_gradients
        before = values.pre_activation or values
        slope = self.slope(step.weights)
        part = diff.active_share if diff.active_share is not None else share_above(before)
        correlations = sign_correlations(before)
        if not slope:
            after = step.tops[0] if values.pre_activation is None else rectified(before)
            below = gated(diff, part, correlations, 1.0, passed_values(after, part, correlations))
        else:
            below = gated(diff, part, correlations)
            rest = gated(diff, 1 - part, correlations, slope)
            below = Diffs(
                below.second_moment + rest.second_moment,
                below.mean_abs + rest.mean_abs,
                below.corr_within_item + rest.corr_within_item,
                below.corr_across_items + rest.corr_across_items,
                below.corr_across_both + rest.corr_across_both,
                None,
                below.common + rest.common,
                diff.own_value_factor * part,
            )
        gradients = []
        if self.layer.params:
            square = diff.second_moment * values.second_moment / 2
            gradients.append(Gradient(square, root(square)))
        return [below], gradients


def passed_values(after: Values, part: float, correlations: tuple[float, float, float]) -> Values | None:
    """The moments of the values that pass a rectifier, which lets a share of them pass; of pairs, where both pass.

    `correlations` are those of `sign_correlations`, `after` the moments of all values after the rectifier.
    """
    if part <= 0:
        return None
    pair = part * part
    one = part - pair
    within, across, across_both = correlations
    return Values(
        after.mean,
        after.second_moment / part,
        after.mean_abs,
        after.corr_within_item / (pair + one * within),
        after.corr_across_items / (pair + one * across),
        after.corr_across_both / (pair + one * across_both),
        after.low,
        after.high,
        after.corr_length,
        after.pre_activation,
        after.common,
        after.parts,
    )


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def softplus(x: float) -> float:
    """log(1 + exp(x))."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _exp(x: float) -> float:
    """exp(x), which ends where floats do."""
    return math.exp(min(max(x, -700.0), 350.0))


# A function; its slope, as Caffe's backward pass computes it from the bottom and the top in memory; and the factor on
# correlation coefficients (see `mapped`): 1/2 for AbsVal, which is even, as a rough estimate that was not fitted. A step stands
# for Mish's slope, which is 0.6 at 0 and near 1 above 1; below 0 it is a rough estimate, too.
Function = tuple[Callable[[float], float], Callable[[float, float], float], float]

_FUNCTIONS: dict[str, Function] = {
    "Sigmoid": (sigmoid, lambda x, y: y * (1 - y), 1.0),
    "TanH": (math.tanh, lambda x, y: 1 - y * y, 1.0),
    "BNLL": (softplus, lambda x, y: sigmoid(x), 1.0),
    "AbsVal": (abs, lambda x, y: 1.0, 0.5),
    "Mish": (lambda x: x * math.tanh(softplus(x)), lambda x, y: 1.0 if x > 1 else 0.6, 1.0),
}
# These overwrite the gradient of their top, too, when they work in place (power_layer.cpp, log_layer.cpp): what is left of it
# is their slope once more.
_DESTROY_GRADIENTS = frozenset({"Power", "Log"})


class ElementwiseFunction(SignalModel):
    """A function of each element, averaged over the Gaussian distribution that is predicted for it (see `mapped`)."""

    knows_in_place = True
    knows_dropout = True

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.linear = _linear(layer)
        self.function, self.slope_in_memory, self.odd = _function(layer)
        self.destroys = layer.in_place and layer.traits.base in _DESTROY_GRADIENTS
        self.kept = _kept_in_place(layer) if layer.traits.needs_its_top(layer) else 1.0

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        if self.linear is not None:
            return [scaled(bottoms[0], *self.linear)]
        return [mapped(bottoms[0], self.function, None, self.odd)[0]]

    def slope(self, x: float) -> float:
        """The slope that Caffe computes for a value, from what in-place layers leave in memory."""
        y = self.function(x) / self.kept
        return self.slope_in_memory(y if self.layer.in_place else x, y)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        if self.destroys:
            return [_as_gradient(mapped(step.bottoms[0], lambda x: self.slope(x) ** 2, None, self.odd)[0])], []
        if self.linear is not None:
            return [scaled_diffs(diffs[0], self.linear[0])], []
        _, steep = mapped(step.bottoms[0], self.function, self.slope, self.odd)
        return [scaled_diffs(diffs[0], root(steep))], []


def _kept_in_place(layer: Layer) -> float:
    """The share of values that a Dropout keeps which works in place on a layer's top; it divides them by that share."""
    for reader in layer.tops[0].consumers:
        if reader.in_place and reader.traits.base == "Dropout":
            return kept_by_dropout(reader)
    return 1.0


def _as_gradient(values: Values) -> Diffs:
    """A gradient that is a function of values alone."""
    common = math.copysign(root(values.corr_across_both), values.mean)
    return Diffs(
        values.second_moment, values.mean_abs, values.corr_within_item, values.corr_across_items, values.corr_across_both,
        common=common,
    )  # fmt: skip


def _function(layer: Layer) -> Function:
    """A layer's function, its slope, and its factor on correlation coefficients."""
    message = layer.message
    kind = layer.traits.base
    if kind == "Power":
        param = message["power_param"]
        return _power(param["power"], param["scale"], param["shift"])
    if kind == "ELU":
        alpha = message["elu_param"]["alpha"]
        return lambda x: x if x > 0 else alpha * (_exp(x) - 1), lambda x, y: 1.0 if x > 0 else alpha + y, 1.0
    if kind == "Swish":
        beta = message["swish_param"]["beta"]
        return lambda x: x * sigmoid(beta * x), lambda x, y: beta * y + sigmoid(beta * x) * (1 - beta * y), 1.0
    if kind in ("Exp", "Log"):
        param = message["exp_param" if kind == "Exp" else "log_param"]
        base = math.log(param["base"]) if param["base"] > 0 else 1.0
        scale, shift = param["scale"], param["shift"]
        if kind == "Exp":
            return lambda x: _exp(base * (scale * x + shift)), lambda x, y: base * scale * y, 1.0
        return (
            lambda x: math.log(max(scale * x + shift, 1e-30)) / (base or 1.0),
            lambda x, y: scale / ((base or 1.0) * max(scale * x + shift, 1e-30)),
            1.0,
        )
    if kind == "Clip":
        param = message["clip_param"]
        low, high = param["min"], param["max"]
        return lambda x: min(max(x, low), high), lambda x, y: 1.0 if low <= x <= high else 0.0, 1.0
    return _FUNCTIONS[kind]


def _linear(layer: Layer) -> tuple[float, float] | None:
    if layer.traits.base == "Power":
        param = layer.message["power_param"]
        if param["power"] == 1:
            return param["scale"], param["shift"]
    return None


def _power(power: float, scale: float, shift: float) -> Function:
    def function(x: float) -> float:
        base = scale * x + shift
        if base <= 0 and power != int(power):
            return 0.0
        try:
            return float(base**power)
        except (OverflowError, ZeroDivisionError):
            return 1e38

    def slope(x: float, y: float) -> float:
        """The slope as power_layer.cpp computes it, from quotients of the top and the bottom."""
        if power in (0, 1) or not scale:
            return power * scale
        if power == 2:
            return 2 * scale * (scale * x + shift)
        base = x if shift == 0 else scale * x + shift
        if base == 0:
            return 0.0 if power > 1 else 1e38
        return power * scale * y / base

    return function, slope, 1.0


def kept_by_dropout(layer: Layer) -> float:
    """The share of values that a Dropout keeps: all, except in training."""
    ratio = layer.message["dropout_param"]["dropout_ratio"] if layer.phase == "TRAIN" else 0.0
    return 1 - ratio if ratio > 0 else 1.0


class Dropout(SignalModel):
    """In training a share of the values becomes 0 and the others are scaled up (dropout_layer.cpp); else nothing happens."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.kept = kept_by_dropout(layer)

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        if self.kept == 1:
            return [bottoms[0]]
        if self.kept <= 0:
            return [constant(math.nan)]
        return [bottoms[0]._replace(second_moment=bottoms[0].second_moment / self.kept, pre_activation=None)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        if self.kept == 1 or self.kept <= 0:
            return [diffs[0]], []
        return [diffs[0]._replace(second_moment=diffs[0].second_moment / self.kept)], []


class Parameter(SignalModel):
    """The parameter itself as a blob (parameter_layer.hpp)."""

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        weight = weights[0] if weights else Weights(0.0, 0.0, 0.0)
        square = weight.second_moment
        return [Values(weight.mean, square, weight.mean_abs, square, square, square)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff = diffs[0] if diffs else ZERO_DIFFS
        return [], [Gradient(diff.second_moment, diff.mean_abs, diff.common)]
