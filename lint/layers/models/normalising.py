"""Layers that normalize values: BatchNorm, MVN, Normalize."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient, SignalModel, Step, items_of, positions_of, size_of
from ...moments.statistics import (
    GAUSSIAN_MEAN_ABS,
    Diffs,
    Values,
    gaussian,
    gaussian_mean_abs,
    mixture,
    root,
    scaled_diffs,
)
from ...moments.weights import dims
from ..normalisation import uses_stored_statistics
from .linear import ONE, bias_gradient, pair_sum, scaled_by_weights

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...moments.signal_model import SignalContext
    from ...moments.weights import Weights


_BN_EPS = 1e-5  # bn_layer.cpp's bn_eps, and batch_norm_param's default
_MEAN_OF_RECTIFIED = 1 / math.sqrt(2 * math.pi)  # of standard Gaussians
_MVN_EPS = 1e-9  # mvn_param's eps
_NORMALIZE_EPS = 1e-10  # norm_param's eps, of SSD's Normalize
_LEAST_VARIANCE = 1e-30  # of what is divided by; a file may well say an eps of 0


def _spread(values: Values, unbiased: float) -> float:
    """The variance of a channel over items and positions; `unbiased` is 1 - 1/n for n of them."""
    return max(0.0, (values.second_moment - values.corr_across_both) * unbiased)


class BatchNorm(SignalModel):
    """Each channel gets mean 0 and variance 1 (batch_norm_layer.cpp; Ioffe and Szegedy 2015).

    With use_global_stats in training the stored variance is 0, and values grow 1 / sqrt(eps) times.
    """

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.eps = _BN_EPS
        self.stored = False  # whether stored statistics are used, which are 0 before any training
        if layer.traits.base == "BatchNorm":
            self.eps = float(layer.message["batch_norm_param"]["eps"])
            self.stored = uses_stored_statistics(layer)
        shape = layer.bottoms[0].shape or ()
        number = size_of(layer.bottoms[0]) / max(1, (shape[1] if len(shape) > 1 else 1) or 1)
        self.unbiased = 1 - 1 / max(number, 1.0)
        self.items = items_of(layer.bottoms[0])
        self.positions = positions_of(layer.bottoms[0])

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return [self.top(bottoms[0])]

    def top(self, values: Values) -> Values:
        """The moments of the top."""
        if not math.isfinite(values.second_moment):
            return values
        factor = self.factor(values)
        if self.stored:
            return scaled_gaussian(values, factor)
        if values.parts:
            return mixture([self.top(part) for _, part in values.parts], [share for share, _ in values.parts])
        variance = _spread(values, self.unbiased)
        f2 = factor * factor
        square = variance * f2
        within = min(square, max(0.0, values.corr_within_item - values.corr_across_both) * f2)
        across = min(square, max(0.0, values.corr_across_items - values.corr_across_both) * f2)
        size = GAUSSIAN_MEAN_ABS * math.sqrt(square)
        if values.mean_abs > 0 and values.low < 0:
            heavy = values.mean_abs / max(gaussian_mean_abs(values.mean, values.second_moment), 1e-300)
            size *= min(1.0, heavy)
        return Values(0.0, square, size, within, across, 0.0, corr_length=values.corr_length)

    def factor(self, values: Values) -> float:
        """What the values are multiplied by."""
        if self.stored:
            return 1 / math.sqrt(max(self.eps, _LEAST_VARIANCE))
        return 1 / math.sqrt(max(_spread(values, self.unbiased) + self.eps, _LEAST_VARIANCE))

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        values = step.bottoms[0]
        parts: tuple[tuple[float, Diffs], ...] = ()
        if values.parts:
            # Parts of a concatenation have variances of their own; the least one has the largest factor.
            each = [(share, self.factor(part)) for share, part in values.parts]
            mean, square = sum(w * f for w, f in each), sum(w * f * f for w, f in each)
            diff = scaled_diffs(diffs[0], root(square))._replace(mean_abs=diffs[0].mean_abs * mean)
            parts = tuple((share, scaled_diffs(diffs[0], factor)) for share, factor in each)
        else:
            diff = scaled_diffs(diffs[0], self.factor(values))
        if not self.stored:
            read = diffs[0].passed_values or step.tops[0]
            diff = self.centred(diff, read)._replace(along=min(1.0, self.eps * self.factor(values) ** 2))
            parts = tuple((share, self.centred(part, read)) for share, part in parts)
        return [diff._replace(parts=parts) if parts or diff.parts else diff], self.no_gradients

    def centred(self, diff: Diffs, values: Values) -> Diffs:
        """The gradient less its mean over a channel and less what of it is along the channel's values (Ioffe and Szegedy 2015).

        `values` are those of the top, where the gradient reads them. All four moments lose the same, the mean square of
        that mean, so that the gradients of a channel sum to 0.
        """
        items, positions = self.items, self.positions
        number2 = float(items * positions) ** 2
        of_mean = pair_sum(diff, ONE, items, positions) / number2
        along = pair_sum(diff, values, items, positions) / number2
        square = max(0.0, diff.second_moment - of_mean - along)
        size = diff.mean_abs * (root(square / diff.second_moment) if diff.second_moment else 0.0)
        within = diff.corr_within_item - of_mean
        across = diff.corr_across_items - of_mean
        if positions == 1:
            across = -square / max(1, items - 1)
            return Diffs(square, size, square, across, across)
        across_both = -(square + (positions - 1) * within + (items - 1) * across) / max(
            1, (items - 1) * (positions - 1)
        )
        return Diffs(square, size, within, across, across_both)

    def statistics(self, values: Values) -> list[float]:
        """The mean absolute value of the layer's three blobs after the first pass."""
        mean = abs(values.mean) if values.low >= 0 else gaussian_mean_abs(values.mean, values.corr_across_both)
        return [mean, _spread(values, 1.0), 1.0]


class BatchNormWithScale(BatchNorm):
    """BatchNorm with the factor and the summand of each channel in one layer (bn_layer.cpp of SegNet and of PSPNet)."""

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        unit = self.top(bottoms[0])
        return [scaled_by_weights(unit, *weights[:2])] if len(weights) > 1 else [unit]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff, weights = diffs[0], step.weights
        if len(weights) < 2:
            return super().backward(step, diffs)
        unit = self.top(step.bottoms[0])
        square = pair_sum(diff, unit, self.items, self.positions)
        gradients = [
            Gradient(square, GAUSSIAN_MEAN_ABS * root(square)),
            bias_gradient(diff, self.items, self.positions),
            *self.no_gradients[2:],
        ]
        inner = scaled_diffs(diff, root(weights[0].second_moment))._replace(passed_values=None)
        return super().backward(step._replace(tops=[unit]), [inner])[0], gradients


def scaled_gaussian(values: Values, factor: float) -> Values:
    """The moments of Gaussian values times a factor."""
    f2 = factor * factor
    return gaussian(
        values.mean * factor,
        values.second_moment * f2,
        values.corr_within_item * f2,
        values.corr_across_items * f2,
        values.corr_across_both * f2,
        values.corr_length,
        values.common * factor,
    )._replace(mean_abs=values.mean_abs * factor)


class MVN(SignalModel):
    """Mean 0 and, if it is wanted, variance 1 for each item and channel, or for each item (mvn_layer.cpp)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        param = layer.message["mvn_param"]
        self.scales = bool(param["normalize_variance"])
        self.positions = positions_of(layer.bottoms[0])
        channels = size_of(layer.bottoms[0]) / (items_of(layer.bottoms[0]) * self.positions)
        self.together = max(1.0, channels) if param["across_channels"] else 1.0  # channels with one mean and variance
        # A rectifier in place on the top, which the backward pass reads: what it takes to be along the values has a mean.
        self.is_cut = any(reader.in_place and reader.traits.cuts_negatives(reader) for reader in layer.tops[0].consumers)

    def factor(self, values: Values) -> float:
        """What the values are multiplied by once their mean is 0."""
        return 1 / (root(values.second_moment) + _MVN_EPS) if self.scales else 1.0

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        values = self.without_mean(bottoms[0])
        return [scaled_gaussian(values, self.factor(values))]

    def without_mean(self, values: Values) -> Values:
        """The moments of values less the mean of those that are taken together."""
        positions, others = self.positions, self.positions - 1
        m2 = values.mean * values.mean
        # The mean products of two means over a plane: of one item and of two. Channels have only the mean of all in common.
        one = (values.second_moment + others * values.corr_within_item) / positions
        two = (values.corr_across_items + others * values.corr_across_both) / positions
        one, two = (m2 + (each - m2) / self.together for each in (one, two))
        return gaussian(
            0.0,
            max(values.second_moment - one, 0.0),
            values.corr_within_item - one,
            values.corr_across_items - two,
            values.corr_across_both - two,
            values.corr_length,
        )

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        """The gradient less its mean over the plane, and less what of it is along the plane's values, as of a BatchNorm."""
        diff, top = diffs[0], step.tops[0]
        positions, others = self.positions, self.positions - 1
        of_mean = (diff.second_moment + others * diff.corr_within_item) / positions / self.together
        of_two = (diff.corr_across_items + others * diff.corr_across_both) / positions / self.together
        along = 0.0
        if self.scales:
            along = diff.second_moment * top.second_moment + others * diff.corr_within_item * top.corr_within_item
            along = max(0.0, along) / positions / self.together
        square = max(0.0, diff.second_moment - of_mean - along)
        size = diff.mean_abs * (root(square / diff.second_moment) if diff.second_moment else 0.0)
        within = diff.corr_within_item - of_mean
        if self.together == 1 and others:  # the gradients of a plane add up to 0
            within = -square / others + (along * _MEAN_OF_RECTIFIED**2 if self.is_cut else 0.0)
        below = Diffs(square, size, within, diff.corr_across_items - of_two, diff.corr_across_both - of_two)
        return [scaled_diffs(below, self.factor(self.without_mean(step.bottoms[0])))], []


class Normalize(SignalModel):
    """Length 1 over channels, or over channels and positions, times a scale (normalize_layer.cpp of SSD)."""

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        bottom = layer.bottoms[0]
        self.items, self.positions = items_of(bottom), positions_of(bottom)
        self.channels = max(1.0, size_of(bottom) / (self.items * self.positions))
        spatial = bool(layer.params) and bool(layer.message["norm_param"]["across_spatial"])
        self.length = self.channels * (self.positions if spatial else 1)  # of the vectors
        self.scales = math.prod(dims(layer.params[0])) if layer.params else 1

    def unit(self, values: Values) -> Values:
        """The moments of vectors of length 1."""
        return scaled_gaussian(values, 1 / (root(values.second_moment * self.length) + _NORMALIZE_EPS))

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return [scaled_gaussian(self.unit(bottoms[0]), abs(weights[0].mean) if weights else 1.0)]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff, values = diffs[0], step.bottoms[0]
        weight = abs(step.weights[0].mean) if step.weights else 1.0
        gradients = []
        if self.layer.params:
            shared = self.channels / self.scales
            square = pair_sum(diff, self.unit(values), self.items, self.positions) * shared
            gradients.append(Gradient(square, GAUSSIAN_MEAN_ABS * root(square)))
        return [scaled_diffs(diff, weight / (root(values.second_moment * self.length) + _NORMALIZE_EPS))], gradients
