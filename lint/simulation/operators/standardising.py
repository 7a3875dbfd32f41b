"""Layers that give values a fixed scale: BatchNorm, MVN, Normalize, BN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...layers.normalisation import uses_stored_statistics
from ..arrays import Array, Generator, np
from ..operator import Gradients, Operator, Unary

if TYPE_CHECKING:
    from ...moments.graph import Layer

_NORMALIZE_EPS = 1e-10  # norm_param.eps of SSD
_BN_EPS_SEGNET, _BN_EPS_PSPNET = 1e-9, 1e-5


class _Statistics:
    """Mean 0 and variance 1 over all axes but that of the channels, with the gradient through both."""

    def __init__(self, x: Array, eps: float, mean: Array | None = None, variance: Array | None = None) -> None:
        self.axes = tuple(axis for axis in range(x.ndim) if axis != 1)
        self.fixed = mean is not None
        self.shape = (1, x.shape[1] if x.ndim > 1 else 1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else (1,)
        self.mean: Array = x.mean(self.axes, keepdims=True) if mean is None else mean.reshape(self.shape)
        centred = x - self.mean
        self.variance: Array = (
            (centred * centred).mean(self.axes, keepdims=True) if variance is None else variance.reshape(self.shape)
        )
        self.deviation = np.sqrt(self.variance + x.dtype.type(eps))
        self.value: Array = centred / self.deviation

    def gradient(self, diff: Array) -> Array:
        """The gradient of x, from that of `value`."""
        if self.fixed:
            return diff / self.deviation
        y = self.value
        common = diff.mean(self.axes, keepdims=True)
        projected = (diff * y).mean(self.axes, keepdims=True)
        return (diff - common - projected * y) / self.deviation


class BatchNorm(Operator):
    """Mean 0 and variance 1 for each channel; its blobs are running sums (batch_norm_layer.cpp)."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        param = layer.message["batch_norm_param"]
        self.uses_stored = uses_stored_statistics(layer)
        self.fraction, self.eps = param["moving_average_fraction"], param["eps"]
        self.statistics: _Statistics | None = None

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x = bottoms[0]
        mean, variance, factor = params[:3]
        if self.uses_stored:
            scale = 0 if factor[0] == 0 else 1 / factor[0]
            self.statistics = _Statistics(x, self.eps, mean * scale, variance * scale)
            return [self.statistics.value]
        self.statistics = found = _Statistics(x, self.eps)
        number = x.size // mean.size
        factor *= self.fraction
        factor += 1
        mean *= self.fraction
        mean += found.mean.reshape(mean.shape)
        variance *= self.fraction
        variance += found.variance.reshape(variance.shape) * (number / (number - 1) if number > 1 else 1)
        return [found.value]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        assert self.statistics is not None
        return [self.statistics.gradient(diffs[0])], [None] * len(params)


class MVN(Unary):
    """Mean 0 and variance 1 of each channel of an item, or of the item; divides by the deviation + eps (mvn_layer.cpp)."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        param = layer.message["mvn_param"]
        self.across, self.scales, self.eps = param["across_channels"], param["normalize_variance"], param["eps"]
        self.deviation: Array | None = None

    def rows(self, x: Array) -> Array:
        """The values that are normalised together, as rows."""
        channels = x.shape[1] if x.ndim > 1 else 1
        return x.reshape(len(x) * (1 if self.across else channels), -1)

    def value(self, x: Array) -> Array:
        rows = self.rows(x)
        found = rows - rows.mean(1, keepdims=True)
        if self.scales:
            self.deviation = np.sqrt((found * found).mean(1, keepdims=True)) + rows.dtype.type(self.eps)
            found = found / self.deviation
        return found.reshape(*x.shape, *(1,) * (4 - x.ndim))

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        rows, values = self.rows(diff), self.rows(y)
        found = rows - rows.mean(1, keepdims=True)
        if self.scales:
            found = (found - values * (rows * values).mean(1, keepdims=True)) / self.deviation
        return found.reshape(x.shape)


class Normalize(Operator):
    """Vectors of length 1 times a learned factor for each channel (normalize_layer.cpp of SSD)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x = bottoms[0]
        axes = tuple(range(1, x.ndim)) if self.layer.message["norm_param"]["across_spatial"] else (1,)
        eps = self.layer.message["norm_param"].get("eps", _NORMALIZE_EPS)
        self.axes = axes
        self.length = np.sqrt((x * x).sum(axes, keepdims=True) + x.dtype.type(eps))
        self.unit = x / self.length
        return [self.unit * self.factor(params, x)]

    @staticmethod
    def factor(params: Sequence[Array], x: Array) -> Array:
        """The learned factor in a shape that multiplies x."""
        return params[0].reshape(1, -1, *(1,) * (x.ndim - 2))

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        diff, unit = diffs[0], self.unit
        of_factor = None
        if self.learns[0]:
            axes = None if params[0].size == 1 else tuple(axis for axis in range(unit.ndim) if axis != 1)
            of_factor = (diff * unit).sum(axes).reshape(params[0].shape)
        scaled = diff * self.factor(params, unit)
        back = (scaled - unit * (scaled * unit).sum(self.axes, keepdims=True)) / self.length
        return [back], [of_factor]


class BN(Operator):
    """Statistics, factor and bias of each channel in one layer (bn_layer.cpp of SegNet and of PSPNet)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x = bottoms[0]
        runs = len(params) > 2
        self.statistics = found = _Statistics(x, _BN_EPS_PSPNET if runs else _BN_EPS_SEGNET)
        tops = [found.value * params[0].reshape(found.shape) + params[1].reshape(found.shape)]
        spread = [found.mean.reshape(params[0].shape), found.variance.reshape(params[0].shape)]
        return [*tops, *spread][: len(self.layer.tops)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        found, diff = self.statistics, diffs[0]
        of_params: list[Array | None] = [None] * len(params)
        of_params[0] = (diff * found.value).sum(found.axes).reshape(params[0].shape)
        of_params[1] = diff.sum(found.axes).reshape(params[1].shape)
        return [found.gradient(diff * params[0].reshape(found.shape))], of_params
