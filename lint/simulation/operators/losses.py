"""Losses, with Caffe's floors and normalisers: facts that no formula of a textbook has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...layers.loss import loss_divisor
from ...net.classes import ignored_label
from ..arrays import Array, Generator, np
from ..operator import CannotSimulate, Gradients, Operator
from .combining import softmax
from .functions import sigmoid

if TYPE_CHECKING:
    from ...moments.graph import Layer

_LEAST_PROBABILITY = 1.1754944e-38  # FLT_MIN, softmax_loss_layer.cpp
_LEAST_LOG = 1e-20  # kLOG_THRESHOLD, loss_layer.hpp
_LEAST_DISTANCE = 1e-4  # contrastive_loss_layer.cpp


class _Labelled(Operator):
    """A loss of scores, along an axis, with class labels, some of which may be ignored."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        self.ignored = ignored_label(layer)

    def labels(self, scores: Array, labels: Array, axis: int) -> tuple[Array, Array]:
        """The label of each place, 0 for ignored ones, and which are not ignored; in the shape of scores without the axis."""
        shape = (*scores.shape[:axis], *scores.shape[axis + 1 :])
        if labels.size != math.prod(shape):
            raise CannotSimulate(f"'{self.layer.name}' has {labels.size} labels for {math.prod(shape)} places")
        whole = labels.reshape(shape).astype(np.int64)
        valid = np.ones(shape, bool) if self.ignored is None else whole != self.ignored
        found = np.where(valid, whole, 0)
        if found.size and not 0 <= found.min() <= found.max() < scores.shape[axis]:
            raise CannotSimulate(f"'{self.layer.name}' reads a label that is not in 0 to {scores.shape[axis] - 1}")
        return found, valid

    def divisor(self, valid: Array, outer: int) -> float:
        """What the sum is divided by."""
        return loss_divisor(self.layer, outer, valid.size, int(valid.sum()))


class SoftmaxWithLoss(_Labelled):
    """The negative log probability, floored at FLT_MIN; its gradient p - y has no floor (softmax_loss_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        scores = bottoms[0]
        self.axis = axis = self.layer.message["softmax_param"]["axis"] % scores.ndim
        self.probabilities = softmax(scores, axis)
        self.chosen, self.valid = self.labels(scores, bottoms[1], axis)
        chosen = np.take_along_axis(self.probabilities, np.expand_dims(self.chosen, axis), axis).squeeze(axis)
        terms = -np.log(np.maximum(chosen, scores.dtype.type(_LEAST_PROBABILITY)))
        self.number = self.divisor(self.valid, math.prod(scores.shape[:axis]))
        loss = np.asarray(terms[self.valid].sum() / self.number, scores.dtype)
        return [loss, self.probabilities][: max(1, len(self.layer.tops))]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        found = self.probabilities.copy()
        at = np.expand_dims(self.chosen, self.axis)
        np.put_along_axis(found, at, np.take_along_axis(found, at, self.axis) - 1, self.axis)
        found = np.where(np.expand_dims(self.valid, self.axis), found, 0)
        return [found * (diffs[0].reshape(()) / found.dtype.type(self.number)), None], ()


class InfogainLoss(_Labelled):
    """Log probabilities, floored at 1e-20, weighted by the label's row of H; the gradient is p sum(H) - H (Caffe 1.0)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        scores = bottoms[0]
        self.axis = axis = self.layer.message["infogain_loss_param"]["axis"] % scores.ndim
        classes = scores.shape[axis]
        self.probabilities = softmax(scores, axis)
        chosen, self.valid = self.labels(scores, bottoms[1], axis)
        matrix = np.eye(classes, dtype=scores.dtype)
        if len(bottoms) > 2:
            matrix = bottoms[2].reshape(classes, classes)
        elif self.infogain is not None:
            if self.infogain.size != classes * classes:
                raise CannotSimulate(f"the matrix of '{self.layer.name}' has {self.infogain.size} values for {classes} classes")
            matrix = self.infogain.reshape(classes, classes).astype(scores.dtype)
        self.rows = np.moveaxis(matrix[chosen], -1, axis)
        terms = -self.rows * np.log(np.maximum(self.probabilities, scores.dtype.type(_LEAST_LOG)))
        self.number = self.divisor(self.valid, math.prod(scores.shape[:axis]))
        loss = np.asarray(terms.sum(axis)[self.valid].sum() / self.number, scores.dtype)
        return [loss, self.probabilities][: max(1, len(self.layer.tops))]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        found = self.probabilities * self.rows.sum(self.axis, keepdims=True) - self.rows
        found = np.where(np.expand_dims(self.valid, self.axis), found, 0)
        return [found * (diffs[0].reshape(()) / found.dtype.type(self.number)), None, None][: len(bottoms)], ()


class SigmoidCrossEntropyLoss(Operator):
    """The cross-entropy of sigmoids with targets, in a form without overflow (sigmoid_cross_entropy_loss_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x, target = bottoms[0], bottoms[1].reshape(bottoms[0].shape)
        ignored = ignored_label(self.layer)
        self.valid = np.ones(x.shape, bool) if ignored is None else target.astype(np.int64) != ignored
        above = x >= 0
        terms = -(x * (target - above)) + np.log(1 + np.exp(x - 2 * x * above))
        self.number = loss_divisor(self.layer, len(x), x.size, int(self.valid.sum()))
        return [np.asarray(terms[self.valid].sum() / self.number, x.dtype)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        x, target = bottoms[0], bottoms[1].reshape(bottoms[0].shape)
        found = np.where(self.valid, sigmoid(x) - target, 0)
        return [(found * (diffs[0].reshape(()) / self.number)).astype(x.dtype), None], ()


class EuclideanLoss(Operator):
    """Half the squared distance of each item (euclidean_loss_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        a, b = bottoms
        self.difference = a - b.reshape(a.shape)
        flat = self.difference.reshape(-1)
        return [np.asarray(flat @ flat / len(a) / 2, a.dtype)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        found = self.difference * (diffs[0].reshape(()) / self.difference.dtype.type(len(bottoms[0])))
        return [found, -found.reshape(bottoms[1].shape)], ()


class CenterLoss(Operator):
    """Half the squared distance of each item from the centre of its class (center_loss_layer.cpp of ydwen/caffe-face).

    The centres have no true gradient: each gets the sum of what its items are short of, over their number plus 1, whatever the
    loss weight. Those of the passes of an iteration add up, as in some of the forks.
    """

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x, centers = bottoms[0].reshape(len(bottoms[0]), -1), params[0]
        self.labels = bottoms[1].reshape(-1).astype(np.int64)
        if self.labels.size and not 0 <= self.labels.min() <= self.labels.max() < len(centers):
            raise CannotSimulate(f"'{self.layer.name}' reads a label that is not in 0 to {len(centers) - 1}")
        if self.layer.message["center_loss_param"]["distance_type"] != "L2":
            raise CannotSimulate(f"'{self.layer.name}' measures no L2 distance")
        self.difference = x - centers[self.labels]
        flat = self.difference.reshape(-1)
        return [np.asarray(flat @ flat / len(x) / 2, x.dtype)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        x, number = bottoms[0], self.difference.dtype.type(len(bottoms[0]))
        found = (self.difference * (diffs[0].reshape(()) / number)).reshape(x.shape)
        if not self.learns[0]:
            return [found, None], [None]
        of_centers, items = np.zeros_like(params[0]), np.ones((len(params[0]), 1), params[0].dtype)
        np.subtract.at(of_centers, self.labels, self.difference)
        np.add.at(items, self.labels, items.dtype.type(1))
        return [found, None], [of_centers / items]


class HingeLoss(Operator):
    """The one-versus-all hinge loss; max(0, NaN) is 0 (hinge_loss_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        scores = bottoms[0].reshape(len(bottoms[0]), -1)
        labels = bottoms[1].reshape(-1).astype(np.int64)
        if labels.size and not 0 <= labels.min() <= labels.max() < scores.shape[1]:
            raise CannotSimulate(f"'{self.layer.name}' reads a label that is not in 0 to {scores.shape[1] - 1}")
        self.signs = np.ones_like(scores)
        self.signs[np.arange(len(scores)), labels] = -1
        self.squared = self.layer.message["hinge_loss_param"]["norm"] == "L2"
        margins = 1 + scores * self.signs
        self.margins = np.where(margins > 0, margins, scores.dtype.type(0))
        terms = self.margins * self.margins if self.squared else self.margins
        return [np.asarray(terms.sum() / len(scores), scores.dtype)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        slope = 2 * self.margins if self.squared else np.sign(self.margins)
        found = slope * self.signs * (diffs[0].reshape(()) / len(self.margins))
        return [found.reshape(bottoms[0].shape).astype(bottoms[0].dtype), None], ()


class MultinomialLogisticLoss(Operator):
    """The negative log of a probability; below the floor the gradient stays as it is there (multinomial_logistic_loss_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        flat = bottoms[0].reshape(len(bottoms[0]), -1)
        self.labels = bottoms[1].reshape(-1).astype(np.int64)
        if self.labels.size and not 0 <= self.labels.min() <= self.labels.max() < flat.shape[1]:
            raise CannotSimulate(f"'{self.layer.name}' reads a label that is not in 0 to {flat.shape[1] - 1}")
        return [np.asarray(-np.log(self.chosen(flat)).sum() / len(flat), flat.dtype)]

    def chosen(self, flat: Array) -> Array:
        """The probabilities of the labels, floored."""
        return np.maximum(flat[np.arange(len(flat)), self.labels], flat.dtype.type(_LEAST_LOG))

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        flat = bottoms[0].reshape(len(bottoms[0]), -1)
        found = np.zeros_like(flat)
        found[np.arange(len(flat)), self.labels] = -(diffs[0].reshape(()) / len(flat)) / self.chosen(flat)
        return [found.reshape(bottoms[0].shape), None], ()


class ContrastiveLoss(Operator):
    """The distance of similar pairs, and how far others are inside a margin; divides by d + 1e-4 (contrastive_loss_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        a = bottoms[0].reshape(len(bottoms[0]), -1)
        self.difference = a - bottoms[1].reshape(a.shape)
        self.similar = bottoms[2].reshape(-1).astype(np.int64) != 0
        param = self.layer.message["contrastive_loss_param"]
        self.margin, self.legacy = param["margin"], param["legacy_version"]
        squares = (self.difference * self.difference).sum(1)
        self.distance = squares if self.legacy else np.sqrt(squares)
        inside = np.maximum(self.margin - self.distance, 0)
        terms = np.where(self.similar, squares, inside if self.legacy else inside * inside)
        return [np.asarray(terms.sum() / len(a) / 2, a.dtype)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        alpha = diffs[0].reshape(()) / len(self.difference)
        inside = self.margin - self.distance
        pushed = -alpha if self.legacy else -alpha * inside / (self.distance + _LEAST_DISTANCE)
        factor = np.where(self.similar, alpha, np.where(inside > 0, pushed, 0))
        found = (self.difference * factor[:, None]).astype(bottoms[0].dtype)
        return [found.reshape(bottoms[0].shape), -found.reshape(bottoms[1].shape), None], ()


class SmoothL1Loss(Operator):
    """Squares of small errors, and the size of large ones; weights inside and outside (smooth_L1_loss_layer.cpp of forks)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        a = bottoms[0]
        error = a - bottoms[1].reshape(a.shape)
        self.inside = bottoms[2].reshape(a.shape) if len(bottoms) > 2 else None
        self.outside = bottoms[3].reshape(a.shape) if len(bottoms) > 3 else None
        self.error = error if self.inside is None else error * self.inside
        param = self.layer.message.get("smooth_l1_loss_param")
        sigma = param.get("sigma", 1.0) if param is not None else 1.0
        self.square = sigma * sigma
        size = np.abs(self.error)
        terms = np.where(size < 1 / self.square, 0.5 * self.square * self.error * self.error, size - 0.5 / self.square)
        if self.outside is not None:
            terms = terms * self.outside
        return [np.asarray(terms.sum() / len(a), a.dtype)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        slope = np.where(np.abs(self.error) < 1 / self.square, self.square * self.error, np.sign(self.error))
        for weight in (self.inside, self.outside):
            slope = slope if weight is None else slope * weight
        found = (slope * (diffs[0].reshape(()) / len(slope))).astype(bottoms[0].dtype)
        return [found, -found.reshape(bottoms[1].shape), None, None][: len(bottoms)], ()
