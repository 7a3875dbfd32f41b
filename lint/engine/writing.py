"""Writing patched files: in place, or copies into a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..fixes.write import write_atomically, write_copy


def write_patched(patched: Mapping[str, bytes], sources: Mapping[str, bytes]) -> list[str]:
    """Writes the new text of files, whose old one is in `sources`. A sentence for each that could not be written."""
    failures = []
    for path, text in sorted(patched.items()):
        if text != sources[path]:
            try:
                write_atomically(path, sources[path], text)
            except OSError as error:
                failures.append(_failure(path, error))
    return failures


def write_copies(texts: Mapping[str, bytes], folder: str, base: str | None = None) -> list[str]:
    """Writes files into a folder, by their names or by their paths from `base`. A sentence for each that failed."""
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
