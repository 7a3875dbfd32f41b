"""Repairs of a net's wiring: the text they make, and that it means what they say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from caffe_lint.fixes.apply import edited, verify
from caffe_lint.fixes.fields import Patch
from caffe_lint.fixes.layer_edits import (
    EnumName,
    Fields,
    free_name,
    insert_layers,
    names_in,
    remove_layer,
    set_loss_weights,
    set_value,
    state_rules,
    written_net,
)
from caffe_lint.proto.binder import Message, bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.tree import Tree

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
