"""Fixes in a file that several checks look at: none is lost, whoever comes first."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness import run as run_program

TRAIN = """\
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param { shape { dim: 8 dim: 3 } shape { dim: 8 } }
}
layer {
  name: "ip1"
  type: "InnerProduct"
  bottom: "data"
  top: "ip1"
  inner_product_param { num_output: 50 weight_filler { type: "xavier" } }
}
layer { name: "relu" type: "ReLU" bottom: "ip1" top: "ip1" }
layer {
  name: "score"
  type: "InnerProduct"
  bottom: "ip1"
  top: "ip"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
# Two mistakes: a name that only the training net shows to be wrong, hidden by a layer type that nobody has.
DEPLOY = """\
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1" inner_product_param { num_output: 50 } }
layer { name: "relu" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "scores" type: "InnerProduct" bottom: "ip1" top: "ip" inner_product_param { num_output: 10 } }
layer { name: "prob" type: "SoftMax" bottom: "ip" top: "prob" }
"""
SOLVER = """\
net: "{net}"
base_lr: 0.01
lr_policy: "fixed"
momentum: 0.9
max_iter: 100
clip_gradients: 10
snapshot_prefix: "small"
"""
REPAIRED = DEPLOY.replace("scores", "score").replace("SoftMax", "Softmax")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train_val.prototxt").write_text(TRAIN)
    (tmp_path / "deploy.prototxt").write_text(DEPLOY)
    (tmp_path / "solver.prototxt").write_text(SOLVER.format(net="train_val.prototxt"))
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program(folder, *arguments, "--select", "E,N")


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    "paths", [("solver.prototxt", "deploy.prototxt"), ("deploy.prototxt", "solver.prototxt"), (".",)]
)
def test_a_deploy_net_gets_the_fixes_of_its_solver_and_its_own(folder: Path, paths: tuple[str, ...], jobs: str) -> None:
    done = run(folder, *paths, "--fix", "--unsafe-fixes", "--jobs", jobs)
    assert (folder / "deploy.prototxt").read_text() == REPAIRED
    assert "Fixed 2 findings in 1 file." in done.stdout
    assert done.returncode == 0
    assert "Fixed" not in run(folder, *paths, "--fix", "--unsafe-fixes").stdout


def test_a_fix_of_each_in_one_file_at_the_same_time(folder: Path) -> None:
    deploy = DEPLOY.replace('type: "SoftMax"', 'type: "Softmax" softmax_params { axis: 1 }')
    (folder / "deploy.prototxt").write_text(deploy)
    done = run(folder, ".", "--fix", "--unsafe-fixes")
    expected = deploy.replace("scores", "score").replace("softmax_params", "softmax_param")
    assert (folder / "deploy.prototxt").read_text() == expected
    assert "Fixed 2 findings in 1 file." in done.stdout
    assert done.returncode == 0


def test_the_patch_shown_is_the_one_that_would_be_written(folder: Path) -> None:
    shown = run(folder, ".", "--diff", "--unsafe-fixes").stdout
    assert shown.count("--- a/") == 1
    assert '"score"' in shown
    assert '"Softmax"' in shown
    assert (folder / "deploy.prototxt").read_text() == DEPLOY


def test_two_names_of_one_file_are_written_once(folder: Path) -> None:
    (folder / "models").mkdir()
    for name in ("train_val.prototxt", "deploy.prototxt"):
        (folder / name).rename(folder / "models" / name)
    (folder / "solver.prototxt").write_text(SOLVER.format(net="./models/../models/train_val.prototxt"))
    (folder / "models" / "train_val.prototxt").write_text(TRAIN.replace('"ReLU"', '"Relu"'))
    done = run(folder, "solver.prototxt", "models/", "--fix", "--unsafe-fixes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Fixed 3 findings in 2 files." in done.stdout
    assert (folder / "models" / "deploy.prototxt").read_text() == REPAIRED
    assert (folder / "models" / "train_val.prototxt").read_text() == TRAIN


def test_a_net_that_a_solver_names_twice_is_patched_once(folder: Path) -> None:
    names = 'train_net: "train_val.prototxt"\ntest_net: "./train_val.prototxt"\ntest_iter: 1\ntest_interval: 50\n'
    solver = SOLVER.format(net="").replace('net: ""\n', names)
    (folder / "solver.prototxt").write_text(solver)
    (folder / "train_val.prototxt").write_text(TRAIN.replace('"ReLU"', '"Relu"'))
    done = run(folder, "solver.prototxt", "--fix")
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "train_val.prototxt").read_text() == TRAIN
