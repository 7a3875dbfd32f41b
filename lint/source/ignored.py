"""What the `.gitignore` files below a folder exclude."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from .opener import MAX_SETTINGS, Unreadable, read_regular

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class Ignored:
    """The `.gitignore` files that were read below a folder; called with a path, it says whether one of them excludes it."""

    def __init__(self, top: str) -> None:
        self._top = top
        self._specs: dict[str, GitIgnoreSpec] = {}

    def read(self, folder: str) -> None:
        """Read the .gitignore of a folder, which must be the top or below it. One that cannot be read excludes nothing."""
        from .patterns import spec_of_file  # keeps pathspec out of the start if there is no .gitignore

        path = os.path.join(folder, ".gitignore")
        with suppress(Unreadable):
            content = read_regular(path, MAX_SETTINGS)
            self._specs[folder] = spec_of_file(content.decode("utf-8", "replace").splitlines())

    def __call__(self, path: str, *, is_folder: bool) -> bool:
        """Whether a path is excluded. The files of the folders above it must have been read."""
        if not self._specs:
            return False
        parent = path
        while parent != self._top:
            parent = os.path.dirname(parent) or "."
            spec = self._specs.get(parent)
            if spec is not None and spec.match_file(os.path.relpath(path, parent) + "/" * is_folder):
                return True
        return False
