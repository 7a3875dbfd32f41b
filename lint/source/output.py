"""Writing what a run came to into the file that the user named for it, which is never one that the run has read."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import BinaryIO

from ..fixes.write import write_whole
from .errors import InputError
from .opener import files_read
from .write_roots import write_roots


def write_named(path: str, content: bytes | BinaryIO, *, mode: int | None = None, updates: bool = False) -> None:
    """Write bytes, or what is left of an open file, to a file that the user named: see `fixes.write.write_whole`.

    Raises InputError for a file that this run has read, unless the content `updates` it, and OSError if it cannot be written.
    """
    require_output(path, updates=updates)
    write_whole(path, content, write_roots([path]), mode=mode)


def require_output(path: str, *, updates: bool = False) -> None:
    """Raise InputError if a path is that of no file, of one in no folder, or of one that this run has read, by whatever name, and
    does not update.
    """
    if path in ("", "-"):
        raise InputError(f"'{path}' names no file to write to")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise InputError(f"{path}: {f'{folder} is no folder' if os.path.lexists(folder) else 'its folder does not exist'}")
    if updates or not os.path.isfile(path):
        return
    for read in sorted(files_read()):
        with suppress(OSError, ValueError):  # it is gone, or no file can have such a name
            if os.path.samefile(path, read):
                known = "this run reads it" if read == path else f"this run reads it as {read}"
                raise InputError(f"{path}: not overwritten, since {known}; name another file for the output")
