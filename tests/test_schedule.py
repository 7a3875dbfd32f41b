"""The learning rate of each policy, at any iteration, and the largest one of a training."""

from __future__ import annotations

import math

import pytest

from caffe_lint.proto.binder import Message, bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.solver.schedule import POLICIES, fired_steps, largest_rate, learning_rate


def solver(text: str) -> Message:
    return bind(parse(text.encode()), caffe_schema(), "SolverParameter").message


@pytest.mark.parametrize(
    ("text", "iteration", "rate"),
    [
        ('base_lr: 0.1 lr_policy: "fixed"', 500, 0.1),
        ('base_lr: 0.1 lr_policy: "step" gamma: 0.1 stepsize: 10', 9, 0.1),
        ('base_lr: 0.1 lr_policy: "step" gamma: 0.1 stepsize: 10', 20, 0.001),
        ('base_lr: 0.1 lr_policy: "step" stepsize: 10', 9, 0.1),
        ('base_lr: 0.1 lr_policy: "step" stepsize: 10', 10, 0.0),
        ('base_lr: 0.1 lr_policy: "exp" gamma: 0.5', 3, 0.0125),
        ('base_lr: 0.1 lr_policy: "inv" gamma: 0.0001 power: 0.75', 10000, 0.1 * 2**-0.75),
        ('base_lr: 0.1 lr_policy: "inv" gamma: 0.0001', 10000, 0.1),
        ('base_lr: 0.1 lr_policy: "multistep" gamma: 0.1 stepvalue: 10 stepvalue: 20', 19, 0.01),
        ('base_lr: 0.1 lr_policy: "multistep" gamma: 0.1 stepvalue: 10 stepvalue: 20', 20, 0.001),
        ('base_lr: 0.1 lr_policy: "multistep" gamma: 0.1', 99, 0.1),
        ('base_lr: 0.1 lr_policy: "poly" power: 2 max_iter: 100', 50, 0.025),
        ('base_lr: 0.1 lr_policy: "sigmoid" gamma: 0.1 stepsize: 100', 100, 0.05),
        ('base_lr: 0.1 lr_policy: "sigmoid" gamma: 100 stepsize: 100', 0, 0.0),
        ('lr_policy: "multifixed" stagelr: 0.1 stagelr: 0.01 stageiter: 10 stageiter: 20', 10, 0.1),
        ('lr_policy: "multifixed" stagelr: 0.1 stagelr: 0.01 stageiter: 10 stageiter: 20', 99, 0.01),
        ('base_lr: 0.2 lr_policy: "cosine" max_iter: 100', 50, 0.1),
        ('base_lr: 0.1 max_lr: 0.5 lr_policy: "triangular" stepsize: 10', 5, 0.3),
        ('base_lr: 0.1 max_lr: 0.5 lr_policy: "triangular" stepsize: 10', 30, 0.3),
        ('base_lr: 0.1 lr_policy: "exp10" stepsize: 10', 10, 0.01),
        ('base_lr: 0.1 lr_policy: "fixed" warmup_iter: 10 warmup_start_lr: 0.01', 5, 0.055),
        ('base_lr: 0.1 lr_policy: "fixed" rampup_interval: 10 rampup_lr: 0', 5, 0.025),
        ('base_lr: 0.1 lr_policy: "fixed" warm_up_iters: 10 warm_up_factor: 0.5', 5, 0.075),
    ],
)
def test_rate_at_an_iteration(text: str, iteration: int, rate: float) -> None:
    assert learning_rate(solver(text), iteration) == pytest.approx(rate)


@pytest.mark.parametrize(
    "text",
    [
        'base_lr: 0.1 lr_policy: "Step" gamma: 0.1 stepsize: 10',
        "base_lr: 0.1",
        'base_lr: 0.1 lr_policy: "step" gamma: 0.1',
        'base_lr: 0.1 lr_policy: "poly" power: 1',
        'lr_policy: "multifixed" stagelr: 0.1 stagelr: 0.01 stageiter: 10',
        'base_lr: 0.1 lr_policy: "plateau" gamma: 0.1 plateau_winsize: 100',
    ],
)
def test_rate_that_the_file_does_not_tell(text: str) -> None:
    assert learning_rate(solver(text), 50) is None


def test_steps_fire_one_at_a_time_in_the_order_written() -> None:
    assert fired_steps(solver("stepvalue: 20 stepvalue: 10 stepvalue: 10 stepvalue: 40")) == [20, 21, 22, 40]


@pytest.mark.parametrize(
    ("text", "value", "iteration", "field"),
    [
        ('base_lr: 0.1 lr_policy: "step" gamma: 0.1 stepsize: 10 max_iter: 100', 0.1, 0, "base_lr"),
        ('base_lr: 0.1 lr_policy: "step" gamma: 10 stepsize: 10 max_iter: 31', 100, 30, "base_lr"),
        ('base_lr: 0.1 lr_policy: "multistep" gamma: 2 stepvalue: 5 max_iter: 9', 0.2, 5, "base_lr"),
        ('base_lr: 0.1 lr_policy: "sigmoid" gamma: 1 stepsize: 10 max_iter: 99', 0.1, 98, "base_lr"),
        ('base_lr: 0.1 lr_policy: "fixed" warmup_iter: 9 warmup_start_lr: 1 max_iter: 99', 1, 0, "warmup_start_lr"),
        ('base_lr: 0.1 lr_policy: "fixed" warmup_iter: 9 max_iter: 99', 0.1, 9, "base_lr"),
        ('base_lr: 0.1 max_lr: 0.5 lr_policy: "triangular" stepsize: 10 max_iter: 99', 0.5, 10, "max_lr"),
        ('base_lr: 0.1 lr_policy: "plateau" gamma: 0.1 max_iter: 99', 0.1, 0, "base_lr"),
        ('base_lr: 9 lr_policy: "multifixed" stagelr: 0.1 stagelr: 1 stageiter: 5 stageiter: 9 max_iter: 9',
         1, 6, "stagelr"),
    ],
)  # fmt: skip
def test_largest_rate_of_a_training(text: str, value: float, iteration: int, field: str) -> None:
    rate = largest_rate(solver(text))
    assert rate is not None
    assert rate.value == pytest.approx(value, rel=1e-3)
    assert (rate.iteration, rate.field) == (iteration, field)


def test_largest_rate_that_overflows_is_infinite() -> None:
    rate = largest_rate(solver('base_lr: 1 lr_policy: "exp" gamma: 10 max_iter: 100000'))
    assert rate is not None
    assert rate.value == math.inf


def test_largest_rate_of_an_unknown_policy_is_unknown() -> None:
    assert largest_rate(solver('base_lr: 1 lr_policy: "warmup"')) is None


def test_fields_that_policies_read_are_fields_of_a_solver() -> None:
    fields = caffe_schema().message("SolverParameter").fields
    for policy in POLICIES.values():
        assert {*policy.needs, *policy.reads, policy.scales_with} <= set(fields)
