"""Repairs of a net's wiring: the text they make, and that it means what they say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from caffe_lint.fixes.apply import edited, verify
from caffe_lint.fixes.fields import Patch
from caffe_lint.fixes.layer_edits import (
    EnumName,
    Fields,
    add_message,
    free_name,
    insert_layers,
    names_in,
    remove_bias,
    remove_layer,
    set_loss_weights,
    set_value,
    set_weight_filler,
    state_rules,
    written_net,
)
from caffe_lint.fixes.moving import cut
from caffe_lint.fixes.rates import write_param
from caffe_lint.fixes.wiring import free_blob, remove_messages, rename_blob, write_new_blob
from caffe_lint.proto.binder import Message, bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.tree import Block, Tree

RELU: Fields = (("name", "new"), ("type", "ReLU"), ("bottom", "a"), ("top", "a"))
SCALE: Fields = (("name", "new"), ("type", "Scale"), ("scale_param", (("axis", 2), ("bias_term", True))))


def read(text: str, type_name: str = "NetParameter") -> tuple[Tree, Message]:
    tree = parse(text.encode())
    return tree, bind(tree, caffe_schema(), type_name).message


def patched(text: str, make: Callable[[Tree, Message], Patch | None], type_name: str = "NetParameter") -> str:
    """The text after a patch, which must mean just what the patch says."""
    tree, message = read(text, type_name)
    patch = make(tree, message)
    assert patch is not None
    after = edited(text.encode(), patch.edits).decode()
    verify(message, read(after, type_name)[1], [patch.fix("net.prototxt", "patched")])
    return after


def behind_first(*layers: Fields, field: str = "layer") -> Callable[[Tree, Message], Patch | None]:
    return lambda tree, net: insert_layers(tree, net, net.entries[field][0], layers)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (
            'layer {\n  name: "a"\n}\n',
            'layer {\n  name: "a"\n}\nlayer {\n  name: "new"\n  type: "ReLU"\n  bottom: "a"\n  top: "a"\n}\n',
        ),
        (
            'layer{\r\n\tname:"a"\r\n}\r\n',
            'layer{\r\n\tname:"a"\r\n}\r\nlayer{\r\n\tname:"new"\r\n\ttype:"ReLU"\r\n\tbottom:"a"\r\n\ttop:"a"\r\n}\r\n',
        ),
        (
            'layer { name: "a" }  # first\nlayer { name: "b" }\n',
            'layer { name: "a" }  # first\n'
            'layer { name: "new" type: "ReLU" bottom: "a" top: "a" }\n'
            'layer { name: "b" }\n',
        ),
        (
            'layer { name: "a" }',
            'layer { name: "a" }\nlayer { name: "new" type: "ReLU" bottom: "a" top: "a" }',
        ),
        (
            'layer { name: "a" } layer { name: "b" }\n',
            'layer { name: "a" } layer { name: "new" type: "ReLU" bottom: "a" top: "a" } layer { name: "b" }\n',
        ),
        (
            'layer < name: "a" >\n',
            'layer < name: "a" >\nlayer < name: "new" type: "ReLU" bottom: "a" top: "a" >\n',
        ),
        (
            'layer # the first\n{\n  name: "a"\n}\n',
            'layer # the first\n{\n  name: "a"\n}\n'
            'layer {\n  name: "new"\n  type: "ReLU"\n  bottom: "a"\n  top: "a"\n}\n',
        ),
        (
            'layer\n{\n  name: "a"\n}\n',
            'layer\n{\n  name: "a"\n}\nlayer\n{\n  name: "new"\n  type: "ReLU"\n  bottom: "a"\n  top: "a"\n}\n',
        ),
    ],
)
def test_a_layer_is_written_as_the_one_before_it(text: str, after: str) -> None:
    assert patched(text, behind_first(RELU)) == after


def test_messages_within_a_layer_stand_as_they_do_in_the_file() -> None:
    several = 'layer {\n    name: "a"\n    param {\n        lr_mult: 1\n    }\n}\n'
    assert patched(several, behind_first(SCALE)).endswith(
        "    scale_param {\n        axis: 2\n        bias_term: true\n    }\n}\n"
    )
    one = 'layer {\n    name: "a"\n    param { lr_mult: 1 }\n}\n'
    assert patched(one, behind_first(SCALE)).endswith("    scale_param { axis: 2 bias_term: true }\n}\n")


def test_several_layers_come_in_their_order() -> None:
    after = patched('layer { name: "a" }\n', behind_first(RELU, SCALE))
    assert after.index("ReLU") < after.index("Scale")


@pytest.mark.parametrize(
    ("names", "after"), [("abc", "x {\n  d: 3\n}\n"), ("ac", "x {\n  b {\n  }\n  d: 3\n}\n")]
)
def test_fields_on_the_lines_of_another_are_cut_with_all_of_these_lines_or_without(names: str, after: str) -> None:
    tree = parse(b"x {\n  a: 1 b {\n  } c: 2\n  d: 3\n}\n")
    (outer,) = tree.root.fields
    assert isinstance(outer.value, Block)
    fields = [field for field in outer.value.fields if field.name in names]
    taken = cut(tree, outer.value, fields, move_comments=False)
    assert edited(tree.source, taken.edits).decode() == after


def test_a_layer_of_the_old_form_is_written_in_it() -> None:
    fields: Fields = (("name", "p"), ("type", EnumName("SOFTMAX")), ("bottom", "a"), ("top", "p"))
    after = patched('layers { name: "a" type: RELU }\n', behind_first(fields, field="layers"))
    assert after.endswith('layers { name: "p" type: SOFTMAX bottom: "a" top: "p" }\n')


def test_nothing_is_inserted_after_an_item_of_a_list() -> None:
    tree, net = read('layer: [{ name: "a" }, { name: "b" }]')
    assert insert_layers(tree, net, net.entries["layer"][0], (RELU,)) is None
    assert remove_layer(tree, net, net.entries["layer"][0]) is None


def test_a_layer_is_removed_and_its_comment_stays() -> None:
    text = 'name: "n"\n# scores\nlayer { name: "a" }\nlayer { name: "b" }\n'
    after = patched(text, lambda tree, net: remove_layer(tree, net, net.entries["layer"][0]))
    assert after == 'name: "n"\n# scores\nlayer { name: "b" }\n'


def test_a_layer_is_removed_together_with_a_change_of_another() -> None:
    text = 'layer { name: "a" }\nlayer { name: "b" bottom: "x" bottom: "y" }\n'

    def make(tree: Tree, net: Message) -> Patch | None:
        first, second = net.entries["layer"]
        return remove_layer(tree, net, first, set_value(second[0], "bottom", 1, "z"))

    assert patched(text, make) == 'layer { name: "b" bottom: "x" bottom: "z" }\n'


@pytest.mark.parametrize(
    ("text", "weights", "after"),
    [
        ('layer {\n  top: "l"\n  loss_weight: 9\n}\n', (1.0,), 'layer {\n  top: "l"\n  loss_weight: 1\n}\n'),
        (
            'layer {\n  top: "l" # l\n  type: "x"\n}\n',
            (0.3,),
            'layer {\n  top: "l" # l\n  loss_weight: 0.3\n  type: "x"\n}\n',
        ),
        (
            'layer { top: "a" top: "b" }\n',
            (1e-5, 0.0),
            'layer { top: "a" top: "b" loss_weight: 1e-5 loss_weight: 0 }\n',
        ),
        ('layer { top: "a" loss_weight: [9, 8] }\n', (9.0, 2.0), 'layer { top: "a" loss_weight: [9, 2] }\n'),
        ('layer { name: "a" }\n', (2.0,), 'layer { name: "a" loss_weight: 2 }\n'),
        (
            'layer {\n  top: ["a", "b"]\n}\n',
            (1.0, 0.0),
            'layer {\n  top: ["a", "b"]\n  loss_weight: 1\n  loss_weight: 0\n}\n',
        ),
    ],
)
def test_loss_weights_are_inserted_after_the_tops(text: str, weights: tuple[float, ...], after: str) -> None:
    assert patched(text, lambda tree, net: set_loss_weights(tree, net["layer"][0], weights)) == after


def test_rules_of_a_layer_can_be_given_to_another() -> None:
    text = 'layer { name: "a" include { phase: TRAIN stage: "s" min_level: 1 } exclude { stage: "t" } }\n'
    _, net = read(text)
    fields: Fields = (("name", "b"), *state_rules(net["layer"][0]))
    assert patched(text, behind_first(fields)) == text + text.replace('"a"', '"b"')


def test_a_free_name_is_no_layers_and_no_blobs() -> None:
    _, net = read('input: "in" layer { name: "a" bottom: "in" top: "x" } layers { name: "b" top: "y" }')
    names = [free_name(names_in(net), wanted) for wanted in ("in", "a", "x", "b", "y", "z")]
    assert names == ["in_2", "a_2", "x_2", "b_2", "y_2", "z"]


def test_a_net_within_a_solver_is_found_by_its_block() -> None:
    _, solver = read('net_param { layer { name: "a" } }', "SolverParameter")
    inner = solver["net_param"]
    assert written_net(solver, inner.block) is inner
    assert written_net(solver, solver.block) is solver
    assert written_net(solver, inner["layer"][0].block) is None


# -- bottoms and tops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ('layer { bottom: "a" bottom: "b" top: "a" }\n', 'layer { bottom: "a" bottom: "new" top: "new" }\n'),
        ("layer { bottom: 'a' bottom: 'b' top: \"a\" }\n", "layer { bottom: 'a' bottom: 'new' top: \"new\" }\n"),
        ('layer { bottom: ["a", "b"] top: "a" }\n', 'layer { bottom: ["a", "new"] top: "new" }\n'),
    ],
)
def test_blobs_are_renamed_in_the_quotes_that_they_have(text: str, after: str) -> None:
    def make(tree: Tree, net: Message) -> Patch | None:
        layer = net["layer"][0]
        return rename_blob([(layer, "bottom", 1), (layer, "top", 0)], "new")

    assert patched(text, make) == after


def test_a_name_with_an_apostrophe_gets_other_quotes() -> None:
    after = patched("layer { top: 'a' }\n", lambda tree, net: rename_blob([(net["layer"][0], "top", 0)], "it's"))
    assert after == 'layer { top: "it\'s" }\n'


CHAIN = """\
layer { name: "data" top: "x" }
layer { name: "first" bottom: "x" top: "x" }
layer { name: "other" bottom: "y" top: "z" }
layer { name: "second" bottom: "x" top: "x" }
layer { name: "sum" bottom: "z" bottom: "x" top: "sum" }
"""


def test_an_in_place_layer_gets_a_blob_of_its_own_that_all_after_it_read() -> None:
    def make(tree: Tree, net: Message) -> Patch | None:
        found = write_new_blob(net, net["layer"][1], 0)
        assert found is not None
        patch, name = found
        assert name == "first"
        return patch

    assert patched(CHAIN, make) == (
        'layer { name: "data" top: "x" }\n'
        'layer { name: "first" bottom: "x" top: "first" }\n'
        'layer { name: "other" bottom: "y" top: "z" }\n'
        'layer { name: "second" bottom: "first" top: "first" }\n'
        'layer { name: "sum" bottom: "z" bottom: "first" top: "sum" }\n'
    )


def test_a_layer_that_is_kept_still_reads_the_old_blob() -> None:
    def make(tree: Tree, net: Message) -> Patch | None:
        found = write_new_blob(net, net["layer"][3], 0, [net["layer"][4]])
        return found and found[0]

    assert patched(CHAIN, make) == CHAIN.replace('"second" bottom: "x" top: "x"', '"second" bottom: "x" top: "second"')


@pytest.mark.parametrize(
    "text",
    [
        CHAIN.replace('"first" bottom', '"first" include { phase: TRAIN } bottom'),
        CHAIN.replace('"first" bottom', '"first" exclude { phase: TRAIN } bottom'),
        CHAIN + 'layer { name: "again" bottom: "sum" top: "x" }\n',
        CHAIN + 'layer { name: "again" top: "x" }\n',
        CHAIN + 'layer { name: "again" bottom: "x" bottom: "sum" top: "sum" top: "x" }\n',
    ],
)
def test_no_blob_is_made_where_it_is_not_clear_who_reads_it(text: str) -> None:
    _, net = read(text)
    assert write_new_blob(net, net["layer"][1], 0) is None


def test_a_free_blob_is_no_bottom_and_no_top() -> None:
    _, net = read('layer { name: "a" bottom: "in" top: "x" } layer { name: "b" bottom: "x" top: "x_2" }')
    assert [free_blob(net, wanted) for wanted in ("in", "x", "x_2", "a")] == ["in_2", "x_3", "x_2_2", "a"]


# -- messages within layers -----------------------------------------------------------------------------------


PARAMS = "layer {\n  param { lr_mult: 1 }\n  param { lr_mult: 2 }  # of the bias\n  param { lr_mult: 3 }\n}\n"


@pytest.mark.parametrize(
    ("first", "after"),
    [
        (2, PARAMS.replace("  param { lr_mult: 3 }\n", "")),
        (1, "layer {\n  param { lr_mult: 1 }\n  # of the bias\n}\n"),
        (0, "layer {\n  # of the bias\n}\n"),
    ],
)
def test_messages_are_removed_from_one_on(first: int, after: str) -> None:
    assert patched(PARAMS, lambda tree, net: remove_messages(tree, net["layer"][0], "param", first)) == after


def test_items_of_a_list_are_not_removed() -> None:
    tree, net = read("layer { param: [{ lr_mult: 1 }, { lr_mult: 2 }] }")
    assert remove_messages(tree, net["layer"][0], "param", 1) is None


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ('layer {\n  name: "a"\n}\n', 'layer {\n  name: "a"\n  param {\n    lr_mult: 0\n  }\n}\n'),
        ('layer {\n  name: "a"\n  include { phase: TEST }\n}\n',
         'layer {\n  name: "a"\n  include { phase: TEST }\n  param { lr_mult: 0 }\n}\n'),
        ('layer { name: "a" }\n', 'layer { name: "a" param { lr_mult: 0 } }\n'),
        ('layer { name:"a" }\n', 'layer { name:"a" param { lr_mult:0 } }\n'),
        ("layer {}\n", "layer { param { lr_mult: 0 } }\n"),
        ("layer {\n}\n", "layer { param { lr_mult: 0 }\n}\n"),
    ],
)  # fmt: skip
def test_a_message_is_added_at_the_end_of_a_layer(text: str, after: str) -> None:
    assert patched(text, lambda tree, net: add_message(tree, net, net["layer"][0], "param", (("lr_mult", 0),))) == after


BIASED = """\
layer {
  param { lr_mult: 1 }
  param { lr_mult: 2 }
  convolution_param {
    num_output: 8
    bias_filler { value: 1 }
    kernel_size: 3
  }
}
"""


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (BIASED, "layer {\n  param { lr_mult: 1 }\n  convolution_param {\n    num_output: 8\n    bias_term: false\n    kernel_size: 3\n  }\n}\n"),
        (
            "layer { param { lr_mult: 1 } convolution_param { bias_term: true num_output: 8 } }\n",
            "layer { param { lr_mult: 1 } convolution_param { bias_term: false num_output: 8 } }\n",
        ),
        (
            "layer { convolution_param { num_output: 8 weight_filler { std: 1 } } }\n",
            "layer { convolution_param { num_output: 8 weight_filler { std: 1 } bias_term: false } }\n",
        ),
    ],
)
def test_a_bias_is_removed_with_all_that_is_said_of_it(text: str, after: str) -> None:
    def make(tree: Tree, net: Message) -> Patch | None:
        return remove_bias(tree, net["layer"][0], "convolution_param")

    assert patched(text, make) == after


def test_a_bias_whose_param_is_an_item_of_a_list_stays() -> None:
    tree, net = read("layer { param: [{ lr_mult: 1 }, { lr_mult: 2 }] convolution_param { num_output: 8 } }")
    assert remove_bias(tree, net["layer"][0], "convolution_param") is None


@pytest.mark.parametrize(
    ("settings", "after"),
    [
        ("num_output: 8", 'num_output: 8 weight_filler { type: "msra" }'),
        ('weight_filler { type: "gaussian" std: 0.01 sparse: 3 }', 'weight_filler { type: "msra" }'),
        ("weight_filler { value: 0.2 }", 'weight_filler { type: "msra" }'),
        ("weight_filler { value:0 std:1 }", 'weight_filler { type:"msra" }'),
        ("weight_filler {\n  value: 0.2\n}", 'weight_filler {\n  type: "msra"\n}'),
        ("weight_filler {}", 'weight_filler { type: "msra" }'),
        (
            "weight_filler { type: 'uniform' min: -1 max: 1 variance_norm: AVERAGE }",
            'weight_filler { type: "msra" }',
        ),
    ],
)
def test_a_filler_keeps_no_numbers_of_the_old_one(settings: str, after: str) -> None:
    def make(tree: Tree, net: Message) -> Patch | None:
        return set_weight_filler(tree, net, net["layer"][0]["inner_product_param"], "msra")

    text = "layer {{ inner_product_param {{ {} }} }}\n"
    assert patched(text.format(settings), make) == text.format(after)


# -- rates of the old form ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "after"),
    [
        ("blobs_lr: 1 blobs_lr: 2", "param { lr_mult: 1 } param { lr_mult: 2 }"),
        ("blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0",
         "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"),
        ("blobs_lr: 1 weight_decay: 1 weight_decay: 0", "param { lr_mult: 1 decay_mult: 1 } param { decay_mult: 0 }"),
        ("weight_decay:1e-3", "param { decay_mult:1e-3 }"),
    ],
)  # fmt: skip
def test_rates_of_a_layer_become_params(rates: str, after: str) -> None:
    text = "layer {{ {} }}\n"
    assert patched(text.format(rates), lambda tree, net: write_param(tree, net["layer"][0])) == text.format(after)


@pytest.mark.parametrize(
    "inside",
    ['name: "a"', "blobs_lr: 1 param { lr_mult: 2 }", "blobs_lr: fast", "blobs_lr: [1, 2]", "blobs_lr: 1 param: 3"],
)
def test_rates_that_cannot_become_params_stay(inside: str) -> None:
    tree, net = read(f"layer {{ {inside} }}")
    assert write_param(tree, net["layer"][0]) is None
