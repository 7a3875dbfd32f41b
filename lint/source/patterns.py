"""Patterns of paths, in the syntax of `.gitignore`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from pathspec import GitIgnoreSpec


class PatternError(Exception):
    """A pattern is invalid; says which."""


@lru_cache(maxsize=256)
def spec_of(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    """Return a matcher for paths that fit one of the patterns. Raises PatternError."""
    for pattern in patterns:
        if not is_pattern(pattern):
            raise PatternError(f"'{pattern}' is not a valid .gitignore pattern")
    return GitIgnoreSpec.from_lines(patterns)


def spec_of_file(lines: Iterable[str]) -> GitIgnoreSpec:
    """Return a matcher for the lines of a `.gitignore` file. Like git, it skips invalid lines."""
    return GitIgnoreSpec.from_lines(line for line in lines if is_pattern(line))


def is_pattern(text: str) -> bool:
    """Whether a text is a valid pattern, or a comment."""
    try:
        GitIgnoreSpec.from_lines([text])
    except (ValueError, re.error):
        return False
    return True
