"""Work grows with the size of a file, whatever it consists of: four times the input is at most five times the work."""

from __future__ import annotations

import pytest
from counted_work import assert_linear
from growing_inputs import KINDS, numbered
from harness import check


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_is_work_in_proportion_to_the_size(kind: str) -> None:
    text = KINDS[kind]
    assert_linear(lambda size: lambda: check(text(size)), 100)


@pytest.mark.parametrize("field", ["stepvalue", "test_iter", "test_net", "test_state"])
def test_a_solver_that_says_something_many_times_is_work_in_proportion(field: str) -> None:
    value = {"test_net": ': "net%.prototxt"', "test_state": ' { stage: "s%" }'}.get(field, ": %")
    text = f"{field}{value}\n"
    assert_linear(lambda size: lambda: check(numbered(text)(size) + 'base_lr: 0.1 lr_policy: "fixed"\n', "solver.prototxt"), 100)
