"""Numbers as a person would write them: of one digit into a file, of two in a message."""

from __future__ import annotations

import math
from collections.abc import Sequence


def two_digits(value: float) -> str:
    """The text of a computed number with two significant digits."""
    return f"{float(f'{value:.2g}'):g}"


def range_text(values: Sequence[float]) -> str:
    """The text of a number of which some possible values are computed: `3.1`, or `0.2 to 3.1`."""
    least, most = two_digits(min(values)), two_digits(max(values))
    return least if least == most else f"{least} to {most}"


def one_digit(value: float) -> float:
    """A number rounded to its first digit."""
    return float(f"{value:.0e}")


def one_digit_below(value: float) -> float:
    """A number rounded down to its first digit; unchanged if it is not positive and finite."""
    if value <= 0 or not math.isfinite(value):
        return value
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.floor(value / power + 1e-9) * power:.0e}")


def two_digits_above(value: float) -> float:
    """A positive, finite number rounded up to two digits."""
    power = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / power - 1e-9) * power:.1e}")


def two_digits_below(value: float) -> float:
    """A positive, finite number rounded down to its first two digits."""
    power = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.floor(value / power + 1e-9) * power:.1e}")
