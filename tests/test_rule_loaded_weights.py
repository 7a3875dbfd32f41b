"""Files of trained weights against the nets that they are loaded into: E223 and N408."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="reading weights needs numpy")

import numpy as np
from harness import runner
from test_trained_weights import model

from caffe_lint.cli.commands import cli
from caffe_lint.data.caffemodel import read_shapes, read_weights
from caffe_lint.net.trained_weights import BrokenWeights, WeightsError
from caffe_lint.source.run_scripts import forget_runs

FC7 = [np.zeros((6, 12), np.float32), np.zeros(6, np.float32)]
FC8 = [np.zeros((9, 6), np.float32), np.zeros(9, np.float32)]
NET = """\
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 4 dim: 12 } shape { dim: 4 } } }
layer { name: "fc7" type: "InnerProduct" bottom: "data" top: "fc7"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "fc8" type: "InnerProduct" bottom: "fc7" top: "fc8"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" include { phase: TRAIN } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc8" bottom: "label" top: "accuracy" include { phase: TEST } }
"""
TRAIN = "caffe train -solver tuned.prototxt"
SOLVER = """\
net: "net.prototxt"
test_iter: 1
test_interval: 10
base_lr: 0.01
lr_policy: "fixed"
max_iter: 100
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a solver and its net, in which a script trains from weights that are there."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "tuned.prototxt").write_text(SOLVER)
    (tmp_path / "train.sh").write_text(f"{TRAIN} -weights start.caffemodel\n")
    model(tmp_path / "start.caffemodel", {"fc7": FC7, "fc8": FC8})
    monkeypatch.chdir(tmp_path)
    forget_runs()
    return tmp_path


def checked(*options: str) -> str:
    """What is said by the two rules of the solver, one finding a line."""
    forget_runs()
    arguments = ["check", "tuned.prototxt", "--select", "E223,N408", "--output-format", "concise", *options]
    done = runner().invoke(cli, arguments, standalone_mode=False)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return str(done.stdout)


def test_a_layer_of_another_shape_is_an_error_at_its_name(repository: Path) -> None:
    told = checked()
    assert "net.prototxt:5:15: error[E223]" in told
    assert "the weight of layer 'fc8' of start.caffemodel is 9 x 6, but that of the net 5 x 6" in told
    assert "1 finding" in told  # of a file that is built for two phases


def test_a_layer_with_another_number_of_blobs(repository: Path) -> None:
    model(repository / "start.caffemodel", {"fc8": FC8[:1]})
    assert "layer 'fc8' of start.caffemodel has 1 blob, but that of the net 2" in checked()


def test_the_place_that_loads_the_weights_is_named(repository: Path) -> None:
    assert "when it loads the weights (train.sh:1)." in checked("--output-format", "full")
    (repository / "tuned.prototxt").write_text(SOLVER + 'weights: "start.caffemodel"\n')
    assert "when it loads the weights (tuned.prototxt:7)." in checked("--output-format", "full")
    assert "when it loads the weights. Under" in checked("--output-format", "full", "--weights", "start.caffemodel")


@pytest.mark.parametrize("how", ["script", "solver", "option"])
def test_weights_that_fit_are_fine(repository: Path, how: str) -> None:
    model(repository / "start.caffemodel", {"fc7": FC7, "other": FC8})
    if how != "script":
        (repository / "train.sh").unlink()
    if how == "solver":
        (repository / "tuned.prototxt").write_text(SOLVER + 'weights: "start.caffemodel"\n')
    assert "No findings" in checked(*(["--weights", "start.caffemodel"] if how == "option" else []))


def test_the_fix_renames_the_layer_in_both_phases_and_no_blob(repository: Path) -> None:
    start, end = NET.index('layer { name: "fc8"'), NET.index('layer { name: "loss"')
    both = [NET[start:end].replace('"fc8" type', f'"fc8" include {{ phase: {phase} }} type') for phase in ("TRAIN", "TEST")]
    text = NET[:start] + "".join(both) + NET[end:]
    (repository / "net.prototxt").write_text(text)
    checked("--fix", "--unsafe-fixes")
    fixed = (repository / "net.prototxt").read_text()
    assert fixed == text.replace('name: "fc8"', 'name: "fc8_new"')
    assert "E223" not in checked()


def test_no_fix_where_another_file_has_the_layer_or_nothing_fills_it(repository: Path) -> None:
    assert "fixable" in checked()
    (repository / "deploy.prototxt").write_text(NET.replace("include { phase: TRAIN }", ""))
    assert "fixable" not in checked()
    (repository / "deploy.prototxt").unlink()
    (repository / "net.prototxt").write_text(NET.replace('num_output: 5 weight_filler { type: "xavier" }', "num_output: 5"))
    told = checked()
    assert "E223" in told
    assert "fixable" not in told


def test_of_a_net_for_a_fork_it_is_a_warning(repository: Path) -> None:
    (repository / "net.prototxt").write_text(NET + 'layer { name: "swish" type: "ReLU6" bottom: "fc8" top: "swish" }\n')
    assert "warning[E223]" in checked()


def test_nothing_is_compared_with_a_net_that_no_caffe_reads_as_written(repository: Path) -> None:
    data = NET.replace("dummy_data_param", "dummy_data_param { crop: 3 } dummy_data_param")
    (repository / "net.prototxt").write_text(data)
    assert "No findings" in checked()
    model(repository / "start.caffemodel", {"other": FC7})
    assert "No findings" in checked()


def test_a_damaged_file_is_named_and_a_pointer_to_one_is_not(repository: Path) -> None:
    path = repository / "start.caffemodel"
    path.write_bytes(path.read_bytes()[:100])
    told = checked()
    assert "tuned.prototxt:1:6: error[E223]" in told
    assert "start.caffemodel: not a readable .caffemodel: truncated" in told
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n")
    assert "No findings" in checked()
    with pytest.raises(WeightsError, match="a Git LFS pointer"):
        read_weights(str(path))
    path.unlink()
    assert "No findings" in checked()


def test_weights_of_another_net_are_ignored_by_caffe(repository: Path) -> None:
    model(repository / "start.caffemodel", {"data": [], "conv1": FC7, "conv2": FC8})
    told = checked("--output-format", "full")
    assert "warning[N408]" in told
    assert "no layer of this net is in start.caffemodel, so no weights are loaded" in told
    assert "there is a 'conv1' there, but no 'fc7'" in told
    (repository / "net.prototxt").write_text(NET + 'layer { name: "own" type: "Python" bottom: "fc8" top: "own" }\n')
    assert "N408" not in checked()  # whose parameters are not known


@pytest.mark.parametrize("form", ["layer", "v1", "v0"])
def test_shapes_are_read_without_values(repository: Path, form: str) -> None:
    path = model(repository / "start.caffemodel", {"data": [], "fc7": FC7, "fc8": [FC8[0].astype(np.float64)]}, form=form)
    whole, shapes = read_weights(path), read_shapes(path)
    assert {name: [blob.shape for blob in blobs] for name, blobs in shapes.layers.items()} == {
        name: [blob.shape for blob in blobs] for name, blobs in whole.layers.items()
    }
    assert all(math.isnan(blob.mean_abs) for blobs in shapes.layers.values() for blob in blobs)
    content = Path(path).read_bytes()
    for end in (1, len(content) // 2, len(content) - 1):
        Path(path).write_bytes(content[:end])
        with pytest.raises(BrokenWeights):
            read_shapes(path)


def test_shapes_in_hdf5(repository: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="weights in HDF5 need h5py")
    with h5py.File("start.caffemodel", "w") as file:
        file["data/fc8/0"], file["data/fc8/1"] = FC8
    assert "is 9 x 6, but that of the net 5 x 6" in checked()


def test_results_are_not_kept_when_the_file_of_weights_changes(repository: Path) -> None:
    assert "E223" in checked()
    assert "E223" in checked()
    model(repository / "start.caffemodel", {"fc7": FC7})
    assert "E223" not in checked()


def test_the_remedy_names_the_file_that_is_there(repository: Path) -> None:
    model(repository / "start.caffemodel", {"fc7": FC7})
    forget_runs()
    assert "pass --weights start.caffemodel." in runner().invoke(cli, ["check", "tuned.prototxt"]).output
    (repository / "train.sh").write_text(f"{TRAIN} -weights start.caffemodel,gone.caffemodel\n")
    forget_runs()
    assert "or --weights FILE to read them" in runner().invoke(cli, ["signal", "tuned.prototxt"]).output


@pytest.mark.parametrize(("loading", "is_found"), [
    ('solver.net.copy_from("start.caffemodel")', True),
    ('weights = "start" + ".caffemodel"\nsolver.net.copy_from(weights)', True),
    ('solver.net.copy_from("start.caffemodel")\nsolver.net.copy_from("other.caffemodel")', True),
    ('solver.net.copy_from("start.caffemodel")\nsolver.net.copy_from(sys.argv[1])', False),
    ('solver.restore("start.caffemodel")', False),
    ("solver.net.share_with(other)", False),
])  # fmt: skip
def test_weights_that_a_program_loads(repository: Path, loading: str, is_found: bool) -> None:
    (repository / "train.sh").unlink()
    model(repository / "other.caffemodel", {"fc7": FC7})
    program = f'import caffe, sys\nsolver = caffe.SGDSolver("tuned.prototxt")\n{loading}\nsolver.solve()\n'
    (repository / "train.py").write_text(program)
    assert ("E223" in checked()) == is_found
