"""Write a patched file completely or not at all, and never over somebody else's change."""

from __future__ import annotations

import os
import stat
from contextlib import suppress


class FileChanged(OSError):
    """The file has changed since it was read, and was not overwritten."""


def write_atomically(path: str, old: bytes, new: bytes) -> None:
    """Replace the content `old` of a file with `new`.

    Symbolic links are followed; the mode and, if permitted, the owner are kept. The new content is on disk before the file is
    renamed, so that a crash leaves either the old or the new file.

    Raises FileChanged if the content of the file is not `old`, and OSError if it or its folder cannot be written.
    """
    target = os.path.realpath(path)
    _require_unchanged(target, old)
    status = os.stat(target)
    if not os.access(target, os.W_OK):
        raise PermissionError(f"{path} is read-only")
    _replace(target, new, status, expected=old)


def write_copy(path: str, target: str, content: bytes) -> None:
    """Write the patched content of `path` to another file with the same mode, creating folders if necessary.

    Raises FileExistsError if `target` is the file itself, OSError if it cannot be written.
    """
    if os.path.exists(target) and os.path.samefile(path, target):
        raise FileExistsError(f"{target} is the original file")
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    _replace(os.path.realpath(target), content, os.stat(path), expected=None)


def write_whole(path: str, content: bytes) -> None:
    """Write one of our own files, atomically if it exists already. Raises OSError if it cannot be written."""
    try:
        with open(path, "rb") as file:
            old = file.read()
    except FileNotFoundError:
        with open(path, "xb") as file:
            file.write(content)
    else:
        write_atomically(path, old, content)


def _replace(target: str, new: bytes, status: os.stat_result, expected: bytes | None) -> None:
    """Replace a file in one step, with the mode and owner of `status`."""
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.caffe-lint-{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(new)
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError, AttributeError):
            os.chown(temporary, status.st_uid, status.st_gid)
        os.chmod(temporary, stat.S_IMODE(status.st_mode))
        if expected is not None:
            _require_unchanged(target, expected)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _require_unchanged(path: str, expected: bytes) -> None:
    with open(path, "rb") as file:
        if file.read() != expected:
            raise FileChanged(f"{path} changed while it was being checked; not overwritten")
