"""Layers that join, select, reorder or reduce what is in their bottoms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...layers.common import axis_field
from ...moments.shapes import count
from ..arrays import Array, np
from ..operator import CannotSimulate, Gradients, Operator, Unary


class Concat(Operator):
    """Its bottoms joined along an axis (concat_layer.cpp)."""

    @property
    def axis(self) -> int:
        """The axis."""
        param = self.layer.message["concat_param"]
        return int(param[axis_field(param)])

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        return [np.concatenate(bottoms, self.axis) if len(bottoms) > 1 else bottoms[0]]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        ends = np.cumsum([bottom.shape[self.axis] for bottom in bottoms])[:-1]
        return np.split(diffs[0], ends, self.axis), ()


class Slice(Operator):
    """Slices of its bottom along an axis (slice_layer.cpp)."""

    @property
    def axis(self) -> int:
        """The axis."""
        param = self.layer.message["slice_param"]
        return int(param[axis_field(param)])

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        points = list(self.layer.message["slice_param"]["slice_point"])
        return np.split(bottoms[0], points or len(self.layer.tops), self.axis)

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        return [np.concatenate(diffs, self.axis)], ()


class Split(Operator):
    """Copies of its bottom (split_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        return [bottoms[0]] * len(self.layer.tops)

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        total = diffs[0]
        for diff in diffs[1:]:
            total = total + diff
        return [total], ()


class Eltwise(Operator):
    """The element-wise sum, product or maximum of its bottoms (eltwise_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        operation = self.operation
        top = bottoms[0]
        if operation == "SUM":
            top = top * top.dtype.type(self.factors[0])
            for factor, bottom in zip(self.factors[1:], bottoms[1:], strict=False):
                top = top + bottom * top.dtype.type(factor) if factor != 1 else top + bottom
        elif operation == "PROD":
            for bottom in bottoms[1:]:
                top = top * bottom
        else:
            self.chosen = np.zeros(top.shape, np.int32)
            for i, bottom in enumerate(bottoms[1:], 1):
                larger = ~(top > bottom) if i == 1 else bottom > top
                top = np.where(larger, bottom, top)
                self.chosen[larger] = i
        return [top]

    @property
    def operation(self) -> str:
        """SUM, PROD or MAX."""
        written = self.layer.message["eltwise_param"]["operation"]
        return written if isinstance(written, str) else ("PROD", "SUM", "MAX")[written]

    @property
    def factors(self) -> Sequence[float]:
        """The factor of each bottom in a sum."""
        return list(self.layer.message["eltwise_param"]["coeff"]) or [1.0] * len(self.layer.bottoms)

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        return [self.of_bottom(i, diffs[0], tops[0], bottoms) if wants else None for i, wants in enumerate(wanted)], ()

    def of_bottom(self, index: int, diff: Array, top: Array, bottoms: Sequence[Array]) -> Array:
        """The gradient of one bottom."""
        if self.operation == "SUM":
            return diff * diff.dtype.type(self.factors[index])
        if self.operation == "MAX":
            return diff * (self.chosen == index)
        if not self.layer.message["eltwise_param"]["stable_prod_grad"]:
            return top / bottoms[index] * diff
        others = [bottom for i, bottom in enumerate(bottoms) if i != index]
        return math.prod(others[1:], start=others[0]) * diff if others else diff


class Axpy(Operator):
    """SENet: the second bottom times a factor for each channel, plus the third (axpy_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        factor, x, summand = bottoms
        return [factor.reshape(*x.shape[:2], 1, 1) * x + summand]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        factor, x, _ = bottoms
        diff = diffs[0]
        of_factor = (diff * x).sum((2, 3)).reshape(factor.shape)
        return [of_factor, diff * factor.reshape(*x.shape[:2], 1, 1), diff], ()


class Softmax(Unary):
    """Probabilities along an axis (softmax_layer.cpp)."""

    @property
    def axis(self) -> int:
        """The axis."""
        return int(self.layer.message["softmax_param"]["axis"])

    def value(self, x: Array) -> Array:
        return softmax(x, self.axis)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return (diff - (diff * y).sum(self.axis, keepdims=True)) * y


def softmax(x: Array, axis: int) -> Array:
    """The softmax along an axis."""
    raised = np.exp(x - x.max(axis, keepdims=True))
    return raised / raised.sum(axis, keepdims=True)


class Reshape(Unary):
    """The same values in another shape (reshape_layer.cpp)."""

    def value(self, x: Array) -> Array:
        param = self.layer.message["reshape_param"]
        dims = list(param["shape"]["dim"])
        start = param["axis"] if param["axis"] >= 0 else x.ndim + param["axis"] + 1
        end = x.ndim if param["num_axes"] == -1 else start + param["num_axes"]
        middle = [x.shape[start + i] if dim == 0 else dim for i, dim in enumerate(dims)]
        return x.reshape(*x.shape[:start], *middle, *x.shape[end:])

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff.reshape(x.shape)


class Flatten(Unary):
    """Several axes merged into one (flatten_layer.cpp)."""

    def value(self, x: Array) -> Array:
        param = self.layer.message["flatten_param"]
        start, end = param["axis"] % x.ndim, param["end_axis"] % x.ndim
        return x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff.reshape(x.shape)


class Permute(Unary):
    """The axes in another order (permute_layer.cpp of SSD)."""

    def order(self, axes: int) -> list[int]:
        """The order of the axes."""
        written = list(self.layer.message["permute_param"]["order"])
        return [*written, *(axis for axis in range(axes) if axis not in written)]

    def value(self, x: Array) -> Array:
        return np.ascontiguousarray(x.transpose(self.order(x.ndim)))

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff.transpose(np.argsort(self.order(x.ndim)))


class ShuffleChannel(Unary):
    """Channels shuffled between groups (shuffle_channel_layer.cpp of forks)."""

    def value(self, x: Array) -> Array:
        group = int(self.layer.message["shuffle_channel_param"].get("group", 1))
        return x.reshape(len(x), group, x.shape[1] // group, -1).swapaxes(1, 2).reshape(x.shape)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        group = int(self.layer.message["shuffle_channel_param"].get("group", 1))
        return diff.reshape(len(x), x.shape[1] // group, group, -1).swapaxes(1, 2).reshape(x.shape)


class Tile(Unary):
    """Its bottom repeated along an axis (tile_layer.cpp)."""

    def value(self, x: Array) -> Array:
        param = self.layer.message["tile_param"]
        return np.concatenate([x] * param["tiles"], param["axis"])

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        param = self.layer.message["tile_param"]
        axis = param["axis"] % x.ndim
        return diff.reshape(*x.shape[:axis], param["tiles"], *x.shape[axis:]).sum(axis)


class Reduction(Unary):
    """Sum, mean and the like over the last axes (reduction_layer.cpp)."""

    def settings(self, x: Array) -> tuple[str, int, float]:
        """The operation, the first axis that is reduced, and the factor."""
        param = self.layer.message["reduction_param"]
        operation = param["operation"]
        name = operation if isinstance(operation, str) else {1: "SUM", 2: "ASUM", 3: "SUMSQ", 4: "MEAN"}[operation]
        axis = param["axis"] % x.ndim if x.ndim else 0
        number = math.prod(x.shape[axis:])
        return name, axis, param["coeff"] / (number if name == "MEAN" else 1)

    def value(self, x: Array) -> Array:
        name, axis, factor = self.settings(x)
        values = np.abs(x) if name == "ASUM" else x * x if name == "SUMSQ" else x
        return values.reshape(*x.shape[:axis], -1).sum(-1) * x.dtype.type(factor)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        name, axis, factor = self.settings(x)
        slope = np.sign(x) if name == "ASUM" else 2 * x if name == "SUMSQ" else np.ones_like(x)
        return diff.reshape(*x.shape[:axis], *(1,) * (x.ndim - axis)) * slope * x.dtype.type(factor)


class Crop(Operator):
    """The first bottom cropped to the size of the second (crop_layer.cpp)."""

    def parts(self, x: Array, like: Array) -> tuple[slice, ...]:
        """What is left."""
        param = self.layer.message["crop_param"]
        axis = param["axis"] % x.ndim
        offsets = list(param["offset"]) or [0]
        offsets = offsets * (x.ndim - axis) if len(offsets) == 1 else offsets
        rest = (slice(o, o + size) for o, size in zip(offsets, like.shape[axis:], strict=True))
        return (*(slice(None),) * axis, *rest)

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        return [np.ascontiguousarray(bottoms[0][self.parts(*bottoms)])]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        found = np.zeros_like(bottoms[0])
        found[self.parts(bottoms[0], bottoms[1])] = diffs[0]
        return [found, None], ()


class BatchReindex(Operator):
    """The items that the second bottom names (batch_reindex_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        indices = bottoms[1].astype(np.int64)
        if indices.size and not 0 <= indices.min() <= indices.max() < len(bottoms[0]):
            raise CannotSimulate(f"'{self.layer.name}' reads an item that does not exist")
        return [bottoms[0][indices]]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        found = np.zeros_like(bottoms[0])
        np.add.at(found, bottoms[1].astype(np.int64), diffs[0])
        return [found, None], ()


class Filter(Operator):
    """The items whose selector is not 0 (filter_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        kept = bottoms[-1].reshape(-1) != 0
        if not kept.any():
            raise CannotSimulate(f"'{self.layer.name}' selects no item of a batch")
        return [bottom[kept] for bottom in bottoms[:-1]]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        kept = bottoms[-1].reshape(-1) != 0
        found: list[Array | None] = []
        for diff, bottom in zip(diffs, bottoms, strict=False):
            gradient = np.zeros_like(bottom)
            gradient[kept] = diff
            found.append(gradient)
        return [*found, None], ()


class Silence(Operator):
    """Consumes blobs (silence_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        return []

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        return [np.zeros_like(bottom) for bottom in bottoms], ()


class Report(Operator):
    """A layer that only measures or writes: nothing learns from its tops, which are left at 0."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        found = []
        for top in self.layer.tops:
            if count(top.shape) is None:
                raise CannotSimulate(f"the shape of '{top.name}' is unknown")
            found.append(np.zeros(tuple(size or 0 for size in top.shape or ()), bottoms[0].dtype if bottoms else np.float32))
        return found

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        return [None] * len(bottoms), ()
