"""The learning rate over a run: where it changes, and where it becomes unusable."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

from ..proto.binder import Message, nearest_name
from ..proto.named_tuple import NamedTuple
from ..source.errors import InputError
from .schedule import POLICIES, Policy, learning_rate, warm_up_ends

# Up to this many steps are shown one by one; a run with more is shown by its quarters.
MOST_STEPS = 24
_MUCH = 20
_PARTS = ((1, "1/4"), (2, "1/2"), (3, "3/4"))

ZERO, NEGATIVE, INFINITE, NAN = "zero", "negative", "infinite", "NaN"


class Row(NamedTuple):
    """The rate from an iteration on: None if it is unknown. `fault` is one of the words above, or empty.

    `what` is the reason for the row: the start, a step, a part of the run, the last iteration.
    """

    iteration: int
    rate: float | None
    what: str
    fault: str


class Fault(NamedTuple):
    """A range of iterations, up to and including `last`, in which the rate is unusable: one of the words above."""

    kind: str
    first: int
    last: int


class Course(NamedTuple):
    """The rows of a run of `length` iterations; `stepwise` if the rate is constant between them."""

    policy: Policy
    length: int
    stepwise: bool
    rows: tuple[Row, ...]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Return the ranges of iterations in which the rate is unusable."""
        found: list[Fault] = []
        for row, following in zip(self.rows, (*self.rows[1:], None)):  # noqa: B905 - each with the one after it
            if row.fault:
                last = following.iteration - 1 if following else self.length - 1
                if found and found[-1].kind == row.fault and found[-1].last == row.iteration - 1:
                    found[-1] = found[-1]._replace(last=last)
                else:
                    found.append(Fault(row.fault, row.iteration, last))
        return tuple(found)


class Schedule(NamedTuple):
    """The learning rate of a solver over a run, and in each iteration: None if it is unknown."""

    course: Course
    rate: Callable[[int], float | None]


def schedule_of(path: str, solver: Message, iterations: int | None = None) -> Schedule:
    """Return the schedule of the solver at a path over a run: of so many iterations, by default those that it says.

    Raises InputError if the solver does not say how long it is, or if its policy is unknown.
    """
    length = iterations or solver["max_iter"]
    if length <= 0:
        raise InputError(f"{path}: the solver does not say how long the run is (max_iter): give --iterations")
    found = course(solver, length)
    if found is None:
        written = solver["lr_policy"]
        nearest = nearest_name(written, list(POLICIES))
        what = f"unknown lr_policy '{written}'" if written else "the solver has no lr_policy"
        raise InputError(f"{path}: {what}" + (f"; did you mean '{nearest}'?" if nearest else ""))
    return Schedule(found, partial(learning_rate, solver))


def differ_much(rates: Sequence[float]) -> bool:
    """Return whether to draw rates on a logarithmic scale, because half of them would lie on the axis otherwise."""
    return bool(rates) and max(rates) > _MUCH * sorted(rates)[len(rates) // 2]


def course(solver: Message, length: int) -> Course | None:
    """Return the course of a run of `length` iterations, at least one; None for an unknown policy."""
    policy = POLICIES.get(solver["lr_policy"])
    if policy is None:
        return None
    last = length - 1
    ends = warm_up_ends(solver)
    warm_up = min(max(ends, default=0), length)
    steps = policy.steps(solver, length) if policy.steps else ()
    one_by_one = policy.steps is not None and len(steps) <= MOST_STEPS
    whats = {last: "last", 0: "start"}
    if one_by_one:
        whats.update((step, f"step {number}") for number, step in enumerate(steps, 1) if step > 0)
    else:
        for parts, shown in _PARTS:
            whats.setdefault(length * parts // 4, f"{shown} of the run")
    if warm_up:
        whats.setdefault(warm_up // 2, "warming up")
        whats[warm_up] = "end of the warm-up"
    turns = {0, last, *ends, *(end - 1 for end in ends), *steps[:1], *steps[-1:], *(steps if one_by_one else ())}
    turns.update(turn + beside for turn in policy.turns(solver) for beside in (-1, 0, 1))

    def row(iteration: int) -> Row:
        rate = learning_rate(solver, iteration)
        fault = fault_of(rate)
        starting = fault == ZERO and iteration < warm_up  # a warm-up may start at 0
        return Row(iteration, rate, whats.get(iteration, ""), "" if starting else fault)

    known = [row(turn) for turn in sorted(turns) if 0 <= turn <= last]
    for low, high in pairwise(known):
        for border in _borders(row, low, high):
            whats.setdefault(border, "")
    rows = [row(iteration) for iteration in sorted(whats) if 0 <= iteration <= last]
    stepwise = one_by_one and not warm_up
    rows = [
        each
        for before, each in zip((None, *rows), rows)  # noqa: B905 - each with the one before it
        if before is None or not _is_repetition(before, each, stepwise)
    ]
    return Course(policy, length, stepwise, tuple(rows))


def _is_repetition(before: Row, row: Row, stepwise: bool) -> bool:
    """Return whether a row adds nothing to the one before it."""
    if row.rate is None:
        return before.rate is None
    return stepwise and (row.what == "last" or row.fault == before.fault in (ZERO, INFINITE, NAN))


def _borders(row: Callable[[int], Row], low: Row, high: Row) -> Iterator[int]:
    """Yield the iterations between two rows at which a fault begins or ends.

    Between its turns, a rate only rises or only falls, so it passes each limit at most once.
    """
    while low.fault != high.fault:
        start, end = low.iteration, high.iteration  # the border lies after `start`, and at or before `end`
        while end - start > 1:
            middle = (start + end) // 2
            if row(middle).fault == low.fault:
                start = middle
            else:
                end = middle
        yield end
        low = row(end)


def fault_of(rate: float | None) -> str:
    """Return what makes a rate unusable, or an empty string. Caffe stores rates as 32-bit floats, in which 1e-46 is 0."""
    if rate is None:
        return ""
    if rate != rate:
        return NAN
    if rate < 0:
        return NEGATIVE
    try:
        (held,) = struct.unpack("f", struct.pack("f", rate))
    except OverflowError:
        return INFINITE
    return ZERO if held == 0 else INFINITE if math.isinf(held) else ""


def where_to_see(path: str) -> str:
    """Return a sentence on how to see a solver's rates over the whole run."""
    from shlex import quote  # only findings ask

    return f"`caffe-lint schedule {'FILE' if path == '-' else quote(path)}` shows the rates."
