"""Every layer type infers the same shapes as Caffe, and reports what Caffe rejects."""

from __future__ import annotations

import re

import pytest
from layer_cases import MADE, REFUSED, Made, Refused
from nets import kinds, layer_of, shape

from caffe_lint.layers.record import described_names
from caffe_lint.moments.shapes import Shape


def words(dims: Shape) -> str:
    return "?" if dims is None else " ".join("?" if dim is None else str(dim) for dim in dims)


@pytest.mark.parametrize("case", MADE, ids=lambda case: case.layer[:90])
def test_makes(case: Made) -> None:
    net = layer_of(case.layer, case.inputs, dialect=case.dialect)
    assert kinds(net) == []
    assert {name: shape(net, name) for name in case.tops} == case.tops
    if case.params is not None:
        assert [words(param.shape) for param in net.layers[-1].params] == case.params


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case.kind}: {case.layer[:80]}")
def test_refuses(case: Refused) -> None:
    net = layer_of(case.layer, case.inputs, dialect=case.dialect)
    found = [problem for problem in net.problems if problem.kind == case.kind]
    assert [(problem.when, problem.how) for problem in found] == [(case.when, case.how)]
    assert found[0].layer is net.layers[-1]
    assert found[0].message.startswith(f"{net.layers[-1].type} layer 'it': ")
    assert [problem.kind for problem in net.problems] == [case.kind]


def test_every_layer_type_has_a_case() -> None:
    shown = {match[1] for case in MADE if (match := re.match(r'type: "(\w+)"', case.layer))}
    assert sorted(set(described_names()) - shown) == []


@pytest.mark.parametrize("name", sorted(described_names()))
def test_a_layer_without_anything_can_be_asked_everything(name: str) -> None:
    net = layer_of(f'type: "{name}"', {}, dialect="ssd")
    kind = net.layers[0].kind
    assert kind is not None
    assert kind.in_place_effect(net.layers[0]) in (
        "right",
        "fatal",
        "crash",
        "wrong-gradient",
        "wrong-values",
        "unknown",
    )
    assert isinstance(kind.needs_its_top(net.layers[0]), bool)
    assert isinstance(kind.is_alias(net.layers[0]), bool)
    if kind.multiply_adds is not None:
        assert kind.multiply_adds(net.layers[0]) in (None, 0)
