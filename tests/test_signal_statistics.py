"""The statistics of blobs against a sampled truth, and fillers against their definitions."""

from __future__ import annotations

import math
import random

import pytest

from caffe_lint.signal.statistics import gaussian, gaussian_size, mapped, rectified, scaled
from caffe_lint.signal.windows import maximum


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (1.0, 2.0), (-3.0, 1.5)])
def test_rectified_gaussians(mean: float, deviation: float) -> None:
    source = random.Random(1)
    drawn = [max(0.0, source.gauss(mean, deviation)) for _ in range(40_000)]
    square = mean * mean + deviation * deviation
    found = rectified(gaussian(mean, square, square, mean * mean, mean * mean, 1.0))
    assert found.mean == pytest.approx(sum(drawn) / len(drawn), rel=0.06, abs=1e-3)
    assert found.square == pytest.approx(sum(x * x for x in drawn) / len(drawn), rel=0.08, abs=1e-3)


def test_the_size_of_a_gaussian_is_that_of_debug_info() -> None:
    source = random.Random(2)
    drawn = [abs(source.gauss(0.7, 2.0)) for _ in range(40_000)]
    assert gaussian_size(0.7, 0.49 + 4.0) == pytest.approx(sum(drawn) / len(drawn), rel=0.02)


def test_a_smooth_function_is_averaged() -> None:
    source = random.Random(3)
    drawn = [math.tanh(source.gauss(0.0, 1.5)) ** 2 for _ in range(40_000)]
    found, _ = mapped(gaussian(0.0, 2.25, 0.0, 0.0, 0.0, 1.0), math.tanh)
    assert found.square == pytest.approx(sum(drawn) / len(drawn), rel=0.06)


def test_the_largest_of_four() -> None:
    source = random.Random(4)
    drawn = [max(source.gauss(0.0, 1.0) for _ in range(4)) for _ in range(20_000)]
    found = maximum(gaussian(0.0, 1.0, 0.0, 0.0, 0.0, 0.05), 4.0, 2.0)
    assert found.mean == pytest.approx(sum(drawn) / len(drawn), rel=0.03)


def test_a_shift_of_bounded_values_keeps_to_the_bounds() -> None:
    pixels = gaussian(77.0, 77.0**2 + 96.0**2, 0.0, 0.0, 0.0, 1.0)._replace(low=0.0, high=255.0, size=77.0)
    found = scaled(pixels, 1.0, -110.0)
    assert (found.low, found.high) == (-110.0, 145.0)
    assert 80 < found.size < 110
