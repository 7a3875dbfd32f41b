"""`caffe-lint probe`: its files read the same data, find bad values and labels, and pass our own check."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import h5py
import numpy
import pytest

from caffe_lint.cli.commands import run
from caffe_lint.net.build import build
from caffe_lint.net.net import Net
from caffe_lint.net.phases import file_state
from caffe_lint.proto.binder import bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.upgrade import upgrade
from caffe_lint.source.errors import InputError

RUNNER = Path(__file__).parent / "probe_runner.py"
ORACLE = Path(__file__).resolve().parents[2] / "shared" / "oracle" / "runs"

SOLVER = 'net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 9\nsolver_mode: GPU\ndevice_id: 2\n'
DATA = """\
layer {
  name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 16 mirror: true } data_param { source: "train_lmdb" batch_size: 8 backend: LMDB }
}
"""
TEST_DATA = DATA.replace("TRAIN", "TEST").replace("train_lmdb", "test_lmdb")
HEAD = """\
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
FACTS = {"train_lmdb": {"kind": "lmdb", "items": 100}, "test_lmdb": {"kind": "lmdb", "items": 24}}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run every test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return tmp_path


def written(folder: Path, net: str, *options: str) -> str:
    (folder / "net.prototxt").write_text(net)
    assert run(["probe", "solver.prototxt", "-o", "probe", *options]) == 0
    assert run(["probe/solver.prototxt"]) == 0, "our own check finds something"
    return (folder / "probe" / "net.prototxt").read_text()


def built(text: str, phase: str = "TRAIN") -> Net:
    upgraded = upgrade(bind(parse(text.encode()), caffe_schema(), "NetParameter").message, caffe_schema())
    return build(upgraded, file_state(upgraded.message, phase))


def losses(net: Net) -> dict[str, list[str]]:
    return {loss.blob.name: [blob.name for blob in loss.layer.bottoms] for loss in net.losses}


def test_every_blob_is_compared_with_itself_and_labels_with_the_classes(folder: Path) -> None:
    net = built(written(folder, DATA + HEAD))
    assert losses(net) == {
        "bad_data": ["data", "data"],
        "bad_label": ["label", "label"],
        "bad_label_of_loss_below": ["label_of_loss_below"] * 2,
        "bad_label_of_loss_above": ["label_of_loss_above"] * 2,
    }
    below = next(layer for layer in net.layers if layer.name == "label_of_loss_below")
    log = below.message["log_param"]
    assert (log["scale"], log["shift"]) == (-1, 10)  # log(10 - label) is finite for labels below 10
    assert not list(net.params())
    assert net.problems == []


def test_the_data_layer_is_unchanged(folder: Path) -> None:
    data = built(written(folder, DATA + HEAD)).layers[0].message
    assert data["transform_param"]["crop_size"] == 16
    assert data["transform_param"]["mirror"] is True
    assert (data["data_param"]["source"], data["data_param"]["backend"]) == ("train_lmdb", "LMDB")


def test_an_ignored_label_is_valid(folder: Path) -> None:
    net = built(written(folder, DATA + HEAD.replace('top: "loss"', 'top: "loss" loss_param { ignore_label: 255 }')))
    kinds = [layer.type for layer in net.layers if layer.name.startswith("label_of_loss")]
    assert kinds == ["Power", "Threshold", "Eltwise", "Log", "Log"]


def test_iterations_are_those_of_one_pass(folder: Path) -> None:
    (folder / "caffe-lint.data.json").write_text(json.dumps(FACTS))
    written(folder, DATA + TEST_DATA + HEAD)
    lines = (folder / "probe" / "solver.prototxt").read_text().splitlines()
    assert "max_iter: 13" in lines
    assert not any(line.startswith("test_") for line in lines)  # the solver does not test
    assert {"base_lr: 0", "debug_info: true", "solver_mode: GPU", "device_id: 2"} <= set(lines)
    assert "snapshot_after_train: false" in lines


def test_tests_read_their_own_data(folder: Path) -> None:
    (folder / "solver.prototxt").write_text(SOLVER + "test_iter: 5\ntest_interval: 3\n")
    (folder / "caffe-lint.data.json").write_text(json.dumps(FACTS))
    text = written(folder, DATA + TEST_DATA + HEAD)
    assert "test_iter: 3" in (folder / "probe" / "solver.prototxt").read_text().splitlines()
    assert built(text, "TEST").layers[0].message["data_param"]["source"] == "test_lmdb"
    assert losses(built(text, "TEST")).keys() == losses(built(text)).keys()


def test_without_a_size_comments_say_what_to_set(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    written(folder, DATA + HEAD)
    assert "set max_iter" in capfd.readouterr().out
    text = (folder / "probe" / "solver.prototxt").read_text()
    assert "# TRAIN, data: size not known. Set max_iter to its number of items / 8, rounded up." in text


def test_an_old_net_with_several_data_layers_and_no_label(folder: Path) -> None:
    net = """\
layers { name: "a" type: DATA top: "a" data_param { source: "a_db" batch_size: 4 scale: 0.5 } }
layers { name: "b" type: HDF5_DATA top: "b" top: "c" hdf5_data_param { source: "b.txt" batch_size: 4 } }
layers { name: "l" type: EUCLIDEAN_LOSS bottom: "b" bottom: "c" top: "l" }
"""
    probe = built(written(folder, net))
    assert [layer.type for layer in probe.layers[:2]] == ["Data", "HDF5Data"]
    assert probe.layers[0].message["transform_param"]["scale"] == 0.5
    assert list(losses(probe)) == ["bad_a", "bad_b", "bad_c"]


def test_data_of_a_fork(folder: Path) -> None:
    net = """\
layer {
  name: "data" type: "AnnotatedData" top: "data" top: "label"
  data_param { source: "db" batch_size: 4 } annotated_data_param { label_map_file: "map.prototxt" }
}
layer { name: "s" type: "Silence" bottom: "data" bottom: "label" }
"""
    text = written(folder, net)
    assert 'label_map_file: "map.prototxt"' in text
    assert list(losses(built(text))) == ["bad_data", "bad_label"]


def test_names_that_are_taken_are_not_used(folder: Path) -> None:
    text = written(folder, DATA.replace('top: "label"', 'top: "bad_data"'))
    assert list(losses(built(text))) == ["bad_datax", "bad_bad_data"]


def test_names_of_files_and_layers_stay_in_their_comments(folder: Path) -> None:
    name = "a\nweights: 'evil'.prototxt"
    (folder / name).write_text(DATA.replace('name: "data"', 'name: "data\\r\\nlr: 1"') + HEAD)
    assert run(["probe", name, "-o", "probe"]) == 0
    for path in (folder / "probe").glob("*.prototxt"):
        text = path.read_text()
        assert not [line for line in text.splitlines() if line.startswith(("weights", "lr:"))]
    assert "a\\x0aweights" in (folder / "probe" / "net.prototxt").read_text()


def test_the_script_runs_and_finds_the_bad_line(folder: Path) -> None:
    written(folder, DATA + HEAD)
    caffe = folder / "caffe"
    caffe.write_text("#!/bin/sh\necho '    [Forward] Layer data, top blob data data: nan'\n")
    caffe.chmod(0o755)
    done = subprocess.run(
        ["sh", "probe/run.sh"], env={"CAFFE": str(caffe), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Layer data, top blob data data: nan" in done.stdout
    caffe.write_text("#!/bin/sh\necho 'Iteration 0, loss = 0'\n")
    done = subprocess.run(
        ["sh", "probe/run.sh"], env={"CAFFE": str(caffe), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "all values were finite\n")


HDF5_JOB = """\
layer {
  name: "d" type: "HDF5Data" top: "data" top: "label" include { phase: TRAIN }
  hdf5_data_param { source: "train.txt" batch_size: 32 }
}
layer {
  name: "t" type: "HDF5Data" top: "data" top: "label" include { phase: TEST }
  hdf5_data_param { source: "train.txt" batch_size: 50 }
}
"""


def run_on_hdf5(folder: Path, faults: dict[tuple[str, int], float]) -> tuple[int, str]:
    """Status and output of a probe's script on 200 items, of which some values are replaced, by dataset and row."""
    arrays = {"data": numpy.full((200, 4), 0.5, "f4"), "label": numpy.arange(200).astype("f4") % 10}
    for (name, row), value in faults.items():
        arrays[name].reshape(200, -1)[row, 0] = value
    with h5py.File(folder / "a.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    (folder / "train.txt").write_text("a.h5\n")
    (folder / "solver.prototxt").write_text(SOLVER + "test_iter: 4\ntest_interval: 100\n")
    written(folder, HDF5_JOB + HEAD)
    caffe = folder / "caffe"
    caffe.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{RUNNER}" "$@"\n')
    caffe.chmod(0o755)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["sh", "probe/run.sh"], env={"CAFFE": str(caffe), "PATH": path}, capture_output=True, text=True
    )
    return done.returncode, " ".join(done.stdout.split()) + done.stderr


def test_the_log_of_a_probe_names_every_bad_batch(folder: Path) -> None:
    status, said = run_on_hdf5(
        folder, {("data", 130): math.nan, ("data", 190): math.inf, ("label", 40): 10, ("label", 170): -1}
    )
    assert status == 1
    assert "non-finite-input: NaN in the data in 2 batches: top 'data' of data layer 'd'" in said
    assert "Batches 4, 5 of 'train.txt', counted from 0: items 128 to 159, 160 to 191" in said
    assert "labels out of range in 2 batches: top 'label' of data layer 'd'" in said
    assert "Batches 1, 5 of 'train.txt'" in said
    assert "in 2 batches: top 'data' of data layer 't' of test net #0" in said
    assert "Batches 2, 3 of 'train.txt', counted from 0: items 100 to 149, 150 to 199" in said
    assert "4 causes" in said


def test_a_probe_of_good_data_has_nothing_wrong(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_on_hdf5(folder, {}) == (0, "all values were finite")
    assert run(["log", "probe/probe.log"]) == 0
    assert run(["log", "probe/probe.log", "--solver", "probe/solver.prototxt"]) == 0


def test_existing_files_are_not_overwritten(folder: Path) -> None:
    written(folder, DATA + HEAD)
    with pytest.raises(InputError, match="already exists"):
        run(["probe", "solver.prototxt", "-o", "probe"])
    assert run(["probe", "solver.prototxt", "-o", "probe", "--force"]) == 0


def test_a_net_without_data_is_refused(folder: Path) -> None:
    (folder / "net.prototxt").write_text('layer { name: "d" type: "Input" top: "d" }')
    with pytest.raises(InputError, match="no layer reads data from files or a database; it has only Input"):
        run(["probe", "net.prototxt", "-o", "probe"])


@pytest.mark.skipif(not ORACLE.exists(), reason="the runs of the real Caffe are not beside the checkout")
def test_probes_of_real_trainings_pass_our_check(folder: Path) -> None:
    solvers = sorted(ORACLE.glob("*/solver.prototxt"))[::4]
    assert solvers
    for solver in solvers:
        assert run(["probe", str(solver), "-o", "probe", "--force"]) == 0
        assert run(["probe/solver.prototxt"]) == 0, solver
