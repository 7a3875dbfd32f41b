"""The folder in which results are kept between runs: where it is, whose it is, and what is read from it and written to it.

A file of it, a *store*, has the results of checks that were started in one working directory. Its first line names the format,
the program and the digest of what follows; each other line is a key and a value, the longest unused first.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from functools import cache

from .. import fixes, proto
from ..fixes.write import remove_oldest, write_whole
from ..source.opener import Unreadable, read_regular

MAX_STORE = 50_000_000  # bytes of one store
MAX_STORES = 300_000_000  # bytes of all of them
_FORMAT = b"caffe-lint results 1"
_NAME = re.compile(r"[0-9a-f]{32}\.results\Z")
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def users_folder() -> str | None:
    """Return the user's own folder for results, None if there is no place for one."""
    import platformdirs  # only for checks of many files

    folder = platformdirs.user_cache_dir("caffe-lint", appauthor=False)
    return folder if os.path.isabs(folder) else None  # without a home, it is a name in the working directory


def is_trusted(folder: str) -> bool:
    """Return whether a folder is the user's, and nobody else may write to it; one that is not there will be the user's."""
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    if os.name != "posix":
        return stat.S_ISDIR(status.st_mode)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def store_of(folder: str, working_directory: str) -> str:
    """Return the path of the store for checks that are started in a working directory."""
    digest = hashlib.blake2b(os.fsencode(working_directory), digest_size=16).hexdigest()
    return os.path.join(folder, f"{digest}.results")


def read_store(path: str) -> dict[str, str]:
    """Return the values of a store by their keys; none if there is no store, or if it is damaged or of another program."""
    try:
        head, _, body = read_regular(path, MAX_STORE + 1000, follow=False).partition(b"\n")
        if head != _head(body):
            return {}
        os.utime(path)  # so that it is not among the oldest
        return dict(line.split(" ", 1) for line in body.decode("ascii").splitlines())
    except (Unreadable, OSError, ValueError):
        return {}


def write_store(path: str, values: Mapping[str, str]) -> None:
    """Write a store, the last values as far as there is room, and remove the oldest stores. Nothing is said if that fails."""
    lines: list[bytes] = []
    room = MAX_STORE
    for key, value in reversed(list(values.items())):
        line = f"{key} {value}\n".encode("ascii")
        room -= len(line)
        if room < 0:
            break
        lines.append(line)
    body = b"".join(reversed(lines))
    folder = os.path.dirname(path)
    with suppress(OSError):
        is_new = not os.path.isdir(folder)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if is_new:
            write_whole(os.path.join(folder, ".gitignore"), b"*\n", (folder,), mode=0o600)
        write_whole(path, _head(body) + b"\n" + body, (folder,), mode=0o600)
        remove_oldest(folder, _NAME, MAX_STORES)


def _head(body: bytes) -> bytes:
    digest = hashlib.blake2b(body, digest_size=16).hexdigest()
    return b" ".join((_FORMAT, _program().encode(), digest.encode()))


@cache
def _program() -> str:
    """Return the digest of what a result depends on besides its files: the version of the program and of Python.

    A program that is being worked on keeps its version, so that the times of its files are in it too.
    """
    import sys  # as below
    from importlib.metadata import version  # only for checks of many files

    digest = hashlib.blake2b(f"{version('caffe-lint')} {sys.version}".encode(), digest_size=16)
    for top in (_HERE, *fixes.__path__, *proto.__path__):
        for folder, folders, names in os.walk(top):
            folders[:] = sorted(name for name in folders if name not in ("examples", "__pycache__"))
            for name in sorted(names):
                status = os.stat(os.path.join(folder, name))
                digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
