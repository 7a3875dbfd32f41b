"""The order of Caffe's releases: `1.0-rc3` or `rc3` comes before `1.0`."""

from __future__ import annotations


def is_before(version: str, other: str) -> bool:
    """Whether a version, as users write it, is older than another one. A release candidate without a number is the last one."""
    return _order(version) < _order(other)


def _order(version: str) -> tuple[list[int], float]:
    number, candidate, count = version.partition("rc")
    parts = [int(part) for part in number.strip("-.").split(".") if part] or [1]
    while parts[-1:] == [0]:
        parts.pop()
    return parts, (int(count) if count else 1e9) if candidate else float("inf")
