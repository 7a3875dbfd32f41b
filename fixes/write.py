"""Writing a patched file: all of it or nothing, and never over somebody else's change."""

from __future__ import annotations

import os
import stat

from contextlib import suppress


class FileChanged(OSError):
    """The file no longer holds what was read; it was left as it is."""


def write_atomically(path: str, old: bytes, new: bytes) -> None:
    """Replaces the content `old` of a file by `new`.

    Through symbolic links to their target; mode and, where permitted, owner are kept. The new content is on the
    disk before it takes the name, so a crash leaves either the one or the other.

    Raises FileChanged if the file holds anything but `old`, and OSError where it or its folder cannot be written.
    """
    target = os.path.realpath(path)
    with open(target, "rb") as file:
        if file.read() != old:
            raise FileChanged(f"{path} changed while it was being checked; not overwritten")
    status = os.stat(target)
    if not os.access(target, os.W_OK):
        raise PermissionError(f"{path} is read-only")
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.caffe-lint-{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IMODE(status.st_mode) & 0o700 | 0o200)
        with os.fdopen(descriptor, "wb") as file:
            file.write(new)
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError, AttributeError):
            os.chown(temporary, status.st_uid, status.st_gid)
        os.chmod(temporary, stat.S_IMODE(status.st_mode))
        with open(target, "rb") as file:
            if file.read() != old:
                raise FileChanged(f"{path} changed while it was being checked; not overwritten")
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
