"""Numbers and names of files that no training has: an answer, without a loop or memory of their size."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from harness import check, check_files, fix_files

from caffe_lint.net.data_facts import read_facts

NET = """\
layer { name: "data" type: "Input" top: "data" top: "label" input_param { shape { dim: 4 dim: 3 } shape { dim: 4 } } }
layer { name: "score" type: "InnerProduct" bottom: "data" top: "score" inner_product_param { num_output: 2
  weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""
SOLVER = 'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "step"\ngamma: 0.1\nstepsize: 10\nmax_iter: 100\nmomentum: 0.9\n'
EXTREMES = ("nan", "inf", "-inf", "0", "-1", "2147483647", "9223372036854775808", "1e308", "3e38", "5e-324")


@pytest.mark.parametrize("value", EXTREMES)
@pytest.mark.parametrize("field", ["base_lr", "gamma", "weight_decay", "momentum", "clip_gradients", "iter_size"])
def test_a_solver_with_an_extreme_number(field: str, value: str) -> None:
    lines = [line for line in SOLVER.splitlines() if not line.startswith(field)]
    text = "\n".join([*lines, f"{field}: {value}", ""])
    fixed = fix_files({"solver.prototxt": text, "net.prototxt": NET}, unsafe=True)
    written = _numbers(fixed["solver.prototxt"]) - _numbers(text)
    assert all(math.isfinite(float(number)) and float(number) for number in written), fixed["solver.prototxt"]


def _numbers(text: str) -> set[str]:
    return set(re.findall(r": ([-+.\w]*\d[-+.\w]*|-?inf|nan)$", text, re.MULTILINE))


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "3e38", "-3e38"])
def test_an_extreme_loss_weight(value: str) -> None:
    net = NET.replace('top: "loss" }', f'top: "loss" loss_weight: {value} }}')
    check_files({"solver.prototxt": SOLVER, "net.prototxt": net})


@pytest.mark.parametrize("weight", ["1e30", "1" * 400 + ".5", "1e400"])
def test_a_loss_weight_that_leaves_no_limit_for_the_rate(weight: str) -> None:
    net = NET.replace('top: "loss" }', f'top: "loss" loss_weight: {weight} }}').replace("num_output: 2", "num_output: " + "9" * 400)
    check_files({"solver.prototxt": SOLVER, "net.prototxt": net})
    relu = f'layer {{ name: "r" type: "ReLU" bottom: "score" top: "y" loss_weight: {weight} }}\n'
    check_files({"solver.prototxt": SOLVER, "net.prototxt": NET + relu})


@pytest.mark.parametrize("power", ["-1", "nan", "1e30"])
def test_a_warm_up_that_starts_at_an_infinite_rate(power: str) -> None:
    warm_up = f'warm_up_method: "exp" warm_up_iters: 5 warm_up_power: {power}\n'
    check_files({"solver.prototxt": SOLVER + warm_up, "net.prototxt": NET})


def test_a_batch_of_a_negative_size() -> None:
    net = NET.replace("dim: 4", "dim: -4")
    check_files({"solver.prototxt": SOLVER, "net.prototxt": net}, select=("ALL",))


def test_more_axes_than_a_blob_can_have_are_not_counted_out() -> None:
    net = 'layer { name: "b" type: "Bias" bottom: "nowhere" top: "b" bias_param { num_axes: 2147483647 } }\n'
    assert check_files({"net.prototxt": net})


def test_classes_that_never_occur_are_counted_without_a_list_of_all(tmp_path: Path) -> None:
    facts = {"kind": "lmdb", "items": 4, "shape": [3, 8, 8], "labels": [0, 2], "label_counts": {"0": 2, "2": 2}}
    path = tmp_path / "facts.json"
    path.write_text(json.dumps({"db": facts}))
    data = 'layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "db" batch_size: 4 } }'
    net = "\n".join([data, *NET.splitlines()[1:], ""]).replace("num_output: 2\n", "num_output: 2000000000\n")
    found = check_files({"solver.prototxt": SOLVER, "net.prototxt": net}, facts=read_facts(str(path)), select=("ALL",))
    message = next(finding.message for finding in found if "never occur" in finding.message)
    assert "1999999998 of 2000000000 classes" in message
    assert message.endswith("1, 3, 4, 5, 6, 7, 8, 9 …")


@pytest.mark.parametrize("number", ["0x" + "f" * 5_000, "0" + "7" * 5_000, "9" * 5_000, "1e" + "9" * 5_000])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_number_of_thousands_of_digits(number: str, quote: str) -> None:
    net = NET.replace("num_output: 2", f"num_output: {quote}{number}{quote}")
    net = net.replace('top: "loss" }', f'top: "loss" loss_weight: {quote}{number}{quote} }}')
    assert check_files({"net.prototxt": net})


@pytest.mark.parametrize("written", ['"1e308*1e308"', '"1e-308*1e-308"', '"1/1e-320"'])
def test_no_fix_computes_a_number_that_is_none(written: str) -> None:
    text = SOLVER.replace("0.01", written)
    fixed = fix_files({"solver.prototxt": text, "net.prototxt": NET})["solver.prototxt"]
    assert written in fixed


def test_a_fix_writes_the_byte_of_a_name_that_is_not_utf_8() -> None:
    before = NET.encode().replace(b'"score"', b'"sc\xf6re"')
    fixed = fix_files({"net.prototxt": before.replace(b'bottom: "sc\xf6re"', b'bottom: "sc\xf6ree"')}, unsafe=True)
    assert 'bottom: "sc\\366re" bottom: "label"' in fixed["net.prototxt"]


@pytest.mark.parametrize("inside", ["{}", "{ }", "{ # nothing\n  }"])
def test_a_field_is_added_to_a_message_without_fields(inside: str) -> None:
    net = NET.replace('inner_product_param { num_output: 2\n  weight_filler { type: "xavier" } }', f"inner_product_param {inside}")
    fix_files({"solver.prototxt": SOLVER, "net.prototxt": net}, unsafe=True)


def test_the_product_of_many_dimensions_is_not_written_out() -> None:
    net = 'layer { name: "d" type: "Input" top: "x" input_param { shape {' + " dim: 9" * 9000 + " } } }"
    (message,) = [finding.message for finding in check(net) if "elements" in finding.message]
    assert "over 1000000000000000000000000000000 elements" in message
