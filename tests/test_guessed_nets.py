"""A net that is found by nothing but the end of its path: what rests on it is no default fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import runner

from caffe_lint.cli.commands import cli

NET = """\
layer { name: "data" type: "Data" top: "data" top: "label"
  transform_param { scale: 0.00390625 } data_param { source: "train" batch_size: 64 backend: LMDB } }
layer { name: "hidden" type: "InnerProduct" bottom: "data" top: "hidden"
  inner_product_param { num_output: 200 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "hidden" top: "hidden" }
layer { name: "ip" type: "InnerProduct" bottom: "hidden" top: "ip"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
FACTS = """{"train": {"kind": "lmdb", "items": 6000, "shape": [1, 28, 28], "min": 0, "max": 255, "mean": 33.0, "mean_abs": 33.0,
  "std": 78.0, "labels": [0, 9]}}"""
SOLVER = 'net: "{}"\nbase_lr: {}\nlr_policy: "fixed"\nmomentum: 0.9\nmax_iter: 1000\n'


@pytest.mark.parametrize(("written", "where", "is_default"), [
    ("gone/train.prototxt", "a/train.prototxt", True),  # beside the solver: jobs are copied as folders
    ("gone/b/train.prototxt", "b/train.prototxt", True),
    ("gone/train.prototxt", "b/train.prototxt", False),
    ("net/train.prototxt", "b/net/train.prototxt", False),  # of another experiment
    ("/gone/net/train.prototxt", "b/net/train.prototxt", True),
    ("../gone/b/net/train.prototxt", "b/net/train.prototxt", True),  # the solver's folder is below the one above
])  # fmt: skip
@pytest.mark.parametrize("base_lr", ["0.01", "10"])
def test_a_fix_is_default_only_if_it_is_certain_which_net_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, where: str, is_default: bool, base_lr: str
) -> None:
    (tmp_path / ".git").mkdir()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_text(NET)
    (tmp_path / "facts.json").write_text(FACTS)
    solver = tmp_path / "a" / "solver.prototxt"
    solver.write_text(SOLVER.format(written, base_lr))
    monkeypatch.chdir(tmp_path)
    said = runner().invoke(cli, ["check", "a/solver.prototxt", "--select", "P101"], standalone_mode=False).stdout
    assert "net-found-elsewhere" in said
    assert ("This is a guess" in said) is not is_default
    options = ["check", "a/solver.prototxt", "--select", "G", "--data-facts", "facts.json", "--from-scratch"]
    runner().invoke(cli, [*options, "--fix"], standalone_mode=False)
    assert (solver.read_text() != SOLVER.format(written, base_lr)) == is_default
    runner().invoke(cli, [*options, "--fix", "--unsafe-fixes"], standalone_mode=False)
    assert solver.read_text() != SOLVER.format(written, base_lr)
