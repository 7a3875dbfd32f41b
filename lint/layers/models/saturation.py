"""The share of a blob's values for which the activation that reads them is saturated, so that no gradient passes.

Sigmoid and TanH are flat where their slope is less than a hundredth of its largest, a rectifier below 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...moments.statistics import INFINITE, Values, normal_cdf, root, share_above

if TYPE_CHECKING:
    from ...moments.graph import Layer

# From which absolute value on the slope is less than a hundredth of that at 0.
_FLAT_FROM = {"Sigmoid": 5.99, "TanH": 2.99}


def saturated_share(layer: Layer, values: Values) -> float | None:
    """The share of the values of its bottom that saturate a layer; None where their distribution is not known.

    Sums of many weighted values are Gaussian; of others only what their bounds say is known. A blob that is 0
    everywhere has no part: it is not the function that stops its gradient.
    """
    if not 0 < values.second_moment < INFINITE:
        return None
    is_sum = values.low == -INFINITE and values.high == INFINITE and root(values.variance) > 1e-9 * abs(values.mean)
    if layer.traits.base in _FLAT_FROM:
        bound = _FLAT_FROM[layer.traits.base]
        if values.low > bound or values.high < -bound:
            return 1.0
        if not is_sum:
            return None
        deviation = root(values.variance)
        return 1 - normal_cdf((bound - values.mean) / deviation) + normal_cdf((-bound - values.mean) / deviation)
    if layer.traits.base == "ReLU" and not layer.message["relu_param"]["negative_slope"]:
        if values.high <= 0:
            return 1.0
        return 1 - share_above(values) if is_sum else None
    return None
