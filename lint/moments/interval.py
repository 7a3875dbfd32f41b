"""An interval of values: between which bounds they lie, and whether some are surely 0 or below."""

from __future__ import annotations

import math

from ..proto.named_tuple import NamedTuple


class Interval(NamedTuple):
    """Bounds of values. `zero` and `negative` say that some surely are 0, or below; `reached`: some values lie at the bounds."""

    low: float = -math.inf
    high: float = math.inf
    zero: bool = False
    negative: bool = False
    reached: bool = False

    def times(self, scale: float, shift: float) -> Interval:
        """The interval of shift + scale * x."""
        if scale == 0:
            return Interval(shift, shift, shift == 0, shift < 0, True)
        low, high = sorted((shift + scale * self.low, shift + scale * self.high))
        negative = (scale > 0 and shift <= 0 and self.negative) or (self.zero and shift < 0) or (self.reached and low < 0)
        return Interval(low, high, self.zero and not shift, negative, self.reached)


UNKNOWN_INTERVAL = Interval()
BOTH_SIGNS = Interval(negative=True)
