"""Targets that are probabilities: the range that they may have, and what brings them into it."""

from __future__ import annotations

from .label_sources import PIXELS, LabelSource

BYTES = 255.0
SCALE = 0.00392157  # 1 / 255, as people write it
TOLERANCE = 0.005  # of a target: 255 * 0.00392157 is a little more than 1, and harmless


def is_in_range(low: float, high: float) -> bool:
    """Whether values may be probabilities."""
    return low >= -TOLERANCE and high <= 1 + TOLERANCE


def advice_on_range(source: LabelSource, low: float, high: float) -> str:
    """What brings stored values of a range into that of probabilities, as a sentence; empty if that is unknown."""
    producer = source.top.producer
    if not are_unscaled_bytes(source, low, high) or producer is None:
        return ""
    return f"Set scale: {SCALE} in the transform_param of '{producer.name}'."


def are_unscaled_bytes(source: LabelSource, low: float, high: float) -> bool:
    """Whether stored values of a range are pixels of 0 to 255 that reach their reader as they are."""
    return source.kind == PIXELS and not source.changed_by and (low, high) == (0.0, BYTES)
