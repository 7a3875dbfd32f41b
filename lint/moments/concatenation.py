"""The parts of a concatenation along its channels, which have variances of their own: what a BatchNorm makes of them differs.

Parts are pairs of a share and moments, in order. Nested concatenations are one list, of at most `MOST_PARTS`: neighbours that
are most alike are joined, so that long chains of concatenations stay fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

from .statistics import Diffs, Values, mixture, sum_of_diffs

MOST_PARTS = 8
_LEAST_SHARE = 1e-7  # smaller ones are rounding
_TINY = 1e-300

Parts = Sequence[tuple[float, Diffs]]
_Moments = TypeVar("_Moments", Values, Diffs)


def concatenated(parts: Sequence[Values], sizes: Sequence[float]) -> Values:
    """The moments of several blobs in one, which remembers its parts."""
    if len(parts) == 1:
        return parts[0]
    whole = sum(sizes)
    kept: list[tuple[float, Values]] = []
    for part, size in zip(parts, sizes, strict=True):
        share = size / whole
        kept += [(share * inner, each) for inner, each in part.parts] or [(share, part._replace(parts=()))]
    return mixture(parts, sizes)._replace(parts=_joined(kept, mixture))


def average_of_diffs(parts: Sequence[Diffs], sizes: Sequence[float]) -> Diffs:
    """The moments of the gradients of several blobs taken together; `sizes` are their numbers of elements."""
    whole = sum(sizes)

    def mean(of: Callable[[Diffs], float]) -> float:
        return sum(size * of(part) for size, part in zip(sizes, parts, strict=True)) / whole

    return Diffs(
        mean(lambda diff: diff.second_moment),
        mean(lambda diff: diff.mean_abs),
        mean(lambda diff: diff.corr_within_item),
        mean(lambda diff: diff.corr_across_items),
        mean(lambda diff: diff.corr_across_both),
        None,
        mean(lambda diff: diff.common),
    )


def cut(diff: Diffs, low: float, high: float) -> Diffs:
    """The gradient of the channels between two shares of all."""
    if not diff.parts:
        return diff
    found = []
    start = 0.0
    for share, part in diff.parts:
        inside = min(high, start + share) - max(low, start)
        if inside > _LEAST_SHARE:
            found.append((inside / (high - low), part))
        start += share
    if len(found) == 1:
        return found[0][1]
    if not found:
        return diff._replace(parts=())
    return average_of_diffs([part for _, part in found], [share for share, _ in found])._replace(parts=tuple(found))


def sum_with_parts(a: Diffs, b: Diffs) -> Diffs:
    """The moments of the sum of two uncorrelated gradients, of which parts are known."""
    whole = sum_of_diffs(a, b)
    if not (a.parts or b.parts):
        return whole
    found = []
    low = 0.0
    for high in sorted((*_edges(a.parts), *_edges(b.parts))):
        if high - low > 2 * _LEAST_SHARE:
            first, second = (cut(each, low, high)._replace(parts=()) for each in (a, b))
            found.append((high - low, sum_of_diffs(first, second)))
            low = high
    return whole._replace(parts=_joined(found, average_of_diffs))


def _edges(parts: Parts) -> list[float]:
    found = []
    start = 0.0
    for share, _ in parts:
        start += share
        found.append(start)
    return found


def _joined(
    parts: list[tuple[float, _Moments]], join: Callable[[Sequence[_Moments], Sequence[float]], _Moments]
) -> tuple[tuple[float, _Moments], ...]:
    """At most so many parts as are kept."""
    while len(parts) > MOST_PARTS:
        sizes = [math.log(max(each.second_moment, _TINY)) for _, each in parts]
        steps = [abs(b - a) for a, b in pairwise(sizes)]
        at = steps.index(min(steps))
        one, two = parts[at], parts[at + 1]
        parts[at : at + 2] = [(one[0] + two[0], join([one[1], two[1]], [one[0], two[0]]))]
    return tuple(parts)
