"""Trainings that stand still (G108), units that start flat (G109), and bounds that hold nothing."""

from __future__ import annotations

import re

import pytest
from harness import check_files, fix_files

from caffe_lint.moments.blob_facts import BlobFacts
from caffe_lint.net.data_facts import SourceFacts
from caffe_lint.rule.finding import Finding

BYTES = SourceFacts("lmdb", 1000, {"data": BlobFacts((1, 28, 28), 0.0, 255.0, 33.0, 78.0, 33.0)}, (0.0, 9.0), {})
FACTS = {"train": BYTES}
SOLVER = (
    'net: "net.prototxt"\nbase_lr: 1e-6\nlr_policy: "fixed"\nmomentum: 0.9\nmax_iter: 1000\nclip_gradients: 100\n'
    'snapshot_prefix: "a"\n'
)
NET = """\
layer {
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  transform_param { scale: 0.00390625 }
  data_param { source: "train" batch_size: 64 backend: LMDB }
}
layer {
  name: "fc1"
  type: "InnerProduct"
  bottom: "data"
  top: "fc1"
  inner_product_param { num_output: 100 weight_filler { type: "xavier" } }
}
layer { name: "act" type: "ReLU" bottom: "fc1" top: "fc1" }
layer {
  name: "fc2"
  type: "InnerProduct"
  bottom: "fc1"
  top: "fc2"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" }
"""
LARGE = NET.replace("  transform_param { scale: 0.00390625 }\n", "")


def found(code: str, net: str = NET, solver: str = SOLVER, known: bool = True) -> list[Finding]:
    files: dict[str, str | bytes] = {"solver.prototxt": solver, "net.prototxt": net}
    return check_files(files, select=(code,), facts=FACTS if known else {})


def test_a_rate_too_low_to_learn_is_found_and_raised() -> None:
    (finding,) = found("G108")
    assert (finding.severity, finding.place.line) == ("warning", 2)
    assert "of the initial loss" in finding.reason
    files = {"solver.prototxt": SOLVER, "net.prototxt": NET}
    fixed = fix_files(files, unsafe=True, select=("G108",), facts=FACTS)["solver.prototxt"]
    assert fixed == SOLVER.replace("1e-6", "0.001")
    assert found("G108", solver=fixed) == []


def test_with_assumed_data_it_is_advice_and_says_what_was_assumed() -> None:
    net = NET.replace("scale: 0.00390625", "scale: 0.00390625 crop_size: 28")
    (finding,) = found("G108", net, SOLVER.replace("1e-6", "1e-9"), known=False)
    assert finding.severity == "advice"
    assert "assumed: " in finding.reason


@pytest.mark.parametrize(
    ("net", "solver"),
    [
        (NET, SOLVER.replace("1e-6", "0.01")),
        (NET, SOLVER + 'weights: "trained.caffemodel"\n'),
        (NET, SOLVER.replace("max_iter: 1000", "max_iter: 0")),
        (NET.replace('weight_filler { type: "xavier" }', ""), SOLVER),  # zeros: N205
        (NET.replace('weight_filler { type: "xavier" }', 'weight_filler { type: "gaussian" std: 1e-6 }'), SOLVER),  # G106
    ],
)  # fmt: skip
def test_what_learns_or_starts_from_loaded_weights_does_not_stall(net: str, solver: str) -> None:
    assert found("G108", net, solver) == []


def test_no_rate_is_written_if_the_policy_does_not_use_base_lr() -> None:
    warm = SOLVER.replace('"fixed"', '"stagelr"') + "stagelr: 1e-6\nstageiter: 1000\n"
    assert all(finding.fix is None for finding in found("G108", solver=warm))


@pytest.mark.parametrize(
    ("kind", "bias"),
    [("Sigmoid", ""), ("TanH", ""), ("ReLU", ' bias_filler { type: "constant" value: -2000 }')],
)
def test_units_that_start_flat_are_found(kind: str, bias: str) -> None:
    net = LARGE.replace('"ReLU"', f'"{kind}"')
    net = re.sub(r'num_output: 100 .*"xavier" }', f'num_output: 100 weight_filler {{ type: "gaussian" std: 0.2 }}{bias}', net)
    (finding,) = found("G109", net)
    assert finding.place.line == 15
    assert ("dead" if kind == "ReLU" else "saturated") in finding.message
    assert "100.0%" not in finding.message
    assert finding.reason.endswith("or use smaller initial weights in 'fc1'.")


@pytest.mark.parametrize(
    "net",
    [
        NET.replace('"ReLU"', '"Sigmoid"'),
        NET.replace('"ReLU"', '"TanH"'),
        LARGE,
        NET.replace('weight_filler { type: "xavier" }', "", 1),
        NET.replace('type: "ReLU"', 'type: "ReLU" relu_param { negative_slope: 0.1 }').replace(
            'num_output: 100', 'num_output: 100 bias_filler { type: "constant" value: -2000 }'),
    ],
)  # fmt: skip
def test_units_with_a_slope_are_clean(net: str) -> None:
    assert found("G109", net) == []


@pytest.mark.parametrize("bound", ["1e4", "1e6"])
def test_a_threshold_far_above_the_gradients_does_not_lower_the_probability_to_diverge(bound: str) -> None:
    high = SOLVER.replace("1e-6", "1")
    without = found("G102", LARGE, high.replace("clip_gradients: 100\n", ""))
    bounded = found("G102", LARGE, high.replace("clip_gradients: 100", f"clip_gradients: {bound}"))
    assert [finding.message for finding in bounded] == [finding.message for finding in without]
    assert "likely to diverge" in bounded[0].message
    assert bounded[0].confidence == "high"
