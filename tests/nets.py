"""Builds nets for the tests, from prototxt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caffe_lint.net.build import build
from caffe_lint.net.net import Net
from caffe_lint.net.phases import NetState, file_state
from caffe_lint.proto.binder import bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.upgrade import Upgraded, upgrade


def upgraded_net(text: str, dialect: str = "bvlc") -> Upgraded:
    """A net's text, read and in today's form."""
    return upgrade(
        bind(parse(text.encode()), caffe_schema(), "NetParameter", dialect).message, caffe_schema()
    )


def net_of(
    text: str,
    inputs: Mapping[str, str] | None = None,
    *,
    phase: str = "TRAIN",
    dialect: str = "bvlc",
    state: NetState | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> Net:
    """The net of a text in a phase; `inputs` are further blobs that it may read, with their dimensions."""
    for name, dims in reversed(list((inputs or {}).items())):
        shape = " ".join(f"dim: {dim}" for dim in dims.split())
        param = f"input_param {{ shape {{ {shape} }} }}"
        text = f'layer {{ name: "in_{name}" type: "Input" top: "{name}" {param} }}\n{text}'
    upgraded = upgraded_net(text, dialect)
    return build(
        upgraded, state or file_state(upgraded.message, phase), dialect=dialect, input_shapes=input_shapes
    )


def layer_of(text: str, inputs: Mapping[str, str] | None = None, *, dialect: str = "bvlc") -> Net:
    """A net with one layer, whose inside is `text`."""
    return net_of(f'layer {{ name: "it" {text} }}', inputs, dialect=dialect)


def kinds(net: Net, when: str = "setup") -> list[str]:
    """The kinds of what the net stops at."""
    return [problem.kind for problem in net.problems if problem.when == when]


def shape(net: Net, name: str) -> str:
    """A blob's dimensions, `?` for an unknown one or shape, empty for a scalar."""
    blob = net.blob(name)
    assert blob is not None, f"no layer makes {name}"
    if blob.shape is None:
        return "?"
    return " ".join("?" if dim is None else str(dim) for dim in blob.shape)
