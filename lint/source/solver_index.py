"""The files of a repository that may be solvers, by the names of the files that they mention.

A net does not say which solvers train it. Reading every file of a repository as a solver takes too long, so the index
looks for quoted file names only; whoever asks reads the few files that it returns.
"""

from __future__ import annotations

import os
import re
from functools import cache

from ..proto.named_tuple import NamedTuple
from .questions import question
from .repository_files import read_found, repository_files, search_root

_SMALL = 4096  # a solver of a few lines may have none of these fields, or all of them misspelled
_SOLVER_FIELD = re.compile(rb"base_lr|lr_policy|max_iter|solver_mode|snapshot|test_iter")
_QUOTED = re.compile(rb"\"([^\"\n]+)\"|'([^'\n]+)'")


class Mentions(NamedTuple):
    """The files that mention a net by its name, sorted; `is_whole` is False if there were too many files to search."""

    paths: tuple[str, ...]
    is_whole: bool


@question
def mentions_of(net: str) -> Mentions:
    """Return the files that may be solvers of a net: those of its repository, or as `search_root` has it."""
    by_name, is_whole = _index(search_root(net))
    real = os.path.realpath(net)
    found = {
        path
        for name in {os.path.basename(net), os.path.basename(real)}
        for path, written in by_name.get(name, ())
        if not _is_beside(path, written, real)
    }
    return Mentions(tuple(sorted(found)), is_whole)


def _is_beside(path: str, written: str, net: str) -> bool:
    """Whether a path that a file mentions leads to another net than the one that is meant, from the file's own folder."""
    beside = os.path.join(os.path.dirname(path), written)
    return os.path.isfile(beside) and os.path.realpath(beside) != net


@cache
def _index(root: str) -> tuple[dict[str, list[tuple[str, str]]], bool]:
    """Return the files below a folder by the names that they mention, with what they write. Cached for the run."""
    found = repository_files(root).prototxts
    by_name: dict[str, list[tuple[str, str]]] = {}
    for path in found.paths if found.is_whole else ():
        text = read_found(path) or b""
        if len(text) > _SMALL and not _SOLVER_FIELD.search(text):
            continue
        quoted = {(first or second).decode("utf-8", "replace") for first, second in _QUOTED.findall(text)}
        for written in quoted:
            by_name.setdefault(written.replace("\\", "/").rpartition("/")[2], []).append((path, written))
    return by_name, found.is_whole


def forget_index() -> None:
    """Clear the cached index, which is otherwise made once in a run."""
    _index.cache_clear()
