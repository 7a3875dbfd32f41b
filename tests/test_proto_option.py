"""--proto: files are read by the user's own caffe.proto."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc_tools", reason="compiling a .proto needs grpcio-tools")

OLD_CAFFE = """\
syntax = "proto2";
package caffe;
message NetParameter { optional string name = 1; repeated LayerParameter layer = 100; }
message LayerParameter {
  optional string name = 1;
  optional string type = 2;
  repeated string bottom = 3;
  repeated string top = 4;
  repeated float loss_weight = 5;
  optional ConvolutionParameter convolution_param = 106;
  optional MagicParameter magic_param = 200;
}
message ConvolutionParameter {
  optional uint32 num_output = 1;
  optional uint32 pad = 3 [default = 0];
  optional uint32 kernel_size = 4;
}
message MagicParameter { optional float spell = 1 [default = 1]; }
message SolverParameter {
  optional string net = 24;
  optional float base_lr = 5;
  optional int32 max_iter = 7;
  optional string lr_policy = 8;
  optional float momentum = 11;
}
"""
NET = """\
layer { name: "data" type: "DummyData" top: "data" }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "m" type: "Magic" bottom: "c" top: "m" magic_param { spell: 2 } }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my.proto").write_text(OLD_CAFFE)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 9\nmomentum: 0.9\n'
    )
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "caffe_lint", *arguments, "--output-format", "concise"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_what_only_the_users_caffe_has_is_known(folder: Path) -> None:
    assert "magic_param" in run(folder, "net.prototxt").stdout
    assert "magic_param" not in run(folder, "net.prototxt", "--proto", "my.proto").stdout


def test_what_the_users_caffe_lacks_is_refused(folder: Path) -> None:
    (folder / "net.prototxt").write_text(NET.replace("kernel_size: 3", "kernel_size: 3 dilation: 2"))
    done = run(folder, "net.prototxt", "--proto", "my.proto")
    assert "E110" in done.stdout
    assert "dilation" in done.stdout


def test_rules_ask_for_fields_that_the_users_caffe_lacks_without_harm(folder: Path) -> None:
    assert run(folder, "solver.prototxt", "--proto", "my.proto").returncode in (0, 1)
    fixed = run(folder, "solver.prototxt", "--proto", "my.proto", "--fix")
    assert "clip_gradients" not in (folder / "solver.prototxt").read_text(), fixed.stderr


CENTRES = """\
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 4 dim: 8 } shape { dim: 4 } data_filler { type: "gaussian" std: 1 } } }
layer { name: "c" type: "CenterLoss" bottom: "data" bottom: "label" top: "c" center_loss_param { %s } }
layer { name: "d" type: "Convolution" bottom: "data" top: "d" convolution_param { kernel_size: 1 } }
layer { name: "e" type: "Concat" bottom: "data" bottom: "c" top: "e" }
"""


@pytest.mark.parametrize(
    ("fields", "settings", "is_ours"),
    [
        ("optional uint32 classes = 1;", "classes: 3", False),
        ("optional uint32 classes = 1;", "", False),
        ("optional uint32 classes = 1; optional uint32 num_output = 2;", "classes: 3", True),
    ],
)
def test_a_layer_type_with_other_settings_than_ours_is_an_unknown_one(folder: Path, fields: str, settings: str, is_ours: bool) -> None:
    own = "optional CenterLossParameter center_loss_param = 201; optional DummyDataParameter dummy_data_param = 109;\n"
    rest = f"message CenterLossParameter {{ {fields} }}\n" + (
        "message DummyDataParameter { repeated FillerParameter data_filler = 1; repeated BlobShape shape = 6; }\n"
        "message FillerParameter { optional string type = 1; optional float std = 6; }\n"
        "message BlobShape { repeated int64 dim = 1; }\n"
    )
    (folder / "my.proto").write_text(OLD_CAFFE.replace("  optional Magic", f"  {own}  optional Magic", 1) + rest)
    (folder / "net.prototxt").write_text(CENTRES % settings)
    found = run(folder, "net.prototxt", "--proto", "my.proto", "--select", "E").stdout
    assert ("CenterLoss layer 'c': num_output is not set" in found) is is_ours
    assert ("bottoms have different numbers of axes" in found) is is_ours  # the shape of another type's top is unknown
    assert "Convolution layer 'd': num_output is not set" in found


def test_a_proto_that_does_not_compile_is_said_with_protocs_words(folder: Path) -> None:
    (folder / "bad.proto").write_text("message {")
    done = run(folder, "net.prototxt", "--proto", "bad.proto")
    assert done.returncode == 2
    assert "bad.proto:1:9" in done.stderr
    assert "WARNING" not in done.stderr  # that the file has no syntax line
    assert "x0a" not in done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.proto", "No such file"),
        (".", "this is a folder"),
        ("other.proto", "not a caffe.proto"),
        ("part.proto", "only a part of a caffe.proto: it has no message NetParameter; pass the one that your Caffe is built with"),
    ],
)
def test_a_proto_that_is_none_is_said(folder: Path, name: str, words: str) -> None:
    (folder / "other.proto").write_text('syntax = "proto2"; message A {}')
    (folder / "part.proto").write_text('syntax = "proto2"; message LayerParameter { optional string type = 2; }')
    done = run(folder, "net.prototxt", "--proto", name)
    assert (done.returncode, words in done.stderr) == (2, True)
