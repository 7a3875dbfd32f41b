"""Where the initial weights of a training come from: the sources of evidence, and their order."""

from __future__ import annotations

from caffe_lint.engine.files_in_memory import Files, nets_for
from caffe_lint.net.job import Job, SolverFile
from caffe_lint.net.weights_origin import WeightsOrigin
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.settings.settings import Settings

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
