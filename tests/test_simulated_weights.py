"""Simulated trainings that start from the values of a .caffemodel."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy", reason="the simulator needs numpy")

import numpy as np
from harness import NET, SOLVER, runner
from test_guessed_nets import FACTS
from test_guessed_nets import NET as STORED
from test_trained_weights import model

from caffe_lint.cli.commands import cli
from caffe_lint.data import caffemodel
from caffe_lint.engine.files_in_memory import Files
from caffe_lint.net.job import Job, Nets, SolverFile
from caffe_lint.net.weights_origin import StatedOrigin
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.simulation.simulating import Plan, planned, simulate
from caffe_lint.source.run_scripts import forget_runs

SCORE = np.random.default_rng(0).standard_normal((10, 768)).astype(np.float32) * 0.02
BIAS = np.zeros(10, np.float32)
CONV = """layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 64 kernel_size: 3 pad: 1 weight_filler { type: "msra" } }
}
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "score" """
DEEP = NET.replace('layer {\n  name: "score"', CONV).replace('bottom: "data"\n  top: "score"', 'bottom: "pool" top: "score"')
FROZEN_NORM = """layer { name: "norm" type: "BatchNorm" bottom: "data" top: "norm" batch_norm_param { use_global_stats: true } }
layer {
  name: "score" """
NORMALISED = NET.replace('layer {\n  name: "score"', FROZEN_NORM).replace('bottom: "data"\n  top: "score"', 'bottom: "norm" top: "score"')


def written(folder: Path, net: str = NET, solver: str = SOLVER) -> Path:
    """The solver of a training whose files were written."""
    (folder / "net.prototxt").write_text(net)
    path = folder / "solver.prototxt"
    path.write_text(solver.replace("net.prototxt", str(folder / "net.prototxt")))
    return path


def run(*arguments: str) -> str:
    """The standard output of a command."""
    done = runner().invoke(cli, arguments, standalone_mode=False)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return str(done.stdout)


def as_json(solver: Path, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("simulate", str(solver), "--output-format", "json", *options))
    return found


def job_with(solver: Path, weights: str) -> Job:
    files = Files(caffe_schema(), "bvlc")
    stated = StatedOrigin(weights=weights, read=caffemodel.read_weights)
    return Nets(files.get, None, weights=stated).job(SolverFile(files.get(str(solver)), None), None)


def test_the_values_of_a_file_are_trained(tmp_path: Path) -> None:
    solver = written(tmp_path)
    calm = as_json(solver, "--weights", model(tmp_path / "calm.caffemodel", {"score": [SCORE, BIAS]}))
    wild = as_json(solver, "--weights", model(tmp_path / "wild.caffemodel", {"score": [SCORE * 1e6, BIAS]}))
    assert calm["verdict"] == "learns"
    assert wild["losses"][0] > 50 > calm["losses"][0]


@pytest.mark.parametrize("form", ["layer", "v1", "v0", "hdf5"])
def test_constant_values_of_a_file_are_those_of_a_constant_filler(tmp_path: Path, form: str) -> None:
    constant = NET.replace('type: "xavier"', 'type: "constant" value: 0.125')
    solver = written(tmp_path, constant)
    weights = np.full((10, 768), 0.125, np.float32)
    path = str(tmp_path / "a.caffemodel")
    if form == "hdf5":
        h5py = pytest.importorskip("h5py", reason="weights in HDF5 need h5py")
        with h5py.File(path, "w") as file:
            file["data/score/0"], file["data/score/1"] = weights, BIAS
    else:
        model(Path(path), {"other": [BIAS], "score": [weights, BIAS]}, form=form)
    by_filler = run("simulate", str(solver), "--from-scratch", "--output-format", "log")
    by_file = run("simulate", str(solver), "--weights", path, "--output-format", "log")
    values = re.compile(r"\[(?:Forward|Backward)\].*|Iteration \d+, loss.*")
    assert len(values.findall(by_file)) > 200
    assert values.findall(by_file) == values.findall(by_filler)


def test_nothing_is_told_with_high_confidence_of_loaded_weights(tmp_path: Path) -> None:
    solver = written(tmp_path, solver=SOLVER.replace("base_lr: 0.01", "base_lr: 1e30").replace("clip_gradients: 10\n", ""))
    found = as_json(solver, "--weights", model(tmp_path / "a.caffemodel", {"score": [SCORE, BIAS]}))
    assert found["verdict"] == "diverges"
    assert 0.5 < found["p_diverges"] <= 0.85


def test_a_repair_of_a_training_from_loaded_weights_is_unsafe(tmp_path: Path) -> None:
    solver = written(tmp_path, STORED, SOLVER.replace("base_lr: 0.01", "base_lr: 10").replace("clip_gradients: 10\n", ""))
    (tmp_path / "facts.json").write_text(FACTS)
    values = np.random.default_rng(0).standard_normal((200, 784)).astype(np.float32) * 0.03
    path = model(tmp_path / "a.caffemodel", {"hidden": [values, np.zeros(200, np.float32)]})
    before = solver.read_text()
    check = ("check", str(solver), "--simulate", "--data-facts", str(tmp_path / "facts.json"), "--select", "G102")
    said = " ".join(run(*check, "--weights", path).split())
    assert "The fix is unsafe: it is not certain that it diverges as it is." in said
    run(*check, "--weights", path, "--fix")
    assert solver.read_text() == before
    run(*check, "--from-scratch", "--fix")
    assert solver.read_text() != before


def test_other_layers_start_from_their_fillers(tmp_path: Path) -> None:
    solver = written(tmp_path)
    path = model(tmp_path / "a.caffemodel", {"other": [SCORE * 1e6, BIAS]})
    assert as_json(solver, "--weights", path)["losses"][0] < 10


def test_of_several_files_the_last_counts(tmp_path: Path) -> None:
    solver = written(tmp_path)
    wild = model(tmp_path / "wild.caffemodel", {"score": [SCORE * 1e6, BIAS]})
    calm = model(tmp_path / "calm.caffemodel", {"score": [SCORE, BIAS]})
    assert as_json(solver, "--weights", f"{wild},{calm}")["losses"] == as_json(solver, "--weights", f"{calm},{calm}")["losses"]


def test_a_shared_parameter_is_copied_by_the_layer_that_a_file_has(tmp_path: Path) -> None:
    shared = NET.replace('name: "score"\n', 'name: "score" param { name: "w" } param { name: "b" }\n', 1)
    second = 'layer { name: "again" type: "InnerProduct" bottom: "data" top: "again" param { name: "w" } param { name: "b" }'
    net = shared + second + " inner_product_param { num_output: 10 } }\n"
    solver = written(tmp_path, net + 'layer { name: "drop" type: "Silence" bottom: "again" }\n')
    path = model(tmp_path / "a.caffemodel", {"again": [SCORE * 1e6, BIAS]})
    assert as_json(solver, "--weights", path)["losses"][0] > 50


def test_statistics_of_a_file_are_used_where_the_signal_knows_only_their_sizes(tmp_path: Path) -> None:
    solver = written(tmp_path, NORMALISED)
    statistics = [np.full(3, 0.5, np.float32), np.full(3, 4.0, np.float32), np.full(1, 2.0, np.float32)]
    path = model(tmp_path / "a.caffemodel", {"norm": statistics})
    told = run("signal", str(solver), "--weights", path)
    assert "'norm' normalises with the statistics of a file (use_global_stats)" in told
    assert "run caffe-lint simulate" in told
    log = run("simulate", str(solver), "--weights", path, "--output-format", "log")
    size = float(re.findall(r"Layer norm, top blob norm data: (\S+)", log)[0])
    inputs = float(re.findall(r"Layer data, top blob data data: (\S+)", log)[0])
    assert size == pytest.approx(inputs / 2**0.5, rel=0.1)  # the variance is 4 / 2, and the mean of 0.25 is small


def test_what_loaded_weights_do_not_fit_is_not_cut(tmp_path: Path) -> None:
    solver = written(tmp_path, DEEP)
    path = model(tmp_path / "a.caffemodel", {"conv": [np.full((64, 3, 3, 3), 0.1, np.float32), np.zeros(64, np.float32)]})
    budget = 0.02
    cut = planned(job_with(solver, path), Plan(budget=budget))
    assert not isinstance(cut, list)  # which fits only with fewer outputs
    without = planned(job_with(solver, model(tmp_path / "b.caffemodel", {"score": [SCORE[:, :64], BIAS]})), Plan(budget=budget))
    assert not isinstance(without, list)
    other = planned(job_with(solver, model(tmp_path / "c.caffemodel", {"elsewhere": [BIAS]})), Plan(budget=budget))
    assert isinstance(other, list)
    assert any("outputs" in each for each in other[0].said)


def test_a_file_that_changed_after_it_was_checked_is_named(tmp_path: Path) -> None:
    solver = written(tmp_path)
    path = model(tmp_path / "a.caffemodel", {"score": [SCORE, BIAS]})
    job = job_with(solver, path)
    assert job.origin.trained is not None
    for layers in ({"score": [SCORE[:5], BIAS]}, {"other": [SCORE, BIAS]}, {"score": [SCORE]}):
        model(Path(path), layers)
        found = simulate(job, Plan())
        assert found.word == "cannot tell"
        assert found.cannot_tell is not None
        assert f"{path} has changed" in found.cannot_tell.reason
    Path(path).write_bytes(b"no weights")
    found = simulate(job, Plan())
    assert found.cannot_tell is not None
    assert path in found.cannot_tell.reason


def test_results_are_kept_by_the_values_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from caffe_lint.simulation import for_rules

    simulations: list[object] = []
    original = for_rules.simulated

    def counted(job: Job, effort: Any) -> Any:
        simulations.append(effort)
        return original(job, effort)

    monkeypatch.setattr(for_rules, "simulated", counted)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    solver = written(tmp_path, solver=SOLVER.replace("0.01", "0.0125"))
    path = tmp_path / "a.caffemodel"
    check = ("check", str(solver), "--simulate", "--weights", str(path))
    model(path, {"score": [SCORE, BIAS]})
    first = run(*check)
    number = len(simulations)
    assert number > 0
    assert run(*check) == first
    assert len(simulations) == number
    model(path, {"score": [SCORE * 1.5, BIAS]})
    run(*check)
    assert len(simulations) > number


def test_the_file_that_a_script_names_is_read_where_a_training_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("train.sh").write_text("caffe train -solver solver.prototxt -weights a.caffemodel\n")
    solver = Path("solver.prototxt")
    model(Path("a.caffemodel"), {"score": [SCORE * 1e6, BIAS]})
    named = dict(as_json(solver))
    assert named.pop("assumed")[-1] == "initial weights of a.caffemodel (train.sh:1)"
    given = dict(as_json(solver, "--weights", "a.caffemodel"))
    assert given.pop("assumed")[-1] == "initial weights of a.caffemodel"
    assert named == given
    assert as_json(solver, "--from-scratch")["losses"][0] < 50 < named["losses"][0]
    assert json.loads(run("signal", str(solver), "--output-format", "json"))["loss"] > 50
    assert "weights are loaded (train.sh:1)" in run("check", str(solver))


@pytest.mark.parametrize("content", [b"", b"no weights", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"])
def test_a_file_that_a_script_names_and_that_cannot_be_read_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / ".git").mkdir()
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("train.sh").write_text("caffe train -solver solver.prototxt -weights a.caffemodel\n")
    Path("a.caffemodel").write_bytes(content)
    found = as_json(Path("solver.prototxt"))
    assert found["verdict"] == "cannot tell"
    assert "losses" not in found or not found["losses"]


@pytest.mark.parametrize("named_by", ["option", "script"])
def test_kept_results_of_a_simulation_go_by_the_values_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    written(repository, solver=SOLVER.replace("clip_gradients: 10\n", ""))
    monkeypatch.chdir(repository)
    Path("train.sh").write_text("caffe train -solver solver.prototxt -weights a.caffemodel\n")
    check = ["check", "solver.prototxt", "--simulate", "--cache-dir", str(tmp_path / "kept"), "--output-format", "json"]
    told = []
    for factor in (1, 1, 1e6, 1e6):
        model(Path("a.caffemodel"), {"score": [SCORE * np.float32(factor), BIAS]})
        forget_runs()
        told.append(run(*check, *(["--weights", "a.caffemodel"] if named_by == "option" else [])))
    assert told[0] == told[1] != told[2] == told[3]
