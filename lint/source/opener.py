"""The one opener of files: every file that is read is a regular one, of a size that its kind may have.

A checkout may contain FIFOs, links to devices, and sparse files of terabytes: opening them would wait for ever, and
reading them would fill the memory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from io import BufferedReader

from .errors import InputError
from .questions import kept, question

# The largest size in bytes, for each kind of file. All are far above what is found in repositories.
MAX_PROTOTXT = 100_000_000
MAX_SETTINGS = 10_000_000  # configuration, .gitignore, caffe.proto
MAX_RECORDS = 200_000_000  # facts about data, baseline
MAX_LIST = 1_000_000_000  # of images, windows or HDF5 files
MAX_IMAGE = 500_000_000  # an image or a mean file
MAX_MESSAGE = 2**31 - 1  # a .caffemodel (protobuf: coded_stream.h, no larger message can be parsed)

# Errors of the system that say that a path leads to no file.
_OF_PATHS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
_LEAST = 65_536  # bytes that are asked for, whatever size a file has

_read: set[str] = set()  # paths
_MOST_NOTED = 100_000  # of these paths: more are the images of a list, which nobody names for an output

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a link"),
)


class Unreadable(InputError):
    """A file cannot be read; says which, and why. `reason` is the why alone, and `number` that of the system's error, if it is one."""

    def __init__(self, path: str, reason: str, number: int | None = None) -> None:
        super().__init__(path, reason)
        self.reason = reason
        self.number = number

    @property
    def is_of_this_run(self) -> bool:
        """Whether the file is there and only this run could not read it, as for lack of permission: the path is not wrong."""
        return self.number is not None and self.number not in _OF_PATHS

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.reason}"


def open_regular(path: str, limit: int | None = None, *, follow: bool = True) -> BufferedReader:
    """Open a regular file of at most `limit` bytes for reading. Raises Unreadable for anything else, which is not opened.

    Without `follow`, a link is refused; otherwise, its target is what counts. No output replaces it in this run (`output`).
    """
    note_read((path,))
    if kept() is not None:
        fingerprint(path)
    try:
        _check(path, os.stat(path, follow_symlinks=follow), limit)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
        if not follow:
            flags |= getattr(os, "O_NOFOLLOW", 0)
        file = open(os.open(path, flags | getattr(os, "O_CLOEXEC", 0)), "rb")  # noqa: SIM115 - the caller closes it
        try:
            _check(path, os.fstat(file.fileno()), limit)  # it may be another file by now
        except Unreadable:
            file.close()
            raise
    except OSError as error:
        raise Unreadable(path, error.strerror or str(error), error.errno) from None
    except ValueError:
        raise Unreadable(path, "no file can have such a name") from None
    return file


@question
def read_regular(path: str, limit: int, *, follow: bool = True) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes. Raises Unreadable; see `open_regular`."""
    try:
        with open_regular(path, limit, follow=follow) as file:
            # Reading reserves the memory first, so ask for no more than there is; some file systems say 0.
            content = file.read(min(limit, max(os.fstat(file.fileno()).st_size, _LEAST)) + 1)
    except OSError as error:
        raise Unreadable(path, error.strerror or str(error), error.errno) from None
    if len(content) > limit:
        raise Unreadable(path, _too_large(limit))
    return content


def note_read(paths: Iterable[str]) -> None:
    """Keep that this run reads files, also where another process opened them."""
    if len(_read) < _MOST_NOTED:
        _read.update(paths)


def files_read() -> frozenset[str]:
    """Return the paths of all files that this run has read."""
    return frozenset(_read)


def forget_read() -> None:
    """Forget which files were read, for another run in the same process."""
    _read.clear()


@question
def fingerprint(path: str) -> bytes | tuple[int, ...]:
    """Return what tells that a regular file has changed: its bytes, or the status of one that is too large to be a prototxt."""
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        if status.st_size <= MAX_PROTOTXT:
            return file.read(MAX_PROTOTXT)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@question
def real_path(path: str) -> str:
    """Return a path with its links resolved."""
    return os.path.realpath(path)


def check_regular(path: str, limit: int | None = None) -> None:
    """Raise Unreadable if a path is no regular file of at most `limit` bytes, before a library opens it."""
    open_regular(path, limit).close()


def _check(path: str, status: os.stat_result, limit: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "something else")
        raise Unreadable(path, f"this is {what}, not a file")
    if limit is not None and status.st_size > limit:
        raise Unreadable(path, _too_large(limit))


def _too_large(limit: int) -> str:
    return f"larger than {limit // 1_000_000} MB, the most that is read of such a file"
