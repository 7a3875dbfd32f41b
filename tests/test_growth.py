"""Work grows with the size of a file, whatever it consists of: four times the input is at most five times the work."""

from __future__ import annotations

import random

import pytest
from counted_work import assert_linear, steps
from growing_inputs import KINDS, numbered
from harness import check

from caffe_lint.fixes import unreadable_text
from caffe_lint.proto.parser import parse
from caffe_lint.proto.tree import Tree


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_is_work_in_proportion_to_the_size(kind: str) -> None:
    text = KINDS[kind]
    assert_linear(lambda size: lambda: check(text(size)), 100)


@pytest.mark.parametrize("field", ["stepvalue", "test_iter", "test_net", "test_state"])
def test_a_solver_that_says_something_many_times_is_work_in_proportion(field: str) -> None:
    value = {"test_net": ': "net%.prototxt"', "test_state": ' { stage: "s%" }'}.get(field, ": %")
    text = f"{field}{value}\n"
    assert_linear(lambda size: lambda: check(numbered(text)(size) + 'base_lr: 0.1 lr_policy: "fixed"\n', "solver.prototxt"), 100)


def test_repairs_of_many_values_read_their_text_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []

    def counted(source: bytes) -> Tree:
        texts.append(source)
        return parse(source)

    monkeypatch.setattr(unreadable_text, "parse", counted)
    check(KINDS["typographic quotes"](300))
    assert len(texts) <= 4


def test_edits_that_problems_share_are_not_listed_with_each_of_them() -> None:
    found = check(KINDS["typographic quotes"](400))
    edits = [len(finding.fix.edits) for finding in found if finding.fix is not None]
    assert max(edits) >= 800
    assert sum(edits) < 2_000


def test_a_name_that_nobody_knows_is_compared_with_few_others() -> None:
    chance = random.Random(1)
    names = ["".join(chance.choices("abcdeilmnoprstuy_", k=6)) for _ in range(150)]

    def text(names: list[str]) -> str:
        return "layer { name: 'a' type: 'ReLU' " + " ".join(f"{name}: 1" for name in names) + " }"

    check(text(["nam"]), select=("E110",))  # the names that are known are prepared once
    assert steps(lambda: check(text(names), select=("E110",))) < 4_000 * len(names)
