"""Moments measured on arrays of items, channels and positions, for models to be held against what an array says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caffe_lint.moments.statistics import Diffs, Values

Array = NDArray[np.float64]


def planes(array: Array) -> Array:
    """The array with one axis of positions."""
    return array.reshape(*array.shape[:2], -1)


def pairs(array: Array) -> tuple[float, float, float]:
    """E[x y] of two values of a channel: within an item, across items, across both."""
    x = planes(array)
    items, _, positions = x.shape
    squares = (x**2).sum((0, 2))
    by_item, by_position, by_channel = x.sum(2), x.sum(0), x.sum((0, 2))
    within = (by_item**2).sum(0) - squares
    across = (by_position**2).sum(1) - squares
    both = by_channel**2 - squares - within - across
    of_items, of_positions = max(1, items - 1), max(1, positions - 1)
    number = items * positions
    found = within / of_positions, across / of_items, both / (of_items * of_positions)
    one, two, three = (float((each / number).mean()) for each in found)
    square = float((x**2).mean())
    return (one, two, three) if positions > 1 else (square, two, two)


def values_of(array: Array, **more: float) -> Values:
    """The moments of an array of values."""
    return Values(float(array.mean()), float((array**2).mean()), float(abs(array).mean()), *pairs(array), **more)


def diffs_of(array: Array) -> Diffs:
    """The moments of an array of gradients."""
    return Diffs(float((array**2).mean()), float(abs(array).mean()), *pairs(array))


def normalised(x: Array) -> tuple[Array, Array]:
    """Each channel with mean 0 and variance 1, and the deviation that it had."""
    deviation = x.std((0, 2, 3), keepdims=True)
    return (x - x.mean((0, 2, 3), keepdims=True)) / deviation, deviation


def normalised_back(d: Array, y: Array, deviation: Array) -> Array:
    """The gradient below a normalisation of each channel, of which `y` is the top (batch_norm_layer.cpp)."""
    mean = d.mean((0, 2, 3), keepdims=True)
    along = (d * y).mean((0, 2, 3), keepdims=True)
    found: Array = (d - mean - along * y) / deviation
    return found


def pooled_back(x: Array, d: Array, side: int, stride: int) -> Array:
    """The gradient below max pooling without padding (pooling_layer.cpp)."""
    items, channels, height, width = d.shape
    below = np.zeros_like(x)
    windows = np.stack(
        [
            x[:, :, i : i + stride * height : stride, j : j + stride * width : stride][:, :, :height, :width]
            for i in range(side)
            for j in range(side)
        ],
        -1,
    )
    winner = windows.argmax(-1)
    at = np.indices((items, channels, height, width))
    np.add.at(below, (at[0], at[1], at[2] * stride + winner // side, at[3] * stride + winner % side), d)
    return below
