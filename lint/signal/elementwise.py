"""Layers that map each value by itself, and Dropout."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .carriers import Carrier, Gradient, Step, carries
from .fillers import Weights
from .statistics import (
    NO_DIFFS,
    Diffs,
    Values,
    constant,
    gate_correlations,
    gated,
    mapped,
    part_over,
    rectified,
    root,
    scaled,
    times,
)


@carries("ReLU", "PReLU", "ReLU6", "Insanity")
class ReLU(Carrier):
    """What lies below 0 is cut off, or kept times a slope (relu_layer.cpp, prelu_layer.cpp)."""

    def slope(self, step: Step) -> float:
        """The slope below 0."""
        if step.layer.type == "PReLU":
            return step.weights[0].mean if step.weights else 0.25
        if step.layer.type == "ReLU":
            return float(step.layer.message["relu_param"]["negative_slope"])
        return 0.25 if step.layer.type == "Insanity" else 0.0

    def forward(self, step: Step) -> list[Values]:
        values = step.bottoms[0]
        slope = self.slope(step)
        if values.latent is not None and not slope:
            # A maximum of rectified values is the rectified maximum.
            return [values]
        return [rectified(values, slope)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        values, diff = step.bottoms[0], diffs[0]
        if values.low >= 0 and values.latent is None and values.square > 0:
            return [diff], [Gradient(0.0, 0.0)] * len(step.layer.params)
        before = values.latent or values
        slope = self.slope(step)
        part = diff.alive if diff.alive is not None else part_over(before)
        correlations = gate_correlations(before)
        below = gated(diff._replace(alive=None), part, correlations)
        if not slope and part > 0:
            after = rectified(before)
            level, shared, cross = (part * part + (part - part * part) * rho for rho in correlations)
            below = below._replace(
                open=after._replace(
                    square=after.square / part, level=after.level / level, shared=after.shared / shared,
                    cross=after.cross / cross,
                )
            )  # fmt: skip
        if slope:
            rest = gated(diff._replace(alive=None), 1 - part, correlations, slope)
            below = Diffs(
                below.square + rest.square, below.size + rest.size, below.level + rest.level,
                below.shared + rest.shared, below.cross + rest.cross, None, below.drift + rest.drift,
                diff.echo * part,
            )  # fmt: skip
        gradients = []
        if step.layer.params:
            square = diff.square * values.square / 2
            gradients.append(Gradient(square, root(square)))
        return [below], gradients


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _sigmoid_slope(x: float) -> float:
    y = _sigmoid(x)
    return y * (1 - y)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


Function = tuple[Callable[[float], float], Callable[[float], float], float]

_FUNCTIONS: dict[str, Function] = {
    "Sigmoid": (_sigmoid, _sigmoid_slope, 1.0),
    "TanH": (math.tanh, lambda x: 1 - math.tanh(x) ** 2, 1.0),
    "BNLL": (_softplus, _sigmoid, 1.0),
    "AbsVal": (abs, lambda x: 1.0, 0.5),
    "ELU": (
        lambda x: x if x > 0 else math.exp(max(x, -700)) - 1,
        lambda x: 1.0 if x > 0 else math.exp(max(x, -700)),
        1.0,
    ),
    "Swish": (lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))), 1.0),
    "Mish": (lambda x: x * math.tanh(_softplus(x)), lambda x: 1.0 if x > 1 else 0.6, 1.0),
}


@carries("Sigmoid", "TanH", "BNLL", "ELU", "Swish", "Mish", "AbsVal", "Power", "Exp", "Log", "Clip")
class Mapped(Carrier):
    """A smooth function of each value, averaged over the predicted distribution."""

    def function(self, step: Step) -> Function:
        """The function, its slope, and how it changes correlations."""
        message = step.layer.message
        kind = step.layer.type
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

    def forward(self, step: Step) -> list[Values]:
        values = step.bottoms[0]
        linear = _linear(step)
        if linear is not None:
            return [scaled(values, *linear)]
        function, _, odd = self.function(step)
        return [mapped(values, function, None, odd)[0]]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        linear = _linear(step)
        if linear is not None:
            return [times(diffs[0], linear[0])], []
        function, slope, odd = self.function(step)
        _, steep = mapped(step.bottoms[0], function, slope, odd)
        return [times(diffs[0], root(steep))], []


def _linear(step: Step) -> tuple[float, float] | None:
    if step.layer.type == "Power":
        param = step.layer.message["power_param"]
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


@carries("Dropout")
class Dropout(Carrier):
    """Some values become 0, the others larger (dropout_layer.cpp); outside of training nothing happens."""

    def forward(self, step: Step) -> list[Values]:
        values = step.bottoms[0]
        ratio = step.layer.message["dropout_param"]["dropout_ratio"]
        if step.layer.phase != "TRAIN" or not 0 < ratio < 1:
            return [values if ratio < 1 or step.layer.phase != "TRAIN" else constant(math.nan)]
        return [values._replace(square=values.square / (1 - ratio), latent=None)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        ratio = step.layer.message["dropout_param"]["dropout_ratio"]
        if step.layer.phase != "TRAIN" or not 0 < ratio < 1:
            return [diffs[0]], []
        return [diffs[0]._replace(square=diffs[0].square / (1 - ratio))], []


@carries("Parameter")
class Parameter(Carrier):
    """A parameter as a blob."""

    def forward(self, step: Step) -> list[Values]:
        weight = step.weights[0] if step.weights else Weights(0.0, 0.0, 0.0)
        square = weight.square
        return [Values(weight.mean, square, weight.size, square, square, square)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff = diffs[0] if diffs else NO_DIFFS
        return [], [Gradient(diff.square, diff.size, diff.drift)]
