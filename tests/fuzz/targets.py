"""All targets by name: what is run on an input, the inputs to start from, and what an input may cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .byte_readers import READERS
from .limits import Limits
from .whole_checks import WHOLE


class Target(NamedTuple):
    """What is run on an input, and raises an exception if it should not have; and inputs to start from."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    limits: Limits
    longest: int  # bytes of an input
    goal: int  # executions, over all runs


_OF_CHECKS = Limits(calls=30_000_000, memory=200_000_000)
_LONGEST = {"text": 400, "protoc": 400, "hdf5": 4096, "hdf5-list": 128}  # each file of a list is opened: milliseconds
_GOALS = {"check": 100_000, "check-numbers": 100_000, "fix": 10_000, "fix-numbers": 10_000}
TARGETS = {
    name: Target(run, seeds, Limits(), _LONGEST.get(name, 2048), 500_000) for name, (run, seeds) in READERS.items()
}
TARGETS.update((name, Target(run, seeds, _OF_CHECKS, 512, _GOALS[name])) for name, (run, seeds) in WHOLE.items())
