"""Numbers in settings and facts: the one judge of whether they are finite, in range and not too long, and C's power of them."""

from __future__ import annotations

import math
import re
from typing import Any

MAX_INT = 2**31 - 1  # of a dimension, an int32 of a BlobShape's count (blob.cpp, Blob::Reshape)
_MAX_WHOLE = 2**53  # larger numbers are not exact as floats
_NUMERAL = r"(?a)[+-]?\d{1,20}(\.\d{0,20})?([eE][+-]?\d{1,3})?"


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float can hold, and no bool."""
    if isinstance(value, float):
        return math.isfinite(value)
    return type(value) is int and -_MAX_WHOLE <= value <= _MAX_WHOLE


def is_whole(value: Any, lowest: int = 0, highest: int = _MAX_WHOLE) -> bool:
    """Whether a value is an int in a range, and no bool."""
    return type(value) is int and lowest <= value <= highest


def is_dimension(value: Any) -> bool:
    """Whether a value may be a dimension of a blob; 0 where it is unknown."""
    return is_whole(value, 0, MAX_INT)


def is_numeral(text: str) -> bool:
    """Whether a text is a finite number in decimal notation."""
    return re.fullmatch(_NUMERAL, text) is not None and math.isfinite(float(text))


def power(base: float, exponent: float) -> float:
    """Return C's pow: infinite if it overflows, NaN if it is undefined."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan
