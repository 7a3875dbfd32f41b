"""Writing patched files: in place, or copies into a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from ..fixes.write import FileChanged, remove_leftovers, write_atomically, write_copy
from ..proto.named_tuple import NamedTuple
from ..source.opener import Unreadable, read_regular


class Written(NamedTuple):
    """What writing came to: the paths that were written, a message for each that was not, and one for each loss.

    A loss is a property of a file that is not its text, such as another hard link to it.
    """

    paths: frozenset[str]
    failures: list[str]
    losses: list[str]


def write_patched(patched: Mapping[str, bytes], sources: Mapping[str, bytes], roots: Iterable[str]) -> Written:
    """Write the new text of files, whose old text is in `sources`, if they lie in one of the `roots`."""
    roots = tuple(roots)
    done: set[str] = set()
    failures: list[str] = []
    losses: list[str] = []
    remove_leftovers({os.path.dirname(os.path.abspath(path)) for path in sources})
    for path, text in sorted(patched.items()):
        if text != sources[path]:
            try:
                losses += write_atomically(path, sources[path], text, roots)
                done.add(path)
            except OSError as error:
                if not (isinstance(error, FileChanged) and _holds(path, text)):  # another run wrote the same
                    failures.append(_failure(path, error))
    return Written(frozenset(done), failures, losses)


def write_copies(texts: Mapping[str, bytes], folder: str, base: str | None = None) -> Written:
    """Write files to a folder, by name or by path relative to `base`."""
    done: set[str] = set()
    failures: list[str] = []
    for path, text in sorted(texts.items()):
        name = os.path.basename(path) if base is None else os.path.relpath(os.path.abspath(path), base)
        try:
            write_copy(path, folder, name, text)
            done.add(path)
        except OSError as error:
            failures.append(_failure(path, error))
    return Written(frozenset(done), failures, [])


def _holds(path: str, text: bytes) -> bool:
    """Return whether a file has just this text."""
    try:
        return read_regular(path, len(text)) == text
    except Unreadable:
        return False


def _failure(path: str, error: OSError) -> str:
    return f"not written: {error.strerror + ': ' + path if error.strerror else error}"
