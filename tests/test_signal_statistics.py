"""The statistics of blobs against a sampled truth, and fillers against their definitions."""

from __future__ import annotations

import math
import random

import pytest

from caffe_lint.layers.models.linear import axis_of
from caffe_lint.layers.models.pooling import maximum
from caffe_lint.moments.concatenation import MOST_PARTS, concatenated, cut, sum_with_parts
from caffe_lint.moments.statistics import Diffs, falling_length, gaussian, gaussian_mean_abs, mapped, rectified, scaled


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (1.0, 2.0), (-3.0, 1.5)])
def test_rectified_gaussians(mean: float, deviation: float) -> None:
    source = random.Random(1)
    drawn = [max(0.0, source.gauss(mean, deviation)) for _ in range(40_000)]
    square = mean * mean + deviation * deviation
    found = rectified(gaussian(mean, square, square, mean * mean, mean * mean, 1.0))
    assert found.mean == pytest.approx(sum(drawn) / len(drawn), rel=0.06, abs=1e-3)
    assert found.second_moment == pytest.approx(sum(x * x for x in drawn) / len(drawn), rel=0.08, abs=1e-3)


def test_the_size_of_a_gaussian_is_that_of_debug_info() -> None:
    source = random.Random(2)
    drawn = [abs(source.gauss(0.7, 2.0)) for _ in range(40_000)]
    assert gaussian_mean_abs(0.7, 0.49 + 4.0) == pytest.approx(sum(drawn) / len(drawn), rel=0.02)


def test_a_smooth_function_is_averaged() -> None:
    source = random.Random(3)
    drawn = [math.tanh(source.gauss(0.0, 1.5)) ** 2 for _ in range(40_000)]
    found, _ = mapped(gaussian(0.0, 2.25, 0.0, 0.0, 0.0, 1.0), math.tanh)
    assert found.second_moment == pytest.approx(sum(drawn) / len(drawn), rel=0.06)


@pytest.mark.parametrize(
    ("here", "beside", "length"),
    [(2.0, 1.0, 1 / math.log(2)), (1.0, 1.0, math.inf), (0.0, 1.0, math.inf), (1.0, -1.0, 0.05), (1e300, 1e-300, 0.05), (math.inf, 1.0, 0.05), (math.inf, math.inf, math.inf)],
)  # fmt: skip
def test_how_far_what_falls_with_the_distance_reaches(here: float, beside: float, length: float) -> None:
    assert falling_length(here, beside) == pytest.approx(length)


def test_the_largest_of_four() -> None:
    source = random.Random(4)
    drawn = [max(source.gauss(0.0, 1.0) for _ in range(4)) for _ in range(20_000)]
    found = maximum(gaussian(0.0, 1.0, 0.0, 0.0, 0.0, 0.05), 4.0, 2.0)
    assert found.mean == pytest.approx(sum(drawn) / len(drawn), rel=0.03)


def test_a_shift_of_bounded_values_keeps_to_the_bounds() -> None:
    pixels = gaussian(77.0, 77.0**2 + 96.0**2, 0.0, 0.0, 0.0, 1.0)._replace(low=0.0, high=255.0, mean_abs=77.0)
    found = scaled(pixels, 1.0, -110.0)
    assert (found.low, found.high) == (-110.0, 145.0)
    assert 80 < found.mean_abs < 110


@pytest.mark.parametrize("pad", [0, 1, 3, 9])
@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_the_part_of_a_windows_taps_that_lie_on_the_image(kernel: int, stride: int, pad: int) -> None:
    size = 12
    out = (size + 2 * pad - kernel) // stride + 1
    taps = [start * stride - pad + tap for start in range(out) for tap in range(kernel)]
    on_image = sum(0 <= place < size for place in taps)
    assert axis_of(size, out, kernel, stride, pad).inside == pytest.approx(on_image / len(taps))


def test_blobs_beside_each_other_are_told_apart_for_a_normalisation() -> None:
    small, large = (gaussian(0.0, square, 0.0, 0.0, 0.0, 1.0) for square in (1.0, 9.0))
    found = concatenated([small, large], [1, 3])
    assert found.second_moment == pytest.approx(7.0)
    assert [(share, part.second_moment) for share, part in found.parts] == [(0.25, 1.0), (0.75, 9.0)]
    assert concatenated([found, small], [1, 1]).parts[0][1].parts == ()


def test_a_chain_of_concatenations_keeps_the_parts_that_differ_most() -> None:
    sizes = [1e6, *(1.0 + i / 100 for i in range(20)), 1e-6]
    found = gaussian(0.0, sizes[0], 0.0, 0.0, 0.0, 1.0)
    for i, size in enumerate(sizes[1:], 1):
        found = concatenated([found, gaussian(0.0, size, 0.0, 0.0, 0.0, 1.0)], [i, 1])
    assert len(found.parts) == MOST_PARTS
    assert sum(share for share, _ in found.parts) == pytest.approx(1.0)
    assert found.parts[0] == (pytest.approx(1 / 22), gaussian(0.0, 1e6, 0.0, 0.0, 0.0, 1.0))
    assert found.parts[-1][1].second_moment == 1e-6
    assert sum(share * part.second_moment for share, part in found.parts) == pytest.approx(found.second_moment)


def test_gradients_of_parts_are_added_where_they_overlap() -> None:
    def diff(square: float, *parts: tuple[float, float]) -> Diffs:
        each = tuple((share, Diffs(of, of**0.5, 0.0, 0.0, 0.0)) for share, of in parts)
        return Diffs(square, square**0.5, 0.0, 0.0, 0.0, parts=each)

    found = sum_with_parts(diff(2.5, (0.5, 1.0), (0.5, 4.0)), diff(7.0, (0.25, 16.0), (0.75, 4.0)))
    assert [(share, part.second_moment) for share, part in found.parts] == [(0.25, 17.0), (0.25, 5.0), (0.5, 8.0)]
    assert found.second_moment == 9.5
    assert cut(found, 0.0, 0.25).second_moment == 17.0
    assert cut(found, 0.25, 1.0).second_moment == pytest.approx(7.0)
    assert [share for share, _ in cut(found, 0.25, 1.0).parts] == pytest.approx([1 / 3, 2 / 3])
    assert sum_with_parts(diff(1.0), diff(2.0)).parts == ()
    assert [part.second_moment for _, part in sum_with_parts(diff(1.0), found).parts] == [18.0, 6.0, 9.0]


def test_the_size_of_what_is_not_finite_is_not_finite() -> None:
    assert math.isnan(gaussian_mean_abs(math.nan, 1.0))
    assert gaussian_mean_abs(-math.inf, 1.0) == math.inf
    assert gaussian_mean_abs(0.0, math.inf) == math.inf
