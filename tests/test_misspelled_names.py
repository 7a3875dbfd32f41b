"""Misspelled names: which are corrected by default, which only suggested."""

from __future__ import annotations

import pytest
from harness import check, fix_files

from caffe_lint.layers.custom import schema_with
from caffe_lint.proto.binder import bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.spelling import is_certain
from caffe_lint.rule.finding import Finding

EXAMPLE = 'layer {{\n  name: "a"\n  type: "{type}"\n  bottom: "x"\n  top: "y"\n  {field}\n}}\n'


@pytest.mark.parametrize(
    ("written", "meant", "known", "certain"),
    [
        ("kernal_size", "kernel_size", ["kernel_size"], True),
        ("weigth_decay", "weight_decay", ["weight_decay"], True),  # two neighbours swapped are one mistake
        ("kernelSize", "kernel_size", ["kernel_size"], True),
        ("Multi-Step", "multistep", ["multistep", "step"], True),
        ("mmd_param", "mvn_param", ["mvn_param"], False),  # two letters
        ("wieghtdecay", "weight_decay", ["weight_decay"], False),
        ("pad_x", "pad_h", ["pad_h", "pad_w"], False),  # two candidates
        ("padh", "pad_h", ["pad_h", "pad__h"], False),
        ("conv4", "conv3", ["conv3"], False),  # a number is no slip
        ("fc", "fx", ["fx"], False),
    ],
)
def test_what_can_only_be_a_slip(written: str, meant: str, known: list[str], certain: bool) -> None:
    assert is_certain(written, meant, known) is certain


def only(text: str, code: str, **settings: object) -> Finding:
    (found,) = check(text, "solver.prototxt" if "base_lr" in text else "net.prototxt", select=(code,), **settings)
    return found


@pytest.mark.parametrize(
    ("type", "field", "fix"),
    [
        ("Convolution", "convolution_param { num_output: 2 kernal_size: 3 }", "safe"),
        ("Convolution", "convolution_param { num_output: 2 kernal_sise: 3 }", "unsafe"),
        ("ReLU", 'botom: "z"', "safe"),
        ("SPDLoss", "spd_param { }", ""),  # a layer type that nobody knows has its own fields
        ("Mystery", 'botom: "z"', ""),
        ("MultiBoxLoss", "multibox_loss_param { num_clases: 21 }", "unsafe"),  # of a fork that the user did not name
        ("Pooling", "pooling_param { kernel_size: 2 strides: -2 }", ""),  # the value does not fit
        ("Pooling", "pooling_param { kernel_size: 2 strides: 2 }", "safe"),
        ("Pooling", "pooling_param { kernel_size: 2 strides: [2, 1] }", ""),
    ],
)
def test_a_field_is_renamed_by_default_only_if_its_owner_is_known(type: str, field: str, fix: str) -> None:
    found = only(EXAMPLE.format(type=type, field=field), "E110")
    assert (("safe" if found.fix.safe else "unsafe") if found.fix else "") == fix


def test_the_fields_of_the_named_fork_are_ours() -> None:
    text = EXAMPLE.format(type="MultiBoxLoss", field="multibox_loss_param { num_clases: 21 }")
    found = only(text, "E110", dialect="ssd")
    assert found.fix is not None
    assert found.fix.safe


def test_a_field_that_resembles_nothing_makes_its_neighbours_doubtful() -> None:
    text = EXAMPLE.format(type="Convolution", field="convolution_param { num_output: 2 kernal_size: 3 quantise: 8 }")
    fixes = [finding.fix for finding in check(text, select=("E110",)) if finding.fix]
    assert [fix.safe for fix in fixes] == [False]


@pytest.mark.parametrize("values", ["values: 1 values: 2", "values: [1, 2]", "values: [1] values: 2"])
def test_a_list_of_what_has_one_value_is_a_field_of_an_unknown_caffe(values: str) -> None:
    text = EXAMPLE.format(type="InnerProduct", field=f"inner_product_param {{ num_output: 2 bias_filler {{ {values} }} }}")
    assert fix_files({"net.prototxt": text}, unsafe=True, select=("E110",))["net.prototxt"] == text
    # So one of them alone may be its field, too.
    other = text + EXAMPLE.format(type="InnerProduct", field="inner_product_param { num_output: 2 bias_filler { values: 3 } }")
    assert fix_files({"net.prototxt": other}, select=("E110",))["net.prototxt"] == other


def test_a_list_of_a_misspelled_repeated_field_is_renamed() -> None:
    text = EXAMPLE.format(type="Convolution", field="convolution_param { num_output: 2 kernal_size: 3 kernal_size: 5 }")
    fixed = fix_files({"net.prototxt": text}, select=("E110",))["net.prototxt"]
    assert fixed == text.replace("kernal", "kernel")


def test_the_name_of_another_framework_does_not() -> None:
    text = EXAMPLE.format(type="Convolution", field="convolution_param { filters: 2 kernal_size: 3 }")
    fixes = [finding.fix for finding in check(text, select=("E110",)) if finding.fix]
    assert [fix.safe for fix in fixes] == [True]


@pytest.mark.parametrize(
    ("type", "field", "meant", "fixed"),
    [
        ("MAE", "", None, False),  # one letter from MOE
        ("Crpo", "", None, False),
        ("relu", "relu_param { }", "ReLU", True),
        ("elu", "", "ELU", True),
        ("Pooling3", "", "Pooling", False),
        ("Pooling3", "pooling_param { }", "Pooling", False),
        ("Pooling3", "pooling3_param { }", None, False),
        ("PoolingMD", "pooling_md_param { }", None, False),
        ("Pooing", "pooling_param { }", "Pooling", True),
        ("Pooing", "pooing_param { }", None, False),  # then both names are its own
    ],
)
def test_which_type_is_suggested_for_an_unknown_one(type: str, field: str, meant: str | None, fixed: bool) -> None:
    found = only(EXAMPLE.format(type=type, field=field), "E116")
    assert found.message == f"no known Caffe has a layer type '{type}'" + (f"; did you mean '{meant}'?" if meant else "")
    assert (found.fix is not None) is fixed


def test_a_value_in_a_layer_of_an_unknown_type_is_not_corrected() -> None:
    text = EXAMPLE.format(type="Mystery", field="pooling_param { pool: AVG kernel_size: 2 }")
    assert only(text, "E112").fix is None
    found = only(EXAMPLE.format(type="Pooling", field="pooling_param { pool: AVG kernel_size: 2 }"), "E112")
    assert found.fix is not None
    assert found.fix.safe


def test_a_described_layer_type_has_fields_of_its_own() -> None:
    schema = schema_with(caffe_schema(), ["Mystery"])
    text = EXAMPLE.format(type="Mystery", field='botom: "z"').encode()
    (problem,) = bind(parse(text), schema, "NetParameter").problems
    assert (problem.kind, problem.repair) == ("unknown-field", None)


@pytest.mark.parametrize(
    ("field", "safe"),
    [('lr_policy: "steps"', True), ('lr_policy: "Multi_Step"', True), ('lr_policy: "multstp"', False)],
)
def test_a_policy(field: str, safe: bool) -> None:
    found = only(f'net: "net.prototxt"\nbase_lr: 0.01\n{field}\nmax_iter: 100\n', "S121")
    assert found.fix is not None
    assert found.fix.safe is safe


def test_the_type_of_a_solver_for_an_unknown_caffe() -> None:
    solver = 'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 100\ntype: "ADAM"\n'
    found = only(solver, "S131")
    assert found.fix is not None
    assert found.fix.safe
    found = only(solver + "rotate_gradients: 3\n", "S131")
    assert found.fix is not None
    assert not found.fix.safe
