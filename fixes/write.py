"""The one writer: a file is written completely or not at all, inside the folders allowed, and never over another's change.

A path is resolved once. Its folder is then opened step by step from an allowed root, following no link, and all that happens
to the file happens in that open folder, so that a link which appears meanwhile leads nowhere. Where the system has no
descriptors of folders (Windows), the same checks are made by path.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from .allowed import root_of

_BY_DESCRIPTOR = {os.open, os.stat, os.unlink, os.mkdir, os.rename} <= os.supports_dir_fd
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_TEMPORARY = r"\.caffe-lint-([0-9]{1,10})-[0-9a-f]{16}\Z"


class FileChanged(OSError):
    """The file has changed since it was read, and was not overwritten."""


class OutsideRoots(OSError):
    """The file lies outside the folders in which may be written, or a link on the way leads out of them."""


def write_atomically(path: str, old: bytes, new: bytes, roots: Iterable[str]) -> list[str]:
    """Replace the content `old` of a file with `new`. Return a sentence for each property that was lost.

    A link is resolved once, and its target is written if it lies in one of the `roots`. Mode, owner and extended attributes are
    kept if the system permits it. The new content is on disk before the file is renamed, so that a crash leaves either the
    old or the new file.

    Raises OutsideRoots, FileChanged if the content of the file is not `old`, and OSError if it or its folder cannot be written.
    """
    target = os.path.realpath(path)
    root = root_of(target, roots)
    if root is None:
        raise OutsideRoots(f"{path} lies outside the folders that may be written")
    with _opened(root, os.path.dirname(target)) as folder:
        return folder.replace(os.path.basename(target), new, shown=path, old=old)


def write_copy(path: str, folder: str, name: str, content: bytes) -> None:
    """Write the patched content of `path`, with the same mode, to a relative path in a folder, creating folders if necessary.

    No link in the folder is followed. Raises FileExistsError if that is the file itself, OSError if it cannot be written.
    """
    root = os.path.realpath(folder)
    target = os.path.normpath(os.path.join(root, name))
    if root_of(target, (root,)) is None:
        raise OutsideRoots(f"{os.path.join(folder, name)} lies outside {folder}")
    if os.path.exists(target) and os.path.samefile(path, target):
        raise FileExistsError(f"{os.path.join(folder, name)} is the original file")
    os.makedirs(root, exist_ok=True)
    mode = stat.S_IMODE(os.stat(path).st_mode)
    with _opened(root, os.path.dirname(target), create=True) as opened:
        opened.replace(os.path.basename(target), content, shown=os.path.join(folder, name), mode=mode)


def write_whole(path: str, content: bytes | BinaryIO, roots: Iterable[str], *, mode: int | None = None) -> None:
    """Write a file that the user named for output, atomically, whatever it held before; also the rest of an open file.

    A link is resolved once, as by `write_atomically`. What is named below /dev, such as /dev/stdout, is written to as it is, and
    so is a pipe that somebody reads. Raises OutsideRoots, and OSError if it cannot be written.
    """
    if os.path.abspath(path).startswith("/dev/") or _is_pipe(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "wb") as file:
            if hasattr(os, "O_NONBLOCK"):
                os.set_blocking(descriptor, True)
            _copy(content, file)
        return
    target = os.path.realpath(path)
    root = root_of(target, roots)
    if root is None:
        raise OutsideRoots(f"{path} is a link out of the folder it lies in")
    with _opened(root, os.path.dirname(target)) as folder:
        folder.replace(os.path.basename(target), content, shown=path, mode=mode)


def remove_leftovers(folders: Iterable[str]) -> None:
    """Remove temporary files that processes which no longer run have left in folders."""
    for path in {os.path.realpath(folder) for folder in folders}:
        with suppress(OSError), _opened(path, path) as folder:
            folder.clean()


def remove_oldest(folder: str, names: re.Pattern[str], most: int) -> None:
    """Remove the files of a folder that were written longest ago, of those with such names, until they have `most` bytes."""
    path = os.path.realpath(folder)
    with _opened(path, path) as opened:
        opened.thin_out(names, most)


def _copy(content: bytes | BinaryIO, file: BinaryIO) -> None:
    """Write bytes, or what is left of an open file, to another."""
    if isinstance(content, bytes):
        file.write(content)
        return
    while block := content.read(1 << 20):
        file.write(block)


def _is_pipe(path: str) -> bool:
    """Return whether a path is itself a pipe, not a link to one."""
    try:
        return stat.S_ISFIFO(os.lstat(path).st_mode)
    except OSError:
        return False


class _Folder:
    """An open folder: files in it are reached by name, and no link is followed."""

    def __init__(self, path: str, descriptor: int | None) -> None:
        self.path = path
        self.descriptor = descriptor

    def at(self, name: str) -> str:
        """Return what to call a file in it, together with `descriptor`."""
        return name if self.descriptor is not None else os.path.join(self.path, name)

    def status(self, name: str) -> os.stat_result | None:
        """Return what a name stands for, None if there is no such file."""
        try:
            return os.stat(self.at(name), dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def unlink(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self.at(name), dir_fd=self.descriptor)

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """Open a file."""
        return os.open(self.at(name), flags | _NO_LINK, mode, dir_fd=self.descriptor)

    def replace(
        self, name: str, new: bytes | BinaryIO, *, shown: str, old: bytes | None = None, mode: int | None = None
    ) -> list[str]:
        """Replace a file in one step, or create it, and return what was lost; it must still hold `old` if that is given.

        A file that is replaced keeps its mode unless one is given. `shown` is the path for errors.
        """
        status = self.status(name)
        if old is not None and status is None:
            raise FileChanged(f"{shown} was removed while it was being checked; not written")
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), shown)
        if status is not None and not stat.S_ISREG(status.st_mode):
            status = None  # a link, a pipe or a device is replaced, not followed
        if status is not None and not self._is_writable(name):
            raise PermissionError(f"{shown} is read-only")
        if old is not None:
            self._require(name, old, shown)
        temporary = f".caffe-lint-{os.getpid()}-{os.urandom(8).hex()}"
        self.clean()
        try:
            descriptor = self.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if status is None else 0o600)
            with os.fdopen(descriptor, "wb") as file:
                _lock(descriptor)
                _copy(new, file)
                file.flush()
                lost = [] if status is None else self._keep(name, descriptor, status, shown)
                if mode is None and status is not None:
                    mode = stat.S_IMODE(status.st_mode)
                if mode is not None:
                    _change_mode(descriptor, os.path.join(self.path, temporary), mode)
                os.fsync(descriptor)
            if old is not None:
                self._require(name, old, shown)
            os.replace(self.at(temporary), self.at(name), src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except BaseException:
            with suppress(OSError):
                self.unlink(temporary)
            raise
        return lost

    def _is_writable(self, name: str) -> bool:
        return os.access(self.at(name), os.W_OK, dir_fd=self.descriptor)

    def _require(self, name: str, expected: bytes, shown: str) -> None:
        """Raise FileChanged unless a file holds the bytes that are expected."""
        try:
            with os.fdopen(self.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
                same = stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(len(expected) + 1) == expected
        except FileNotFoundError:
            same = False
        if not same:
            raise FileChanged(f"{shown} changed while it was being checked; not overwritten")

    def _keep(self, name: str, descriptor: int, status: os.stat_result, shown: str) -> list[str]:
        """Give a new file the owner and the extended attributes of the one it replaces. Return what is lost."""
        lost = []
        if status.st_nlink > 1:
            lost.append(f"{shown} was a hard link; its other names keep the old text")
        if hasattr(os, "fchown"):
            try:
                os.fchown(descriptor, status.st_uid, status.st_gid)
            except OSError:
                lost.append(f"{shown} could not keep its owner")
        if hasattr(os, "listxattr"):
            with suppress(OSError), os.fdopen(self.open(name, os.O_RDONLY), "rb") as file:
                for attribute in os.listxattr(file.fileno()):
                    value = os.getxattr(file.fileno(), attribute)
                    try:
                        if attribute not in os.listxattr(descriptor) or os.getxattr(descriptor, attribute) != value:
                            os.setxattr(descriptor, attribute, value)
                    except OSError:
                        lost.append(f"{shown} could not keep its attribute {attribute}")
        return lost

    def clean(self) -> None:
        """Remove the temporary files of processes that no longer run."""
        for name in os.listdir(self.path if self.descriptor is None else self.descriptor):
            match = re.match(_TEMPORARY, name)
            if match is None or _is_running(int(match.group(1))):
                continue
            with suppress(OSError):
                status = self.status(name)
                if status is not None and stat.S_ISREG(status.st_mode) and self._is_free(name):
                    self.unlink(name)

    def thin_out(self, names: re.Pattern[str], most: int) -> None:
        """Remove the oldest files with such names until they have `most` bytes."""
        found = []
        for name in os.listdir(self.path if self.descriptor is None else self.descriptor):
            status = self.status(name) if names.match(name) else None
            if status is not None and stat.S_ISREG(status.st_mode):
                found.append((status.st_mtime_ns, status.st_size, name))
        for _, size, name in sorted(found, reverse=True):
            most -= size
            if most < 0:
                with suppress(OSError):
                    self.unlink(name)

    def _is_free(self, name: str) -> bool:
        """Return whether nobody holds a file, not even a process of another container, whose number says nothing here."""
        descriptor = self.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            return _lock(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _opened(root: str, path: str, *, create: bool = False) -> Iterator[_Folder]:
    """Open a folder in a resolved root, or the root, following no link; `create` makes the folders that are missing."""
    parts = [part for part in os.path.relpath(path, root).split(os.sep) if part != "."]
    if not _BY_DESCRIPTOR:
        if create:
            os.makedirs(path, exist_ok=True)
        if os.path.realpath(path) != path:
            raise OutsideRoots(f"{path} is reached by a link")
        yield _Folder(path, None)
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | _NO_LINK
    descriptor = os.open(root, flags)
    try:
        for number, part in enumerate(parts, 1):
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
            try:
                inner = os.open(part, flags, dir_fd=descriptor)
            except OSError as error:
                where = os.path.join(root, *parts[:number])
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise OutsideRoots(f"{where} is a link or no folder, and is not followed") from None
                raise OSError(error.errno, os.strerror(error.errno or 0), where) from None
            os.close(descriptor)
            descriptor = inner
        yield _Folder(path, descriptor)
    finally:
        os.close(descriptor)


def _change_mode(descriptor: int, path: str, mode: int) -> None:
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)
    else:  # Windows
        os.chmod(path, mode)


def _lock(descriptor: int) -> bool:
    """Hold a file until it is closed. Return whether nobody else does; True where there are no such locks."""
    try:
        import fcntl  # not on Windows
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN)
    return True


def _is_running(process: int) -> bool:
    """Return whether a process runs, or may run."""
    if os.name != "posix":
        return process == os.getpid()  # os.kill would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
