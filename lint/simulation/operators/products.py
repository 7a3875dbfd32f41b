"""Layers that multiply by parameters or add them: InnerProduct, with a margin, Embed, Scale, Bias, Parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...source.numerals import power
from ..arrays import Array, Generator, np
from ..operator import CannotSimulate, Gradients, Operator

if TYPE_CHECKING:
    from ...moments.graph import Layer


class InnerProduct(Operator):
    """A fully connected layer (inner_product_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        axis = self.layer.message["inner_product_param"]["axis"]
        x = bottoms[0]
        flat = self.flat(x)
        top = flat @ (params[0] if self.transposed else params[0].T)
        if len(params) > 1:
            top += params[1]
        return [top.reshape(*x.shape[: axis % x.ndim], -1)]

    @property
    def transposed(self) -> bool:
        """Whether the weights are stored transposed."""
        return bool(self.layer.message["inner_product_param"]["transpose"])

    def flat(self, x: Array) -> Array:
        """The items as rows."""
        before = 1
        for size in x.shape[: self.layer.message["inner_product_param"]["axis"] % x.ndim]:
            before *= size
        return x.reshape(before, -1)

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        flat = self.flat(bottoms[0])
        diff = diffs[0].reshape(len(flat), -1)
        found: list[Array | None] = [None] * len(params)
        if self.learns[0]:
            found[0] = flat.T @ diff if self.transposed else diff.T @ flat
        if len(params) > 1 and self.learns[1]:
            found[1] = diff.sum(0)
        back = None
        if wanted[0]:
            back = (diff @ (params[0].T if self.transposed else params[0])).reshape(bottoms[0].shape)
        return [back], found


class Embed(Operator):
    """A vector for each index (embed_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        indices = bottoms[0].astype(np.int64)
        if indices.size and not 0 <= indices.min() <= indices.max() < len(params[0]):
            raise CannotSimulate(f"'{self.layer.name}' reads an index that is not in 0 to {len(params[0]) - 1}")
        top = params[0][indices]
        return [top + params[1] if len(params) > 1 else top]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        found: list[Array | None] = [None] * len(params)
        diff = diffs[0].reshape(-1, diffs[0].shape[-1])
        if self.learns[0]:
            gradient = np.zeros_like(params[0])
            np.add.at(gradient, bottoms[0].astype(np.int64).reshape(-1), diff)
            found[0] = gradient
        if len(params) > 1 and self.learns[1]:
            found[1] = diff.sum(0)
        return [None], found


class Parameter(Operator):
    """A parameter as a blob (parameter_layer.hpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        return [params[0].copy()]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        return [], [diffs[0]]


class _Broadcast(Operator):
    """A layer that combines x with a factor or bias, learned or the second bottom, along some of its axes."""

    settings = ""

    def aligned(self, values: Array, x: Array) -> Array:
        """The factor or bias in a shape that combines with x."""
        axis = self.layer.message[self.settings]["axis"] % x.ndim if values.ndim else 0
        return values.reshape(*(1,) * axis, *values.shape, *(1,) * (x.ndim - axis - values.ndim))

    def reduced(self, diff: Array, values: Array, x: Array) -> Array:
        """The sum of what belongs to each value of the factor or bias."""
        axis = self.layer.message[self.settings]["axis"] % x.ndim if values.ndim else 0
        axes = tuple(i for i in range(x.ndim) if not axis <= i < axis + values.ndim)
        return diff.sum(axes).reshape(values.shape)


class Scale(_Broadcast):
    """Multiplies by a factor, and may add a learned bias (scale_layer.cpp)."""

    settings = "scale_param"

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        self.input = x = bottoms[0]
        factor = bottoms[1] if len(bottoms) > 1 else params[0]
        top = x * self.aligned(factor, x)
        if len(params) > (len(bottoms) == 1):
            top += self.aligned(params[-1], x)
        return [top]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        diff, x = diffs[0], self.input
        factor = bottoms[1] if len(bottoms) > 1 else params[0]
        of_params: list[Array | None] = [None] * len(params)
        if len(params) > (len(bottoms) == 1) and self.learns[-1]:
            of_params[-1] = self.reduced(diff, params[-1], x)
        of_factor = None
        if wanted[1] if len(bottoms) > 1 else self.learns[0]:
            of_factor = self.reduced(diff * x, factor, x)
        if len(bottoms) == 1:
            of_params[0] = of_factor
        found = [diff * self.aligned(factor, x) if wanted[0] else None]
        return [*found, of_factor][: len(bottoms)], of_params


class Bias(_Broadcast):
    """Adds a bias (bias_layer.cpp)."""

    settings = "bias_param"

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        bias = bottoms[1] if len(bottoms) > 1 else params[0]
        return [bottoms[0] + self.aligned(bias, bottoms[0])]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        bias = bottoms[1] if len(bottoms) > 1 else params[0]
        of_bias = self.reduced(diffs[0], bias, bottoms[0])
        return ([diffs[0], of_bias], []) if len(bottoms) > 1 else ([diffs[0]], [of_bias])


def margin_factor(layer: Layer, iteration: int) -> float:
    """How many times a score without a margin counts against one with it, in an iteration (`lambda_`); NaN if that is no number."""
    param = layer.message["margin_inner_product_param"]
    falling = power(1 + param.get("gamma", 0.0) * (param.get("iteration", 0) + iteration + 1), -param.get("power", 1.0))
    if not math.isfinite(falling):
        return math.nan
    return float(max(param.get("base", 1.0) * falling, param.get("lambda_min", 0.0)))


class MarginInnerProduct(Operator):
    """Scores |x| cos(a) by weights that are made as long as 1, where that of the label has a margin: |x| psi(a).

    psi(a) is (-1)^k cos(m a) - 2 k, for k the number of whole half-turns in m a. Scores without a margin count `margin_factor` times
    as much as those with it. As in margin_inner_product_layer.cpp of wy1iu/sphereface, the weights get the gradient of an inner
    product, and what the margin gives the bottom is made as long as 1 first (Liu et al.: SphereFace, 2017).
    """

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        self.multiple = _MULTIPLES[layer.message["margin_inner_product_param"].get("type", "SINGLE")]
        self.iteration = 0

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        self.factor = margin_factor(self.layer, self.iteration)
        self.iteration += 1
        axis = self.layer.message["margin_inner_product_param"].get("axis", 1)
        weights = params[0]
        weights /= np.sqrt((weights * weights).sum(1, keepdims=True))
        x = bottoms[0].reshape(math.prod(bottoms[0].shape[: axis % bottoms[0].ndim]), -1)
        scores = x @ weights.T
        if self.multiple > 1:
            labels = self.labels = bottoms[1].reshape(-1).astype(np.int64)
            if labels.size and not 0 <= labels.min() <= labels.max() < len(weights):
                raise CannotSimulate(f"'{self.layer.name}' reads a label that is not in 0 to {len(weights) - 1}")
            items = np.arange(len(x))
            self.length = np.sqrt((x * x).sum(1))
            self.cosine = np.clip(scores[items, labels] / self.length, -1, 1)
            with_margin = self.length * self.psi()[0]
            scores[items, labels] = (with_margin + self.factor * scores[items, labels]) / (1 + self.factor)
        top = scores.reshape(*bottoms[0].shape[: axis % bottoms[0].ndim], -1)
        return [top, np.full(1, self.factor, top.dtype)][: len(self.layer.tops)]

    def psi(self) -> tuple[Array, Array]:
        """psi of the angles whose cosines are kept, and its slope by the cosine."""
        angle, m = np.arccos(self.cosine), self.multiple
        turns = np.minimum(np.floor(m * angle / math.pi), m - 1)
        sign = 1 - 2 * (turns % 2)
        sine = np.sqrt(np.maximum(1 - self.cosine * self.cosine, np.finfo(self.cosine.dtype).tiny))
        return sign * np.cos(m * angle) - 2 * turns, sign * m * np.sin(m * angle) / sine

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        diff = diffs[0].reshape(-1, len(params[0]))
        x = bottoms[0].reshape(len(diff), -1)
        of_weights = [diff.T @ x if self.learns[0] else None]
        if not wanted[0]:
            return [None, None][: len(bottoms)], of_weights
        back = diff @ params[0]
        if self.multiple > 1:
            value, slope = self.psi()
            along_weights, along_x = slope, (value - self.cosine * slope) / self.length
            length = np.hypot(along_weights, along_x)
            own = params[0][self.labels]
            moved = (along_weights / length)[:, None] * own + (along_x / length)[:, None] * x - own
            back += (diff[np.arange(len(x)), self.labels] / (1 + self.factor))[:, None] * moved
        return [back.reshape(bottoms[0].shape).astype(x.dtype), None][: len(bottoms)], of_weights


_MULTIPLES = {"SINGLE": 1, "DOUBLE": 2, "TRIPLE": 3, "QUADRUPLE": 4}
