"""Layers that multiply by parameters or add them: InnerProduct, Embed, Scale, Bias, Parameter."""

from __future__ import annotations

from collections.abc import Sequence

from ..arrays import Array, np
from ..operator import CannotSimulate, Gradients, Operator


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
