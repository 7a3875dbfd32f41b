"""Where the initial weights of a training come from: the sources of evidence, and their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_lint.engine.files_in_memory import Files, nets_for
from caffe_lint.net.job import Job, SolverFile
from caffe_lint.net.weights_origin import WeightsOrigin
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.settings.settings import Settings
from caffe_lint.source.repository_files import forget_repositories
from caffe_lint.source.run_scripts import forget_runs

SOLVER = 'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 100\n'
DATA = """\
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param { shape { dim: 8 dim: 6 } shape { dim: 8 } }
}
"""


def net(fillers: str) -> str:
    """A chain of InnerProduct layers: F has a filler, Z has none, z has none and does not learn, 0 is constant 0."""
    text, bottom = DATA, "data"
    for number, kind in enumerate(fillers):
        filler = {"F": 'weight_filler { type: "xavier" }', "0": 'weight_filler { type: "constant" }'}.get(kind, "")
        frozen = "param { lr_mult: 0 }" * (kind == "z")
        text += (
            f'layer {{ name: "ip{number}" type: "InnerProduct" bottom: "{bottom}" top: "ip{number}" {frozen}'
            f" inner_product_param {{ num_output: 6 {filler} }} }}\n"
        )
        bottom = f"ip{number}"
    return text + f'layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "{bottom}" bottom: "label" top: "loss" }}\n'


def job_of(solver: str, fillers: str) -> Job:
    files = Files(caffe_schema(), None)
    files.add("solver.prototxt", solver.encode())
    files.add("net.prototxt", net(fillers).encode())
    return nets_for(files, Settings()).job(SolverFile(files.get("solver.prototxt")), None)


def origin_of(solver: str, fillers: str) -> WeightsOrigin:
    return job_of(solver, fillers).origin


def test_fillers_are_taken_unless_something_speaks_against_them() -> None:
    assert origin_of(SOLVER, "FFF") == WeightsOrigin("fillers")


def test_weights_in_the_solver() -> None:
    found = origin_of(SOLVER + 'weights: "first.caffemodel"\n', "FFF")
    assert found == WeightsOrigin("loaded", "weights are loaded (solver.prototxt:5)", is_stated=True)
    assert origin_of(SOLVER + 'weights: ""\n', "FFF").kind == "fillers"


def test_a_net_without_any_filler_is_loaded() -> None:
    found = origin_of(SOLVER, "ZZZ")
    assert (found.kind, found.evidence, found.is_stated) == (
        "loaded",
        "weights are loaded (no layer has a weight_filler)",
        False,
    )


def test_a_single_layer_without_a_filler_can_learn_from_zero() -> None:
    assert origin_of(SOLVER, "Z").kind == "fillers"


def test_new_layers_after_ones_without_fillers() -> None:
    found = origin_of(SOLVER, "ZZZF")
    assert (found.kind, found.evidence) == ("unknown", "initial weights unknown (3 of 4 layers have no weight_filler)")


def test_a_frozen_layer_without_a_filler_can_only_be_loaded() -> None:
    found = origin_of(SOLVER, "zFFF")
    assert (found.kind, found.evidence) == ("unknown", "initial weights unknown ('ip0' is frozen and has no weight_filler)")


def test_a_single_forgotten_filler_is_a_mistake_and_no_evidence() -> None:
    assert origin_of(SOLVER, "FFZFF").kind == "fillers"
    assert origin_of(SOLVER, "00F").kind == "fillers"


def test_weights_are_only_said_to_be_loaded_where_somebody_wrote_it() -> None:
    job = job_of(SOLVER, "ZZZ")
    assert job.train is not None
    assert not job.train.weights_loaded
    job = job_of(SOLVER + 'weights: "first.caffemodel"\n', "ZZZ")
    assert job.train is not None
    assert job.train.weights_loaded


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, the working directory, in which `origin_of` finds scripts."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    forget_repositories()
    forget_runs()
    return tmp_path


def with_scripts(folder: Path, fillers: str = "FFF", solver: str = SOLVER, **scripts: str) -> WeightsOrigin:
    for name, text in scripts.items():
        (folder / f"{name}.sh").write_text(text)
    return origin_of(solver, fillers)


TRAIN = "caffe train --solver=solver.prototxt"


def test_a_script_that_loads_weights(folder: Path) -> None:
    found = with_scripts(folder, train=f"#!/bin/sh\n{TRAIN} --weights=vgg.caffemodel -gpu 0,1\n")
    assert found == WeightsOrigin("loaded", "weights are loaded (train.sh:2)", True, 2, "2 GPUs (train.sh:2)")
    assert found.assumed == ["weights are loaded (train.sh:2)", "2 GPUs (train.sh:2)"]


def test_a_script_without_weights_says_fillers_whatever_the_net_looks_like(folder: Path) -> None:
    found = with_scripts(folder, fillers="ZZZ", train=TRAIN)
    assert found == WeightsOrigin("fillers", "initial weights from fillers (train.sh:1)", is_stated=True)


def test_scripts_that_disagree(folder: Path) -> None:
    found = with_scripts(folder, a_scratch=TRAIN, b_tune=TRAIN + " --weights=x")
    evidence = "initial weights unknown (b_tune.sh:1 loads weights, a_scratch.sh:1 does not)"
    assert found == WeightsOrigin("unknown", evidence, is_stated=True)


def test_a_script_that_resumes_does_not_say_how_the_training_began(folder: Path) -> None:
    resume = TRAIN + " --snapshot=net_iter_10.solverstate"
    assert with_scripts(folder, resume=resume).kind == "loaded"
    forget_repositories()
    forget_runs()
    assert with_scripts(folder, resume=resume, train=TRAIN).evidence == "initial weights from fillers (train.sh:1)"


def test_a_script_that_decides_when_it_runs(folder: Path) -> None:
    found = with_scripts(folder, train=TRAIN + " $EXTRA")
    assert (found.kind, found.evidence) == ("unknown", "initial weights unknown (train.sh:1 may load weights)")


def test_the_solver_comes_before_scripts(folder: Path) -> None:
    found = with_scripts(folder, solver=SOLVER + 'weights: "x"\n', train=TRAIN)
    assert (found.kind, found.evidence) == ("loaded", "weights are loaded (solver.prototxt:5)")


def test_numbers_of_gpus(folder: Path) -> None:
    found = with_scripts(folder, a=TRAIN + " -gpu 0,1", b=TRAIN + " -gpu 0,1,2,3")
    assert (found.gpus, found.gpus_evidence) == (1, "number of GPUs unknown (2: a.sh:1, 4: b.sh:1)")
    forget_repositories()
    forget_runs()
    found = with_scripts(folder, a=TRAIN + " -gpu all", b=TRAIN)
    assert (found.gpus, found.gpus_evidence) == (1, "number of GPUs unknown (a.sh:1: all)")
