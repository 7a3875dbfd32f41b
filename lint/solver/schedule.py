"""Learning-rate policies: the fields that each one reads, the rate at an iteration, and the largest rate.

Source: SGDSolver::GetLearningRate in sgd_solver.cpp of BVLC and, for the policies with dialects, of the forks. A field
that is not set reads as 0, since none of these fields declares a default.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..proto.binder import Message
from ..proto.named_tuple import NamedTuple
from ..source.numerals import power


class Policy(NamedTuple):
    """A value of `lr_policy`.

    `needs` are the fields that it requires, `reads` those that it reads besides them; it ignores every other field of a
    schedule. `rate` returns the rate at an iteration, None if it is unknown; `turns` the iterations at which it may
    start or stop rising; `steps` those at which it changes in a run of some length, None if it changes continuously;
    `scales_with` is the field of the largest rates.
    """

    name: str
    rate: Callable[[Message, int], float | None]
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    turns: Callable[[Message], Iterable[int]] = lambda solver: ()
    scales_with: str = "base_lr"
    dialects: tuple[str, ...] = ()
    steps: Callable[[Message, int], Sequence[int]] | None = None


class Rate(NamedTuple):
    """A learning rate, the first iteration that has it, and the field it comes from, with its index."""

    value: float
    iteration: int
    field: str
    position: int = 0


_FORK_DEFAULTS: dict[str, Any] = {
    "warm_up_iters": 500,
    "warm_up_factor": 0.33,
    "warm_up_method": "linear",
    "warm_up_power": 4,
}


def _of_fork(solver: Message, name: str) -> Any:
    """Return a fork's field, which the schema in use may not have."""
    return solver.get(name, _FORK_DEFAULTS.get(name, 0))


def _fixed(solver: Message, iteration: int) -> float:
    return float(solver["base_lr"])


def _step(solver: Message, iteration: int) -> float | None:
    size = solver["stepsize"]
    return solver["base_lr"] * power(solver["gamma"], iteration // size) if size > 0 else None


def _steps(solver: Message, length: int) -> Sequence[int]:
    size = solver["stepsize"]
    return range(size, length, size) if size > 0 else ()


def _last_step(solver: Message) -> Iterable[int]:
    size, last = solver["stepsize"], solver["max_iter"] - 1
    return (last // size * size,) if size > 0 else ()


def _exp(solver: Message, iteration: int) -> float:
    return float(solver["base_lr"] * power(solver["gamma"], iteration))


def _inv(solver: Message, iteration: int) -> float:
    return float(solver["base_lr"] * power(1 + solver["gamma"] * iteration, -solver["power"]))


def _multistep(solver: Message, iteration: int) -> float:
    passed = sum(fires <= iteration for fires in fired_steps(solver))
    return float(solver["base_lr"] * power(solver["gamma"], passed))


def fired_steps(solver: Message) -> list[int]:
    """Return the iterations at which a multistep schedule takes its steps: one at a time, in the order written."""
    fires: list[int] = []
    for value in solver["stepvalue"]:
        fires.append(max(value, fires[-1] + 1 if fires else 0))
    return fires


def _last_fired(solver: Message) -> Iterable[int]:
    return [fires for fires in fired_steps(solver) if fires < solver["max_iter"]][-1:]


def _fired_within(solver: Message, length: int) -> Sequence[int]:
    return [fires for fires in fired_steps(solver) if fires < length]


def _poly(solver: Message, iteration: int) -> float | None:
    length = solver["max_iter"]
    if length <= 0:
        return None
    lowest = _of_fork(solver, "min_lr")  # NVIDIA
    return float(lowest + (solver["base_lr"] - lowest) * power(1 - iteration / length, solver["power"]))


def _sigmoid(solver: Message, iteration: int) -> float:
    exponent = -solver["gamma"] * (iteration - solver["stepsize"])
    return float(solver["base_lr"] / (1 + math.exp(exponent))) if exponent < 700 else 0.0


def _plateau(solver: Message, iteration: int) -> float | None:
    """The rate falls when the loss has not fallen for a while, so it is unknown from the files."""
    return float(solver["base_lr"]) if iteration == 0 else None


def _unknown(solver: Message, iteration: int) -> None:
    """The rate of a policy of which only the name is known."""


def _multifixed(solver: Message, iteration: int) -> float | None:
    rates, ends = solver.get("stagelr", []), solver.get("stageiter", [])
    if not rates or len(rates) != len(ends):
        return None
    return float(rates[_stage(ends, iteration)])


def _stages_within(solver: Message, length: int) -> Sequence[int]:
    ends = solver.get("stageiter", [])
    return [end + 1 for end in ends[:-1] if end + 1 < length]


def _stage(ends: list[int], iteration: int) -> int:
    return next((stage for stage, end in enumerate(ends) if iteration <= end), len(ends) - 1)


def _cosine(solver: Message, iteration: int) -> float | None:
    start = _frcnn_warm_up(solver)
    length = solver["max_iter"] - start
    if length <= 0:
        return None
    return float(solver["base_lr"] * (1 + math.cos(math.pi * (iteration - start) / length)) / 2)


def _triangular(solver: Message, iteration: int) -> float | None:
    return _triangle(solver, iteration, lambda cycle: cycle + 1)


def _triangular2(solver: Message, iteration: int) -> float | None:
    return _triangle(solver, iteration, lambda cycle: power(2.0, cycle))


def _triangle(solver: Message, iteration: int, divisor: Callable[[int], float]) -> float | None:
    size, since = solver["stepsize"], iteration - _of_fork(solver, "start_lr_policy")
    if size <= 0:
        return None
    if since <= 0:
        return float(solver["base_lr"])
    cycle = since // (2 * size)
    height = 1 - abs((since - (2 * cycle + 1) * size) / size)
    low, high = solver["base_lr"], _of_fork(solver, "max_lr")
    return float(low + (high - low) * max(0.0, height) / divisor(cycle))


def _sgdr(solver: Message, iteration: int) -> float | None:
    """The rate is known for the first period only: later ones are longer and lower."""
    period, lowest = _of_fork(solver, "period"), _of_fork(solver, "min_lr")
    if period <= 0 or iteration >= period:
        return None
    return float(lowest + (solver["base_lr"] - lowest) / 2 * (1 + math.cos(math.pi * iteration / period)))


def _exp10(solver: Message, iteration: int) -> float | None:
    size = solver["stepsize"]
    return float(solver["base_lr"] * power(10.0, -iteration / size)) if size > 0 else None


_PLATEAU = (
    "ssd", "beniz", "intel", "mobilenet-yolo", "ssd-chuanqi305", "yolov3-windows", "cc4", "refinedet",
    "pvanet", "nvcaffe", "beniz-se-net", "beniz-pspnet", "x2paddle", "openvino-toolbox", "synopsys", "textboxes", "seqface",
)  # fmt: skip

POLICIES = {
    policy.name: policy
    for policy in (
        Policy("fixed", _fixed, steps=lambda solver, length: ()),
        Policy("step", _step, ("gamma", "stepsize"), (), _last_step, steps=_steps),
        Policy("exp", _exp, ("gamma",)),
        Policy("inv", _inv, ("gamma", "power")),
        Policy("multistep", _multistep, ("gamma", "stepvalue"), (), _last_fired, steps=_fired_within),
        Policy("poly", _poly, ("power",), ("min_lr",)),
        Policy("sigmoid", _sigmoid, ("gamma", "stepsize"), (), lambda solver: (solver["stepsize"],)),
        Policy("plateau", _plateau, ("gamma", "plateau_winsize"), ("average_loss",), dialects=_PLATEAU),
        Policy(
            "multifixed",
            _multifixed,
            ("stagelr", "stageiter"),
            (),
            lambda solver: (end + 1 for end in solver.get("stageiter", [])),
            "stagelr",
            ("intel", "mobilenet-yolo", "yolov3-windows", "caffe-yolo", "caffe-yolov2"),
            _stages_within,
        ),
        Policy("cosine", _cosine, dialects=("frcnn",)),
        Policy(
            "triangular",
            _triangular,
            ("stepsize", "max_lr"),
            ("start_lr_policy",),
            lambda solver: (_of_fork(solver, "start_lr_policy") + solver["stepsize"],),
            "max_lr",
            ("frcnn",),
        ),
        Policy(
            "triangular2",
            _triangular2,
            ("stepsize", "max_lr"),
            ("start_lr_policy",),
            lambda solver: (_of_fork(solver, "start_lr_policy") + solver["stepsize"],),
            "max_lr",
            ("frcnn",),
        ),
        Policy("sgdr", _sgdr, ("period",), ("p_mult", "lr_mult", "min_lr"), dialects=("beniz",)),
        Policy("exp10", _exp10, ("stepsize",), dialects=("yjxiong-mem", "yjxiong-interp", "yjxiong-action-recog")),
        Policy("vstep", _unknown, dialects=("shaoqingren",)),
        Policy("sigmoid_inv", _unknown, dialects=("mycaffe",)),
    )
}

_FRCNN_WARM_UP = ("warm_up_iters", "warm_up_factor", "warm_up_method", "warm_up_power")
_WARM_UPS = ("warmup_iter", "rampup_interval", *_FRCNN_WARM_UP)  # without any of these fields there is no warm-up


def _frcnn_warm_up(solver: Message) -> int:
    """Return the length of makefile/frcnn's warm-up, 0 if the solver sets none of its fields."""
    return 0 if solver.entries.keys().isdisjoint(_FRCNN_WARM_UP) else int(_of_fork(solver, "warm_up_iters"))


def _warm_up(solver: Message, iteration: int) -> tuple[float, str] | None:
    """Return the rate during a warm-up, which takes precedence over any policy, and the field that it starts from."""
    if solver.entries.keys().isdisjoint(_WARM_UPS):
        return None
    base = solver["base_lr"]
    length = _of_fork(solver, "warmup_iter")
    if iteration < length:  # intel, beniz
        part = iteration / length
        return _of_fork(solver, "warmup_start_lr") * (1 - part) + base * part, "warmup_start_lr"
    length = _of_fork(solver, "rampup_interval")
    if iteration < length:  # NVIDIA
        start = _of_fork(solver, "rampup_lr")
        rate = start + (base - start) * (iteration / length) ** 2
        return max(rate, _of_fork(solver, "min_lr")), "rampup_lr"
    length = _frcnn_warm_up(solver)
    if iteration < length:
        part = iteration / length
        factor = _of_fork(solver, "warm_up_factor")
        factors = {
            "linear": factor * (1 - part) + part,
            "constant": factor,
            "exp": power(part, _of_fork(solver, "warm_up_power")),
        }
        return base * factors.get(_of_fork(solver, "warm_up_method"), 1.0), "base_lr"
    return None


def warm_up_ends(solver: Message) -> tuple[int, ...]:
    """Return the iterations at which warm-ups end."""
    lengths = (_of_fork(solver, "warmup_iter"), _of_fork(solver, "rampup_interval"), _frcnn_warm_up(solver))
    return tuple(int(length) for length in lengths if length > 0)


def learning_rate(solver: Message, iteration: int) -> float | None:
    """Return the rate at an iteration (from 0), None for an unknown policy or rate.

    Source: SGDSolver::GetLearningRate.
    """
    policy = POLICIES.get(solver["lr_policy"])
    if policy is None:
        return None
    warm_up = _warm_up(solver, iteration)
    return warm_up[0] if warm_up else policy.rate(solver, iteration)


# Policies that multiply the rate by gamma.
_MULTIPLYING = ("step", "multistep", "exp")


def grows(solver: Message) -> bool:
    """Return whether a gamma over 1 raises the rate at a step before the end of the run."""
    policy = POLICIES.get(solver["lr_policy"])
    gamma, length = solver["gamma"], solver["max_iter"]
    if policy is None or policy.name not in _MULTIPLYING or not gamma > 1 or length <= 0:
        return False
    return policy.steps is None or bool(policy.steps(solver, length))


def largest_rate(solver: Message) -> Rate | None:
    """Return the largest rate of a training of `max_iter` iterations, None if none of its rates is known.

    Every policy is monotonic between its turns, so the first and last iterations and those next to a turn suffice.
    """
    policy = POLICIES.get(solver["lr_policy"])
    if policy is None:
        return None
    last = max(solver["max_iter"] - 1, 0)
    candidates = {0, last}
    warm_up = (_of_fork(solver, "warmup_iter"), _of_fork(solver, "rampup_interval"), _frcnn_warm_up(solver))
    for turn in (*policy.turns(solver), *warm_up):
        candidates.update(iteration for iteration in (turn - 1, turn, turn + 1) if 0 <= iteration <= last)
    best: Rate | None = None
    for iteration in sorted(candidates):
        value = learning_rate(solver, iteration)
        if value is not None and value == value and (best is None or value > best.value):
            best = Rate(value, iteration, *_origin(solver, policy, iteration, value))
    return best


def _origin(solver: Message, policy: Policy, iteration: int, value: float) -> tuple[str, int]:
    warm_up = _warm_up(solver, iteration)
    if warm_up:
        return (warm_up[1] if value > solver["base_lr"] else "base_lr"), 0
    if policy.scales_with == "stagelr":
        return "stagelr", _stage(solver.get("stageiter", []), iteration)
    return (policy.scales_with if value > solver["base_lr"] else "base_lr"), 0
