"""A file as a message: values with their types and places, the dialect it is in, and what each mistake was meant as."""

from __future__ import annotations

from typing import Any

import pytest

from caffe_lint.fixes.apply import edited
from caffe_lint.fixes.edit import Edit
from caffe_lint.proto.binder import Bound, bind, nearest_name, plain
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.values import bool_value, float_value, int_value, string_value
from caffe_lint.proto.wire import to_protobuf

CONVOLUTION = """\
layer {
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 kernel_size: 5 weight_filler { type: "msra" } }
}
"""


def net(text: str | bytes, dialect: str | None = None) -> Bound:
    return read(text, "NetParameter", dialect)


def solver(text: str | bytes, dialect: str | None = None) -> Bound:
    return read(text, "SolverParameter", dialect)


def read(text: str | bytes, type_name: str, dialect: str | None = None) -> Bound:
    tree = parse(text.encode() if isinstance(text, str) else text)
    assert tree.problems == []
    return bind(tree, caffe_schema(), type_name, dialect)


def kinds(bound: Bound) -> list[str]:
    return [problem.kind for problem in bound.problems]


def repaired(text: str, type_name: str) -> str:
    """A text after all repairs."""
    bound = read(text, type_name)
    edits = {Edit(*edit) for problem in bound.problems for edit in problem.repair or ()}
    return edited(text.encode(), edits).decode()


# -- values and their places --------------------------------------------------------------------------------------


def test_a_message_gives_values_defaults_and_what_is_written() -> None:
    (layer,) = net(CONVOLUTION).message["layer"]
    param = layer["convolution_param"]
    assert (layer["name"], layer["bottom"], param["num_output"]) == ("conv1", ["data"], 8)
    assert param["kernel_size"] == [3, 5]
    assert (param["bias_term"], param["group"], param["engine"]) == (True, 1, "DEFAULT")
    assert (layer["pooling_param"]["pool"], layer["loss_weight"], layer["phase"]) == ("MAX", [], "TRAIN")
    assert "num_output" in param
    assert "group" not in param
    assert (param.get("group"), param.get("group", 2), param.get("num_output")) == (None, 2, 8)
    with pytest.raises(KeyError):
        layer["colour"]


def test_a_value_is_found_in_the_text_and_so_is_what_would_hold_it() -> None:
    bound = net(CONVOLUTION)
    (layer,) = bound.message["layer"]

    def text(span: tuple[int, int]) -> str:
        return CONVOLUTION[span[0] : span[1]]

    assert text(layer.span("name")) == '"conv1"'
    assert text(layer.at("convolution_param.kernel_size[1]")) == "5"
    assert text(layer.at("convolution_param.weight_filler.type")) == '"msra"'
    assert text(layer.at("convolution_param.weight_filler.std")) == '{ type: "msra" }'
    assert text(layer.at("convolution_param.bias_filler.value")).startswith("{ num_output")
    assert text(layer.at("pooling_param.pool")).startswith("{\n  name")
    assert text(layer["pooling_param"].span("pool")).startswith("{\n  name")
    assert layer.field("bottom", 1) is None
    with pytest.raises(KeyError):
        layer.at("convolution_param.colour")


def test_lists_and_single_values_of_a_repeated_field_are_one_list_in_their_order() -> None:
    assert solver("stepvalue: 1 stepvalue: [2, 3] stepvalue: 4").message["stepvalue"] == [1, 2, 3, 4]
    assert [layer["name"] for layer in net('layer [{ name: "a" }, < name: "b" >]').message["layer"]] == ["a", "b"]


def test_enum_values_are_names_also_when_written_as_numbers() -> None:
    assert solver("solver_mode: 0").message["solver_mode"] == "CPU"


def test_text_is_read_with_its_escapes() -> None:
    assert solver(rb'net: "a\tb\x41\101\u00e4" "c" ' + b"'d'").message["net"] == "a\tbAA\u00e4cd"


def test_the_message_is_the_one_that_protobuf_has() -> None:
    real: Any = to_protobuf(net(CONVOLUTION).message)
    assert real.layer[0].convolution_param.kernel_size == [3, 5]


@pytest.mark.parametrize("depth", [99, 101, 5000])
def test_nesting_has_a_bound(depth: int) -> None:
    # No message of Caffe's holds itself, so below a few levels all is unknown.
    bound = net("layer {" * depth + "}" * depth)
    assert kinds(bound) == ["unknown-field"]


# -- what a text stands for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"0", 0), (b"-7", -7), (b"0x1F", 31), (b"-0x1f", -31), (b"017", 15), (b"00", 0),
        (b"08", None), (b"1.0", None), (b"1e3", None), (b"1_0", None), (b"+1", None), (b"0o7", None), (b"0b1", None), (b"", None),
        (b"- 1", None), (b"9" * 5000, None),
    ],
)  # fmt: skip
def test_whole_numbers(text: bytes, value: int | None) -> None:
    assert int_value(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"1", 1.0), (b".5", 0.5), (b"-1.", -1.0), (b"1.5e-3F", 0.0015), (b"0f", 0.0), (b"inf", float("inf")),
        (b"-Infinity", float("-inf")), (b"1e999", float("inf")), (b"9" * 400, float("inf")),
        (b"0x10", None), (b"010", None), (b"00.5", None), (b"1_0", None), (b"+1", None), (b"inff", None), (b"1ff", None), (b".", None),
        (b"--1", None), (b"e5", None),
    ],
)  # fmt: skip
def test_numbers(text: bytes, value: float | None) -> None:
    assert float_value(text) == value


def test_truth_values() -> None:
    texts = [b"true", b"True", b"t", b"1", b"0x1", b"false", b"False", b"f", b"0", b"TRUE", b"yes", b"2", b"-1", b"1.0"]
    assert [bool_value(text) for text in texts] == [True] * 5 + [False] * 4 + [None] * 5


@pytest.mark.parametrize("text", [b'"a', b"a", b'"a\\q"', b'"a" b', b'"a\nb"', b"'a\"", b'"\\U00200000"', b'"\\x"'])
def test_what_is_no_string(text: bytes) -> None:
    assert string_value(text) is None


# -- mistakes with values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "after"),
    [
        ("net: a.prototxt", "missing-quotes", 'net: "a.prototxt"'),
        ("lr_policy: step", "wrong-type", 'lr_policy: "step"'),
        ('net: "a', "unclosed-string", 'net: "a"'),
        ('net: a"', "unclosed-string", 'net: "a"'),
        ("net: \"a'", "unclosed-string", 'net: "a"'),
        ("net: my net.prototxt", "missing-quotes", 'net: "my net.prototxt"'),
        (r"net: C:\nets\train.txt", "missing-quotes", r'net: "C:\\nets\\train.txt"'),
        (r'net: "C:\data\train.txt"', "invalid-escape", r'net: "C:\\data\\train.txt"'),
        (r'net: "a\d+"', "invalid-escape", r'net: "a\\d+"'),
        (r'snapshot_prefix: "C:\data\"', "invalid-escape", r'snapshot_prefix: "C:\\data\\"'),
        ("base_lr: 0,01", "wrong-type", "base_lr: 0.01"),
        ("base_lr: 1/4", "wrong-type", "base_lr: 0.25"),
        ('base_lr: "0.1"', "wrong-type", "base_lr: 0.1"),
        ("base_lr: +0.1", "syntax", "base_lr: 0.1"),
        ("base_lr: 00.1", "wrong-type", "base_lr: 0.1"),
        ("base_lr: 0x10", "wrong-type", "base_lr: 16"),
        ("base_lr: ten", "wrong-type", None),
        ("base_lr: 1,000", "wrong-type", None),
        ("base_lr: [0.1]", "wrong-type", "base_lr: 0.1"),
        ("base_lr: [0.1, 0.2]", "wrong-type", None),
        ("base_lr { }", "wrong-type", None),
        ("max_iter: 1e4", "wrong-type", "max_iter: 10000"),
        ("max_iter: 450,000", "wrong-type", "max_iter: 450000"),
        ("max_iter: 1.5", "wrong-type", None),
        ("max_iter: 3000000000", "wrong-type", None),
        ("stepvalue: 1, 2, 3", "syntax", "stepvalue: [1, 2, 3]"),
        ("debug_info: TRUE", "wrong-type", "debug_info: true"),
        ('debug_info: "off"', "wrong-type", "debug_info: false"),
        ("solver_mode: gpu", "unknown-enum-value", "solver_mode: GPU"),
        ("solver_mode: GPUU", "unknown-enum-value", "solver_mode: GPU"),
        ('solver_mode: "CPU"', "quoted-enum", "solver_mode: CPU"),
        ("solver_mode: TPU", "unknown-enum-value", None),
        ("max_iter 5", "missing-colon", "max_iter: 5"),
        ("net_param: 5", "wrong-type", None),
        ("base-lr: 1", "unknown-field", "base_lr: 1"),
        ("Base_LR: 1", "unknown-field", "base_lr: 1"),
        ("bse_lr: 1", "unknown-field", "base_lr: 1"),
        ("learning_rate: 1", "unknown-field", None),
        ("base_lr: 1\nbase_lr: 1\n", "duplicate-field", "base_lr: 1\n"),
        ("base_lr: 1\nbase_lr: 1 # so", "duplicate-field", "base_lr: 1\n # so"),
        ("base_lr: 1\nbase_lr: 2", "duplicate-field", None),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_once_and_the_message_holds_what_was_meant(text: str, kind: str, after: str | None) -> None:
    bound = solver(text)
    assert kinds(bound) == [kind]
    assert repaired(text, "SolverParameter") == (after or text)
    if after is not None:
        assert kinds(solver(after)) == []
        assert plain(solver(after).message) == plain(bound.message)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("layer { type: ReLU }", 'layer { type: "ReLU" }'),
        ("layer { type: INNER_PRODUCT }", 'layer { type: "InnerProduct" }'),
        ('layers { type: "InnerProduct" blobs_lr: 1 }', "layers { type: INNER_PRODUCT blobs_lr: 1 }"),
        ('layers { type: "RELU" blobs_lr: 1 }', "layers { type: RELU blobs_lr: 1 }"),
        ('layers { type: "ReLU" param { lr_mult: 1 } }', 'layer { type: "ReLU" param { lr_mult: 1 } }'),
        ('layer { type: "ReLU" relu_parm { negative_slope: 1 } }', 'layer { type: "ReLU" relu_param { negative_slope: 1 } }'),
    ],
)  # fmt: skip
def test_types_of_layers_are_known_in_both_forms(text: str, after: str) -> None:
    bound = net(text)
    assert len(bound.problems) == 1
    assert repaired(text, "NetParameter") == after
    assert kinds(net(after)) == []
    assert plain(net(after).message) == plain(bound.message)


def test_all_mistakes_are_told_in_the_order_of_their_places() -> None:
    bound = net('layer { nam: "a" type: "Relu" pooling_param { pool: max stride: 1.5 } top: x }')
    assert kinds(bound) == ["unknown-field", "unknown-layer-type", "unknown-enum-value", "wrong-type", "wrong-type"]


def test_a_repair_beside_one_of_the_syntax_waits_for_it() -> None:
    text = 'net= "a"\nbase_lrr= 0.1\n'
    tree = parse(text.encode())
    assert [text[problem.start : problem.end] for problem in tree.problems] == ["=", "="]
    (problem,) = bind(tree, caffe_schema(), "SolverParameter").problems
    assert (text[problem.start : problem.end], problem.repair) == ("base_lrr", None)
    (problem,) = solver(text.replace("=", ":")).problems
    assert problem.repair == ((9, 17, b"base_lr"),)


def test_a_layer_type_is_kept_as_written() -> None:
    bound = net('layer { type: "Relu" }')
    assert [problem.repair for problem in bound.problems] == [((14, 20, b'"ReLU"'),)]
    assert bound.message["layer"][0]["type"] == "Relu"


@pytest.mark.parametrize("text", ["bse_lr: 1\nbase_lr: 2\n", "base_lr: 2\nbse_lr: 1\n"])
def test_a_misspelled_field_is_not_renamed_to_one_that_is_set(text: str) -> None:
    bound = solver(text)
    assert kinds(bound) == ["unknown-field"]
    assert repaired(text, "SolverParameter") == text
    assert bound.message["base_lr"] == 2


@pytest.mark.parametrize(
    ("first", "second", "after"),
    [
        ("{ pad: 1 }", "{ group: 2 }", "{ pad: 1 group: 2 }"),
        ("{ pad: 1}", "{ group: 2 }", "{ pad: 1 group: 2 }"),
        ("{\n    pad: 1\n  }", "{ group: 2 }", "{\n    pad: 1\n    group: 2\n  }"),
        ("{\r\n    pad: 1\r\n  }", "{ group: 2 }", "{\r\n    pad: 1\r\n    group: 2\r\n  }"),
        ("{ pad: 1 }", "{ bias_filler {\n    value: 1\n  } }", None),  # its lines would stand in the middle of one
        ("{\n    pad: 1 }", "{ group: 2 }", None),
        ("{ pad: 1\n  }", "{ group: 2 }", None),
    ],
)
def test_two_blocks_become_one_where_that_looks_as_if_written_so(first: str, second: str, after: str | None) -> None:
    text = f"layer {{\n  convolution_param {first}\n  convolution_param {second}\n}}\n"
    assert kinds(net(text)) == ["duplicate-field"]
    assert repaired(text, "NetParameter") == (f"layer {{\n  convolution_param {after}\n}}\n" if after else text)


def test_a_required_field_is_missed() -> None:
    assert kinds(net("layer { window_data_param { } }")) == []
    assert kinds(read("short_name: 1", "NetParameter")) == ["unknown-field"]


def test_what_a_lost_brace_moves_is_no_mistake_of_its_own() -> None:
    tree = parse(b'layer {\nname: "a"\n}\ntype: "ReLU"\n}\n')
    assert [problem.kind for problem in tree.problems] == ["extra-brace"]
    assert bind(tree, caffe_schema(), "NetParameter").problems == []


def test_a_value_in_an_unknown_field_is_still_one() -> None:
    bound = solver('custom { source: C:\\data path: "\\q" }')
    assert kinds(bound) == ["unknown-field", "missing-quotes", "invalid-escape"]
    assert repaired('custom { source: C:\\data path: "\\q" }', "SolverParameter") == r'custom { source: C:\data path: "\\q" }'


def test_settings_run_together_are_one_value() -> None:
    bound = solver("custom: Type=C51;Gamma=0.99;;Path=C:\\a\\b;\nmax_iter: 5")
    assert kinds(bound) == ["unknown-field", "missing-quotes"]
    assert bound.message["max_iter"] == 5


# -- dialects -------------------------------------------------------------------------------------------------------


def test_a_net_of_bvlc_is_in_its_dialect() -> None:
    assert (net(CONVOLUTION).dialect, net(CONVOLUTION).problems) == ("bvlc", [])


def test_the_dialect_is_the_one_that_has_all_that_is_used() -> None:
    text = 'layer { type: "Normalize" norm_param { across_spatial: false } }'
    assert (net(text).dialect, kinds(net(text))) == ("ssd", [])
    assert (net(text, "bvlc").dialect, kinds(net(text, "bvlc"))) == ("bvlc", ["foreign-layer-type", "foreign-field"])
    problem = net(text, "bvlc").problems[1]
    assert "ssd" in problem.message
    assert text[problem.start : problem.end] == "norm_param"


@pytest.mark.parametrize("few", [True, False])
def test_six_of_the_dialects_that_have_something_are_listed(few: bool) -> None:
    types = (caffe_schema().layer_types or {}).items()
    name, owners = next((name, owners) for name, owners in types if owners and (len(owners) <= 6) == few)
    has = [known.name for known in caffe_schema().dialects if known.name in owners]
    shown = ", ".join(has) if few else f"{', '.join(has[:6])} and {len(has) - 6} more"
    (problem,) = net(f'layer {{ type: "{name}" }}', "bvlc").problems
    assert problem.message == f"bvlc has no layer type '{name}'; it exists in {shown}"


def test_a_field_with_another_form_in_some_dialect_is_read_in_the_form_that_fits() -> None:
    text = 'layer { type: "Pooling" pooling_param { kernel_size: 3 kernel_size: 2 } }'
    bound = net(text)
    assert (bound.dialect, kinds(bound)) == ("opencl", [])
    assert kinds(net(text, "bvlc")) == ["duplicate-field"]
    once = net('layer { type: "Pooling" pooling_param { kernel_size: 3 } }')
    assert (once.dialect, kinds(once)) == ("bvlc", [])


@pytest.mark.parametrize(("inside", "owner"), [("iou_threshold: 0.5", "synopsys"), ("num_parts: 3", "rtpose")])
def test_a_message_with_another_form_in_some_dialect_is_read_in_the_one_that_has_its_fields(inside: str, owner: str) -> None:
    bound = net(f"layer {{ nms_param {{ {inside} }} }}")
    assert (bound.dialect, kinds(bound)) == (owner, [])


def test_uses_that_fit_no_dialect_are_reported_for_the_closest_one() -> None:
    text = "layer { dense_image_data_param { } detectnet_groundtruth_param { } detectnet_augmentation_param { } }"
    bound = net(text)
    assert (bound.dialect.startswith("nvcaffe"), kinds(bound)) == (True, ["foreign-field"])


def test_a_dialect_whose_form_does_not_fit_is_not_chosen() -> None:
    text = 'layer { type: "ROIPooling" roi_pooling_param { } convolution_param { kernel_size: 3 kernel_size: 3 } }'
    bound = net(text)
    assert kinds(bound) == []
    assert bound.dialect not in ("faster-rcnn", "fast-rcnn")


def test_what_bvlc_dropped_is_said_to_be_gone_and_since_when() -> None:
    (problem,) = net("layer { blobs_lr: 1 }").problems
    assert problem.kind == "unknown-field"
    assert "until 2015-02" in problem.message
    (problem,) = net('layer { convolution_param { num_output: 8 } weight_filler { type: "xavier" } }').problems
    assert "it belongs in 'convolution_param'" in problem.message
    assert net("layer { blobs_lr: 1 }").dialect == "bvlc"
    assert kinds(net("layer { blobs_lr: 1 }", "bvlc-history")) == []


def test_names_of_the_files_own_dialect_are_nearer_than_others() -> None:
    assert nearest_name("kernal_size", ["kernel_size", "kernel_sizes"]) == "kernel_size"
    assert nearest_name("padd", ["pad", "pads"]) is None
    assert nearest_name("Pad_H", ["pad_h", "pad_w"]) == "pad_h"


# -- limits -----------------------------------------------------------------------------------------------------------


def test_a_thousand_problems_are_enough() -> None:
    text = "".join(f"no_such_field_{number}: 1\n" for number in range(20_000))
    assert len(solver(text).problems) == 1000
    assert len(solver("base_lr: x\n" * 20_000).problems) == 1000


# -- a reader of its own, to which words are strings ------------------------------------------------------


OF_MYCAFFE = "snapshot_include_weights: True\n"  # no other Caffe has this field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lr_policy: inv", "inv"),
        ('lr_policy: "inv"', "inv"),
        ("snapshot_prefix: models/lenet/first", "models/lenet/first"),
        ("snapshot_prefix: C:\\models\\net", "C:\\models\\net"),
        ('snapshot_prefix: "$Models$\\Mine"', "$Models$\\Mine"),
        ("regularization_type: NONE", "NONE"),
    ],
)
def test_mycaffe_reads_words_as_strings(field: str, value: str) -> None:
    bound = bind(parse(f"{OF_MYCAFFE}{field}\n".encode()), caffe_schema(), "SolverParameter")
    assert (bound.dialect, bound.problems) == ("mycaffe", [])
    assert bound.message[field.partition(":")[0]] == value


def test_a_file_of_which_nothing_is_mycaffes_needs_its_quotes() -> None:
    source = b"lr_policy: inv\nsnapshot_prefix: models/lenet/first\nregularization_type: L2\n"
    bound = bind(parse(source), caffe_schema(), "SolverParameter")
    assert [problem.kind for problem in bound.problems] == ["wrong-type", "missing-quotes", "wrong-type"]
    asked = bind(parse(source), caffe_schema(), "SolverParameter", "mycaffe")
    assert asked.problems == []


def test_a_lost_quote_is_a_mistake_in_mycaffe_too() -> None:
    bound = bind(parse(f'{OF_MYCAFFE}lr_policy: "inv\ntype: SGD\n'.encode()), caffe_schema(), "SolverParameter")
    assert [problem.kind for problem in bound.problems] == ["unclosed-string"]


def test_a_word_for_a_number_is_a_mistake_in_mycaffe_too() -> None:
    bound = bind(parse(f"{OF_MYCAFFE}base_lr: small\n".encode()), caffe_schema(), "SolverParameter")
    assert (bound.dialect, kinds(bound)) == ("mycaffe", ["wrong-type"])


def test_the_phase_of_mycaffe_is_known() -> None:
    source = b'layer { name: "a" type: "Softmax" bottom: "b" top: "c" include { phase: RUN } }\n'
    bound = bind(parse(source), caffe_schema(), "NetParameter")
    assert (bound.dialect, bound.problems) == ("mycaffe", [])


def test_a_name_is_compared_with_those_of_the_dialect_that_was_asked_for() -> None:
    text = 'layer { type: "ReLU" norm_parm { across_spatial: false } }'
    (problem,) = net(text).problems
    assert "did you mean 'norm_param'?" in problem.message
    (problem,) = net(text, "bvlc").problems
    assert "did you mean" not in problem.message
    detected = bind(parse(text.encode()), caffe_schema(), "NetParameter", "bvlc", is_asked=False).problems
    assert any("did you mean 'norm_param'?" in problem.message for problem in detected)


def test_what_a_dialect_has_does_not_hide_what_it_lacks() -> None:
    text = 'layer { type: "Normalize" norm_param { } } layer { detectnet_groundtruth_param { } } layer { type: "Normalize" }'
    assert kinds(net(text, "ssd")) == ["foreign-field"]
    assert kinds(net(text, "bvlc")) == ["foreign-layer-type", "foreign-field", "foreign-field", "foreign-layer-type"]


def test_a_short_layer_type_may_be_somebodys_own() -> None:
    (problem,) = net('layer { type: "Rely" }').problems
    assert (problem.kind, problem.repair) == ("unknown-layer-type", None)
    (problem,) = net('layer { type: "Convolutoin" }').problems
    assert problem.repair == ((14, 27, b'"Convolution"'),)
    (problem,) = net('layer { type: "relu" }').problems
    assert problem.repair == ((14, 20, b'"ReLU"'),)


def test_a_dialect_whose_layer_types_are_not_all_known_still_lacks_fields() -> None:
    dialect = next(known.name for known in caffe_schema().dialects if known.lists_fields and not known.lists_types)
    text = 'layer { type: "Normalize" } layer { detectnet_groundtruth_param { } } layer { detectnet_groundtruth_param { } }'
    assert kinds(net(text, dialect)) == ["foreign-field", "foreign-field"]


_CURRENT = 'layer { name: "d" type: "Input" }'


@pytest.mark.parametrize(
    ("net", "after"),
    [
        (
            f'{_CURRENT} layers {{ type: "ReLU" }} layers {{ type: "InnerProduct" blobs_lr: 1 }}',
            f'{_CURRENT} layer {{ type: "ReLU" }} layer {{ type: "InnerProduct" blobs_lr: 1 }}',
        ),
        (
            'layers { type: "ReLU" } layers { type: "InnerProduct" blobs_lr: 1 }',
            "layers { type: RELU } layers { type: INNER_PRODUCT blobs_lr: 1 }",
        ),
        (
            'layers { type: "BatchNorm" } layers { type: "InnerProduct" blobs_lr: 1 }',
            'layer { type: "BatchNorm" } layer { type: "InnerProduct" blobs_lr: 1 }',
        ),
        ('layers { type: RELU } layers { type: "Sigmoid" }', "layers { type: RELU } layers { type: SIGMOID }"),
        ('layers { type: RELU } layer { type: "Sigmoid" } layers { type: "TanH" }',
         'layers { type: RELU } layer { type: "Sigmoid" } layers { type: TANH }'),
        ('layers { type: RELU } layerss { type: "Sigmoid" }', "layers { type: RELU } layers { type: SIGMOID }"),
        (f'{_CURRENT} layerss {{ type: "Sigmoid" }}', f'{_CURRENT} layer {{ type: "Sigmoid" }}'),
        ('layerss { type: "Sigmoid" }', 'layer { type: "Sigmoid" }'),
        ('layers { name: "a" } layers { name: "b" }', 'layers { name: "a" } layers { name: "b" }'),  # V1 layers may have no type
    ],
)  # fmt: skip
def test_repairs_agree_on_the_format_of_all_layers(net: str, after: str) -> None:
    assert repaired(net, "NetParameter") == after
