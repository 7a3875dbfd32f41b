"""Fields that a solver lacks, and what is written for them; rates that grow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness import NET, check, fix

from caffe_lint.source.files import forget_folders

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
        (['lr_policy: "step"', "gamma: 0.001", "power: 0.5"], ['lr_policy: "inv"', "gamma: 0.001", "power: 0.5"]),
        (['lr_policy: "multistep"', "gamma: 1e-4", "power: 0.75"], ['lr_policy: "inv"', "gamma: 1e-4", "power: 0.75"]),
        (
            ['lr_policy: "step"', "gamma: 0.5", "power: 0.75"],
            ['lr_policy: "step"', "stepsize: 1000", "gamma: 0.5", "power: 0.75"],
        ),
        (
            ['lr_policy: "multistep"', "gamma: 1e-4", "power: 0.75", "stepsize: 9"],
            ['lr_policy: "step"', "gamma: 1e-4", "power: 0.75", "stepsize: 9"],
        ),
    ],
)
def test_what_a_policy_lacks_is_written_when_asked_for(policy: list[str], mended: list[str]) -> None:
    text = solver(*policy)
    assert [code for code, _ in found(text, "S122")] == ["S122"]
    assert fix(text, "solver.prototxt", select=("S122",)) == text
    assert fix(text, "solver.prototxt", select=("S122",), unsafe=True) == solver(*mended)
    assert found(solver(*mended), "S122") == []


def test_the_constants_of_inv_are_named_once() -> None:
    text = solver('lr_policy: "step"', "gamma: 0.0001", "power: 0.75")
    (finding,) = check(text, "solver.prototxt", select=("S122", "S124"))
    assert finding.message.endswith("lacks stepsize; gamma and power belong to inv")


@pytest.mark.parametrize(
    "policy", [['lr_policy: "exp"'], ['lr_policy: "sigmoid"', "stepsize: 9"], ['lr_policy: "multistep"']]
)
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
    ("path", "net", "files", "prefix"),
    [
        ("solver.prototxt", "n.prototxt", ["n.prototxt"], "solver"),
        ("models/a/solver.prototxt", "n.prototxt", ["models/a/n.prototxt"], "solver"),
        ("models/a/solver.prototxt", "models/a/n.prototxt", ["models/a/n.prototxt"], "models/a/solver"),
        ("models/a/solver.prototxt", "a/n.prototxt", ["models/a/n.prototxt"], "a/solver"),
        ("models/a/solver.prototxt", "../b/n.prototxt", ["models/b/n.prototxt"], "solver"),
        ("models/a/solver.prototxt", "n.prototxt", [], None),  # the net is not found
        ("models/a/solver.prototxt", "n.prototxt", ["other/n.prototxt"], None),  # it is found elsewhere
        ("models/a/solver.prototxt", "n.prototxt", ["n.prototxt", "models/a/n.prototxt"], None),  # from two folders
        ("models/a/solver.prototxt", "/data/n.prototxt", ["models/a/n.prototxt"], None),
    ],
)
@pytest.mark.parametrize("current", [".", "models", "models/a"])
def test_a_snapshot_prefix_is_relative_to_where_caffe_is_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    net: str,
    files: list[str],
    prefix: str | None,
    current: str,
) -> None:
    text = solver('lr_policy: "fixed"').replace("net.prototxt", net)
    without = text.replace('snapshot_prefix: "small"\n', "")
    for file in (path, *files):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(NET)
    (tmp_path / ".git").mkdir()
    (tmp_path / "models" / "a").mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(without)
    for named in (os.path.relpath(tmp_path / path, tmp_path / current), str(tmp_path / path)):
        monkeypatch.chdir(tmp_path / current)
        forget_folders()
        patched = fix(without, named, select=("S110",))
        assert patched == (without if prefix is None else text.replace('"small"', f'"{prefix}"'))
