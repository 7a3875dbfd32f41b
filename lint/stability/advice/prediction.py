"""All that can be told of a training: the verdict, its reasons and limits, and the rows of debug_info in iteration 0."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ...proto.named_tuple import NamedTuple
from ..computed import cannot_tell, stability_of
from ..signal.basis import Basis, CannotTell, unknown_layers
from ..signal.debug_lines import Line, backward_lines, forward_lines
from ..signal.features import Signal, signal_of
from ..signal.passes import Pass, initial_weights
from ..signal.training import Training, training_of
from ..verdict.reasons import Reason, blank_statistics
from ..verdict.verdict import CANNOT_TELL, Verdict
from .limits import Limits, limits

if TYPE_CHECKING:
    from ...net.job import Job

NO_LIMITS = Limits(None, None, {})


class Size(NamedTuple):
    """A number with the most usual of the data that are possible, and the least and the largest with all of them."""

    usual: float
    least: float
    most: float


class Row(NamedTuple):
    """A line of debug_info: of a layer's blob, or of its parameter with that index."""

    layer: str
    blob: str | None
    param: int | None
    size: Size | None


class Prediction(NamedTuple):
    """What can be told of a training. What is unknown is None, or missing in a list.

    `updates` has for parameters the first update, relative to their size.
    """

    cannot_tell: CannotTell | None
    basis: Basis | None = None
    verdict: Verdict | None = None
    reasons: Sequence[Reason] = ()
    limits: Limits = NO_LIMITS
    loss: Size | None = None
    gradient_norm: Size | None = None
    forward: Sequence[Row] = ()
    backward: Sequence[Row] = ()
    updates: Sequence[Row] = ()
    simulation: Sequence[float] = ()

    @property
    def word(self) -> str:
        """The verdict in a word."""
        return CANNOT_TELL if self.verdict is None else self.verdict.word


def prediction_of(job: Job) -> Prediction:
    """All that can be told of a job's training."""
    unknown, stability = cannot_tell(job), stability_of(job)
    if stability is None:
        assert unknown is not None
        training = training_of(job)
        return Prediction(training) if isinstance(training, CannotTell) else _without_verdict(training, unknown)
    found = _rows_of(stability.signals, unknown)
    if unknown is not None:
        return found
    verdict = stability.verdict
    why = {"diverges": stability.reasons, "stalls": stability.reasons_to_stall}.get(verdict.word, [])
    found = found._replace(verdict=verdict, reasons=why)
    if blank_statistics(stability.signal) is not None:
        return found  # no limit of a rate or of gradients mends that
    return found._replace(limits=limits(stability.signals))


def _without_verdict(training: Training, unknown: CannotTell) -> Prediction:
    """What is known of iteration 0: all of it, or the values before the first layer of which something is unknown."""
    hidden = unknown_layers(training.net, training.basis)
    if not hidden:
        return _rows_of([signal_of(point) for point in training.points()], unknown)
    forward = []
    for point in training.points():
        layers = [point.net.layers[layer.index] for layer in hidden]
        weights = initial_weights(point.net, point.trained)
        forward.append(forward_lines(Pass(point.prepared.without_models(layers, point.context), weights), weights, layers))
    return Prediction(unknown, training.basis, forward=_rows(forward))


def _rows_of(signals: Sequence[Signal], unknown: CannotTell | None) -> Prediction:
    """The rows of debug_info, without a verdict; no updates if the solver is not modelled."""
    basis = signals[0].training.basis
    found = Prediction(
        unknown,
        basis,
        loss=_size(each.forward.loss for each in signals),
        gradient_norm=_size(each.l2 for each in signals),
        forward=_rows([forward_lines(each.forward, each.weights) for each in signals]),
        backward=_rows([backward_lines(each.forward, each.back) for each in signals]),
    )
    if basis.features:
        return found
    updates = [
        [Line(param.layer.name, None, param.index, update.ratio) for param, update in each.updates.items()] for each in signals
    ]
    return found._replace(updates=_rows(updates), simulation=signals[0].simulation.losses)


def _rows(found: Sequence[Sequence[Line]]) -> list[Row]:
    """The rows with their sizes at several points; NaN is an unknown one."""
    rows = []
    for lines in zip(*found, strict=True):
        layer, blob, param, usual = lines[0]
        size = _size(line.mean_abs for line in lines) if usual == usual else None
        rows.append(Row(layer, blob, param, size))
    return rows


def _size(values: Iterable[float]) -> Size:
    usual, *others = values
    return Size(usual, min(usual, *others), max(usual, *others)) if others else Size(usual, usual, usual)
