"""Writing patched files: in place, or copies into a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..fixes.write import write_atomically, write_copy


def write_patched(patched: Mapping[str, bytes], sources: Mapping[str, bytes]) -> list[str]:
    """Write the new text of files, whose old text is in `sources`. Return a message for each failure."""
    failures = []
    for path, text in sorted(patched.items()):
        if text != sources[path]:
            try:
                write_atomically(path, sources[path], text)
            except OSError as error:
                failures.append(_failure(path, error))
    return failures


def write_copies(texts: Mapping[str, bytes], folder: str, base: str | None = None) -> list[str]:
    """Write files to a folder, by name or by path relative to `base`. Return a message for each failure."""
    failures = []
    for path, text in sorted(texts.items()):
        name = os.path.basename(path) if base is None else os.path.relpath(os.path.abspath(path), base)
        try:
            write_copy(path, os.path.join(folder, name), text)
        except OSError as error:
            failures.append(_failure(path, error))
    return failures


def _failure(path: str, error: OSError) -> str:
    return f"not written: {error.strerror + ': ' + path if error.strerror else error}"
