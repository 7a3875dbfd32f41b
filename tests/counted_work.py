"""How much work a function does, counted in steps, so that a test can say how it grows without a clock.

A step is a line of Python that runs, or a function that is called. What one call into C reads is counted too: each byte
that a pattern of ours matches or searches, and each byte of a `Text` that is searched or copied. Not seen is what a pattern
reads before it fails to match at one place: for that, a test hands it a text so large that the square of it never ends.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinMethodType, FrameType
from typing import Any

# What four times the input may cost. What grows with the square costs sixteen times as much.
MOST_GROWTH = 5


def assert_linear(work: Callable[[int], Callable[[], object]], size: int) -> None:
    """Fails if the function that `work` prepares for four times the size takes more than five times the steps."""
    work(size)()  # imports, and what is computed once
    small, large = steps(work(size)), steps(work(4 * size))
    assert large <= MOST_GROWTH * small, f"{large:,} steps for four times the size that takes {small:,}"


def steps(work: Callable[[], object]) -> int:
    """How many steps a function takes."""
    lines = 0

    def count(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        lines += 1
        return count

    Text.bytes_read = 0
    with _counting_patterns():
        before = sys.gettrace()
        sys.settrace(count)
        try:
            work()
        finally:
            sys.settrace(before)
    return lines + Text.bytes_read


class Text(bytes):
    """The bytes of a file, which count what is searched and copied of them."""

    bytes_read = 0

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if isinstance(index, slice):
            Text.bytes_read += len(found)
        return found

    def find(self, *arguments: Any) -> int:
        found = super().find(*arguments)
        Text.bytes_read += _length(self, *arguments[1:]) if found < 0 else found - _start(*arguments[1:])
        return found

    def index(self, *arguments: Any) -> int:
        found = super().index(*arguments)
        Text.bytes_read += found - _start(*arguments[1:])
        return found

    def rfind(self, *arguments: Any) -> int:
        Text.bytes_read += _length(self, *arguments[1:])
        return super().rfind(*arguments)

    def count(self, *arguments: Any) -> int:
        Text.bytes_read += _length(self, *arguments[1:])
        return super().count(*arguments)


class _CountingPattern:
    """A compiled pattern whose methods count what they read."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self.pattern = pattern

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.pattern, name)
        return _counting(value) if isinstance(value, BuiltinMethodType) else value


def _counting(method: Any) -> Callable[..., Any]:
    """A method of a compiled pattern that counts the bytes or characters that it reads."""

    def counted(*arguments: Any, **options: Any) -> Any:
        found = method(*arguments, **options)
        if method.__name__ == "finditer":
            return _counted_matches(found, *arguments)
        if isinstance(found, re.Match):
            Text.bytes_read += found.end() - _start(*arguments[1:])
        elif method.__name__ in ("match", "fullmatch"):
            Text.bytes_read += 1
        elif method.__name__ in ("sub", "subn"):
            Text.bytes_read += len(arguments[1])
        else:
            Text.bytes_read += _length(*arguments)
        return found

    return counted


def _counted_matches(matches: Iterator[re.Match[Any]], *arguments: Any) -> Iterator[re.Match[Any]]:
    position = _start(*arguments[1:])
    for match in matches:
        Text.bytes_read += match.end() - position
        position = match.end()
        yield match
    Text.bytes_read += _length(arguments[0], position, *arguments[2:])


def _start(start: int = 0, end: int = sys.maxsize) -> int:
    return start


def _length(text: str | bytes, start: int = 0, end: int = sys.maxsize) -> int:
    return max(min(end, len(text)) - start, 0)


@contextmanager
def _counting_patterns() -> Iterator[None]:
    """Makes the patterns in our modules count."""
    patterns: list[tuple[Any, str, Any]] = []
    for module in [module for name, module in sys.modules.items() if name.startswith("caffe_lint.")]:
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) or isinstance(getattr(value, "__self__", None), re.Pattern):
                patterns.append((module, name, value))
    for module, name, value in patterns:
        setattr(module, name, _CountingPattern(value) if isinstance(value, re.Pattern) else _counting(value))
    try:
        yield
    finally:
        for module, name, value in patterns:
            setattr(module, name, value)
