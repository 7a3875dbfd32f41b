"""The rules for nets that Caffe rejects, and their fixes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from harness import check, check_files, fix, fix_files, places

import caffe_lint
from caffe_lint.rule.registry import all_rules
from caffe_lint.rules.problems import RULE_OF

DATA = """\
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param {
    shape { dim: 8 dim: 3 dim: 12 dim: 12 }
    shape { dim: 8 }
  }
}
"""
CONV = """\
layer {
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  convolution_param {
    num_output: 4
    kernel_size: 3
    weight_filler { type: "xavier" }
  }
}
"""
POOL = """\
layer { name: "pool" type: "Pooling" bottom: "conv1" top: "pool" pooling_param { kernel_size: 2 } }
"""
LOSS = """\
layer {
  name: "ip"
  type: "InnerProduct"
  bottom: "conv1"
  top: "ip"
  inner_product_param {
    num_output: 10
    weight_filler { type: "xavier" }
  }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "ip"
  bottom: "label"
  top: "loss"
}
"""
NET = DATA + CONV + LOSS


def found(text: str, select: str = "E2", **settings: object) -> list[tuple[str, int]]:
    return places(check(text, select=(select,), **settings))


def relu(bottom: str, top: str, more: str = "") -> str:
    return f'layer {{ name: "relu1" type: "ReLU" bottom: "{bottom}" top: "{top}" {more}}}\n'


def test_a_correct_net_has_no_finding() -> None:
    assert found(NET) == []


# -- the table of kinds --------------------------------------------------------------------------------------


def kinds_in_the_code() -> dict[str, str]:
    """Every kind of problem that the code can report, and where; `*` for a part known only when it runs."""
    kinds: dict[str, str] = {}
    folder = Path(caffe_lint.__path__[0])
    for path in sorted([*folder.glob("layers/*.py"), *folder.glob("net/*.py"), *folder.glob("moments/*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in ("fail", "report", "_fail", "NetProblem", "_problem"):
                continue
            for argument in node.args[:2]:
                kind = _kind(argument)
                if kind:
                    kinds[kind] = f"{path.name}:{node.lineno}"
    return kinds


def _kind(argument: ast.expr) -> str:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", argument.value) else ""
    if isinstance(argument, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in argument.values)
        return text if re.fullmatch(r"[a-z0-9*]+(-[a-z0-9*]+)*", text) else ""
    return ""


def test_every_kind_of_problem_has_a_rule() -> None:
    kinds = kinds_in_the_code()
    assert len(kinds) > 60
    missing = {
        kind: where
        for kind, where in kinds.items()
        if not any(re.fullmatch(kind.replace("*", "[a-z-]+"), known) for known in RULE_OF)
    }
    assert not missing


def test_the_table_names_existing_rules() -> None:
    assert set(RULE_OF.values()) <= set(all_rules())


# -- bottoms -------------------------------------------------------------------------------------------------


def test_a_misspelled_bottom_is_found_at_its_line_and_fixed() -> None:
    text = NET.replace('bottom: "conv1"', 'bottom: "conv_1"')
    assert found(text) == [("E201", 25)]
    assert fix(text, select=("E2",)) == NET


def test_a_bottom_that_differs_in_its_number_may_mean_a_layer_that_is_missing() -> None:
    text = NET.replace('bottom: "conv1"', 'bottom: "conv2"')
    finding = check(text, select=("E201",))[0]
    assert finding.fix is not None
    assert not finding.fix.safe
    assert fix(text, select=("E2",)) == text


_FED = """\
layer { name: "in" type: "Input" top: "data1" top: "map" input_param { shape { dim: 4 dim: 3 dim: 9 dim: 9 } shape { dim: 4 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data1" top: "fc" inner_product_param { num_output: 10 } }
layer { name: "out" type: "%s" bottom: "fc" bottom: "%s" top: "out" }
"""


@pytest.mark.parametrize(
    ("type_name", "label", "meant"),
    [
        ("SoftmaxWithLoss", "data2", None),
        ("Accuracy", "data2", None),
        ("EuclideanLoss", "data2", None),
        ("SoftmaxWithLoss", "datal1", None),  # class scores are computed from it, however certain the spelling is
        ("SoftmaxWithLoss", "fcl", None),
        ("EuclideanLoss", "datal1", "data1"),  # the target of an autoencoder
        ("SoftmaxWithLoss", "mapp", "map"),
        ("Accuracy", "mapp", "map"),
        ("Eltwise", "data2", "data1"),
    ],
)
def test_a_missing_label_is_not_taken_for_what_the_scores_are_computed_from(type_name: str, label: str, meant: str | None) -> None:
    (finding,) = check(_FED % (type_name, label), select=("E201",))
    assert (f"did you mean '{meant}'?" in finding.message) == (meant is not None)
    assert ("deploy nets have no labels" in finding.message) == (meant is None)


def test_two_equally_similar_names_give_no_fix() -> None:
    text = NET.replace("label", "title_a").replace('bottom: "title_a"', 'bottom: "title"')
    assert check(text, select=("E201",))[0].fix is not None
    text = text.replace('top: "conv1"', 'top: "title_b"').replace('bottom: "conv1"', 'bottom: "title_b"')
    finding = check(text, select=("E201",))[0]
    assert finding.place.line == 36
    assert finding.fix is None


def test_a_layer_that_reads_and_writes_the_misspelled_blob_works_in_place_again() -> None:
    text = DATA + CONV + relu("conv_1", "conv_1") + LOSS
    assert fix(text, select=("E2",)) == DATA + CONV + relu("conv1", "conv1") + LOSS


def test_quotes_stay_as_they_are() -> None:
    text = NET.replace('bottom: "conv1"', "bottom: 'conv_1'")
    assert "bottom: 'conv1'" in fix(text, select=("E2",))


def test_a_layer_cannot_read_what_a_later_layer_produces() -> None:
    text = DATA + LOSS + CONV
    finding = check(text, select=("E201",))[0]
    assert finding.place.line == 14
    assert "only later" in finding.related[0].message
    assert finding.fix is None


def test_the_phase_is_named_where_only_one_lacks_the_blob() -> None:
    data = DATA.replace('  top: "label"\n', "").replace("    shape { dim: 8 }\n", "")
    label = (
        'layer { name: "label" type: "DummyData" top: "label" include { phase: TRAIN }\n'
        "  dummy_data_param { shape { dim: 8 } } }\n"
    )
    solver = 'net: "net.prototxt"\ntest_iter: 1\ntest_interval: 10\n'
    findings = check_files(
        {"solver.prototxt": solver, "net.prototxt": data + label + CONV + LOSS}, select=("E2",)
    )
    assert [(finding.code, finding.place.line) for finding in findings] == [("E201", 36)]
    assert findings[0].message.endswith("'label' in phase TEST")
    assert findings[0].reason.endswith("or restrict this layer to TRAIN: include { phase: TRAIN }.")
    assert findings[0].related[0].line == 9


def test_a_blob_that_both_phases_lack_is_found_once() -> None:
    solver = 'net: "net.prototxt"\ntest_iter: 1\ntest_interval: 10\n'
    files = {"solver.prototxt": solver, "net.prototxt": NET.replace('bottom: "conv1"', 'bottom: "nothing"')}
    assert places(check_files(files, select=("E2",))) == [("E201", 25)]


def test_a_blob_whose_layer_cannot_be_read_in_full_may_exist() -> None:
    data = DATA.replace('  top: "data"\n', '  top: "data"\n  include { phase: FINETUNE }\n')
    assert found(data + CONV + LOSS) == []


# -- tops ----------------------------------------------------------------------------------------------------


def test_a_duplicate_top_gets_the_name_of_its_layer_if_a_later_layer_reads_it() -> None:
    second = CONV.replace('name: "conv1"', 'name: "conv2"')
    text = DATA + CONV + second + LOSS.replace('bottom: "conv1"', 'bottom: "conv2"')
    assert found(text) == [("E202", 26), ("E201", 36)]
    assert fix(text, select=("E2",)) == text.replace(second, second.replace('top: "conv1"', 'top: "conv2"'))


def test_a_duplicate_top_is_not_fixed_if_no_layer_reads_the_name_of_its_layer() -> None:
    second = CONV.replace('name: "conv1"', 'name: "conv2"')
    text = DATA + CONV + second + LOSS
    assert found(text) == [("E202", 26)]
    assert fix(text, select=("E2",)) == text


def test_layers_of_different_phases_may_produce_the_same_blob() -> None:
    train = DATA.replace('  top: "data"\n', '  top: "data"\n  include { phase: TRAIN }\n')
    assert found(train + train.replace("TRAIN", "TEST") + CONV + LOSS) == []


# -- in place ------------------------------------------------------------------------------------------------


SILENCE = 'layer { name: "quiet" type: "Silence" bottom: "pool" }\n'


def test_in_place_on_a_blob_that_another_layer_reads_gets_a_top_of_its_own() -> None:
    text = DATA + CONV + POOL + SILENCE + relu("conv1", "conv1") + LOSS
    assert found(text) == [("E203", 24)]
    expected = DATA + CONV + POOL + SILENCE + relu("conv1", "relu1") + LOSS.replace('"conv1"', '"relu1"')
    assert fix(text, select=("E2",)) == expected
    assert found(expected) == []


SUM = 'layer { name: "sum" type: "Eltwise" bottom: "conv1" bottom: "conv1" top: "sum" }\n'
CONV2 = 'layer { name: "conv2" type: "Convolution" bottom: "%s" top: "conv2" convolution_param { num_output: 4 kernel_size: 1 } }\n'


@pytest.mark.parametrize("between", ["", 'layer { name: "tanh" type: "TanH" bottom: "sum" top: "end" }\n'])
def test_a_residual_connection_is_not_dropped(between: str) -> None:
    """Nothing reads the sum: the ReLU most likely should, and what nothing reads is not silenced either."""
    text = DATA + CONV + SUM + between + relu("conv1", "conv1") + LOSS
    (finding,) = check(text, select=("E2", "N303"))
    assert finding.code == "E203"
    assert f"nothing would read '{'end' if between else 'sum'}'. Should 'relu1' work on" in finding.reason
    assert fix(text, unsafe=True, select=("E203", "N303")) == text


@pytest.mark.parametrize(
    "use",
    [
        SILENCE.replace('"pool"', '"sum"'),
        'layer { name: "measure" type: "SomebodysOwn" bottom: "sum" top: "m" }\n',
        CONV2 % "sum" + 'layer { name: "side" type: "Reduction" bottom: "conv2" top: "side" loss_weight: 0.1 }\n',
    ],
)
def test_what_an_earlier_layer_makes_of_the_blob_may_be_of_use(use: str) -> None:
    text = DATA + CONV + SUM + use + relu("conv1", "conv1") + LOSS
    assert 'top: "relu1"' in fix(text, select=("E203",))


def test_a_branch_that_joins_what_comes_after_the_layer_is_of_use() -> None:
    join = 'layer { name: "join" type: "Eltwise" bottom: "conv1" bottom: "sum" top: "join" }\n'
    text = DATA + CONV + SUM + relu("conv1", "conv1") + join
    assert 'top: "relu1"' in fix(text, select=("E203",))
    assert 'top: "relu1"' in fix(text + LOSS.replace('"conv1"', '"join"'), select=("E203",))


def test_layers_that_read_after_the_in_place_layer_are_fine() -> None:
    assert found(DATA + CONV + relu("conv1", "conv1") + POOL + LOSS) == []


def test_a_chain_of_in_place_layers_moves_with_the_first() -> None:
    drop = 'layer { name: "drop" type: "Dropout" bottom: "conv1" top: "conv1" }\n'
    text = DATA + CONV + POOL + SILENCE + relu("conv1", "conv1") + drop + LOSS
    moved = drop.replace('"conv1"', '"relu1"') + LOSS.replace('"conv1"', '"relu1"')
    assert fix(text, select=("E2",)) == DATA + CONV + POOL + SILENCE + relu("conv1", "relu1") + moved


def test_an_in_place_layer_of_one_phase_is_not_moved() -> None:
    text = DATA + CONV + POOL + relu("conv1", "conv1", "include { phase: TRAIN } ") + LOSS
    assert ("E203", 23) in found(text)
    assert fix(text, select=("E203",)) == text


@pytest.mark.parametrize("kind", ["AbsVal", "Flatten", "Reshape"])
def test_types_that_refuse_to_work_in_place(kind: str) -> None:
    more = "reshape_param { shape { dim: 0 dim: -1 } } " if kind == "Reshape" else ""
    layer = relu("conv1", "conv1", more).replace("ReLU", kind)
    text = DATA + CONV + layer + LOSS
    assert found(text) == [("E203", 22)]
    assert found(fix(text, select=("E2",))) == []


def test_a_name_that_is_taken_gets_a_number() -> None:
    pool = POOL.replace('top: "pool"', 'top: "relu1"') + SILENCE.replace('"pool"', '"relu1"')
    text = DATA + CONV + pool + relu("conv1", "conv1") + LOSS
    assert 'top: "relu1_2"' in fix(text, select=("E2",))


# -- param ---------------------------------------------------------------------------------------------------


def test_surplus_param_entries_are_removed_with_their_lines() -> None:
    text = NET.replace(
        '  top: "ip"\n',
        '  top: "ip"\n  param { lr_mult: 1 }\n  param { lr_mult: 2 }\n  param { lr_mult: 3 }\n',
    )
    assert found(text) == [("E211", 29)]
    assert fix(text, select=("E2",)) == text.replace("  param { lr_mult: 3 }\n", "")


def test_param_entries_of_a_layer_without_parameters_are_removed() -> None:
    text = DATA + CONV + relu("conv1", "conv1", "param { lr_mult: 1 } param { lr_mult: 2 } ") + LOSS
    assert found(text) == [("E211", 22)]
    assert fix(text, select=("E2",)) == DATA + CONV + relu("conv1", "conv1") + LOSS


def test_statistics_of_batch_norm_do_not_learn() -> None:
    norm = (
        'layer { name: "bn" type: "BatchNorm" bottom: "conv1" top: "conv1" param { lr_mult: 1 } param { } }\n'
    )
    text = DATA + CONV + norm + LOSS
    assert {code for code, _ in found(text)} == {"E211"}
    mended = fix(text, select=("E2",))
    assert found(mended) == []
    assert mended.count("lr_mult: 0") == 2


def test_three_param_entries_of_batch_norm_are_corrected_by_caffe_itself() -> None:
    norm = (
        'layer { name: "bn" type: "BatchNorm" bottom: "conv1" top: "conv1"'
        " param { lr_mult: 1 } param { lr_mult: 1 } param { lr_mult: 1 } }\n"
    )
    assert found(DATA + CONV + norm + LOSS) == []


def test_shared_parameters_must_agree() -> None:
    second = CONV.replace('name: "conv1"', 'name: "conv2"').replace('top: "conv1"', 'top: "conv2"')
    first = CONV.replace("  convolution_param", '  param { name: "w" lr_mult: 1 }\n  convolution_param')
    wide = second.replace("kernel_size: 3", "kernel_size: 5")
    second = second.replace("  convolution_param", '  param { name: "w" lr_mult: 2 }\n  convolution_param')
    wide = wide.replace("  convolution_param", '  param { name: "w" }\n  convolution_param')
    assert found(DATA + first + second + LOSS) == [("E212", 28)]
    findings = check(DATA + first + wide + LOSS, select=("E2",))
    assert [finding.code for finding in findings] == ["E212"]
    assert "4 x 3 x 3 x 3" in findings[0].message


# -- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("num_output: 4", "", "E208"),
        ("kernel_size: 3", "kernel_size: 30", "E207"),
        ("kernel_size: 3", "", "E208"),
        ("kernel_size: 3", "kernel_size: 3 kernel_h: 3", "E209"),
        ("kernel_size: 3", "kernel_size: 3 group: 3", "E205"),
        ("kernel_size: 3", "kernel_size: 3 group: 0", "N101"),
        ("kernel_size: 3", "kernel_size: 3 engine: CUDNN", "E219"),
        ('"xavier"', '"Xavier"', "E213"),
        ("shape { dim: 8 }", "shape { dim: 9 }", "E205"),
        ('  bottom: "label"\n', "", "E204"),
        ('top: "loss"', 'top: "loss"\n  loss_weight: 1\n  loss_weight: 1', "E214"),
        ('top: "loss"', 'top: "loss"\n  include { phase: TRAIN }\n  exclude { phase: TEST }', "E215"),
    ],
)
def test_what_a_layer_refuses(old: str, new: str, code: str) -> None:
    assert old in NET
    findings = check(NET.replace(old, new), select=("E2", "N101"))
    assert {finding.code for finding in findings} == {code}
    assert findings[0].reason.startswith("Caffe ")


def test_a_filler_in_another_case_is_fixed() -> None:
    assert fix(NET.replace("xavier", "Xavier"), select=("E2",)) == NET


def test_hdf5_data_without_a_batch_size_are_an_error_once_they_are_read() -> None:
    data = 'layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "s" %s} }\n'
    unread = data.replace('top: "data" top: "label"', 'top: "more"') % ""
    assert [(finding.code, finding.severity) for finding in check(data % "" + CONV + LOSS, select=("E2",))] == [("E208", "error")]
    assert [(finding.code, finding.severity) for finding in check(NET + unread, select=("E2",))] == [("E208", "warning")]
    assert check(data % "batch_size: 2 " + CONV + LOSS, select=("E2",)) == []


def test_a_filler_of_dummy_data_is_fixed_like_one_of_a_parameter() -> None:
    text = NET.replace("shape { dim: 8 }", 'shape { dim: 8 } data_filler { } data_filler { type: "%s" }')
    assert text != NET
    assert fix(text % "xaviar", select=("E2",)) == text % "xavier"
    assert check(text % "xavier", select=("E2",)) == []


def test_a_filler_for_all_tops_of_dummy_data_is_one_finding() -> None:
    text = NET.replace("shape { dim: 8 }", 'shape { dim: 8 } data_filler { type: "gaussian" std: 0 }')
    assert [finding.code for finding in check(text, select=("E2",))] == ["E213"]


def test_a_label_that_learns_stops_the_training_but_not_the_test() -> None:
    label = LOSS.replace('"label"', '"guess"')
    guess = (
        'layer { name: "guess" type: "InnerProduct" bottom: "data" top: "guess" '
        'inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }\n'
    )
    findings = check(DATA + CONV + guess + label, select=("E2",))
    assert [finding.code for finding in findings] == ["E216"]
    assert "first backward pass" in findings[0].reason
    frozen = guess.replace(
        "inner_product_param", "param { lr_mult: 0 } param { lr_mult: 0 } inner_product_param"
    )
    assert found(DATA + CONV + frozen + label) == []


def test_one_mistake_neither_hides_the_next_nor_causes_others() -> None:
    text = NET.replace('bottom: "conv1"', 'bottom: "nothing"').replace(
        "kernel_size: 3", "kernel_size: 3 stride: 0"
    )
    text = text.replace('bottom: "label"', 'bottom: "labels"')
    assert [code for code, _ in found(text)] == ["E209", "E201", "E201"]


def test_the_same_mistake_in_two_phases_is_one_finding() -> None:
    solver = 'net: "net.prototxt"\ntest_iter: 1\ntest_interval: 10\n'
    texts = {"solver.prototxt": solver, "net.prototxt": NET.replace("num_output: 4", "")}
    assert places(check_files(texts, select=("E2",))) == [("E208", 16)]


def test_different_batch_sizes_in_two_phases_still_give_one_finding() -> None:
    train = DATA.replace("  dummy", "  include { phase: TRAIN }\n  dummy")
    test = train.replace("TRAIN", "TEST").replace("dim: 8", "dim: 2")
    wrong = LOSS.replace('"SoftmaxWithLoss"', '"EuclideanLoss"')
    texts = {
        "solver.prototxt": 'net: "net.prototxt"\ntest_iter: 1\ntest_interval: 10\n',
        "net.prototxt": train + test + CONV + wrong,
    }
    findings = check_files(texts, select=("E2",))
    assert places(findings) == [("E205", 48)]
    assert "8 x 10" in findings[0].message


def test_two_mistakes_at_one_place_of_a_net_are_two_findings() -> None:
    texts = {
        "solver.prototxt": 'net: "net.prototxt"\ntest_iter: 1\ntest_interval: 10\n',
        "net.prototxt": DATA + CONV.replace("    num_output: 4\n    kernel_size: 3\n", "") + LOSS,
    }
    assert places(check_files(texts, select=("E208",))) == [("E208", 16), ("E208", 16)]


# -- forks ---------------------------------------------------------------------------------------------------


def test_what_a_fork_may_have_is_not_an_error() -> None:
    text = DATA + CONV.replace('type: "xavier" }', 'type: "own" }\n    some_other_field: 1') + LOSS
    assert [(finding.code, finding.severity) for finding in check(text, select=("E2",))] == [
        ("E213", "advice")
    ]


@pytest.mark.parametrize("filler", ["gaussianstatic", "diagonal", "dct4"])
def test_a_filler_of_a_fork_is_reported_only_if_another_caffe_is_asked_for(filler: str) -> None:
    text = DATA + CONV.replace("xavier", filler) + LOSS
    assert check(text, select=("E213",)) == []
    (finding,) = check(text, select=("E213",), dialect="bvlc")
    assert f"filler type '{filler}' exists only in" in finding.message
    assert finding.fix is None


def test_nothing_is_claimed_of_the_layers_of_a_fork_that_is_known_by_name() -> None:
    output = """\
layer {
  name: "out" type: "DetectionOutput" bottom: "conv1" bottom: "conv1" bottom: "conv1" bottom: "conv1" bottom: "conv1" bottom: "conv1"
  top: "out"
  detection_output_param { num_classes: 2 %s }
}
"""
    assert [finding.code for finding in check(DATA + CONV + output % "" + LOSS, select=("E204",))] == ["E204"]
    assert check(DATA + CONV + output % "no_permute: true" + LOSS, select=("E2",)) == []
    # What does not depend on such a layer is reported all the same.
    missing = output % "no_permute: true" + LOSS.replace('bottom: "conv1"', 'bottom: "conv2"')
    assert "E201" in [finding.code for finding in check(DATA + CONV + missing, select=("E2",))]


def test_settings_are_checked_after_a_layer_of_a_fork_that_is_known_by_name() -> None:
    norm = 'layer { name: "norm" type: "LRN" bottom: "conv1" top: "norm" lrn_param { local_size: %d %s} }\n'
    twice = CONV.replace("kernel_size: 3", "kernel_size: 3 kernel_h: 3")
    forked = DATA.replace('  top: "data"', '  transform_param { var_sz_img_enabled: true }\n  top: "data"')
    (finding,) = check(forked + CONV + norm % (4, "") + LOSS, select=("E2",))
    assert (finding.code, finding.severity, finding.confidence) == ("E209", "advice", "medium")
    assert "local_size must be odd, not 4" in finding.message
    assert [one.code for one in check(forked + twice + LOSS, select=("E2",))] == ["E209"]
    weights = LOSS.replace('type: "SoftmaxWithLoss"', 'type: "SoftmaxWithLoss" loss_weight: 1 loss_weight: 1')
    assert [one.code for one in check(forked + CONV + weights, select=("E2",))] == ["E214"]
    # Shapes may have come about otherwise.
    smaller = CONV.replace("kernel_size: 3", "kernel_size: 30")
    assert check(forked + smaller + LOSS, select=("E2",)) == []


def test_the_fillers_of_a_fork_are_those_of_all_its_branches() -> None:
    text = DATA + CONV.replace("xavier", "gaussianstatic") + LOSS
    for dialect in ("nvcaffe-0.15", "nvcaffe-0.16", "nvcaffe"):
        assert check(text, select=("E213",), dialect=dialect) == []


def test_a_typo_is_not_a_fork() -> None:
    text = NET.replace("kernel_size: 3", "kernel_size: 3 kernel_h: 3 dilatoin: 1")
    assert [(finding.code, finding.severity) for finding in check(text, select=("E2",))] == [
        ("E209", "error")
    ]


def test_what_the_net_itself_checks_is_an_error_in_every_fork() -> None:
    text = NET.replace('bottom: "conv1"', 'bottom: "nothing"').replace(
        "kernel_size: 3", "kernel_size: 3 some_other_field: 1"
    )
    assert [(finding.code, finding.severity) for finding in check(text, select=("E2",))] == [
        ("E201", "error")
    ]


def test_what_no_fork_has_changed_is_an_error_in_a_file_for_a_fork() -> None:
    text = NET.replace("kernel_size: 3", "kernel_size: 3 kernel_h: 3")
    assert [(finding.code, finding.severity) for finding in check(text, select=("E2",), dialect="ssd")] == [
        ("E209", "error")
    ]


# -- old forms -----------------------------------------------------------------------------------------------

V1 = """\
layers { name: "in" type: DUMMY_DATA top: "data" dummy_data_param { num: 1 channels: 3 height: 8 width: 4 } }
layers { name: "relu" type: RELU bottom: "dta" top: "relu" }
"""


def test_fixes_work_in_the_format_of_2013() -> None:
    assert found(V1) == [("E201", 2)]
    assert fix(V1, select=("E2",)) == V1.replace('"dta"', '"data"')


def test_surplus_rates_in_the_old_format_are_reported_without_a_fix() -> None:
    text = V1.replace('"dta"', '"data"').replace('top: "relu"', 'top: "relu" blobs_lr: 1')
    findings = check(text, select=("E2",))
    assert [finding.code for finding in findings] == ["E211"]
    assert findings[0].fix is None


def test_a_net_inside_a_solver_is_fixed_there() -> None:
    inline = NET.replace('bottom: "conv1"', 'bottom: "conv_1"')
    solver = f"net_param {{\n{inline}}}\nbase_lr: 0.01\n"
    assert fix_files({"solver.prototxt": solver}, select=("E2",))["solver.prototxt"] == solver.replace(
        "conv_1", "conv1"
    )


# -- what a program fills in ------------------------------------------------------------------------------


HEADS = """\
layer {{ name: "d" type: "Input" top: "d" input_param {{ shape {{ dim: 2 dim: 3 dim: 8 dim: 8 }} }} }}
layer {{ name: "c" type: "Convolution" bottom: "d" top: "c" convolution_param {{ {0} kernel_size: 3 }} }}
layer {{ name: "r" type: "ReLU" bottom: "c" top: "c" }}
layer {{ name: "one" type: "InnerProduct" bottom: "c" top: "one" inner_product_param {{ {1} }} }}
layer {{ name: "two" type: "InnerProduct" bottom: "c" top: "two" inner_product_param {{ {2} }} }}
layer {{ name: "p" type: "Softmax" bottom: "two" top: "p" }}
"""


@pytest.mark.parametrize("missing", ["", "num_output: 0"])
def test_outputs_that_are_all_left_open_are_for_a_program_to_fill_in(missing: str) -> None:
    (finding,) = check(HEADS.format("num_output: 4", missing, missing), select=("E2",))
    assert (finding.code, finding.severity, finding.place.line) == ("E208", "advice", 4)
    assert finding.message == "num_output of all 2 output layers is left open"
    assert "'two'" in finding.reason


@pytest.mark.parametrize(
    ("numbers", "lines"),
    [
        (("num_output: 4", "", "num_output: 5"), [4]),
        (("", "", ""), [2, 4, 5]),
        (("", "num_output: 5", "num_output: 5"), [2]),
    ],
)
def test_a_number_that_is_missing_elsewhere_is_an_error(numbers: tuple[str, str, str], lines: list[int]) -> None:
    found = check(HEADS.format(*numbers), select=("E208",))
    assert [(finding.severity, finding.place.line) for finding in found] == [("error", line) for line in lines]


def test_a_stage_that_a_program_gives_is_advice_unless_a_solver_trains_without_it() -> None:
    net = (
        'layer { name: "d" type: "DummyData" top: "d" include { stage: "deploy" } dummy_data_param { shape { dim: 2 dim: 3 } } }\n'
        'layer { name: "ip" type: "InnerProduct" bottom: "d" top: "ip" inner_product_param { num_output: 2 } }\n'
    )
    (finding,) = check(net, select=("E201",))
    assert (finding.severity, finding.place.line) == ("advice", 2)
    solver = 'net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 9\n'
    found = check_files({"net.prototxt": net, "solver.prototxt": solver}, select=("E201",))
    assert [finding.severity for finding in found] == ["warning"]
