"""The Python API: what it gives, and what it does not load."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

from caffe_lint import api
from caffe_lint.proto import caffe_pb2

CHECKOUT = Path(__file__).resolve().parent.parent


def test_a_message_is_a_real_one_of_our_package() -> None:
    solver = api.parse("base_lr: 0.5\nlr_policy: 'fixed'\n")
    assert solver.kind == "solver"
    assert solver.problems == ()
    assert solver.message == caffe_pb2.SolverParameter(base_lr=0.5, lr_policy="fixed")
    assert solver.message is solver.message
    net = api.parse(b'layer { name: "a" type: "ReLU" }')
    assert net.kind == "net"
    assert isinstance(net.message, caffe_pb2.NetParameter)
    assert net.message.DESCRIPTOR.full_name == "caffe_lint.NetParameter"


def test_the_dialect_is_found_out_or_given() -> None:
    text = 'layer { name: "n" type: "Normalize" norm_param { across_spatial: false } }'
    assert api.parse(text).dialect == "ssd"
    assert [problem.kind for problem in api.parse(text, dialect="bvlc").problems] == [
        "foreign-layer-type",
        "foreign-field",
    ]


def test_problems_have_places() -> None:
    problems = api.parse("base_lr: 0.1\nmax_iter: 1.5 # half\n").problems
    assert [each[2:] for each in problems] == [(2, 11, 2, 14)]
    assert problems[0].kind == "wrong-type"


def test_text_that_is_neither_has_no_message() -> None:
    labels = api.parse('item { name: "none" label: 0 }')
    assert (labels.kind, labels.message, labels.problems) == ("other", None, ())


def test_results_are_frozen() -> None:
    parsed = api.parse("base_lr: 0.1 max_iter: x")
    for what, name in ((parsed, "kind"), (parsed, "other"), (parsed.problems[0], "line")):
        with pytest.raises(AttributeError):
            setattr(what, name, 1)


def test_reading_loads_no_library() -> None:
    code = (
        "import sys, caffe_lint.api as api\n"
        "parsed = api.parse('base_lr: 1'); parsed.kind, parsed.problems\n"
        "print([name for name in ('click', 'google.protobuf', 'jinja2', 'numpy', 'caffe_lint.cli') if name in sys.modules])\n"
        "print(parsed.message.base_lr, 'google.protobuf' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n1.0 True\n"


def test_the_examples_of_its_page_run() -> None:
    page = CHECKOUT / "docs" / "python.md"
    assert doctest.testfile(str(page), module_relative=False) == doctest.TestResults(failed=0, attempted=7)
