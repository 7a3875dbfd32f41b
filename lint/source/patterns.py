"""Patterns of paths, as `.gitignore` has them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from pathspec import GitIgnoreSpec


class PatternError(Exception):
    """A pattern that means nothing; says which."""


@lru_cache(maxsize=256)
def spec_of(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    """What tells whether a path fits one of the patterns. Raises PatternError."""
    for pattern in patterns:
        if not is_pattern(pattern):
            raise PatternError(f"'{pattern}' is no pattern of paths, as .gitignore has them")
    return GitIgnoreSpec.from_lines(patterns)


def spec_of_file(lines: Iterable[str]) -> GitIgnoreSpec:
    """The same of a file that others wrote: like git, it passes over lines that mean nothing."""
    return GitIgnoreSpec.from_lines(line for line in lines if is_pattern(line))


def is_pattern(text: str) -> bool:
    """Whether a text is a pattern, or a comment."""
    try:
        GitIgnoreSpec.from_lines([text])
    except (ValueError, re.error):
        return False
    return True
