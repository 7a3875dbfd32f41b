"""Convolutions by im2col and a matrix product, as in Caffe's CPU code (base_conv_layer.cpp, im2col.cpp)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...layers.sliding_windows import Window, window_of
from ..arrays import Array, Generator, np
from ..operator import Gradients, Operator

if TYPE_CHECKING:
    from ...moments.graph import Layer

_MOST_KEPT = 1 << 23  # values of columns to hold at once; those of more items are made in parts, and again for the backward pass
_ALL = (slice(None), slice(None))  # items and channels
_SMALL = 1 << 20  # values of the weight gradients of all items up to which they are computed at once


class Columns:
    """im2col and col2im for a window over any number of spatial axes."""

    def __init__(self, layer: Layer) -> None:
        window = window_of(layer)
        assert window is not None
        self.window = window
        self.size = math.prod(window.kernel)
        self.is_single = self.size == 1 and set(window.stride) == {1} and set(window.pad) == {0}

    def slices(self, places: Sequence[int]) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Each offset in the window, and where it lies at all positions in what is padded."""
        window = self.window
        for offset in itertools.product(*map(range, window.kernel)):
            yield offset, tuple(
                slice(o * d, o * d + s * (n - 1) + 1, s)
                for o, d, s, n in zip(offset, window.dilation, window.stride, places, strict=True)
            )

    def of_image(self, x: Array) -> Array:
        """im2col: items x (channels * window) x positions."""
        items, channels = x.shape[:2]
        if self.is_single:
            return x.reshape(items, channels, -1)
        places, around = self.window.places(x.shape[2:]), self.window.around(x.shape[2:])
        if any(map(any, around)):
            x = np.pad(x, ((0, 0), (0, 0), *around))
        found = np.empty((items, channels, *self.window.kernel, *places), x.dtype)
        for offset, part in self.slices(places):
            found[_ALL + offset] = x[_ALL + part]
        return found.reshape(items, channels * self.size, math.prod(places))

    def image(self, columns: Array, channels: int, sides: Sequence[int]) -> Array:
        """col2im: the sum of columns at the places that they come from."""
        items = len(columns)
        if self.is_single:
            return columns.reshape(items, channels, *sides)
        places, around = self.window.places(sides), self.window.around(sides)
        columns = columns.reshape(items, channels, *self.window.kernel, *places)
        padded = (before + side + after for side, (before, after) in zip(sides, around, strict=True))
        found = np.zeros((items, channels, *padded), columns.dtype)
        for offset, part in self.slices(places):
            found[_ALL + part] += columns[_ALL + offset]
        inside = tuple(slice(before, before + side) for side, (before, _) in zip(sides, around, strict=True))
        return found[_ALL + inside]


def _channel_axis(layer: Layer, window: Window) -> int:
    """The axis of the channels, which the spatial axes follow."""
    return len(layer.bottoms[0].shape or ()) - len(window.kernel) - 1


class Convolution(Operator):
    """A convolution, grouped or not, with the same weights for all its bottoms."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        self.columns = Columns(layer)
        self.window = self.columns.window
        self.axis = _channel_axis(layer, self.window)
        self.group = self.groups()
        self.kept: list[Array | None] = []

    def groups(self) -> int:
        """The number of groups of channels."""
        return int(self.layer.message["convolution_param"]["group"])

    def parts(self, x: Array) -> list[slice]:
        """Items that are computed at once."""
        one = math.prod(x.shape[1:2]) * self.columns.size * math.prod(self.window.places(x.shape[2:]))
        step = max(1, _MOST_KEPT // max(one, 1))
        return [slice(start, start + step) for start in range(0, len(x), step)]

    def flat(self, x: Array) -> Array:
        """The array with one axis before that of the channels."""
        return x.reshape(-1, *x.shape[self.axis :])

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        self.kept = []
        return [self.convolved(self.flat(x), params).reshape(*x.shape[: self.axis], *self.top_sides(x, params)) for x in bottoms]

    def top_sides(self, x: Array, params: Sequence[Array]) -> tuple[int, ...]:
        """The number of outputs and the sides of the top."""
        return (len(params[0]), *self.window.places(x.shape[self.axis + 1 :]))

    def convolved(self, x: Array, params: Sequence[Array]) -> Array:
        """The top of a bottom, with all positions along one axis."""
        weights = self.matrix(params[0])
        outputs = len(params[0])
        parts = self.parts(x)
        found = []
        columns = None
        for part in parts:
            columns = self.grouped(self.columns.of_image(x[part]))
            found.append((weights @ columns).reshape(len(columns), outputs, -1))
        self.kept.append(columns if len(parts) == 1 else None)
        top: Array = found[0] if len(found) == 1 else np.concatenate(found)
        if len(params) > 1:
            top += params[1].reshape(-1, 1)
        return top

    def matrix(self, weights: Array) -> Array:
        """The weights as a matrix for each group."""
        return weights.reshape(self.group, len(weights) // self.group, -1)

    def grouped(self, columns: Array) -> Array:
        """Columns with an axis for groups."""
        return columns.reshape(len(columns), self.group, -1, columns.shape[-1])

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        weights = self.matrix(params[0])
        found: list[Array | None] = []
        of_params: list[Array | None] = [None] * len(params)
        for i, (full_diff, full) in enumerate(zip(diffs, bottoms, strict=True)):
            x = self.flat(full)
            diff = full_diff.reshape(len(x), len(params[0]), -1)
            if len(params) > 1 and self.learns[1]:
                of_params[1] = _added(of_params[1], diff.sum((0, 2)).reshape(params[1].shape))
            gradients = []
            for part in self.parts(x):
                own = self.grouped(diff[part])
                if self.learns[0]:
                    kept = self.kept[i]
                    columns = kept if kept is not None else self.grouped(self.columns.of_image(x[part]))
                    of_params[0] = _added(of_params[0], _products(own, columns).reshape(params[0].shape))
                if wanted[i]:
                    back = weights.swapaxes(1, 2) @ own
                    gradients.append(self.columns.image(back.reshape(len(own), -1, back.shape[-1]), x.shape[1], x.shape[2:]))
            found.append(_joined(gradients).reshape(full.shape) if wanted[i] else None)
        return found, of_params


class DepthwiseConvolution(Convolution):
    """A convolution of each channel with a window of its own, whatever num_output and group say (conv_dw_layer.cpp)."""

    def groups(self) -> int:
        shape = self.layer.params[0].shape
        assert shape is not None
        assert shape[0] is not None
        return shape[0]


class Deconvolution(Convolution):
    """The gradient of a convolution as a layer: its bottom has the positions, and its top is what the window slides over."""

    def top_sides(self, x: Array, params: Sequence[Array]) -> tuple[int, ...]:
        return (params[0].shape[1] * self.group, *self.window.sides(x.shape[self.axis + 1 :]))

    def convolved(self, x: Array, params: Sequence[Array]) -> Array:
        weights = self.matrix(params[0])
        items, channels = x.shape[:2]
        outputs = params[0].shape[1] * self.group
        columns = weights.swapaxes(1, 2) @ x.reshape(items, self.group, channels // self.group, -1)
        columns = columns.reshape(items, outputs * self.columns.size, -1)
        top = self.columns.image(columns, outputs, self.window.sides(x.shape[2:])).reshape(items, outputs, -1)
        return top + params[1].reshape(-1, 1) if len(params) > 1 else top

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        weights = self.matrix(params[0])
        found: list[Array | None] = []
        of_params: list[Array | None] = [None] * len(params)
        for i, (full_diff, full) in enumerate(zip(diffs, bottoms, strict=True)):
            x, diff = self.flat(full), self.flat(full_diff)
            if len(params) > 1 and self.learns[1]:
                of_params[1] = _added(of_params[1], diff.reshape(*diff.shape[:2], -1).sum((0, 2)).reshape(params[1].shape))
            columns = self.grouped(self.columns.of_image(diff))
            if self.learns[0]:
                own = x.reshape(len(x), self.group, x.shape[1] // self.group, -1)
                of_params[0] = _added(of_params[0], _products(own, columns).reshape(params[0].shape))
            found.append((weights @ columns).reshape(full.shape) if wanted[i] else None)
        return found, of_params


class Im2col(Operator):
    """The windows of a convolution, as channels."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        self.columns = Columns(layer)
        self.window = self.columns.window
        self.axis = _channel_axis(layer, self.window)

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x = bottoms[0]
        columns = self.columns.of_image(x.reshape(-1, *x.shape[self.axis :]))
        return [columns.reshape(*x.shape[: self.axis], columns.shape[1], *self.window.places(x.shape[self.axis + 1 :]))]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        x = bottoms[0]
        channels, sides = x.shape[self.axis], x.shape[self.axis + 1 :]
        columns = diffs[0].reshape(-1, channels * self.columns.size, math.prod(self.window.places(sides)))
        return [self.columns.image(columns, channels, sides).reshape(x.shape)], ()


def _products(rows: Array, columns: Array) -> Array:
    """The sum over items of the products with the transposed columns, for each group."""
    items, groups, height, _ = rows.shape
    width = columns.shape[2]
    if items * groups * height * width <= _SMALL:
        return (rows @ columns.swapaxes(2, 3)).sum(0)
    total = rows[0] @ columns[0].swapaxes(1, 2)
    for row, column in zip(rows[1:], columns[1:], strict=True):
        total += row @ column.swapaxes(1, 2)
    return total


def _added(total: Array | None, part: Array) -> Array:
    return part if total is None else total + part


def _joined(parts: Sequence[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
