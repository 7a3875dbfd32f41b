"""Layers that apply a function to each element, Dropout, and Parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient, SignalModel, Step, items_of, positions_of, size_of
from ...moments.statistics import (
    ZERO_DIFFS,
    Diffs,
    Values,
    constant,
    correlation_coefficients,
    gated,
    gaussian_points,
    mapped,
    normal_cdf,
    normal_density,
    rectified,
    root,
    scaled,
    scaled_diffs,
    share_above,
    sign_correlations,
)
from ...moments.weights import Weights, dims
from .linear import pair_sum, size_of_sum

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...moments.signal_model import SignalContext


_PRELU_SLOPE = 0.25  # prelu_layer.cpp's, where no filler is written


def insanity_bounds(layer: Layer) -> tuple[float, float]:
    """What negative values are divided by at least and at most (insanity_layer.cpp of happynear/caffe-windows)."""
    param = layer.message["insanity_param"]
    return param.get("lb", 5.0), param.get("ub", 10.0)


def _insanity_slope(layer: Layer) -> float:
    low, high = insanity_bounds(layer)
    return math.log(high / low) / (high - low) if 0 < low < high else _PRELU_SLOPE


class ReLU(SignalModel):
    """max(x, 0) + slope * min(x, 0) (relu_layer.cpp, prelu_layer.cpp). ReLU6 is taken for a ReLU without its limit, random slopes
    for their mean.

    In place with a slope below 0, negative values become positive and are taken for such on the way back.
    """

    knows_in_place = True

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        kind = layer.traits.base
        written = layer.message["relu_param"]["negative_slope"] if kind == "ReLU" else 0.0
        self.fixed = _PRELU_SLOPE if kind == "PReLU" else _insanity_slope(layer) if kind == "Insanity" else float(written)

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
        if values.low >= 0 and (values.pre_activation is None or self.slope(step.weights)) and values.second_moment > 0:
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
                diff.own_value_factor * (part + (1 - part) * slope * slope),
                along=diff.along,
            )
        return [below], [self.of_slope(values, diff)] if self.layer.params else []

    def slope_likeness(self, step: Step) -> float:
        values = step.bottoms[0].pre_activation or step.bottoms[0]
        slope, part = self.slope(step.weights), share_above(values)
        both = part * (part + (1 - part) * sign_correlations(values)[1])  # open for both items
        square = part + (1 - part) * slope * slope
        return (both + 2 * slope * (part - both) + slope * slope * (1 - 2 * part + both)) / square if square else 1.0

    def of_slope(self, values: Values, diff: Diffs) -> Gradient:
        """The gradient of a learned slope: the sum of gradient times negative value over all that it multiplies."""
        items, positions = items_of(self.layer.bottoms[0]), positions_of(self.layer.bottoms[0])
        negative = rectified(scaled(values, -1.0))
        square = pair_sum(diff, negative, items, positions)
        size = size_of_sum(diff, negative, items * positions, square)
        slopes = math.prod(dims(self.layer.params[0]))
        channels = max(1.0, size_of(self.layer.bottoms[0]) / (items * positions * slopes))  # that share a slope
        return Gradient(square * channels, size * root(channels))


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
# Functions that bend near 0 and are straight far from it, and those of them whose slope is a bump that falls off on both sides.
_BEND_AT_ZERO = frozenset({"Sigmoid", "TanH", "BNLL", "ELU", "Swish", "Mish", "Clip"})
_BUMPS = frozenset({"Sigmoid", "TanH", "Clip"})
# Values wider than this are averaged over the bend in equal steps, which reach so far on either side of 0; no fit.
_WIDE_FOR_BENDS, _BEND, _STEPS_OF_BEND = 3.0, 12.0, 36
_SAME_SLOPES = 1e-9  # a variance of slopes that is no more than this part of their mean square is rounding
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
        values, diff = step.bottoms[0], diffs[0]
        mean, size, square = self.slopes(values)
        if not mean or not math.isfinite(square):
            return [scaled_diffs(diff, root(square))._replace(mean_abs=diff.mean_abs * size)], []
        within, across, across_both = (self.slope_pair(mean, square, rho) for rho in correlation_coefficients(values))
        evenness = diff.evenness * min(1.0, abs(mean) / root(across_both))
        return [
            Diffs(
                diff.second_moment * square,
                diff.mean_abs * size,
                diff.corr_within_item * within,
                diff.corr_across_items * across,
                diff.corr_across_both * across_both,
                diff.active_share,
                diff.common * mean,
                diff.own_value_factor and diff.own_value_factor * self.own_value(values),
                None,
                evenness,
                balanced=diff.balanced and square - mean * mean <= _SAME_SLOPES * square,
            )
        ], []

    def points(self, values: Values) -> list[tuple[float, float]]:
        """Points that stand for the values, and the weight of each.

        Where a function saturates, nearly all of its slope comes from the few values near its bend.
        """
        deviation = root(values.variance) if math.isfinite(values.second_moment) else 0.0
        if self.layer.traits.base not in _BEND_AT_ZERO or deviation <= _WIDE_FOR_BENDS:
            return gaussian_points(values)
        step = _BEND / _STEPS_OF_BEND
        end = _BEND + step / 2
        return [
            *(
                (i * step, step / deviation * normal_density((i * step - values.mean) / deviation))
                for i in range(-_STEPS_OF_BEND, _STEPS_OF_BEND + 1)
            ),
            *(  # where slopes do not change any more
                (side * (_BEND + deviation), normal_cdf((side * values.mean - end) / deviation)) for side in (1.0, -1.0)
            ),
        ]

    def slopes(self, values: Values) -> tuple[float, float, float]:
        """The mean of the slope over Gaussian values, its mean absolute value, and its mean square."""
        mean = size = square = 0.0
        for x, weight in self.points(values):
            slope = self.slope(x)
            mean += weight * slope
            size += weight * abs(slope)
            square += weight * slope * slope
        return mean, size, square

    def own_value(self, values: Values) -> float:
        """How much of a gradient that is the top is, on the way back, the bottom: E[f(x) f'(x) x] / E[x^2]."""
        if not 0 < values.second_moment < math.inf:
            return 0.0
        points = self.points(values) if self.layer.traits.base in _BUMPS else gaussian_points(values)
        return sum(weight * self.function(x) * self.slope(x) * x for x, weight in points) / values.second_moment

    def slope_likeness(self, step: Step) -> float:
        if self.linear is not None or self.destroys:
            return 1.0
        mean, _, square = self.slopes(step.bottoms[0])
        likeness = self.slope_pair(mean, square, correlation_coefficients(step.bottoms[0])[1]) if mean else square
        return likeness / square if 0 < square < math.inf else 1.0

    def slope_pair(self, mean: float, square: float, rho: float) -> float:
        """The mean product of the slopes at two values with this correlation coefficient."""
        spread = square - mean * mean
        if spread <= 0:
            return mean * mean
        if self.layer.traits.base not in _BUMPS:
            return mean * mean + spread * rho
        return bells_product(mean, square, rho)


def bells_product(mean: float, square: float, rho: float) -> float:
    """The mean product of two slopes like bells over standard Gaussians with a correlation coefficient.

    The width c of the bells follows from their mean and mean square: with s(x) = exp(-c x^2 / 2), E[s] = 1 / sqrt(1 + c) and
    E[s(x) s(y)] = 1 / sqrt((1 + c)^2 - c^2 rho^2).
    """
    excess = (square / (mean * mean)) ** 2 - 1
    c = excess + root(excess * excess + excess)
    part = c / (1 + c) * rho
    return min(square, mean * mean / root(1 - part * part)) if abs(part) < 1 else square


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
