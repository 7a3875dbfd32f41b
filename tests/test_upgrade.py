"""Nets and solvers of older forms become what Caffe makes of them, and every value keeps its place."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
from nets import upgraded_net

from caffe_lint.proto.binder import Message, bind, plain
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.upgrade import Upgraded, upgrade, upgrade_solver

ORACLE = Path(__file__).resolve().parents[2] / "shared" / "oracle" / "upgrade"
CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "files"

V1 = """\
name: "old"
layers {
  name: "data" type: DATA top: "data" top: "label"
  data_param { source: "db" batch_size: 4 scale: 0.5 crop_size: 20 }
}
layers {
  name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
  blobs_lr: 1 blobs_lr: 2
  weight_decay: 1 weight_decay: 0
  param: "w"
  convolution_param { num_output: 3 kernel_size: 5 }
}
"""


def solver(text: str) -> Upgraded:
    return upgrade_solver(bind(parse(text.encode()), caffe_schema(), "SolverParameter").message)


def layer(net: Upgraded, name: str) -> Message:
    found: Message = next(each for each in net.message["layer"] if each["name"] == name)
    return found


def written(text: str, message: Message, path: str) -> str:
    start, end = message.at(path)
    return text[start:end]


def test_a_net_in_the_current_format_is_returned_unchanged() -> None:
    bound = bind(parse(b'layer { type: "ReLU" bottom: "x" top: "x" }'), caffe_schema(), "NetParameter")
    assert upgrade(bound.message, caffe_schema()).message is bound.message


def test_v1_layers_become_layers_whose_values_stand_where_they_stood() -> None:
    net = upgraded_net(V1)
    assert net.steps == ("data-transform", "v1")
    conv = layer(net, "conv")
    assert conv["type"] == "Convolution"
    assert written(V1, conv, "type") == "CONVOLUTION"
    assert written(V1, conv, "convolution_param.kernel_size[0]") == "5"
    assert [(param["lr_mult"], param["decay_mult"], param["name"]) for param in conv["param"]] == [
        (1.0, 1.0, "w"),
        (2.0, 0.0, ""),
    ]
    assert written(V1, conv, "param[1].lr_mult") == "2"
    assert written(V1, conv, "param[0].name") == '"w"'


def test_v1_data_transforms_move_to_transform_param() -> None:
    data = layer(upgraded_net(V1), "data")
    assert (data["transform_param"]["scale"], data["transform_param"]["crop_size"]) == (0.5, 20)
    assert "scale" not in data["data_param"]
    assert written(V1, data, "transform_param.scale") == "0.5"


def test_upgrading_does_not_change_the_original_message() -> None:
    bound = bind(parse(V1.encode()), caffe_schema(), "NetParameter").message
    before = plain(bound)
    upgrade(bound, caffe_schema())
    assert plain(bound) == before


def test_a_v1_window_scale_is_lost_and_said_to_be() -> None:
    net = upgraded_net('layers { name: "d" type: WINDOW_DATA top: "d" top: "l" window_data_param { scale: 0.5 } }')
    assert [(problem.kind, problem.fatal) for problem in net.problems] == [("window-scale-lost", False)]


def test_both_forms_in_one_net_are_refused_but_both_are_read() -> None:
    text = 'layer { name: "a" type: "ReLU" } layers { name: "b" type: RELU } layer { name: "c" type: "TanH" }'
    net = upgraded_net(text)
    assert [(problem.kind, problem.fatal) for problem in net.problems] == [("mixed-layer-formats", True)]
    assert [each["name"] for each in net.message["layer"]] == ["a", "b", "c"]


def test_a_v1_layer_without_type_has_none_and_a_forks_value_has_its_own() -> None:
    assert layer(upgraded_net('layers { name: "a" }'), "a")["type"] == ""
    assert layer(upgraded_net('layers { name: "a" type: NONE }'), "a")["type"] == ""
    net = upgraded_net(
        'layers { name: "a" type: ROI_POOLING } layers { name: "b" type: LSTM_RESHAPE }', "cambricon"
    )
    assert (layer(net, "a")["type"], layer(net, "b")["type"]) == ("ROIPooling", "LstmReshape")
    assert net.enum_types == {"ROIPooling", "LstmReshape"}


V0 = """\
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "data" top: "padded" }
layers {
  layer {
    name: "conv" type: "conv" num_output: 4 kernelsize: 5 biasterm: false blobs_lr: 3
    weight_filler { type: "xavier" } dropout_ratio: 0.3
  }
  bottom: "padded" top: "conv"
}
"""


def test_v0_layers_take_the_padding_layer_before_them_into_themselves() -> None:
    net = upgraded_net(V0)
    assert net.steps == ("v0", "v1", "inputs")
    conv = layer(net, "conv")
    param = conv["convolution_param"]
    assert (conv["type"], conv["bottom"], conv["param"][0]["lr_mult"]) == ("Convolution", ["data"], 3.0)
    assert (param["pad"], param["kernel_size"], param["bias_term"]) == ([2], [5], False)
    assert written(V0, conv, "convolution_param.pad[0]") == "2"
    assert written(V0, conv, "convolution_param.weight_filler.type") == '"xavier"'
    assert [each["name"] for each in net.message["layer"]] == ["input", "conv"]


def test_v0_fields_of_other_types_are_lost_and_said_to_be() -> None:
    assert [(problem.kind, problem.fatal) for problem in upgraded_net(V0).problems] == [("v0-field-lost", False)]
    unknown = upgraded_net('layers { layer { name: "a" type: "convolution" } }').problems
    assert [(problem.kind, problem.fatal) for problem in unknown] == [("v0-type", True)]
    relu = 'layers { layer { name: "r" type: "relu" } bottom: "padded" top: "r" }'
    assert ("v0-padding", True) in {(problem.kind, problem.fatal) for problem in upgraded_net(V0 + relu).problems}


def test_v0_without_a_nested_layer_keeps_its_bottoms_and_tops_only() -> None:
    net = upgraded_net(V0 + 'layers { name: "b" type: RELU bottom: "conv" top: "b" }')
    last = net.message["layer"][-1]
    assert (last["name"], last["type"], last["bottom"], last["top"]) == ("", "", ["conv"], ["b"])


def test_net_inputs_become_one_layer_before_all_others() -> None:
    text = 'input: "a" input: "b" input_dim: [1, 2, 3, 4, 5, 6, 7, 8] layer { name: "l" type: "ReLU" }'
    net = upgraded_net(text)
    first = net.message["layer"][0]
    assert (first["name"], first["type"], first["top"]) == ("input", "Input", ["a", "b"])
    assert [shape["dim"] for shape in first["input_param"]["shape"]] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert written(text, first, "input_param.shape[1].dim[0]") == "5"
    assert "input" not in net.message
    assert "input_dim" not in net.message


def test_one_shape_for_two_inputs_is_that_of_the_first() -> None:
    net = upgraded_net('input: "a" input: "b" input_shape { dim: 1 dim: 2 }')
    assert net.undefined_inputs == {"b"}
    assert [(problem.kind, problem.fatal) for problem in net.problems] == [("input-shape-missing", True)]
    assert [each["top"] for each in net.message["layer"]] == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('input: "a"', "input-without-shape"),
        ('input: "a" input_shape { dim: 1 } input_dim: 3', "input-dim-ignored"),
        ('input: "a" input_dim: [1, 2, 3, 4, 5]', "input-dim-ignored"),
        ('input: "a" input_shape { dim: 1 } input_shape { dim: 2 }', "input-shape-ignored"),
    ],
)
def test_what_caffe_drops_of_net_inputs_is_said(text: str, kind: str) -> None:
    assert [(problem.kind, problem.fatal) for problem in upgraded_net(text).problems] == [(kind, False)]


def test_three_params_of_a_batch_norm_are_frozen_others_are_left_alone() -> None:
    for count, rates in ((3, [0.0, 0.0, 0.0]), (2, [5.0, 5.0])):
        text = f'layer {{ name: "bn" type: "BatchNorm" {"param { lr_mult: 5 } " * count}}}'
        net = upgraded_net(text)
        assert [param["lr_mult"] for param in layer(net, "bn")["param"]] == rates
        assert written(text, layer(net, "bn"), "param[1].lr_mult") == "5"


def test_solver_type_becomes_type() -> None:
    text = "solver_type: RMSPROP base_lr: 0.1"
    lifted_solver = solver(text)
    assert lifted_solver.message["type"] == "RMSProp"
    assert written(text, lifted_solver.message, "type") == "RMSPROP"
    assert "solver_type" not in lifted_solver.message
    assert lifted_solver.steps == ("solver-type",)


def test_solver_type_beside_type_is_refused() -> None:
    assert [problem.kind for problem in solver('solver_type: ADAM type: "SGD"').problems] == [
        "duplicate-solver-type"
    ]


def rounded(value: Any) -> Any:
    """Numbers as Caffe's printer leaves them."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value


@pytest.mark.skipif(not (ORACLE / "index.tsv").is_file(), reason="needs ../shared/oracle/upgrade")
def test_real_files_become_what_caffes_own_tools_made_of_them() -> None:
    with (ORACLE / "index.tsv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    different = []
    for row in rows:
        kind = "SolverParameter" if "solver" in row["kind"] else "NetParameter"
        old = bind(parse((CORPUS / row["corpus_file"]).read_bytes()), caffe_schema(), kind).message
        new = bind(parse((ORACLE / row["upgraded"]).read_bytes()), caffe_schema(), kind).message
        ours = upgrade_solver(old) if kind == "SolverParameter" else upgrade(old, caffe_schema())
        if rounded(plain(ours.message)) != rounded(plain(new)):
            different.append(row["corpus_file"])
    assert len(rows) > 50
    assert different == []
