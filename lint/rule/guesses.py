"""Guesses at what unreadable text means, and which of them are fixes."""

from __future__ import annotations

from collections.abc import Iterable

from .finding import Hit


def tried(hits: Iterable[Hit]) -> list[Hit]:
    """Return the hits of a rule in one file with their guesses as fixes, without those after which the file means something else.

    Trying takes as long as reading the whole file once or several times.
    """
    listed = list(hits)
    guesses = list({id(hit.guess): hit.guess for hit in listed if hit.guess is not None}.values())  # hits of one value share it
    if not guesses:
        return listed
    from ..fixes.unreadable_text import misread  # keeps out of the start what only files with mistakes need

    wrong = misread(next(hit.file.reading for hit in listed if hit.guess is not None), guesses)
    return [hit if hit.guess is None or hit.guess in wrong else hit._replace(fix=hit.guess) for hit in listed]


def untried(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits with all their guesses as fixes, for those who try a fix themselves before they make it."""
    return [hit._replace(fix=hit.guess) if hit.guess is not None else hit for hit in hits]
