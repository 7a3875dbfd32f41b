"""numpy under the names that the other files here use, and what several of them compute with it."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

__all__ = ["AT_ONCE", "Array", "Generator", "np", "resizing_matrix", "sum_abs"]

Array: TypeAlias = Any  # of numpy, whose own types differ between its versions
Generator: TypeAlias = Any  # the random numbers of numpy

# OpenBLAS takes its own memory with the first product, keeps it, and ends the process with status 1 if there is none: so it gets it
# before arrays fill the memory, which end in a MemoryError.
np.ones((256, 256), np.float32) @ np.ones((256, 256), np.float32)

AT_ONCE = 1 << 16  # values that stay in a core's cache while several things are done to them


def sum_abs(values: Array) -> Array:
    """The sum of the absolute values, as a float of the same size."""
    flat = values.reshape(-1)
    if flat.size <= AT_ONCE:
        return np.abs(flat).sum(dtype=np.float32)
    return np.float32(sum(np.abs(flat[i : i + AT_ONCE]).sum(dtype=np.float32) for i in range(0, flat.size, AT_ONCE)))


def resizing_matrix(size: int, wanted: int) -> Array:
    """The matrix that resizes a line of values by linear interpolation, with the first and the last value kept in place."""
    matrix = np.zeros((wanted, size), np.float32)
    places = np.linspace(0.0, size - 1, wanted) if wanted > 1 else np.zeros(1)
    below = np.minimum(places.astype(np.int64), size - 1)
    above = np.minimum(below + 1, size - 1)
    share = (places - below).astype(np.float32)
    rows = np.arange(wanted)
    np.add.at(matrix, (rows, below), 1 - share)
    np.add.at(matrix, (rows, above), share)
    return matrix
