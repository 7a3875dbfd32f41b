"""Layers that join, part and add up blobs: Concat, Slice, Eltwise, Reduction, and recurrent layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .carriers import PASS, Carrier, Gradient, Step, carries, items_of, shape_of, size_of
from .fillers import dims
from .linear import NONE, Taps, bias_gradient, product, through_weights, total, weight_gradient, weighted
from .statistics import NO_DIFFS, Diffs, Values, constant, gaussian, mixture, root, scaled, times
from .windows import largest


@carries("Concat")
class Concat(Carrier):
    """Blobs beside each other (concat_layer.cpp): averages, weighed by their sizes."""

    def forward(self, step: Step) -> list[Values]:
        sizes = [size_of(blob) for blob in step.layer.bottoms]
        return [mixture(step.bottoms, sizes, keep=True)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        return [diffs[0]] * len(step.layer.bottoms), []


@carries("Slice")
class Slice(Carrier):
    """Parts of a blob (slice_layer.cpp)."""

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        sizes = [size_of(blob) for blob in step.layer.tops]
        whole = sum(sizes)

        def mean(of: Callable[[Diffs], float]) -> float:
            return sum(size * of(diff) for size, diff in zip(sizes, diffs, strict=True)) / whole

        below = Diffs(
            mean(lambda d: d.square), mean(lambda d: d.size), mean(lambda d: d.level), mean(lambda d: d.shared),
            mean(lambda d: d.cross), None, mean(lambda d: d.drift),
        )  # fmt: skip
        return [below], []


@carries("Eltwise", "Axpy")
class Eltwise(Carrier):
    """Sums, products and maxima of blobs (eltwise_layer.cpp)."""

    def operation(self, step: Step) -> str:
        """PROD, SUM or MAX."""
        if step.layer.type != "Eltwise":
            return "SUM"
        written = step.layer.message["eltwise_param"]["operation"]
        return {0: "PROD", 1: "SUM", 2: "MAX"}.get(written, str(written))

    def coefficients(self, step: Step) -> list[float]:
        """The factors of a sum."""
        number = len(step.bottoms)
        if step.layer.type != "Eltwise":
            return [1.0] * number
        written = list(step.layer.message["eltwise_param"]["coeff"])
        return written if len(written) == number else [1.0] * number

    def forward(self, step: Step) -> list[Values]:
        operation = self.operation(step)
        if operation == "SUM":
            parts = [scaled(v, c) for v, c in zip(step.bottoms, self.coefficients(step), strict=True)]
            top = parts[0]
            for i, part in enumerate(parts[1:], 1):
                again = step.layer.bottoms[i] in step.layer.bottoms[:i]
                top = scaled(top, 2.0) if again else total(top, part)
            return [top]
        top = step.bottoms[0]
        for part in step.bottoms[1:]:
            top = product(top, part) if operation == "PROD" else _larger(top, part)
        return [top]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        operation = self.operation(step)
        diff = diffs[0]
        if operation == "SUM":
            return [times(diff, c) for c in self.coefficients(step)], []
        number = len(step.bottoms)
        if operation == "MAX":
            part = 1 / number
            return [Diffs(
                diff.square * part, diff.size * part, diff.level * part * part, diff.shared * part * part,
                diff.cross * part * part, None, diff.drift * part,
            )] * number, []  # fmt: skip
        found = []
        for i in range(number):
            below = diff
            for j, other in enumerate(step.bottoms):
                if j != i:
                    below = weighted(below, other)
            found.append(below)
        return found, []


def _larger(a: Values, b: Values) -> Values:
    mean, kept = largest(2)
    deviation = (root(a.variance) + root(b.variance)) / 2
    centre = max(a.mean, b.mean) if abs(a.mean - b.mean) > deviation else (a.mean + b.mean) / 2
    top = centre + mean * deviation
    square = top * top + kept * deviation * deviation
    t2 = top * top
    return gaussian(top, square, t2, t2, t2, min(a.reach, b.reach), (a.drift + b.drift) / 2)


@carries("Reduction")
class Reduction(Carrier):
    """Sums and means over the last axes (reduction_layer.cpp)."""

    def factor(self, step: Step) -> float:
        """The number of values in one."""
        return size_of(step.layer.bottoms[0]) / size_of(step.layer.tops[0])

    def forward(self, step: Step) -> list[Values]:
        param = step.layer.message["reduction_param"]
        values = step.bottoms[0]
        number = self.factor(step)
        operation = str(param["operation"])
        if operation in ("ASUM", "2"):
            values = constant(values.size)
        elif operation in ("SUMSQ", "3"):
            values = constant(values.square)
        coeff = param["coeff"] * (1.0 if operation in ("MEAN", "4") else number)
        square = values.mean**2 + max(0.0, values.square - values.mean**2) / number
        mean = values.mean
        return [scaled(gaussian(mean, square, square, mean**2, mean**2, math.inf), coeff)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        param = step.layer.message["reduction_param"]
        operation = str(param["operation"])
        factor = param["coeff"] / (self.factor(step) if operation in ("MEAN", "4") else 1.0)
        if operation in ("SUMSQ", "3"):
            factor *= 2 * root(step.bottoms[0].square)
        return [times(diffs[0], factor)], []


@carries("Softmax")
class Softmax(Carrier):
    """Probabilities (softmax_layer.cpp). Their latent values are the scores."""

    def classes(self, step: Step) -> int:
        """How many share the probability."""
        shape = shape_of(step.layer.bottoms[0])
        axis = step.layer.message["softmax_param"]["axis"]
        return max(1, shape[axis] if -len(shape) <= axis < len(shape) else 1)

    def forward(self, step: Step) -> list[Values]:
        from .losses import shares

        values = step.bottoms[0]
        number = self.classes(step)
        chances, weights = shares(root(values.variance), number)
        square = sum(w * p * p for p, w in zip(chances, weights, strict=True))
        mean = 1 / number
        m2 = mean * mean
        spread = max(0.0, square - m2) / max(values.variance, 1e-300) if values.variance else 0.0
        shared, cross, level = (
            m2 + spread * max(0.0, moment - values.mean**2) for moment in (values.shared, values.cross, values.level)
        )
        return [Values(mean, square, mean, level, shared, cross, 0.0, 1.0, values.reach, values, values.drift * mean)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        number = self.classes(step)
        diff = diffs[0]
        sparse = diff.square > 0 and diff.size * diff.size < 2 / number * diff.square
        if sparse:
            # Gradients of the label's probability alone, as of -log p: together with p they are p - y.
            from .losses import CARRIER_OF_SCORES, softmax_slope

            chances, _ = shares_of(step)
            inverse = sum(min(1 / max(p, 1e-38), 1e20) for p in chances) / len(chances)
            alive = sum(min(1.0, max(p, 1e-38) * 1e20) for p in chances) / len(chances)
            positions = size_of(step.layer.bottoms[0]) // (number * items_of(step.layer.bottoms[0]))
            by = inverse / max(number * diff.size, 1e-300)
            slope = softmax_slope(CARRIER_OF_SCORES, step.bottoms[0], number, max(1, positions), by)
            return [times(slope, math.sqrt(alive))._replace(size=slope.size * alive)], []
        scale = root(step.tops[0].square)
        return [times(diff, scale)._replace(alive=None)], []


def shares_of(step: Step) -> tuple[list[float], list[float]]:
    """The probabilities that a softmax makes."""
    from .losses import shares

    return shares(root(step.bottoms[0].variance), Softmax().classes(step))


@carries("LSTM", "RNN")
class Recurrent(Carrier):
    """A layer over time, unrolled in its mean: gates half open, states that fade (recurrent_layer.cpp)."""

    def taps(self, step: Step) -> Taps:
        """The sums of the input's weights."""
        weight = dims(step.layer.params[0])
        items = max(1, size_of(step.layer.bottoms[0]) // max(1, math.prod(weight[1:])))
        return Taps(math.prod(weight[1:]), weight[0], 1.0, items, 1)

    def forward(self, step: Step) -> list[Values]:
        if not step.weights:
            return PASS.forward(step)
        from .elementwise import _FUNCTIONS
        from .statistics import mapped

        bias = step.weights[1] if len(step.weights) > 1 else NONE
        gates = through_weights(step.bottoms[0], step.weights[0], bias, self.taps(step))
        hidden = next(
            (w for w, p in zip(step.weights, step.layer.params, strict=True) if p.role == "hidden weight"), NONE
        )
        width = step.layer.message["recurrent_param"]["num_output"] or 1
        tanh = _FUNCTIONS["TanH"]
        half = 0.25 if step.layer.type == "LSTM" else 1.0
        times_long = max(1, min(items_of(step.layer.bottoms[0]), 30))
        top = mapped(gates, tanh[0])[0]
        square = 0.0
        for _ in range(times_long):
            before = gates._replace(square=gates.square + hidden.variance * width * square)
            new = mapped(before, tanh[0])[0].square * half
            square = new * half + 0.25 * square if step.layer.type == "LSTM" else new
        factor = root(square / top.square) if top.square else 0.0
        return [scaled(top, factor)] * len(step.layer.tops)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        if not step.weights:
            return PASS.backward(step, diffs)
        taps = self.taps(step)
        diff = times(diffs[0], 0.35 if step.layer.type == "LSTM" else 0.8)
        below = times(diff, root(step.weights[0].square * taps.fan_out))
        gradients = []
        for param in step.layer.params:
            if "bias" in param.role:
                gradients.append(bias_gradient(diff, taps.items, 1))
            else:
                read = step.bottoms[0] if param.role == "input weight" else step.tops[0]
                gradients.append(weight_gradient(diff, read._replace(level=read.square, cross=read.shared), taps))
        return [below] + [NO_DIFFS] * (len(step.layer.bottoms) - 1), gradients


@carries("Flatten", "Reshape")
class Flatten(Carrier):
    """The same values under another shape (flatten_layer.cpp, reshape_layer.cpp)."""

    def forward(self, step: Step) -> list[Values]:
        values = step.bottoms[0]
        if _flattens(step):
            latent = values.latent
            if latent is not None:
                latent = latent._replace(level=latent.square, cross=latent.shared)
            values = values._replace(level=values.square, cross=values.shared, latent=latent)
        return [values]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff = diffs[0]
        return [diff._replace(level=0.0, cross=0.0, open=None) if _flattens(step) else diff], []


def _flattens(step: Step) -> bool:
    return len(shape_of(step.layer.tops[0])) <= 2 < len(shape_of(step.layer.bottoms[0]))
