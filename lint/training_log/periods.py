"""Jumps of the loss that return with a period, and swings from which it comes back."""

from __future__ import annotations

import math
from itertools import pairwise

from ..proto.named_tuple import NamedTuple
from .evidence import Evidence, median
from .runs import Step

# Chosen by `python benchmarks/log_periods.py`.
JUMP = 1.5  # times the usual loss before it
NOISE = 4.0  # times the usual change from one displayed iteration to the next
LEAST_JUMPS = 3
LEAST_GAP = 5  # displayed iterations
SLACK = 0.1  # of a gap by which others may differ
LONGEST = 1024  # displayed iterations that are looked at
_BEFORE = 5  # displayed iterations whose median is the usual loss


class Jumps(NamedTuple):
    """Jumps that return every `period` iterations: the steps at which the loss jumped up, and by how much, as a factor."""

    period: int
    steps: tuple[Step, ...]
    factor: float


def periodic_jumps(log: Evidence) -> Jumps | None:
    """The jumps of the loss, if they return with a period that the learning rate does not have; None otherwise."""
    steps = _evenly_spaced(log.healthy)
    losses = [log.raw_loss(step) for step in steps]
    if len(steps) < LEAST_JUMPS * LEAST_GAP or min(losses) <= 0:
        return None
    usual = [median(losses[index - _BEFORE : index]) for index in range(_BEFORE, len(losses))]
    rises = [math.log(loss / before) for loss, before in zip(losses[_BEFORE:], usual, strict=True)]
    fall = median(rises)  # of a training that goes on learning
    bar = max(math.log(JUMP), NOISE * median(abs(rise - fall) for rise in rises))
    found: list[int] = []
    for index, rise in enumerate(rises, _BEFORE):
        if rise > bar and (not found or index - found[-1] > _BEFORE):
            found.append(index)
    if len(found) < LEAST_JUMPS:
        return None
    gaps = [after - before for before, after in pairwise(found)]
    gap = sorted(gaps)[len(gaps) // 2]
    slack = max(1.0, SLACK * gap)
    if gap < LEAST_GAP or any(abs(each - gap) > slack for each in gaps):
        return None
    if found[0] > gap + slack or len(steps) - 1 - found[-1] > gap + slack:
        return None  # they began late or ended early: something else happened
    if any(_rate_rose(steps, index) for index in found):
        return None
    if any(min(losses[index : index + gap + 1]) > JUMP * usual[index - _BEFORE] for index in found[:-1]):
        return None  # it rises for good
    display = steps[1].iteration - steps[0].iteration
    factor = math.exp(median(rises[index - _BEFORE] for index in found))
    return Jumps(round(sum(gaps) / len(gaps) * display), tuple(steps[index] for index in found), factor)


def _evenly_spaced(steps: list[Step]) -> list[Step]:
    """The last displayed iterations that are equally far apart."""
    steps = steps[-LONGEST:]
    if len(steps) < 2:
        return []
    display = steps[-1].iteration - steps[-2].iteration
    start = len(steps) - 1
    while start and steps[start].iteration - steps[start - 1].iteration == display:
        start -= 1
    return steps[start:]


def _rate_rose(steps: list[Step], index: int) -> bool:
    before, after = steps[index - 2].rate, steps[index].rate
    return before is not None and after is not None and after > before
