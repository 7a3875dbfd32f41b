"""Shapes of blobs, of which parts may be unknown.

A shape is a tuple of dimensions, outermost first; a dimension is None where the files do not tell it, and the
shape itself is None where not even the number of axes is known. Unknown spreads and is never guessed.
"""

from __future__ import annotations

Dims = tuple[int | None, ...]
Shape = Dims | None

INT_MAX = 2**31 - 1
MAX_AXES = 32  # kMaxBlobAxes, blob.hpp


def count(shape: Shape, start: int = 0, end: int | None = None) -> int | None:
    """The number of elements between two axes, None if one of the dimensions is unknown."""
    if shape is None:
        return None
    product = 1
    for dim in shape[start:end]:
        if dim is None:
            return None
        product *= dim
    return product


def known_factor(dims: Dims) -> tuple[int, bool]:
    """The product of the known dimensions, and whether all are known."""
    product = 1
    for dim in dims:
        product *= 1 if dim is None else dim
    return product, None not in dims


def counts_differ(a: Shape, b: Shape, start: int = 0) -> bool:
    """Whether two shapes surely have different numbers of elements from an axis on, whatever is unknown of them."""
    if a is None or b is None:
        return False
    (mine, all_mine), (other, all_other) = known_factor(a[start:]), known_factor(b[start:])
    if all_mine and all_other:
        return mine != other
    if not all_mine and not all_other:
        return False
    whole, factor = (mine, other) if all_mine else (other, mine)
    return whole > 0 and (factor == 0 or whole % factor != 0)


def axis_index(axis: int, axes: int) -> int | None:
    """The axis from the front, None if it is not in -axes to axes - 1 (Blob::CanonicalAxisIndex)."""
    if axis < 0:
        axis += axes
    return axis if 0 <= axis < axes else None


def differ(a: int | None, b: int | None) -> bool:
    """Whether two dimensions surely differ."""
    return a is not None and b is not None and a != b


def shapes_differ(a: Shape, b: Shape) -> bool:
    """Whether two shapes surely differ."""
    if a is None or b is None or a == b:
        return False
    return len(a) != len(b) or any(differ(x, y) for x, y in zip(a, b, strict=True))


def merge(a: Shape, b: Shape) -> Shape:
    """What is known from either of two shapes that must be equal; the first where they differ."""
    if a is None or b is None or len(a) != len(b):
        return b if a is None else a
    return tuple(y if x is None else x for x, y in zip(a, b, strict=True))


def truncated(a: int, b: int) -> int:
    """C++'s integer division, which rounds toward zero."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def describe(shape: Shape) -> str:
    """A shape as people write it, `64 x 3 x ? x ?`; `scalar` for no axes."""
    if shape is None:
        return "?"
    return " x ".join("?" if dim is None else str(dim) for dim in shape) or "scalar"
