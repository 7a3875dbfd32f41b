"""Where the initial weights of a training come from: the sources of evidence, and their order."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from harness import run

from caffe_lint.engine.configuring import LOOKUPS, settings_of_paths
from caffe_lint.engine.files_in_memory import Files, nets_for
from caffe_lint.net.job import Job, SolverFile
from caffe_lint.net.published_nets import PUBLISHED, published_layers
from caffe_lint.net.weights_origin import WeightsOrigin
from caffe_lint.proto import caffe_pb2
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.settings.config_file import read_config
from caffe_lint.settings.in_force import CommandLine
from caffe_lint.settings.settings import ConfigError, Settings
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


def job_of(solver: str, fillers: str, **settings: Any) -> Job:
    files = Files(caffe_schema(), None)
    files.add("solver.prototxt", solver.encode())
    files.add("net.prototxt", (net(fillers) if len(fillers) < 20 else fillers).encode())
    return nets_for(files, Settings(**settings)).job(SolverFile(files.get("solver.prototxt")), None)


def origin_of(solver: str, fillers: str, **settings: Any) -> WeightsOrigin:
    return job_of(solver, fillers, **settings).origin


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


def test_the_filler_of_upsampling_does_not_count_but_that_of_an_lstm_does() -> None:
    text = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 32 dim: 32 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 dim: 1 dim: 64 dim: 64 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 8 kernel_size: 3 pad: 1 } }
layer { name: "b" type: "Convolution" bottom: "a" top: "b" convolution_param { num_output: 5 kernel_size: 1 } }
layer {
  name: "up" type: "Deconvolution" bottom: "b" top: "up"
  convolution_param { num_output: 5 group: 5 kernel_size: 4 stride: 2 pad: 1 weight_filler { type: "bilinear" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "up" bottom: "label" }
"""
    assert origin_of(SOLVER, text).evidence == "weights are loaded (only upsampling has a weight_filler)"
    text = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 2 dim: 6 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 dim: 2 } } }
layer { name: "cont" type: "Input" top: "cont" input_param { shape { dim: 4 dim: 2 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 6 axis: 2 } }
layer {
  name: "lstm" type: "LSTM" bottom: "a" bottom: "cont" top: "lstm"
  recurrent_param { num_output: 6 weight_filler { type: "uniform" min: -0.1 max: 0.1 } }
}
layer { name: "b" type: "InnerProduct" bottom: "lstm" top: "b" inner_product_param { num_output: 6 axis: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "b" bottom: "label" softmax_param { axis: 2 } }
"""
    assert origin_of(SOLVER, text).kind == "unknown"


def test_a_single_layer_without_a_filler_can_learn_from_zero() -> None:
    assert origin_of(SOLVER, "Z").kind == "fillers"


def test_new_layers_after_ones_without_fillers() -> None:
    found = origin_of(SOLVER, "ZZZF")
    assert (found.kind, found.evidence) == ("unknown", "initial weights are unknown (3 of 4 layers have no weight_filler)")


def test_a_frozen_layer_without_a_filler_can_only_be_loaded() -> None:
    found = origin_of(SOLVER, "zFFF")
    assert (found.kind, found.evidence) == ("unknown", "initial weights are unknown ('ip0' is frozen and has no weight_filler)")


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
    assert found == WeightsOrigin("loaded", "weights are loaded (train.sh:2)", True, gpus=2, gpus_evidence="2 GPUs (train.sh:2)")
    assert found.assumed == ["weights are loaded (train.sh:2)", "2 GPUs (train.sh:2)"]


def test_a_script_without_weights_says_fillers_whatever_the_net_looks_like(folder: Path) -> None:
    found = with_scripts(folder, fillers="ZZZ", train=TRAIN)
    assert found == WeightsOrigin("fillers", "initial weights from fillers (train.sh:1)", is_stated=True)


def test_scripts_that_disagree(folder: Path) -> None:
    found = with_scripts(folder, a_scratch=TRAIN, b_tune=TRAIN + " --weights=x")
    evidence = "initial weights are unknown (b_tune.sh:1 loads weights, a_scratch.sh:1 does not)"
    assert found == WeightsOrigin("unknown", evidence, is_stated=True)


def test_a_script_that_resumes_does_not_say_how_the_training_began(folder: Path) -> None:
    resume = TRAIN + " --snapshot=net_iter_10.solverstate"
    assert with_scripts(folder, resume=resume).kind == "loaded"
    forget_repositories()
    forget_runs()
    assert with_scripts(folder, resume=resume, train=TRAIN).evidence == "initial weights from fillers (train.sh:1)"


def test_a_script_that_decides_when_it_runs(folder: Path) -> None:
    found = with_scripts(folder, train=TRAIN + " $EXTRA")
    assert (found.kind, found.evidence) == ("unknown", "initial weights are unknown (train.sh:1 may load weights)")


def test_the_solver_comes_before_scripts(folder: Path) -> None:
    found = with_scripts(folder, solver=SOLVER + 'weights: "x"\n', train=TRAIN)
    assert (found.kind, found.evidence) == ("loaded", "weights are loaded (solver.prototxt:5)")


def test_numbers_of_gpus(folder: Path) -> None:
    found = with_scripts(folder, a=TRAIN + " -gpu 0,1", b=TRAIN + " -gpu 0,1,2,3")
    assert (found.gpus, found.gpus_evidence) == (1, "unknown number of GPUs (2: a.sh:1, 4: b.sh:1)")
    forget_repositories()
    forget_runs()
    found = with_scripts(folder, a=TRAIN + " -gpu all", b=TRAIN)
    assert (found.gpus, found.gpus_evidence) == (1, "unknown number of GPUs (a.sh:1: all)")


def trained(path: Path, shape: tuple[int, ...] = (6, 6)) -> str:
    """Write a .caffemodel with a layer ip0, all of whose weights are 0.5; return its path."""
    model = caffe_pb2.NetParameter()
    layer = model.layer.add(name="ip0")
    for dims in (shape, (6,)):
        blob = layer.blobs.add()
        blob.shape.dim.extend(dims)
        blob.data.extend([0.5] * math.prod(dims))
    path.write_bytes(model.SerializeToString())
    return str(path)


def test_from_scratch_comes_before_everything_else(folder: Path) -> None:
    (folder / "train.sh").write_text(TRAIN + " --weights=x -gpu 0,1")
    found = origin_of(SOLVER + 'weights: "x"\n', "ZZZ", from_scratch=True)
    assert found == WeightsOrigin("fillers", is_stated=True, gpus=2, gpus_evidence="2 GPUs (train.sh:1)")


def test_a_file_of_weights_makes_them_known(folder: Path) -> None:
    found = origin_of(SOLVER, "FF", weights=trained(Path("a.caffemodel")))
    evidence = "initial weights of a.caffemodel, and of the fillers of 'ip1'"
    assert (found.kind, found.evidence, found.is_known) == ("loaded", evidence, True)
    assert origin_of(SOLVER, "F", weights=trained(Path("a.caffemodel"))).evidence == "initial weights of a.caffemodel"
    more = origin_of(SOLVER, "FFFF", weights=trained(Path("a.caffemodel"))).evidence
    assert more == "initial weights of a.caffemodel, and of the fillers of 'ip1' and 2 other layers"
    assert found.trained is not None
    assert found.trained.layers["ip0"][0].mean_abs == 0.5


def test_weights_that_caffe_would_not_load(folder: Path) -> None:
    found = origin_of(SOLVER, "FF", weights=trained(Path("a.caffemodel"), (7, 6)))
    reason = "the weight of layer 'ip0' of a.caffemodel is 7 x 6, but that of the net 6 x 6"
    assert (found.kind, found.evidence, found.is_known) == (
        "unknown",
        f"Caffe would not load the weights: {reason}",
        False,
    )


def test_the_number_of_gpus_that_the_user_gives(folder: Path) -> None:
    (folder / "train.sh").write_text(TRAIN + " -gpu 0,1")
    assert origin_of(SOLVER, "FF", gpus=4)[-2:] == (4, "4 GPUs")
    assert origin_of(SOLVER, "FF", gpus=1)[-2:] == (1, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from-scratch = 1", "'from-scratch' must be true or false, not 1"),
        ("weights = true", "'weights' must be a string, not true"),
        ("gpus = 0", "'gpus' must be a number from 1 to 10000, not 0"),
        ("gpus = true", "'gpus' must be a number from 1 to 10000, not true"),
        ('gpus = "all"', "'gpus' must be a number from 1 to 10000, not 'all'"),
        ('from-scratch = true\nweights = "a"', "'from-scratch' and 'weights' contradict each other"),
        ("from_scratch = true", "unknown key 'from_scratch'; did you mean 'from-scratch'?"),
    ],
)
def test_invalid_keys_of_the_configuration(folder: Path, text: str, message: str) -> None:
    (folder / "caffe-lint.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        read_config("caffe-lint.toml", LOOKUPS, is_named=False)
    assert str(error.value) == f"caffe-lint.toml: {message}"


def in_force(path: str, **asked: Any) -> tuple[bool, str | None, int | None]:
    settings = settings_of_paths(CommandLine(**asked), caffe_schema()).of(path)
    return settings.from_scratch, settings.weights, settings.gpus


def test_keys_of_the_configuration(folder: Path) -> None:
    (folder / "models").mkdir()
    trained(folder / "models" / "a.caffemodel")
    (folder / "models" / "caffe-lint.toml").write_text(
        'weights = "a.caffemodel"\ngpus = 2\n[per-file]\n"scratch*" = {from-scratch = true}\n'
    )
    assert in_force("models/solver.prototxt") == (False, "models/a.caffemodel", 2)
    assert in_force("models/scratch.prototxt") == (True, None, 2)
    assert in_force("models/solver.prototxt", from_scratch=True, gpus=1) == (True, None, 1)
    assert in_force("models/scratch.prototxt", weights="models/a.caffemodel") == (False, "models/a.caffemodel", 2)


def test_weights_that_do_not_exist_are_an_error(folder: Path) -> None:
    for path, why in (("a.caffemodel", "no such file"), (".", "not a file")):
        with pytest.raises(ConfigError) as error:
            in_force("solver.prototxt", weights=path)
        assert str(error.value) == f"weights: {path}: {why}"


def test_options_of_the_command_line(folder: Path) -> None:
    (folder / "solver.prototxt").write_text(SOLVER)
    (folder / "net.prototxt").write_text(net("FF"))
    (folder / "text.caffemodel").write_text("no weights")
    done = run(folder, "solver.prototxt", "--from-scratch", "--weights", "a.caffemodel")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, "Error: --from-scratch and --weights contradict each other")
    assert run(folder, "solver.prototxt", "--gpus", "0").returncode == 2
    assert run(folder, "solver.prototxt", "--from-scratch", "--gpus", "4").returncode in (0, 1)
    done = run(folder, "solver.prototxt", "--weights", "missing.caffemodel")
    assert (done.returncode, done.stderr) == (2, "caffe-lint: weights: missing.caffemodel: no such file\n")
    done = run(folder, "solver.prototxt", "--weights", "text.caffemodel")
    assert done.returncode == 2
    assert "text.caffemodel: not a readable .caffemodel" in done.stderr


def n205(folder: Path, *options: str) -> list[str]:
    (folder / "solver.prototxt").write_text(SOLVER)
    (folder / "net.prototxt").write_text(net("ZZZ"))
    done = run(folder, "solver.prototxt", "--select", "N205", "--output-format", "json", *options)
    return [finding["severity"] for finding in json.loads(done.stdout)["findings"]]


def test_zero_weights_are_a_mistake_if_nothing_loads_others(folder: Path) -> None:
    assert n205(folder) == ["advice"]
    assert n205(folder, "--from-scratch") == ["warning"]
    (folder / "train.sh").write_text(TRAIN)
    assert n205(folder) == ["warning"]
    (folder / "train.sh").write_text(TRAIN + " --weights x")
    assert n205(folder) == []


def test_the_layers_of_published_nets() -> None:
    numbers = {name: len(published_layers(name)) for name in PUBLISHED}
    assert numbers == {
        "CaffeNet": 8, "VGG-16": 16, "VGG-19": 19, "VGG_CNN": 8, "ZF": 8, "NIN": 12, "GoogLeNet": 58, "ResNet-50": 54,
        "ResNet-101": 105, "ResNet-152": 156, "SqueezeNet 1.0": 26, "SqueezeNet 1.1": 26, "MobileNet": 28,
    }  # fmt: skip
    assert published_layers("ResNet-101")["res4b22_branch2b"] == (256, 3)
    assert published_layers("ResNet-50")["res3d_branch2c"] == (512, 1)
    assert published_layers("GoogLeNet")["inception_4c/5x5"] == (64, 5)
    assert published_layers("VGG-16")["fc7"] == (4096, 0)


def fine_tuned(rates: str, *, first: int = 64, last: str = "fc8_new") -> str:
    """A net with the first convolutions of VGG-16 and a new layer; F: it learns faster, f: the others are frozen, s: neither."""
    text = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 32 dim: 32 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
"""
    below = "data"
    for name, outputs in (("conv1_1", first), ("conv1_2", first), ("conv2_1", 128), ("conv2_2", 128)):
        text += (
            f'layer {{ name: "{name}" type: "Convolution" bottom: "{below}" top: "{name}" param {{ lr_mult: {0 if rates == "f" else 1} }}'
            f' convolution_param {{ num_output: {outputs} kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}\n'
        )
        below = name
    return text + (
        f'layer {{ name: "{last}" type: "InnerProduct" bottom: "{below}" top: "fc8" param {{ lr_mult: {10 if rates == "F" else 1} }}'
        ' inner_product_param { num_output: 20 weight_filler { type: "gaussian" std: 0.01 } } }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" }\n'
    )


def test_layers_of_a_published_net_with_new_ones_that_learn_faster() -> None:
    evidence = "initial weights are unknown (layers of VGG-16, and new ones that learn faster)"
    assert origin_of(SOLVER, fine_tuned("F")) == WeightsOrigin("unknown", evidence)
    assert origin_of(SOLVER, fine_tuned("f")).evidence == evidence
    assert origin_of(SOLVER, fine_tuned("F", last="fc8")).evidence == evidence  # of another size than that of VGG
    assert origin_of(SOLVER, fine_tuned("s")).kind == "fillers"
    assert origin_of(SOLVER, fine_tuned("F", first=32)).kind == "fillers"
    assert origin_of(SOLVER, fine_tuned("F"), from_scratch=True).kind == "fillers"
