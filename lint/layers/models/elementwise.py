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
    """max(x, 0) + slope * min(x, 0) (relu_layer.cpp, prelu_layer.cpp). ReLU6 is taken for a ReLU without its limit."""

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


def _sigmoid_slope(x: float) -> float:
    y = sigmoid(x)
    return y * (1 - y)


def softplus(x: float) -> float:
    """log(1 + exp(x))."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _mish_slope(x: float) -> float:
    """A step in place of Mish's slope, which is 0.6 at 0 and near 1 above 1; below 0 not fitted: a rough estimate."""
    return 1.0 if x > 1 else 0.6


# A function, its slope, and the factor on correlation coefficients (see `mapped`): 1/2 for AbsVal, which is even, as a
# rough estimate that was not fitted.
Function = tuple[Callable[[float], float], Callable[[float], float], float]

_FUNCTIONS: dict[str, Function] = {
    "Sigmoid": (sigmoid, _sigmoid_slope, 1.0),
    "TanH": (math.tanh, lambda x: 1 - math.tanh(x) ** 2, 1.0),
    "BNLL": (softplus, sigmoid, 1.0),
    "AbsVal": (abs, lambda x: 1.0, 0.5),
    "ELU": (
        lambda x: x if x > 0 else math.exp(max(x, -700)) - 1,
        lambda x: 1.0 if x > 0 else math.exp(max(x, -700)),
        1.0,
    ),
    "Swish": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x))), 1.0),
    "Mish": (lambda x: x * math.tanh(softplus(x)), _mish_slope, 1.0),
}


class ElementwiseFunction(SignalModel):
    """A function of each element, averaged over the Gaussian distribution that is predicted for it (see `mapped`)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.linear = _linear(layer)
        self.function, self.slope, self.odd = _function(layer)

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        if self.linear is not None:
            return [scaled(bottoms[0], *self.linear)]
        return [mapped(bottoms[0], self.function, None, self.odd)[0]]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        if self.linear is not None:
            return [scaled_diffs(diffs[0], self.linear[0])], []
        _, steep = mapped(step.bottoms[0], self.function, self.slope, self.odd)
        return [scaled_diffs(diffs[0], root(steep))], []


def _function(layer: Layer) -> Function:
    """A layer's function, its slope, and its factor on correlation coefficients."""
    message = layer.message
    kind = layer.traits.base
    if kind == "Power":
        param = message["power_param"]
        return _power(param["power"], param["scale"], param["shift"])
    if kind in ("Exp", "Log"):
        param = message["exp_param" if kind == "Exp" else "log_param"]
        base = math.log(param["base"]) if param["base"] > 0 else 1.0
        scale, shift = param["scale"], param["shift"]
        if kind == "Exp":
            return (
                lambda x: math.exp(min(700.0, base * (scale * x + shift))),
                lambda x: base * scale * math.exp(min(350.0, base * (scale * x + shift))),
                1.0,
            )
        return (
            lambda x: math.log(max(scale * x + shift, 1e-30)) / (base or 1.0),
            lambda x: scale / ((base or 1.0) * max(scale * x + shift, 1e-30)),
            1.0,
        )
    if kind == "Clip":
        param = message["clip_param"]
        low, high = param["min"], param["max"]
        return lambda x: min(max(x, low), high), lambda x: 1.0 if low < x < high else 0.0, 1.0
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

    def slope(x: float) -> float:
        base = scale * x + shift
        if base <= 0 and power != int(power):
            return 0.0
        try:
            return float(power * scale * base ** (power - 1))
        except (OverflowError, ZeroDivisionError):
            return 1e38

    return function, slope, 1.0


class Dropout(SignalModel):
    """In training a share of the values becomes 0 and the others are scaled up (dropout_layer.cpp); else nothing happens."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        ratio = layer.message["dropout_param"]["dropout_ratio"] if layer.phase == "TRAIN" else 0.0
        self.kept = 1 - ratio if ratio > 0 else 1.0

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
