"""`caffe-lint simulate`: what becomes of small trainings, what is said of it, and the log that `caffe-lint log` reads."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy", reason="the simulator needs numpy")

from harness import NET, SOLVER, runner

from caffe_lint.cli.commands import cli
from caffe_lint.report.simulation_text import as_text
from caffe_lint.simulation import simulating
from caffe_lint.simulation.operators.products import InnerProduct
from caffe_lint.simulation.outcome import Judgement, Outcome
from caffe_lint.simulation.simulating import Plan
from caffe_lint.simulation.training_run import Course
from caffe_lint.training_log.evidence import Evidence
from caffe_lint.training_log.log_reader import read_log

WILD = SOLVER.replace("base_lr: 0.01", "base_lr: 1e5").replace("clip_gradients: 10\n", "")
REGRESSION = NET.replace('"SoftmaxWithLoss"', '"EuclideanLoss"').replace("num_output: 10", "num_output: 1")


def simulated(folder: Path, *options: str, net: str = NET, solver: str = SOLVER) -> tuple[int, str]:
    """The exit status and the output of the command, with `--from-scratch`."""
    (folder / "net.prototxt").write_text(net)
    path = folder / "solver.prototxt"
    path.write_text(solver.replace("net.prototxt", str(folder / "net.prototxt")))
    done = runner().invoke(cli, ["simulate", str(path), "--from-scratch", *options], standalone_mode=False)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code or done.return_value or 0, done.stdout


def as_json(folder: Path, *options: str, net: str = NET, solver: str = SOLVER) -> dict[str, Any]:
    """What the command says as JSON."""
    found: dict[str, Any] = json.loads(
        simulated(folder, "--output-format", "json", *options, net=net, solver=solver)[1]
    )
    return found


def test_a_net_that_learns_is_said_to(tmp_path: Path) -> None:
    status, output = simulated(tmp_path)
    assert status == 0
    assert output.startswith("The simulated training learns (25 steps on made-up data")
    assert "  loss " in output


def test_the_same_files_give_the_same_answer(tmp_path: Path) -> None:
    assert simulated(tmp_path, "--output-format", "log") == simulated(tmp_path, "--output-format", "log")


def test_a_rate_that_is_far_too_high_diverges_and_names_the_first_layer(tmp_path: Path) -> None:
    status, output = simulated(tmp_path, net=REGRESSION, solver=WILD)
    assert status == 1
    assert "The simulated training diverges" in output
    assert "The first layer to go is 'score', in iteration" in output


def test_a_rate_of_almost_nothing_stalls(tmp_path: Path) -> None:
    found = as_json(tmp_path, solver=SOLVER.replace("0.01", "1e-12"))
    assert found["verdict"] == "stalls"
    assert found["p_stalls"] > 0.5


def test_a_net_of_dead_units_stalls_though_its_bias_learns_the_mean(tmp_path: Path) -> None:
    net = REGRESSION.replace("value: 0", "value: 5")
    dead = 'inner_product_param { num_output: 4 weight_filler { type: "xavier" } bias_filler { type: "constant" value: -1e4 } }'
    layers = (
        f'layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" {dead} }}\n'
        'layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }\n'
    )
    place = net.index('layer {\n  name: "score"')
    found = as_json(tmp_path, net=net[:place] + layers + net[place:].replace('bottom: "data"', 'bottom: "ip"'))
    assert found["losses"][-1] < 0.5 * found["losses"][0]
    assert found["verdict"] == "stalls"
    assert found["p_stalls"] > 0.9


def test_json_has_the_same_keys_whatever_is_said(tmp_path: Path) -> None:
    learns, refused = (
        as_json(tmp_path),
        as_json(tmp_path, "--budget", "0.01", "--steps", "1000", "--batch", "100000", net=NET.replace("16", "400")),
    )
    assert learns.keys() == refused.keys()
    assert learns["verdict"] == "learns"
    assert len(learns["losses"]) == 26
    assert learns["cannot_tell"] is None
    assert refused["verdict"] == "cannot tell"
    assert refused["cannot_tell"]["cause"] == "over budget"
    assert refused["losses"] == []


def test_a_large_batch_is_cut_and_a_small_one_is_not(tmp_path: Path) -> None:
    large = NET.replace("dim: 8 ", "dim: 64 ")
    assert as_json(tmp_path, net=large)["cut"] == ["8 of 64 items in a batch"]
    assert as_json(tmp_path)["cut"] == []
    assert as_json(tmp_path, "--batch", "64", net=large)["cut"] == []


def test_a_net_that_a_part_of_a_batch_does_not_fit_is_run_with_the_whole(tmp_path: Path) -> None:
    reshape = 'layer { name: "flat" type: "Reshape" bottom: "data" top: "flat" reshape_param { shape { dim: 64 dim: 768 } } }\n'
    net = NET.replace("dim: 8 ", "dim: 64 ")
    net = net.replace('layer {\n  name: "score"', f'{reshape}layer {{\n  name: "score"').replace(
        'bottom: "data"\n  top: "score"', 'bottom: "flat"\n  top: "score"'
    )
    found = as_json(tmp_path, net=net)
    assert found["verdict"] == "learns"
    assert found["cut"] == []


def test_the_log_is_read_like_one_of_caffe(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    simulated(tmp_path, "--log-output", str(log), net=REGRESSION, solver=WILD)
    (run,) = read_log(str(log))
    evidence = Evidence(run)
    assert evidence.first_bad is not None
    assert evidence.steps[0].rate == 1e5
    assert [out.name for out in evidence.outputs] == ["loss"]
    assert evidence.net is not None
    assert [layer.name for layer in evidence.net.layers] == ["data", "score", "loss"]
    done = runner().invoke(cli, ["log", str(log)])
    assert "learning rate" in done.output


def test_the_log_has_all_lines_of_a_pass(tmp_path: Path) -> None:
    output = simulated(tmp_path, "--output-format", "log")[1]
    texts = [line.partition("] ")[2].strip() for line in output.splitlines() if line.startswith(("I0101", "E0101"))]
    start = next(i for i, text in enumerate(texts) if text.startswith("[Forward]"))
    names = [text.rpartition(": ")[0] for text in texts[start : start + 9]]
    assert names[:8] == [
        "[Forward] Layer data, top blob data data",
        "[Forward] Layer data, top blob label data",
        "[Forward] Layer score, top blob score data",
        "[Forward] Layer score, param blob 0 data",
        "[Forward] Layer score, param blob 1 data",
        "[Forward] Layer loss, top blob loss data",
        "[Backward] Layer loss, bottom blob score diff",
        "[Backward] Layer score, param blob 0 diff",
    ]
    assert any(text.startswith("[Backward] All net params (data, diff): L1 norm = (") for text in texts)
    assert texts[-1] == "Optimization Done."


@pytest.mark.parametrize(
    ("kind", "named"),
    [("CTCLoss", "CTCLoss 'loss'"), ("Convolution3D", "Convolution3D 'loss'")],
)
def test_what_cannot_be_simulated_is_named(tmp_path: Path, kind: str, named: str) -> None:
    status, output = simulated(tmp_path, net=NET.replace("SoftmaxWithLoss", kind))
    assert status == 0
    assert output.startswith("Cannot tell")
    assert named in output


@pytest.mark.parametrize("ignored", ["", 'layer { name: "quiet" type: "Silence" bottom: "seen" }'])
def test_a_layer_that_only_reports_something_is_left_out(tmp_path: Path, ignored: str) -> None:
    report = 'layer { name: "seen" type: "Python" bottom: "score" top: "seen" loss_weight: 0 python_param { module: "m" layer: "L" } }'
    plain = as_json(tmp_path)
    found = as_json(tmp_path, net=NET + report + ignored)
    assert found["verdict"] == plain["verdict"] == "learns"


def test_nothing_is_told_of_a_solver_that_does_not_train(tmp_path: Path) -> None:
    found = as_json(tmp_path, solver="\n".join([*(x for x in SOLVER.splitlines() if not x.startswith("max_iter")), "max_iter: 0", ""]))
    assert found["cannot_tell"]["cause"] == "no training"


def test_loaded_weights_are_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    path = tmp_path / "solver.prototxt"
    path.write_text(SOLVER.replace("net.prototxt", str(tmp_path / "net.prototxt")) + 'weights: "start.caffemodel"\n')
    output = runner().invoke(cli, ["simulate", str(path)]).output
    assert "Cannot tell" in output
    assert "weights are loaded" in output


def test_where_the_answer_depends_on_unknown_data_nothing_is_told(tmp_path: Path) -> None:
    source = 'layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "train.txt" batch_size: 8 } }\n'
    net = source + "layer {" + REGRESSION.partition("layer {")[2].partition("layer {")[2]
    solver = WILD.replace("1e5", "1e-4")
    found = as_json(tmp_path, "--input-shape", "data=8,3,16,16", "--input-shape", "label=8,1", net=net, solver=solver)
    assert found["verdict"] == "cannot tell"
    assert found["cannot_tell"]["cause"] == "unknown data"


def test_of_data_that_may_be_anything_nothing_is_told_with_high_confidence(tmp_path: Path) -> None:
    source = 'layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "train.txt" batch_size: 8 } }\n'
    net = source + "layer {" + REGRESSION.partition("layer {")[2].partition("layer {")[2]
    options = ("--input-shape", "data=8,3,16,16", "--input-shape", "label=8,1")
    found = as_json(tmp_path, *options, net=net, solver=WILD)
    assert found["verdict"] == "diverges"
    assert found["p_diverges"] <= 0.85
    assert as_json(tmp_path, net=REGRESSION, solver=WILD)["p_diverges"] > 0.9


@pytest.mark.parametrize(
    ("first", "dark", "bright", "word"),
    [
        (("learns", 0.1, 0.2), ("learns", 0.02, 0.3), ("diverges", 0.9, 0.1), "learns"),
        (("learns", 0.1, 0.2), ("diverges", 0.8, 0.1), ("diverges", 0.9, 0.0), "diverges"),
        (("learns", 0.0, 0.4), ("stalls", 0.0, 0.8), ("stalls", 0.0, 0.6), "stalls"),
    ],
)
def test_of_images_the_answer_is_as_likely_as_over_all_kinds_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: Any, dark: Any, bright: Any, word: str
) -> None:
    source = 'layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 } data_param { source: "lmdb" batch_size: 8 } }\n'
    net = source + "layer {" + NET.partition("layer {")[2].partition("layer {")[2]
    answers = iter([Judgement(*dark), Judgement(*bright)])
    monkeypatch.setattr(simulating, "judged", lambda courses, length: next(answers, Judgement(*first)))
    found = as_json(tmp_path, "--input-shape", "data=8,3,16,16", net=net)
    assert found["verdict"] == word
    assert found["p_diverges"] == pytest.approx((first[1] + dark[1] + bright[1]) / 3)
    assert found["p_stalls"] == pytest.approx((first[2] + dark[2] + bright[2]) / 3)


@pytest.mark.parametrize(("after", "learned"), [(2.0, True), (2.4, False)])
def test_a_loss_that_has_not_fallen_is_not_said_to_have_been_learned(after: float, learned: bool) -> None:
    course = Course([], after, 2.3, after)
    text = as_text(Outcome("learns", courses=[course]), Plan(steps=30))
    assert text.startswith("The simulated training learns (") == learned
    assert ("but its loss has not fallen yet (" in text) == ("Simulate more with --steps 120." in text) == (not learned)


def test_without_numpy_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    done = runner().invoke(cli, ["simulate", str(tmp_path / "solver.prototxt")])
    assert "simulating a training needs numpy: pip install numpy" in str(done.exception or done.output)


def test_an_infogain_matrix_is_read_with_real_data(tmp_path: Path) -> None:
    path = tmp_path / "matrix.binaryproto"
    net = NET.replace('type: "SoftmaxWithLoss"', f'type: "InfogainLoss" infogain_loss_param {{ source: "{path}" }}')
    assert "cannot be read" in as_json(tmp_path, "--data", "real", net=net)["cannot_tell"]["reason"]
    assert any("matrix of" in text for text in as_json(tmp_path, net=net)["assumed"])
    first = []
    for weight in (1.0, 3.0):
        values = struct.pack("<100f", *(weight * (row == column) for row in range(10) for column in range(10)))
        path.write_bytes(b"\x08\x01\x10\x01\x18\x0a\x20\x0a\x2a\x90\x03" + values)  # 1 x 1 x 10 x 10, 400 bytes
        found = as_json(tmp_path, "--data", "real", net=net)
        assert not any("matrix of" in text for text in found["assumed"])
        first.append(found["losses"][0])
    assert first[1] == pytest.approx(3 * first[0], rel=1e-4)
    path.write_bytes(b"\x08\x01\x10\x01\x18\x01\x20\x0a\x2a\x28" + values[:40])
    assert "has 10 values for 10 classes" in as_json(tmp_path, "--data", "real", net=net)["cannot_tell"]["reason"]


def test_the_mean_is_that_of_its_file_with_real_data(tmp_path: Path) -> None:
    """Images of 7 to 13 are small, or large, by the mean that is subtracted."""
    lmdb = pytest.importorskip("lmdb", reason="databases need lmdb")
    from caffe_lint.proto import caffe_pb2

    with lmdb.open(str(tmp_path / "images")) as environment, environment.begin(write=True) as transaction:
        for number in range(16):
            item = caffe_pb2.Datum(channels=1, height=4, width=4, data=bytes([number % 4 + 7, 13] * 8), label=number % 10)
            transaction.put(b"%02d" % number, item.SerializeToString())
    mean = tmp_path / "mean.binaryproto"
    head = (
        f'layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ mean_file: "{mean}" crop_size: 3 }}\n'
        f'data_param {{ source: "{tmp_path}/images" batch_size: 8 backend: LMDB }} }}\n'
    )
    net = head + "layer {" + NET.partition("layer {")[2].partition("layer {")[2]

    def with_mean(value: float, **shape: int) -> Any:
        shape = {"num": 1, "channels": 1, "height": 4, "width": 4, **shape}
        mean.write_bytes(caffe_pb2.BlobProto(**shape, data=[value] * (shape["height"] * shape["width"])).SerializeToString())
        return as_json(tmp_path, "--data", "real", "--input-shape", "data=8,1,3,3", "--input-shape", "label=8", net=net)

    assert "the mean file of 'data' cannot be read" in as_json(tmp_path, "--data", "real", net=net)["cannot_tell"]["reason"]
    assert with_mean(10.0)["losses"][0] < 10 < with_mean(-10000.0)["losses"][0]
    assert with_mean(10.0, width=5)["cannot_tell"]["reason"] == "the mean file of 'data' is 1 x 4 x 5, its images are 1 x 4 x 4"


def test_real_data_are_read(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="HDF5 needs h5py")
    import numpy as np

    draw = np.random.default_rng(0)
    with h5py.File(tmp_path / "train.h5", "w") as file:
        file["data"] = draw.standard_normal((40, 3, 16, 16)).astype("f4")
        file["label"] = draw.integers(0, 10, 40).astype("f4")
    (tmp_path / "train.txt").write_text(str(tmp_path / "train.h5"))
    head = f'layer {{ name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param {{ source: "{tmp_path}/train.txt" batch_size: 8 }} }}\n'
    net = head + "layer {" + NET.partition("layer {")[2].partition("layer {")[2]
    shapes = ("--input-shape", "data=8,3,16,16", "--input-shape", "label=8")
    found = as_json(tmp_path, "--data", "real", *shapes, net=net)
    assert found["data"] == "real"
    assert found["verdict"] in ("learns", "stalls")
    (tmp_path / "train.txt").unlink()
    assert "cannot be read" in as_json(tmp_path, "--data", "real", *shapes, net=net)["cannot_tell"]["reason"]


def test_a_layer_whose_sizes_numpy_cannot_join_is_named_with_its_shapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("forward", "backward"):
        with monkeypatch.context() as patched:
            patched.setattr(InnerProduct, method, lambda *_: [][1])
            reason = as_json(tmp_path, net=NET)["cannot_tell"]["reason"]
        assert reason == (
            "InnerProduct 'score' cannot be computed with its shapes: it reads 'data' (8 x 3 x 16 x 16) and outputs 'score' (8 x 10)"
        )


def test_a_simulation_that_runs_out_of_memory_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(InnerProduct, "forward", full)
    assert as_json(tmp_path)["cannot_tell"]["reason"] == "the simulation needs more memory than there is"


def test_a_linear_algebra_without_memory_does_not_end_the_program(tmp_path: Path) -> None:
    import resource  # not on Windows

    (tmp_path / "net.prototxt").write_text(NET.replace("dim: 8", "dim: 64").replace("dim: 16", "dim: 180"))
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    options = ("--from-scratch", "--steps", "5", "--batch", "64", "--budget", "1000")
    for megabytes in (250, 260):
        done = subprocess.run(
            [sys.executable, "-m", "caffe_lint", "simulate", "solver.prototxt", *options],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            preexec_fn=lambda most=megabytes: resource.setrlimit(resource.RLIMIT_AS, (most * 1_000_000,) * 2),
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("budget", ["nan", "inf", "-1", "0"])
def test_a_budget_is_a_number_of_seconds(tmp_path: Path, budget: str) -> None:
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    done = runner().invoke(cli, ["simulate", str(tmp_path / "solver.prototxt"), "--budget", budget])
    assert done.exit_code == 2
    assert "is not in the range 0.01<=x<=100000" in done.stderr


def test_a_budget_that_is_too_small_is_compared_with_the_work(tmp_path: Path) -> None:
    net = NET.replace("num_output: 10", "num_output: 1000")
    reason = as_json(tmp_path, "--budget", "0.01", "--steps", "1000", net=net)["cannot_tell"]["reason"]
    assert re.fullmatch(r"1000 steps are [\d.]+ s of work, over the budget of 0\.01 s", reason)
    assert "about 0 s" not in reason


def test_what_caffe_would_refuse_is_said_with_the_reason(tmp_path: Path) -> None:
    reason = as_json(tmp_path, net=NET.replace('bottom: "data"', 'bottom: "dat"'))["cannot_tell"]["reason"]
    assert reason.startswith("Caffe would not train this net: ")
    assert "'dat'" in reason
