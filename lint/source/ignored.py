"""What the `.gitignore` files below a folder exclude."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from .opener import MAX_SETTINGS, Unreadable, read_regular

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_ANY_OF = r"\?|\[[!^]?\]?[^\]]*\]"  # one character that need not be a certain one
_ANY = "\0"  # stands for it


class Ignored:
    """The `.gitignore` files that were read below a folder; called with a path, it says whether one of them excludes it."""

    def __init__(self, top: str) -> None:
        self._top = top
        self._files: dict[str, _Patterns] = {}

    def read(self, folder: str) -> None:
        """Read the .gitignore of a folder, which must be the top or below it. One that cannot be read excludes nothing."""
        with suppress(Unreadable):
            content = read_regular(os.path.join(folder, ".gitignore"), MAX_SETTINGS)
            self._files[folder] = _Patterns(content.decode("utf-8", "replace").splitlines())

    def __call__(self, path: str, *, is_folder: bool) -> bool:
        """Whether a path is excluded. The files of the folders above it must have been read."""
        if not self._files:
            return False
        parent = path
        while parent != self._top:
            parent = os.path.dirname(parent) or "."
            patterns = self._files.get(parent)
            if patterns is not None and patterns.match(os.path.relpath(path, parent), is_folder=is_folder):
                return True
        return False


class _Patterns:
    """The patterns of a file. They are compiled for the first path that one of them may match, which in a fresh clone is none."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._names = {_ends_of_name(line) for line in lines if line.strip() and line[0] not in "#!"}
        self._spec: GitIgnoreSpec | None = None

    def match(self, path: str, *, is_folder: bool) -> bool:
        """Whether a path below the folder of the file is excluded."""
        names = path.split(os.sep)
        if not any(_may_be(name, start, end) for start, end in self._names for name in names):
            return False
        if self._spec is None:
            from .patterns import spec_of_file  # pathspec, which takes as long to load as a small check

            self._spec = spec_of_file(self._lines)
        return bool(self._spec.match_file(path + "/" * is_folder))  # older versions of pathspec return None


def _ends_of_name(pattern: str) -> tuple[str, str | None]:
    """Return what the last name in a pattern has before its first `*` and after its last one, None if it has none.

    A path that the pattern matches has a name like it: its own or that of a folder above it. Any name is taken to be like it if
    the pattern begins with a space, which not everybody takes for a part of it, or has a backslash, a set of what a character is not
    (which may be a slash to some), or an open bracket.
    """
    plain = re.sub(_ANY_OF, _ANY, pattern.rstrip())
    if pattern[0].isspace() or "\\" in pattern or "!" in pattern or "^" in pattern or "[" in plain:
        return "", ""
    name = plain.rstrip("/").rpartition("/")[2]
    start, *_, end = name.split("*") if "*" in name else (name, None)
    return start, end


def _may_be(name: str, start: str, end: str | None) -> bool:
    """Whether a name begins and ends like this, or if `end` is None, whether it is `start`."""
    if end is None:
        return len(name) == len(start) and _is_like(start, name)
    return len(name) >= len(start) + len(end) and _is_like(start, name) and _is_like(end, name[len(name) - len(end) :])


def _is_like(part: str, text: str) -> bool:
    """Whether a text begins like a part of a pattern."""
    return text.startswith(part) or (_ANY in part and all(one in (_ANY, other) for one, other in zip(part, text, strict=False)))
