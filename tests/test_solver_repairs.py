"""Fields that a solver lacks, and what is written for them; rates that grow."""

from __future__ import annotations

import pytest
from harness import check, fix

SOLVER = """\
net: "net.prototxt"
base_lr: 0.01
POLICY
max_iter: 3000
snapshot: 500
snapshot_prefix: "small"
"""


def solver(*policy: str) -> str:
    return SOLVER.replace("POLICY", "\n".join(policy))


def found(text: str, select: str) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in check(text, "solver.prototxt", select=(select,))]


@pytest.mark.parametrize(
    ("policy", "mended"),
    [
        (['lr_policy: "step"', "stepsize: 1000"], ['lr_policy: "step"', "gamma: 0.1", "stepsize: 1000"]),
        (['lr_policy: "multistep"', "stepvalue: 9"], ['lr_policy: "multistep"', "gamma: 0.1", "stepvalue: 9"]),
        (['lr_policy: "inv"'], ['lr_policy: "inv"', "gamma: 0.0001", "power: 0.75"]),
        (['lr_policy: "poly"'], ['lr_policy: "poly"', "power: 1"]),
        (['lr_policy: "step"', "gamma: 0.5"], ['lr_policy: "step"', "stepsize: 1000", "gamma: 0.5"]),
        (['lr_policy: "step"', "gamma: 0.5", "stepvalue: 9"], ['lr_policy: "multistep"', "gamma: 0.5", "stepvalue: 9"]),
        (['lr_policy: "multistep"', "gamma: 0.5", "stepsize: 9"], ['lr_policy: "step"', "gamma: 0.5", "stepsize: 9"]),
    ],
)
def test_what_a_policy_lacks_is_written_when_asked_for(policy: list[str], mended: list[str]) -> None:
    text = solver(*policy)
    assert [code for code, _ in found(text, "S122")] == ["S122"]
    assert fix(text, "solver.prototxt", select=("S122",)) == text
    assert fix(text, "solver.prototxt", select=("S122",), unsafe=True) == solver(*mended)
    assert found(solver(*mended), "S122") == []


@pytest.mark.parametrize("policy", [['lr_policy: "exp"'], ['lr_policy: "sigmoid"', "stepsize: 9"], ['lr_policy: "multistep"']])
def test_what_cannot_be_known_is_not_written(policy: list[str]) -> None:
    (finding,) = check(solver(*policy), "solver.prototxt", select=("S122",))
    assert finding.fix is None


@pytest.mark.parametrize(
    ("policy", "grows"),
    [
        (['lr_policy: "step"', "gamma: 10", "stepsize: 1000"], True),
        (['lr_policy: "step"', "gamma: 10", "stepsize: 3000"], False),
        (['lr_policy: "multistep"', "gamma: 2", "stepvalue: 2999"], True),
        (['lr_policy: "exp"', "gamma: 1.001"], True),
        (['lr_policy: "step"', "gamma: 1", "stepsize: 1000"], False),
        (['lr_policy: "inv"', "gamma: 10", "power: 0.75"], False),
        (['lr_policy: "fixed"', "gamma: 10"], False),
    ],
)
def test_a_gamma_over_one_makes_the_rate_grow(policy: list[str], grows: bool) -> None:
    assert found(solver(*policy), "S129") == [("S129", "warning")] * grows


def test_a_growing_rate_is_turned_round() -> None:
    text = solver('lr_policy: "step"', "gamma: 10", "stepsize: 1000")
    assert fix(text, "solver.prototxt", select=("S129",)) == text
    assert fix(text, "solver.prototxt", select=("S129",), unsafe=True) == text.replace("gamma: 10", "gamma: 0.1")


@pytest.mark.parametrize(
    ("path", "prefix"),
    [("solver.prototxt", "solver"), ("models/a/solver.prototxt", "models/a/solver"), ("/somewhere/quick.prototxt", "quick")],
)
def test_a_snapshot_prefix_is_that_which_caffe_makes(path: str, prefix: str) -> None:
    text = solver('lr_policy: "fixed"')
    without = text.replace('snapshot_prefix: "small"\n', "")
    assert fix(without, path, select=("S110",)) == text.replace('"small"', f'"{prefix}"')
