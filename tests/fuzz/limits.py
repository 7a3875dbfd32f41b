"""Limits on what reading may cost, by the size of what is read: calls are counted and memory is measured, never time."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple


class Limits(NamedTuple):
    """How many calls and bytes of memory an input may cost: so many for each of its bytes, and so many in any case."""

    calls_per_byte: int = 200
    calls: int = 100_000
    memory_per_byte: int = 200
    memory: int = 20_000_000


class TooCostly(AssertionError):
    """An input costs more calls or memory than its size allows."""


def within(limits: Limits, size: int, work: Callable[[], Any], probe: Any = None) -> None:
    """Run work on an input of a size in bytes. Raises TooCostly, the moment that it makes a call too many.

    Calls of the `probe` with which a fuzzer notes edges are not counted.
    """
    most = limits.calls + limits.calls_per_byte * size
    calls = 0

    def count(_frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        if event == "call" or (event == "c_call" and argument is not probe):
            calls += 1
            if calls > most:
                sys.setprofile(None)
                raise TooCostly(f"more than {most} calls for {size} bytes")

    tracemalloc.start()
    try:
        sys.setprofile(count)
        try:
            work()
        finally:
            sys.setprofile(None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if peak > limits.memory + limits.memory_per_byte * size:
        raise TooCostly(f"{peak} bytes of memory for {size} bytes")
