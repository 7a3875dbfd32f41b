"""`caffe-lint signal`: what it prints of a solver, and what it says of the training."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from harness import runner

from caffe_lint.cli.commands import cli
from caffe_lint.engine.files_in_memory import Files
from caffe_lint.net.data_facts import read_facts
from caffe_lint.proto import caffe_pb2
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.source.errors import InputError
from caffe_lint.stability.signal.features import Trial, signal_of
from caffe_lint.stability.signal.training import Training, training_of_file
from caffe_lint.stability.verdict.verdict import judge_trial, verdict_of

NET = """
layer {{
  name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param {{ source: "train.txt" batch_size: 32 }}
}}
layer {{
  name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1"
  inner_product_param {{ num_output: 64 {filler} }}
}}
layer {{ name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{
  name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param {{ num_output: 10 {filler} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }}
"""
FACTS = {
    "train.txt": {
        "kind": "hdf5",
        "items": 1000,
        "data": {"shape": [64], "min": 0.0, "max": 1.0, "mean": 0.3, "mean_abs": 0.3, "std": 0.37},
        "label": {"shape": [1], "min": 0.0, "max": 9.0, "mean": 4.5, "mean_abs": 4.5, "std": 2.9},
    }
}
MSRA = 'weight_filler { type: "msra" }'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with facts of the data."""
    (tmp_path / "caffe-lint.data.json").write_text(json.dumps(FACTS))
    return tmp_path


def written(folder: Path, solver: str, filler: str = MSRA) -> str:
    """The path of a solver with a net of two layers."""
    (folder / "net.prototxt").write_text(NET.format(filler=filler))
    path = folder / "solver.prototxt"
    path.write_text(f'net: "net.prototxt" lr_policy: "fixed" max_iter: 1000 {solver}')
    return str(path)


def run(*arguments: str) -> tuple[int, str]:
    """The exit status and the output of a call."""
    result = runner().invoke(cli, ["signal", *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    status: int = result.return_value
    return status, result.stdout


def computed(path: str) -> dict[str, object]:
    """What the command prints as JSON."""
    content: dict[str, object] = json.loads(run(path, "--output-format", "json")[1])
    return content


def test_a_sound_training_learns(folder: Path) -> None:
    path = written(folder, "base_lr: 0.05 momentum: 0.9")
    assert run(path)[0] == 0
    found = computed(path)
    assert found["verdict"] == "learns"
    assert found["reasons"] == []
    assert found["loss"] == pytest.approx(2.5, rel=0.25)


def test_too_high_a_rate_diverges_and_the_limits_are_lower(folder: Path) -> None:
    path = written(folder, "base_lr: 50 momentum: 0.9")
    assert run(path)[0] == 1
    found = computed(path)
    assert found["verdict"] == "diverges"
    limits = found["limits"]
    assert isinstance(limits, dict)
    assert limits["base_lr"] < 5
    again = computed(written(folder, f"base_lr: {limits['base_lr']} momentum: 0.9"))
    assert again["verdict"] != "diverges"


def cause(path: str) -> str:
    """The cause of the answer that nothing can be told."""
    status, text = run(path, "--output-format", "json")
    found = json.loads(text)
    assert found["verdict"] == "cannot tell"
    assert found["cannot_tell"]["reason"]
    assert found["cannot_tell"]["remedy"]
    name: str = found["cannot_tell"]["cause"]
    assert status == (1 if name.startswith("rejected") else 0)
    return name


def test_of_a_net_without_fillers_nothing_can_be_told(folder: Path) -> None:
    assert cause(written(folder, "base_lr: 0.01", filler="")) == "loaded weights"


def test_of_weights_of_zero_it_is_only_said_that_nothing_learns(folder: Path) -> None:
    path = written(folder, "base_lr: 0.01", filler='weight_filler { type: "constant" }')
    assert cause(path) == "zero weights"
    assert "no gradient passes them in iteration 0" in run(path)[1]


def test_the_verdict_comes_first(folder: Path) -> None:
    path = written(folder, "base_lr: 0.05 momentum: 0.9")
    assert run(path)[1].startswith("Training is unlikely to diverge and is unlikely to stall.\n")
    assert next(iter(computed(path))) == "verdict"
    assert run(written(folder, "base_lr: 0"))[1].startswith(
        "Cannot tell whether training diverges or stalls: base_lr is 0.\n"
    )


def test_the_lines_of_debug_info_follow_the_verdict_with_trace_only(folder: Path) -> None:
    path = written(folder, "base_lr: 0.05 momentum: 0.9")
    short, lines = run(path)[1].splitlines(), run(path, "--trace")[1].splitlines()
    assert short.pop() == "--trace prints all activations, gradients and updates of iteration 0."
    assert lines[: len(short)] == short
    assert not any(line.startswith("[") for line in short)
    assert "[Forward] Layer data, top blob data data: 0.3" in lines
    assert any(line.startswith("[Backward] Layer ip2, bottom blob ip1 diff: ") for line in lines)
    assert any(line.startswith("[Backward] All net params diff: L2 norm = ") for line in lines)


def test_a_net_is_no_solver(folder: Path) -> None:
    written(folder, "base_lr: 0.05")
    with pytest.raises(InputError, match="not a solver"):
        run(str(folder / "net.prototxt"))


def test_facts_that_are_not_json(folder: Path) -> None:
    path = written(folder, "base_lr: 0.05")
    (folder / "facts.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        run(path, "--data-facts", str(folder / "facts.json"))


@pytest.mark.parametrize(
    "settings",
    [
        "base_lr: 1e300 momentum: 0.9",
        'base_lr: 0.01 type: "RMSProp" rms_decay: 0.9999999',
        'base_lr: 0.01 type: "Adam" momentum2: 1e30 delta: 0',
        'base_lr: 0.01 type: "AdaGrad" delta: 0',
        "base_lr: 0.01 weight_decay: -1e38",
    ],
)
def test_extreme_settings_do_not_fail(folder: Path, settings: str) -> None:
    found = computed(written(folder, settings))
    assert found["verdict"] in ("diverges", "stalls", "learns")


@pytest.mark.parametrize(
    "settings",
    [
        "base_lr: 0.01 momentum: 1",
        "base_lr: 0.01 momentum: -3",
        "base_lr: 0",
        "base_lr: 0.01 larc: true",
        "base_lr: 0.01 local_lr_auto: true local_gw_ratio: 0.001",
        'base_lr: 0.01 momentum_policy: "poly" max_momentum: 0.95',
        "base_lr: 0.01 clip_weights: 0.1",
    ],
)
def test_of_solvers_that_are_not_modelled_nothing_can_be_told(folder: Path, settings: str) -> None:
    assert cause(written(folder, settings)) == "solver feature"


@pytest.mark.parametrize("settings", ['base_lr: 0.01 type: "RMSProp" rms_decay: 7', 'base_lr: 0.01 type: "Lookahead"'])
def test_of_solvers_that_caffe_refuses_nothing_can_be_told(folder: Path, settings: str) -> None:
    assert cause(written(folder, settings)) == "rejected solver"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ('"staircase"', "rejected solver"),
        ('"stagelr"', "rejected solver"),
        ('"stagelr" stagelr: 0.01 stageiter: 10', "rejected solver"),
        ('"sgdr" period: 0', "solver feature"),
    ],
)
def test_of_rates_that_cannot_be_computed_nothing_can_be_told(folder: Path, policy: str, expected: str) -> None:
    path = Path(written(folder, "base_lr: 0.01"))
    path.write_text(path.read_text().replace('"fixed"', policy))
    assert cause(str(path)) == expected
    reason = (
        "learning rate of iteration" if expected == "solver feature" else "Caffe would refuse this solver: unknown lr_policy"
    )
    assert reason in run(str(path))[1]


def test_of_a_training_on_several_nodes_nothing_can_be_told(folder: Path) -> None:
    path = written(folder, "base_lr: 0.05 momentum: 0.9")
    net = folder / "net.prototxt"
    net.write_text(net.read_text() + "multinode { }")
    assert cause(path) == "solver feature"


def test_settings_of_forks_that_are_off_change_nothing(folder: Path) -> None:
    assert computed(written(folder, 'base_lr: 0.05 larc: false momentum_policy: "fixed"'))["verdict"] == "learns"


def test_a_net_that_caffe_would_stop_at_is_not_judged(folder: Path) -> None:
    path = written(folder, "base_lr: 0.01")
    net = folder / "net.prototxt"
    net.write_text(net.read_text().replace('bottom: "ip2"', 'bottom: "ip3"'))
    assert cause(path) == "rejected net"


def test_a_smaller_rate_can_be_tried_without_reading_again(folder: Path) -> None:
    files = Files(caffe_schema(), "bvlc")
    path = written(folder, "base_lr: 50 momentum: 0.9")
    training = training_of_file(files.get(path), files.get, read_facts(str(folder / "caffe-lint.data.json")))
    assert isinstance(training, Training)
    signal = signal_of(training)
    verdict = verdict_of(signal)
    tried, calmer = judge_trial(signal, Trial(rate=1e-3))
    again = files.get(written(folder, "base_lr: 0.05 momentum: 0.9"))
    assert verdict.word == "diverges"
    assert calmer.word == "learns"
    assert tried.forward is signal.forward
    fresh = Files(caffe_schema(), "bvlc")
    other = training_of_file(fresh.get(again.path), fresh.get, read_facts(str(folder / "caffe-lint.data.json")))
    assert isinstance(other, Training)
    assert verdict_of(signal_of(other)).p_diverges == pytest.approx(calmer.p_diverges)


def test_other_loss_weights_fillers_and_data_can_be_tried(folder: Path) -> None:
    files = Files(caffe_schema(), "bvlc")
    path = written(folder, "base_lr: 0.05 momentum: 0.9", filler="")
    training = training_of_file(files.get(path), files.get, read_facts(str(folder / "caffe-lint.data.json")))
    assert isinstance(training, Training)
    signal = signal_of(training)
    verdict = verdict_of(signal)
    assert verdict.word == "stalls"
    layers = {layer.name: layer for layer in training.net.layers}
    fillers = {layers[name].params[0]: "msra" for name in ("ip1", "ip2")}
    filled, sound = judge_trial(signal, Trial(fillers=fillers))
    assert sound.word == "learns"
    heavier, _ = judge_trial(filled, Trial(loss_weights={layers["loss"]: 10.0}))
    assert heavier.l2 == pytest.approx(10 * filled.l2)
    larger, _ = judge_trial(filled, Trial(inputs={layers["data"]: 100.0}))
    assert larger.forward.steps[0].tops[0].mean_abs == pytest.approx(30.0)
    assert larger.forward.steps[0].tops[1].mean_abs == pytest.approx(4.5)


def test_small_initial_weights_lead_to_a_higher_curvature_later(folder: Path) -> None:
    facts = read_facts(str(folder / "caffe-lint.data.json"))
    found = {}
    for name, filler in (("small", 'weight_filler { type: "gaussian" std: 0.001 }'), ("sound", MSRA)):
        files = Files(caffe_schema(), "bvlc")
        path = written(folder, "base_lr: 0.5 momentum: 0.9", filler=filler)
        training = training_of_file(files.get(path), files.get, facts)
        assert isinstance(training, Training)
        found[name] = signal_of(training)
    assert found["small"].sharpness < found["sound"].sharpness
    assert found["small"].features["curvature_growth"] > 1
    assert found["sound"].features["curvature_growth"] < 0.5


def test_a_layer_without_a_signal_model_makes_the_signal_unknown(folder: Path) -> None:
    path = written(folder, "base_lr: 0.01")
    net = folder / "net.prototxt"
    net.write_text(net.read_text().replace('type: "ReLU"', 'type: "SpatialProduct"'))
    assert cause(path) == "unmodelled layer"
    assert "SpatialProduct 'relu1' has no signal model" in run(path)[1]


def sizes(path: str, direction: str) -> dict[tuple[str, object], object]:
    """The sizes of the rows of a direction, by layer and by blob or parameter."""
    rows = computed(path)[direction]
    assert isinstance(rows, list)
    return {(row["layer"], row["blob"] or row["param"]): row["mean_abs"] for row in rows}


def test_rows_after_an_unmodelled_layer_and_all_gradients_are_unknown(folder: Path) -> None:
    path = written(folder, "base_lr: 0.01")
    net = folder / "net.prototxt"
    net.write_text(net.read_text().replace('type: "ReLU"', 'type: "SpatialProduct"'))
    forward = sizes(path, "forward")
    assert forward["data", "data"] == pytest.approx(0.3)
    assert forward["ip1", "ip1"] is not None
    assert forward["relu1", "ip1"] is None
    assert forward["ip2", "ip2"] is None
    assert sizes(path, "backward") == {}
    found = computed(path)
    assert found["loss"] is None
    assert found["gradient_l2"] is None
    assert found["updates"] == []
    assert found["limits"] == {"base_lr": None, "clip_gradients": None, "loss_weight": {}}
    text = run(path, "--trace")[1]
    assert "Initial loss: unknown\n" in text
    assert "[Forward] Layer ip2, top blob ip2 data: unknown\n" in text
    assert "Initial gradient norm: unknown\n" in text


def test_of_loaded_weights_only_the_data_are_known(folder: Path) -> None:
    path = written(folder, 'base_lr: 0.01 weights: "trained.caffemodel"')
    assert cause(path) == "loaded weights"
    forward = sizes(path, "forward")
    assert {key for key, size in forward.items() if size is not None} == {("data", "data"), ("data", "label")}


def test_with_steps_that_are_not_modelled_the_first_iteration_is_known(folder: Path) -> None:
    found = computed(written(folder, "base_lr: 0.05 momentum: 0.9 larc: true"))
    known = computed(written(folder, "base_lr: 0.05 momentum: 0.9"))
    assert found["gradient_l2"] == known["gradient_l2"]
    assert found["backward"] == known["backward"]
    assert found["updates"] == found["simulation"] == found["reasons"] == []


IMAGES = """
layer {{
  name: "data" type: "{kind}" top: "data" top: "label"
  {source}
}}
layer {{
  name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1" inner_product_param {{ num_output: 32 weight_filler {{ type: "msra" }} }}
}}
layer {{ name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{
  name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" }}
"""
BYTES = (
    "Data",
    'data_param { source: "a" batch_size: 32 } transform_param { crop_size: 16 scale: 0.00390625 mean_value: 110 }',
)
FROM_PROGRAM = ("MemoryData", "memory_data_param { batch_size: 32 channels: 3 height: 16 width: 16 }")
TABLES = ("HDF5Data", 'hdf5_data_param { source: "list.txt" batch_size: 32 }')
MADE_UP = (
    "DummyData",
    'dummy_data_param { shape { dim: 32 dim: 48 } shape { dim: 32 } data_filler { type: "gaussian" } data_filler { } }',
)


def imaged(folder: Path, solver: str, data: tuple[str, str]) -> str:
    """The path of a solver with a net that reads such data."""
    (folder / "caffe-lint.data.json").write_text("{}")
    (folder / "net.prototxt").write_text(IMAGES.format(kind=data[0], source=data[1]))
    path = folder / "solver.prototxt"
    path.write_text(f'net: "net.prototxt" lr_policy: "fixed" max_iter: 10000 {solver}')
    return str(path)


@pytest.mark.parametrize(("data", "kind"), [(BYTES, "bounded"), (FROM_PROGRAM, "unknown"), (MADE_UP, "known")])
def test_the_basis_says_what_is_known_of_the_data(folder: Path, data: tuple[str, str], kind: str) -> None:
    found = computed(imaged(folder, "base_lr: 0.001 momentum: 0.9", data))
    assert found["basis"] == {"data": kind, "weights": "known"}
    assert bool(found["assumed"]) == (kind != "known")


def test_a_verdict_that_holds_for_all_images_is_given(folder: Path) -> None:
    found = computed(imaged(folder, "base_lr: 0.001 momentum: 0.9", BYTES))
    assert found["verdict"] == "learns"
    rows = found["forward"]
    assert isinstance(rows, list)
    least, most = rows[0]["range"]
    assert 0 < least < most < 1
    hopeless = computed(imaged(folder, "base_lr: 1e4 momentum: 0.9", BYTES))
    assert hopeless["verdict"] == "diverges"


def test_a_verdict_that_depends_on_the_data_is_not_given(folder: Path) -> None:
    path = imaged(folder, "base_lr: 0.2 momentum: 0.9", FROM_PROGRAM)
    assert cause(path) == "data"
    assert "depends on the data" in run(path)[1]
    assert "--data-facts" in run(path)[1]
    found = computed(path)
    assert found["p_diverges"] is found["p_stalls"] is None
    assert found["limits"] == {"base_lr": None, "clip_gradients": None, "loss_weight": {}}


def test_data_of_unknown_shape_give_no_shape_to_the_weights(folder: Path) -> None:
    assert cause(imaged(folder, "base_lr: 0.01", TABLES)) == "unknown shape"


def test_targets_of_unknown_size_have_a_range(folder: Path) -> None:
    path = imaged(folder, "base_lr: 0.001 momentum: 0.9", BYTES)
    net = folder / "net.prototxt"
    net.write_text(
        net.read_text().replace("SoftmaxWithLoss", "EuclideanLoss").replace("num_output: 10", "num_output: 1")
    )
    found = computed(path)
    assert found["basis"] == {"data": "unknown", "weights": "known"}
    assert any("'label'" in each for each in _texts(found["assumed"]))


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return value


def test_weights_that_a_program_writes_are_not_taken_for_zero(folder: Path) -> None:
    path = imaged(folder, "base_lr: 1e-10 momentum: 0.99", BYTES)
    net = folder / "net.prototxt"
    fcn = """
layer { name: "data" type: "Data" top: "data" data_param { source: "a" batch_size: 1 } transform_param { crop_size: 64 } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 1 dim: 1 dim: 64 dim: 64 } } }
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "msra" } }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer {
  name: "score" type: "Convolution" bottom: "conv1" top: "score"
  convolution_param { num_output: 5 kernel_size: 1 weight_filler { type: "xavier" } }
}
layer {
  name: "upscore" type: "Deconvolution" bottom: "score" top: "upscore"
  convolution_param { num_output: 5 kernel_size: 2 stride: 2 bias_term: false }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "upscore" bottom: "label" loss_param { normalize: false } }
"""
    net.write_text(fcn)
    assert cause(path) == "zero weights"
    assert computed(path)["gradient_l2"] is None
    filler = 'weight_filler { type: "bilinear" }'
    net.write_text(fcn.replace("bias_term: false", f"bias_term: false {filler}"))
    assert computed(path)["gradient_l2"] is not None


def test_where_no_gradient_reaches_a_parameter_no_number_is_given(folder: Path) -> None:
    path = imaged(folder, "base_lr: 0.01", MADE_UP)
    net = folder / "net.prototxt"
    net.write_text(net.read_text().replace('top: "ip2"', 'top: "ip2" param { lr_mult: 0 } param { lr_mult: 0 }'))
    net.write_text(
        net.read_text().replace('top: "ip1" inner', 'top: "ip1" param { lr_mult: 0 } param { lr_mult: 0 } inner')
    )
    assert cause(path) in ("no gradient", "no loss")


def test_a_solver_whose_net_is_missing(folder: Path) -> None:
    path = written(folder, "base_lr: 0.01")
    (folder / "net.prototxt").unlink()
    with pytest.raises(InputError, match=r"solver\.prototxt:1:6: net 'net\.prototxt' is missing or ambiguous"):
        run(path)


def test_adam_takes_small_steps_with_a_large_delta(folder: Path) -> None:
    ratios = []
    for delta in ("1e-8", "1"):
        rows = computed(written(folder, f'base_lr: 0.001 type: "Adam" momentum: 0.9 delta: {delta}'))["updates"]
        assert isinstance(rows, list)
        ratios.append(rows[0]["ratio"])
    assert ratios[1] < 0.01 * ratios[0]


def loaded(folder: Path, size: float) -> str:
    """The path of a .caffemodel with weights of a size for the first layer."""
    model = caffe_pb2.NetParameter()
    layer = model.layer.add(name="ip1")
    for dims in ((64, 64), (64,)):
        blob = layer.blobs.add()
        blob.shape.dim.extend(dims)
        blob.data.extend([size, -size] * (math.prod(dims) // 2))
    path = folder / "a.caffemodel"
    path.write_bytes(model.SerializeToString())
    return str(path)


def param_size(found: dict[str, Any], layer: str) -> float:
    size: float = next(line["mean_abs"] for line in found["forward"] if (line["layer"], line["param"]) == (layer, 0))
    return size


def test_weights_of_a_file_are_those_of_the_first_iteration(folder: Path) -> None:
    path = written(folder, "base_lr: 0.05 momentum: 0.9")
    small, large = (
        json.loads(run(path, "--output-format", "json", "--weights", loaded(folder, size))[1])
        for size in (0.125, 100.0)
    )
    assert (param_size(small, "ip1"), param_size(large, "ip1")) == (0.125, 100.0)
    assert param_size(small, "ip2") == param_size(large, "ip2")  # not in the file: made by its filler
    assert small["verdict"] == "learns"
    assert large["loss"] > 10 * small["loss"]
    assert any(text.startswith("initial weights of ") for text in small["assumed"])


def test_weights_that_a_script_loads_leave_the_signal_unknown_unless_the_user_says_more(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / "train.sh").write_text("caffe train --solver solver.prototxt --weights vgg.caffemodel\n")
    path = written(folder, "base_lr: 0.05 momentum: 0.9")
    status, text = run(path)
    assert status == 0
    assert "weights are loaded (" in text
    assert "train.sh:1)" in text
    for options in (["--from-scratch"], ["--weights", loaded(folder, 0.125)]):
        assert json.loads(run(path, "--output-format", "json", *options)[1])["verdict"] == "learns"


def test_a_file_of_weights_fills_layers_without_fillers(folder: Path) -> None:
    path = written(folder, "base_lr: 0.05 momentum: 0.9", filler="")
    assert "weights are loaded (no layer has a weight_filler)" in run(path)[1]
    found = json.loads(run(path, "--output-format", "json", "--weights", loaded(folder, 0.125))[1])
    assert param_size(found, "ip1") == 0.125


def test_weights_of_another_shape_are_said(folder: Path) -> None:
    path = written(folder, "base_lr: 0.05 momentum: 0.9")
    (folder / "net.prototxt").write_text(NET.format(filler=MSRA).replace("num_output: 64", "num_output: 32"))
    status, text = run(path, "--weights", loaded(folder, 0.125))
    assert status == 1
    assert "the weight of layer 'ip1' of" in text
    assert "is 64 x 64, but that of the net 32 x 64" in text


def test_gradients_are_averaged_over_gpus(folder: Path) -> None:
    path = written(folder, "base_lr: 0.05 momentum: 0.9")
    one, four = (json.loads(run(path, "--output-format", "json", "--gpus", number)[1]) for number in ("1", "4"))
    assert 0.5 <= four["gradient_l2"] / one["gradient_l2"] < 1
    assert (one["assumed"], four["assumed"]) == ([], ["4 GPUs"])


def test_the_configuration_applies(folder: Path) -> None:
    path = written(folder, "base_lr: 0.05 momentum: 0.9")
    (folder / "caffe-lint.toml").write_text("gpus = 4\n")
    assert computed(path)["assumed"] == ["4 GPUs"]
