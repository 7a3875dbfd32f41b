"""What is known of one blob's data before a training: shape, range, mean and spread."""

from __future__ import annotations

from collections.abc import Mapping

from ..proto.named_tuple import NamedTuple


class BlobFacts(NamedTuple):
    """What is known of one top's data, without the axis of items. None: not known.

    `counts` says how often each value occurs, for labels and targets.
    """

    shape: tuple[int, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    mean_abs: float | None = None
    std: float | None = None
    counts: Mapping[float, int] | None = None
