"""Layers that bring values to a fixed size: BatchNorm, LRN, MVN, Normalize."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .carriers import Carrier, Gradient, Step, carries, items_of, shape_of, size_of
from .linear import NONE
from .statistics import Diffs, Values, gaussian, gaussian_size, mixture, root, times


def _spread(values: Values, number: float) -> float:
    """The variance that a channel has over items and positions."""
    found = values.square - values.cross
    return max(0.0, found * (1 - 1 / max(number, 1.0)))


@carries("BatchNorm", "BN")
class BatchNorm(Carrier):
    """Each channel gets mean 0 and variance 1 (batch_norm_layer.cpp; Ioffe and Szegedy 2015).

    With use_global_stats in training the stored variance is 0, and values grow 1 / sqrt(eps) times.
    """

    def eps(self, step: Step) -> float:
        """What is added to the variance."""
        if step.layer.type == "BatchNorm":
            return float(step.layer.message["batch_norm_param"]["eps"])
        return 1e-5

    def stored(self, step: Step) -> bool:
        """Whether stored statistics are used, which are 0 before any training."""
        if step.layer.type != "BatchNorm":
            return False
        param = step.layer.message["batch_norm_param"]
        if "use_global_stats" in param.entries:
            return bool(param["use_global_stats"])
        return step.layer.phase != "TRAIN"

    def forward(self, step: Step) -> list[Values]:
        values = step.bottoms[0]
        if not math.isfinite(values.square):
            return [values]
        factor = self.factor(step)
        if self.stored(step):
            return [times_values(values, factor)]
        if values.parts:
            tops = [self.forward(step._replace(bottoms=[part]))[0] for _, part in values.parts]
            return [mixture(tops, [share for share, _ in values.parts])]
        shape = step.layer.bottoms[0].shape or ()
        number = size_of(step.layer.bottoms[0]) / max(1, (shape[1] if len(shape) > 1 else 1) or 1)
        variance = _spread(values, number)
        f2 = factor * factor
        square = variance * f2
        level, shared = (min(square, max(0.0, moment - values.cross) * f2) for moment in (values.level, values.shared))
        top = gaussian(0.0, square, level, shared, 0.0, values.reach)
        if values.size > 0 and values.low < 0:
            heavy = values.size / max(gaussian_size(values.mean, values.square), 1e-300)
            top = top._replace(size=top.size * min(1.0, heavy))
        return [top]

    def factor(self, step: Step) -> float:
        """What the values are multiplied by."""
        eps = self.eps(step)
        if self.stored(step):
            return 1 / math.sqrt(max(eps, 1e-30))
        shape = step.layer.bottoms[0].shape or ()
        number = size_of(step.layer.bottoms[0]) / max(1, (shape[1] if len(shape) > 1 else 1) or 1)
        return 1 / math.sqrt(max(_spread(step.bottoms[0], number) + eps, 1e-30))

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff = times(diffs[0], self.factor(step))
        parts = step.bottoms[0].parts
        if parts:
            # Parts of a concatenation have variances of their own; the least one has the largest factor.
            each = [(share, self.factor(step._replace(bottoms=[part]))) for share, part in parts]
            mean, square = sum(w * f for w, f in each), sum(w * f * f for w, f in each)
            diff = times(diffs[0], root(square))._replace(size=diffs[0].size * mean)
        if not self.stored(step):
            diff = centred(diff, step)
        return [diff], [Gradient(0.0, 0.0)] * len(step.layer.params)

    def statistics(self, step: Step) -> list[float]:
        """The mean absolute value of the layer's three blobs after the first pass."""
        values = step.bottoms[0]
        mean = abs(values.mean) if values.low >= 0 else gaussian_size(values.mean, values.cross)
        return [mean, _spread(values, 1e9), 1.0]


def centred(diff: Diffs, step: Step) -> Diffs:
    """A gradient that adds up to 0 over the items and positions of a channel, as that of a mean taken out does."""
    blob = step.layer.bottoms[0]
    shape = shape_of(blob)
    items = items_of(blob)
    positions = max(1, math.prod(shape[2:]))
    square = max(0.0, diff.square - diff.cross)
    level, shared = max(0.0, diff.level - diff.cross), max(0.0, diff.shared - diff.cross)
    if positions == 1:
        shared = -square / max(1, items - 1)
        return Diffs(square, diff.size, square, shared, shared)
    cross = -(square + (positions - 1) * level + (items - 1) * shared) / max(1, (items - 1) * (positions - 1))
    return Diffs(square, diff.size, level, shared, cross)


def times_values(values: Values, factor: float) -> Values:
    """Values times a factor, as Gaussians."""
    f2 = factor * factor
    return gaussian(
        values.mean * factor, values.square * f2, values.level * f2, values.shared * f2, values.cross * f2,
        values.reach, values.drift * factor,
    )._replace(size=values.size * factor)  # fmt: skip


@carries("LRN")
class Lrn(Carrier):
    """Divided by a power of the sum of squares nearby (lrn_layer.cpp; Krizhevsky et al. 2012)."""

    def factor(self, step: Step) -> float:
        """What the values are multiplied by, on average."""
        param = step.layer.message["lrn_param"]
        square = step.bottoms[0].square
        base = param["k"] + param["alpha"] * square
        if not base > 0:
            return math.inf
        return float(min(base, 1e38) ** -param["beta"])

    def forward(self, step: Step) -> list[Values]:
        values = step.bottoms[0]
        factor = self.factor(step)
        if not math.isfinite(factor):
            return [values]
        f2 = factor * factor
        return [values._replace(
            mean=values.mean * factor, square=values.square * f2, size=values.size * factor, level=values.level * f2,
            shared=values.shared * f2, cross=values.cross * f2, drift=values.drift * factor, latent=None,
        )]  # fmt: skip

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        factor = self.factor(step)
        return [times(diffs[0], factor) if math.isfinite(factor) else diffs[0]], []


@carries("MVN", "Normalize", "GRN")
class Normalise(Carrier):
    """MVN: mean 0 and variance 1 in each item and channel; Normalize: a fixed length (ssd)."""

    def factor(self, step: Step) -> float:
        """What the values are multiplied by."""
        values = step.bottoms[0]
        layer = step.layer
        if layer.type == "MVN":
            if not layer.message["mvn_param"]["normalize_variance"]:
                return 1.0
            return 1 / (root(values.square - values.level) + 1e-9)
        shape = layer.bottoms[0].shape or ()
        channels = (shape[1] if len(shape) > 1 else 1) or 1
        weight = step.weights[0] if step.weights else NONE._replace(mean=1.0)
        return abs(weight.mean) / (root(values.square * channels) + 1e-10)

    def forward(self, step: Step) -> list[Values]:
        values = step.bottoms[0]
        if step.layer.type == "MVN":
            m = values.level
            values = gaussian(
                0.0, max(0.0, values.square - m), 0.0, max(0.0, values.shared - values.cross), 0.0, values.reach
            )
        return [times_values(values, self.factor(step))]

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        gradients = [Gradient(diffs[0].square, diffs[0].size)] * len(step.layer.params)
        return [times(diffs[0], self.factor(step))], gradients
