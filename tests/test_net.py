"""Nets are built as Caffe builds them, and all that it would stop at is found in one go."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from counted_work import assert_linear, steps
from nets import kinds, net_of, shape, upgraded_net

from caffe_lint.net.backward import backward_problems
from caffe_lint.net.build import build
from caffe_lint.net.phases import NetState, file_state, phases_of, solver_state, states_of
from caffe_lint.net.splits import with_splits
from caffe_lint.proto.binder import Message, bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.upgrade import upgrade

SHARED = Path(__file__).resolve().parents[2] / "shared"
X = {"x": "2 3 8 8"}


def relu(bottom: str, top: str, rest: str = "") -> str:
    return f'layer {{ name: "{top}" type: "ReLU" bottom: "{bottom}" top: "{top}" {rest} }}\n'


def inner(bottom: str, top: str, outputs: int = 5, rest: str = "") -> str:
    param = f"inner_product_param {{ num_output: {outputs} }}"
    return f'layer {{ name: "{top}" type: "InnerProduct" bottom: "{bottom}" top: "{top}" {rest} {param} }}\n'


def loss(bottom: str, rest: str = 'top: "loss"') -> str:
    return f'layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "{bottom}" bottom: "t" {rest} }}\n'


# -- phases, levels, stages ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ("", True),
        ("include {}", True),
        ("exclude {}", False),
        ("include { phase: TRAIN }", True),
        ("include { phase: TEST }", False),
        ("include { phase: TEST } include { phase: TRAIN }", True),
        ("exclude { phase: TEST }", True),
        ("include { min_level: 1 }", False),
        ("include { max_level: 0 }", True),
        ('include { stage: "s" }', False),
        ('include { not_stage: "s" }', True),
        ('exclude { phase: TRAIN stage: "s" }', True),
    ],
)
def test_rules_include_or_exclude_a_layer(rules: str, kept: bool) -> None:
    net = net_of(relu("x", "y", rules), X)
    assert [layer.name for layer in net.layers] == (["in_x", "y"] if kept else ["in_x"])
    assert len(net.dropped) == (0 if kept else 1)


def test_stages_and_levels_come_from_the_state() -> None:
    text = relu("x", "a", 'include { stage: "s" min_level: 2 }') + relu(
        "x", "b", 'include { not_stage: "s" }'
    )
    net = net_of(text, X, state=NetState("TRAIN", 2, ("s",)))
    assert [layer.name for layer in net.layers] == ["in_x", "a"]


def test_include_and_exclude_on_one_layer_are_reported() -> None:
    net = net_of(relu("x", "y", "include { phase: TRAIN } exclude { phase: TEST }"), X)
    assert kinds(net) == ["include-and-exclude"]
    assert shape(net, "y") == "2 3 8 8"


def message(text: str, kind: str) -> Message:
    return bind(parse(text.encode()), caffe_schema(), kind).message


def test_a_state_in_the_nets_file_makes_a_training_net_a_test_net() -> None:
    net = message('state { phase: TEST stage: "a" }', "NetParameter")
    solver = message('train_state { stage: "b" level: 3 }', "SolverParameter")
    assert solver_state(solver, net) == NetState("TEST", 0, ("a", "b"))
    assert solver_state(solver, net, level=2, stages=("c",)) == NetState("TEST", 2, ("a", "b", "c"))
    assert file_state(net, "TRAIN") == NetState("TRAIN", 0, ("a",))


def test_test_states_go_to_the_test_nets_one_by_one() -> None:
    net = message("", "NetParameter")
    solver = message('test_state { stage: "a" } test_state { stage: "b" }', "SolverParameter")
    assert [solver_state(solver, net, test) for test in (0, 1)] == [
        NetState("TEST", 0, ("a",)),
        NetState("TEST", 0, ("b",)),
    ]


FED = 'input: "x" input_shape { dim: 2 } input: "t" input_shape { dim: 2 }'
DATA = 'layer {{ name: "d" type: "Data" top: "x" top: "t" data_param {{ batch_size: 2 }} {} }}\n'


@pytest.mark.parametrize(
    ("text", "phases"),
    [
        (
            DATA.format("include { phase: TRAIN }") + DATA.format("include { phase: TEST }") + loss("x"),
            ("TRAIN", "TEST"),
        ),
        (DATA.format("include { phase: TRAIN }") + loss("x"), ("TRAIN",)),
        (DATA.format("include { phase: TEST }") + relu("x", "y"), ("TEST",)),
        (DATA.format("") + loss("x"), ("TRAIN",)),
        ('input: "x" input_shape { dim: 2 }' + relu("x", "y"), ("TEST",)),
        ('state { phase: TEST } input: "x" input_shape { dim: 2 }' + loss("x"), ("TEST",)),
        (FED + relu("x", "y", "include { phase: TEST }"), ("TEST",)),
        (FED + relu("x", "y", "exclude { phase: TRAIN }") + relu("x", "z", "include { phase: TRAIN }"), ("TEST",)),
        (FED + relu("x", "y", "include { phase: TRAIN }") + relu("y", "z"), ("TRAIN",)),
        (FED + loss("x") + relu("x", "y", "include { phase: TEST }"), ("TRAIN", "TEST")),
        (DATA.format("") + relu("x", "y", "include { phase: TEST }"), ("TRAIN", "TEST")),
        (FED + relu("x", "y", "loss_weight: 1"), ("TEST",)),
        (FED + inner("x", "y", rest="loss_weight: 1"), ("TEST",)),
        (DATA.format("") + relu("x", "y", "loss_weight: 1"), ("TRAIN",)),
        (FED + 'layer { name: "r" type: "Reduction" bottom: "x" top: "r" loss_weight: 1 }', ("TRAIN",)),
        (FED + 'layer { name: "r" type: "TheirOwn" bottom: "x" top: "r" loss_weight: 1 }', ("TRAIN",)),
        (FED + 'layer { name: "r" type: "Python" bottom: "x" top: "r" loss_weight: 1 }', ("TRAIN",)),
    ],
)
def test_a_file_without_a_solver_is_for_the_phases_in_which_it_is_consistent(
    text: str, phases: tuple[str, ...]
) -> None:
    assert phases_of(upgraded_net(text).message) == phases


def test_a_file_without_a_solver_is_for_the_stages_in_which_it_is_consistent() -> None:
    text = DATA.format('include { stage: "train" }') + relu("x", "y")
    states = states_of(upgraded_net(text + loss("y")).message)
    assert states == (NetState("TRAIN", 0, ("train",)),)


# -- blobs -----------------------------------------------------------------------------------------------


def test_in_place_layers_create_versions_of_a_blob() -> None:
    net = net_of(relu("x", "y") + relu("y", "y") + relu("y", "z"), X)
    first, second = net.layers[1].tops[0], net.layers[2].tops[0]
    assert (second.below, net.blob("y")) == (first, second)
    assert [layer.name for layer in first.consumers] == ["y"]
    assert net.layers[3].bottoms == (second,)
    assert kinds(net) == []


def test_in_place_on_a_blob_that_an_earlier_layer_reads_is_reported() -> None:
    assert kinds(net_of(relu("x", "y") + relu("y", "z") + relu("y", "y"), X)) == ["in-place-on-shared-blob"]
    assert kinds(net_of(relu("x", "y") + relu("y", "y") + relu("y", "z"), X)) == []


def test_in_place_on_a_blob_with_a_written_loss_weight_is_reported() -> None:
    assert kinds(net_of(relu("x", "y", "loss_weight: 1") + relu("y", "y"), X)) == ["in-place-on-shared-blob"]


def test_a_duplicate_top_is_reported() -> None:
    net = net_of(relu("x", "y") + relu("x", "y"), X)
    assert kinds(net) == ["duplicate-top"]
    twice = 'layer { name: "s" type: "Split" bottom: "x" top: "y" top: "y" }'
    assert kinds(net_of(twice, X)) == ["duplicate-top"]


def test_an_unknown_bottom_has_an_unknown_shape_and_causes_no_other_problem() -> None:
    net = net_of(inner("gone", "a") + inner("a", "b", rest='param { name: "w" }') + loss("b"), {"t": "2"})
    assert kinds(net) == ["unknown-bottom"]
    assert (shape(net, "a"), shape(net, "b")) == ("?", "?")
    assert net.learnable is None


def test_an_unknown_bottom_says_where_the_blob_is_produced() -> None:
    net = net_of(
        relu("y", "z") + relu("x", "y") + relu("w", "v") + relu("x", "w", "include { phase: TEST }"), X
    )
    told = [problem.related[0][2] for problem in net.problems]
    assert told == [
        "layer 'y' produces 'y', but only later",
        "layer 'w' produces 'w', but not in phase TRAIN",
    ]


def test_all_problems_are_found_in_one_pass_and_in_order() -> None:
    text = (
        relu("gone", "a")
        + relu("x", "b", "param {}")
        + inner("b", "c", 0)
        + 'layer { name: "d" bottom: "c" }'
    )
    net = net_of(text, X)
    assert kinds(net) == ["unknown-bottom", "too-many-params", "num-output-missing", "layer-type-missing"]


@pytest.mark.parametrize(
    "layers",
    [
        inner("x", "a").replace("num_output: 5", 'num_output: "5"'),
        inner("x", "a").replace("num_output: 5", "num_outputs: 5"),
        inner("x", "a").replace('bottom: "x"', "bottom: x"),
        relu("x", "a").replace('top: "a"', "top: a") + relu("a", "b"),
        relu("x", "a").replace("top:", "tap:") + relu("a", "b"),
        'layer { name: "a" type: ReLU bottom: "x" top: "a" }',
    ],
)
def test_a_field_that_cannot_be_read_is_not_also_reported_as_missing(layers: str) -> None:
    assert kinds(net_of(layers, X)) == []


def test_an_input_without_shape_cannot_be_read_by_two_layers() -> None:
    text = 'layer { name: "i" type: "Input" top: "x" }' + relu("x", "a")
    assert kinds(net_of(text)) == []
    assert kinds(net_of(text + relu("x", "b"))) == ["input-without-shape"]
    assert kinds(net_of(text + inner("a", "b"))) == ["axis"]
    assert kinds(net_of(text + inner("a", "b"), input_shapes={"x": (2, 3)})) == []


def test_a_net_without_layers_is_built_but_cannot_run() -> None:
    assert kinds(net_of('name: "n"'), "forward") == ["net-empty"]


def test_input_shapes_complete_the_shapes_in_the_file() -> None:
    text = DATA.format("transform_param { crop_size: 5 }")
    assert shape(net_of(text), "x") == "2 ? 5 5"
    assert shape(net_of(text, input_shapes={"*": (0, 3, 9, 9)}), "x") == "2 3 5 5"
    assert shape(net_of(text, input_shapes={"x": (7, 1, 9, 9)}), "x") == "2 1 5 5"
    hdf5 = 'layer { name: "h" type: "HDF5Data" top: "x" top: "t" }'
    net = net_of(hdf5, input_shapes={"*": (4, 6), "t": (4,)})
    assert (shape(net, "x"), shape(net, "t")) == ("4 6", "4")


def test_upstream_and_downstream_give_each_layer_once() -> None:
    both = 'layer { name: "e" type: "Eltwise" bottom: "b" bottom: "c" top: "e" }'
    net = net_of(relu("x", "a") + relu("a", "b") + relu("a", "c") + both, X)
    assert [layer.name for layer in net.layers[-1].upstream()] == ["b", "c", "a", "in_x"]
    assert [layer.name for layer in net.layers[0].downstream()] == ["a", "b", "c", "e"]


# -- splits and outputs ----------------------------------------------------------------------------------


def test_splits_come_after_the_layer_whose_top_is_read_twice() -> None:
    net = net_of(relu("x", "x") + relu("x", "b") + relu("x", "c"), X)
    layers, shapes = with_splits(net.layers)
    assert [layer.name for layer in layers] == ["in_x", "x", "x_x_0_split", "b", "c"]
    assert [layer.bottoms for layer in layers[3:]] == [["x_x_0_split_0"], ["x_x_0_split_1"]]
    assert shapes["x_x_0_split_1"] == (2, 3, 8, 8)


def test_a_written_loss_weight_takes_the_first_split_and_is_counted_twice_for_a_loss() -> None:
    net = net_of(inner("x", "f") + loss("f", 'top: "l" loss_weight: 2') + relu("l", "r"), {**X, "t": "2"})
    layers, _ = with_splits(net.layers)
    assert layers[-1].bottoms == ["l_loss_0_split_1"]
    assert [(each.weight, each.entry is None) for each in net.losses] == [(2.0, False), (1.0, True)]
    assert net.layers[3].loss_weights == (3.0,)
    assert net.outputs == ["l_loss_0_split_0", "r"]


def test_outputs_are_the_blobs_that_no_layer_reads() -> None:
    net = net_of(inner("x", "f") + loss("f", ""), {**X, "t": "2", "unread": "1"})
    assert net.outputs == ["unread"]  # the loss has a top that Caffe made for it
    assert net.losses[0].weight == 1.0


# -- parameters ------------------------------------------------------------------------------------------


def test_shared_parameters_belong_to_the_first_and_count_once() -> None:
    net = net_of(inner("x", "a", rest='param { name: "w" }') + inner("x", "b", rest='param { name: "w" }'), X)
    a, b = net.layers[1].params[0], net.layers[2].params[0]
    assert (b.owner, a.owner) == (a, a)
    assert net.learnable == 5 * 192 + 5 + 5


def test_shared_parameters_must_agree() -> None:
    shapes = net_of(
        inner("x", "a", rest='param { name: "w" }') + inner("x", "b", 4, 'param { name: "w" }'), X
    )
    assert kinds(shapes) == ["shared-param-shape"]
    turned = inner("x", "b", rest='param { name: "w" share_mode: PERMISSIVE }').replace(
        "num_", "transpose: true num_"
    )
    permissive = net_of(inner("x", "a", rest='param { name: "w" }') + turned, X)
    assert kinds(permissive) == []
    rates = net_of(
        inner("x", "a", rest='param { name: "w" lr_mult: 1 }')
        + inner("x", "b", rest='param { name: "w" lr_mult: 2 }'),
        X,
    )
    assert kinds(rates) == ["shared-param-multiplier"]


def test_weight_and_bias_of_a_layer_must_agree_as_well() -> None:
    both = 'param { name: "w" lr_mult: 1 } param { name: "w" lr_mult: 2 }'
    settings = f"{both} convolution_param {{ num_output: 4 kernel_size: 3 }}"
    conv = f'layer {{ name: "c" type: "Convolution" bottom: "x" top: "c" {settings} }}'
    mystery = 'layer { name: "m" type: "Mystery" bottom: "x" top: "y" }'
    (known,) = net_of(conv, {"x": "2 3 8 8"}).problems
    said = "Convolution layer 'c': weight and bias have the same name 'w', but the shapes differ"
    assert known.message == f"{said} (4 here, 4 x 3 x 3 x 3 there)"
    (unknown,) = net_of(mystery + conv.replace('bottom: "x"', 'bottom: "y"'), X).problems
    assert unknown.message == f"{said} (1 axis here, 2 or more there)"
    assert known.kind == unknown.kind == "shared-param-in-layer"
    permissive = conv.replace('name: "w" lr_mult: 2', 'name: "w" share_mode: PERMISSIVE').replace("kernel_size: 3", "kernel_size: 1")
    assert kinds(net_of(permissive, {"x": "2 1 8 8"})) == []
    scale = f'layer {{ name: "s" type: "Scale" bottom: "x" top: "s" {both} scale_param {{ bias_term: true }} }}'
    (rates,) = net_of(scale, X).problems
    assert rates.message.endswith("have the same name 'w', but lr_mult is 2 here and 1 there")
    assert kinds(net_of(scale.replace("lr_mult: 2", "lr_mult: 1"), X)) == []


def test_a_multiplier_written_for_one_of_two_shared_parameters_applies_to_both() -> None:
    net = net_of(
        inner("x", "a", rest='param { name: "w" lr_mult: 3 }') + inner("x", "b", rest='param { name: "w" }'),
        X,
    )
    assert [layer.params[0].lr_mult for layer in net.layers[1:]] == [3.0, 3.0]


# -- backward --------------------------------------------------------------------------------------------


def test_only_layers_between_parameters_and_a_loss_run_backward() -> None:
    net = net_of(
        relu("x", "a") + inner("a", "b") + relu("b", "c") + loss("c") + inner("a", "d"), {**X, "t": "2"}
    )
    assert [layer.name for layer in net.layers if layer.runs_backward] == ["b", "c", "loss"]
    assert [list(layer.gradient_bottoms) for layer in net.layers if layer.runs_backward] == [
        [False],
        [True],
        [True, False],
    ]


def test_frozen_parameters_and_propagate_down_end_the_backward_pass() -> None:
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    net = net_of(inner("x", "a", rest=frozen) + inner("a", "b") + loss("b"), {**X, "t": "2"})
    assert [layer.name for layer in net.layers if layer.runs_backward] == ["b", "loss"]
    cut = net_of(inner("x", "a") + relu("a", "b", "propagate_down: false") + loss("b"), {**X, "t": "2"})
    assert [layer.name for layer in cut.layers if layer.runs_backward] == ["b", "loss"]


def test_force_backward_reaches_every_bottom_but_labels() -> None:
    net = net_of("force_backward: true\n" + relu("x", "a") + loss("a"), {"x": "2 5", "t": "2"})
    assert all(layer.runs_backward for layer in net.layers)
    assert [list(layer.gradient_bottoms) for layer in net.layers[2:]] == [[True], [True, False]]


def test_labels_that_would_need_a_gradient_stop_the_first_backward_pass() -> None:
    learned = net_of(inner("x", "f") + inner("x", "t", 1) + loss("f"), X)
    assert [problem.kind for problem in backward_problems(learned)] == ["no-gradient"]
    fed = net_of(inner("x", "f") + loss("f"), {**X, "t": "2"})
    assert backward_problems(fed) == []
    weighted = 'layer { name: "m" type: "ArgMax" bottom: "f" top: "m" loss_weight: 1 }'
    assert [problem.kind for problem in backward_problems(net_of(inner("x", "f") + weighted, X))] == [
        "no-backward"
    ]


# -- forks -----------------------------------------------------------------------------------------------


def test_an_unknown_type_gives_unknown_shapes_and_no_problem() -> None:
    net = net_of('layer { name: "a" type: "Mystery" bottom: "x" top: "y" param {} }' + inner("y", "z"), X)
    assert kinds(net) == []
    assert shape(net, "y") == "?"


def test_a_forks_field_leaves_the_shape_unknown_in_the_fork() -> None:
    param = "eltwise_param { coeff_blob: true }"
    text = f'layer {{ name: "a" type: "Eltwise" bottom: "x" bottom: "c" top: "y" {param} }}'
    net = net_of(text, {**X, "c": "2"}, dialect="lisa-caffe")
    assert (kinds(net), shape(net, "y")) == ([], "?")


def test_a_forks_losses_may_have_more_bottoms_and_tops() -> None:
    text = inner("x", "f") + loss("f", 'top: "l" top: "p" top: "q" loss_weight: [1, 0, 0]')
    assert kinds(net_of(text, {**X, "t": "2"}, dialect="rfcn")) == []
    assert "top-count" in kinds(net_of(text, {**X, "t": "2"}))


# -- size ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["chain", "concat"])
def test_building_takes_less_work_than_reading_however_large_the_net(kind: str) -> None:
    def text(size: int) -> str:
        param = "input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } }"
        start = f'layer {{ name: "i" type: "Input" top: "b0" {param} }}\n'
        if kind == "chain":
            return start + "".join(relu(f"b{i}", f"b{i + 1}") for i in range(size))
        ways = "".join(relu("b0", f"w{i}") for i in range(size))
        bottoms = " ".join(f'bottom: "w{i}"' for i in range(size))
        return f'{start}{ways}layer {{ name: "c" type: "Concat" {bottoms} top: "c" }}'

    def building(size: int) -> Callable[[], object]:
        upgraded = upgraded_net(text(size))

        def work() -> None:
            net = build(upgraded, NetState("TRAIN"))
            assert net.problems == []
            assert all(len(layer.gradient_bottoms) == len(layer.bottoms) for layer in net.layers)

        return work

    assert_linear(building, 250)
    assert steps(building(1000)) < steps(lambda: upgraded_net(text(1000)))


# -- the real Caffe --------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not (SHARED / "oracle" / "nets.jsonl").is_file(), reason="needs ../shared/oracle/nets.jsonl"
)
def test_deploy_nets_have_the_shapes_that_the_real_caffe_gave_them() -> None:
    compared = 0
    different = []
    with (SHARED / "oracle" / "nets.jsonl").open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number % 12 or '"TEST": {"ok": true' not in line:
                continue
            row = json.loads(line)
            source = (SHARED / "corpus" / "files" / row["path"]).read_bytes()
            upgraded = upgrade(
                bind(parse(source), caffe_schema(), "NetParameter", "bvlc").message, caffe_schema()
            )
            net = build(upgraded, file_state(upgraded.message, "TEST"))
            if any(
                layer.kind is not None and layer.kind.is_data and layer.type != "Input"
                for layer in net.layers
            ):
                continue  # the oracle had inputs in their place
            _, shapes = with_splits(net.layers)
            compared += 1
            ours = {name: list(dims) if dims is not None else None for name, dims in shapes.items()}
            if ours != row["TEST"]["blobs"] or net.learnable != row["TEST"]["learnable"] or kinds(net):
                different.append(row["path"])
    assert compared > 15
    assert different == []
