"""Predicted values and gradients of iteration 0 against simulated ones, where they were once wrong."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="the simulator needs numpy")

from nets import layer_of

from caffe_lint.layers.models import model_class
from caffe_lint.moments.signal_model import Gradient, sum_of_gradients
from caffe_lint.moments.statistics import gaussian

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks, which compare them, are not here", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
from layer_probes import probes  # noqa: E402
from random_trainings import job_of_training, training  # noqa: E402
from signal_against_simulation import BACKWARD, FORWARD, compared, job_of_probe  # noqa: E402

PROBES = {name: text for _, name, text in probes()}


@pytest.mark.parametrize(
    "name",
    [
        "PReLU-0-gaussian", "PReLU-1-shifted", "PReLU-0-rectified", "Crop-of0-gaussian", "MVN-0-shifted", "MVN-1-pixels",
        "MVN-2-rectified", "Normalize-1-gaussian", "BN-1-gaussian", "TanH-0-pixels", "Sigmoid-0-shifted", "Clip-0-pixels",
        "Reduction-1-pixels", "Reduction-3-shifted", "Reduction-0-gaussian", "Reduction-7-gaussian", "Eltwise-of2-shifted", "ContrastiveLoss-0-0.3",
        "ContrastiveLoss-2-3", "CenterLoss-0-0.3", "CenterLoss-1-3", "CenterLoss-2-0.01", "Deconvolution-classified-4", "BatchNorm-0-pixels",
    ],
)  # fmt: skip
def test_a_layer_alone_is_predicted(name: str, tmp_path: Path) -> None:
    rows = list(compared(name, job_of_probe(PROBES[name], tmp_path)))
    assert any(row.is_forward for row in rows)
    assert any(not row.is_forward for row in rows)
    assert [row for row in rows if row.factor > (FORWARD if row.is_forward else BACKWARD)] == []


@pytest.mark.parametrize(
    ("family", "number", "seed"),
    [
        ("triplet", 1, 0),
        ("triplet", 0, 0),
        ("triplet", 3, 0),
        ("triplet", 9, 0),
        ("lstm", 5, 0),
        ("sequence", 0, 0),
        ("standardised", 4, 0),
        ("siamese", 0, 0),
        ("gan", 2, 0),
        ("mobile", 1, 0),
        ("autoencoder", 4, 0),
        ("fcn", 2, 0),
        ("zero_start", 0, 0),
        ("triplet", 4, 0),
        ("mobile", 3, 0),
        ("alexnet", 11, 7),
        ("alexnet", 12, 7),
        ("siamese", 18, 7),
        ("unet", 0, 7),
    ],
)
def test_gradients_of_a_training_are_predicted(family: str, number: int, seed: int) -> None:
    rows = list(compared(family, job_of_training(training(family, number, seed))))
    assert rows
    assert [row for row in rows if row.begins_here] == []


def test_what_is_interpolated_for_all_classes_together_gets_no_gradient(tmp_path: Path) -> None:
    rows = list(compared("it", job_of_probe(PROBES["Deconvolution-classified-1"], tmp_path)))
    below = [row for row in rows if row.key == ("B", "y_layer", "bottom", "x")]
    assert [row.ours for row in below] == [0.0]
    assert list(below[0].simulated) == [0.0, 0.0, 0.0]


def test_gradients_of_two_losses_cancel_in_what_they_share() -> None:
    assert sum_of_gradients(Gradient(1.0, 1.0, -1.0), Gradient(1.0, 1.0, 1.0)).mean_abs == 0
    assert sum_of_gradients(Gradient(1.0, 1.0, 1.0), Gradient(1.0, 1.0, 1.0)).mean_abs == pytest.approx(2)
    assert sum_of_gradients(Gradient(1.0, 1.0), Gradient(1.0, 1.0)).mean_abs == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(("kind", "area"), [("Sigmoid", 1.0), ("TanH", 2.0)])
@pytest.mark.parametrize("deviation", [0.5, 2.9, 3.1, 20.0, 1e4])
def test_slopes_of_saturated_units_are_those_of_the_few_near_0(kind: str, area: float, deviation: float) -> None:
    layer = layer_of(f'type: "{kind}" bottom: "x" top: "y"', {"x": "2 3"}).layers[-1]
    model = model_class("elementwise.ElementwiseFunction")(layer, None)
    values = gaussian(0.0, deviation * deviation, 0.0, 0.0, 0.0, 1.0)
    mean, size, square = model.slopes(values)
    assert mean == pytest.approx(size)
    assert mean**2 <= square <= size
    if deviation > 10:  # the area below the slope, times the density of the values at 0
        assert mean == pytest.approx(area / (deviation * math.sqrt(2 * math.pi)), rel=0.02)
    assert model.slope_pair(mean, square, 0.0) == pytest.approx(mean * mean)
    assert model.slope_pair(mean, square, 1.0) == pytest.approx(square, rel=0.02)
