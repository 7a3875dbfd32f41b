"""The files of a repository: a walk with bounds, made once in a run."""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from functools import cache

from ..proto.named_tuple import NamedTuple
from .files import MAX_ENTRIES, SUFFIXES, project_root
from .ignored import Ignored
from .opener import Unreadable, read_regular

# The bounds of a search, for each kind of file.
MAX_FILES = 5_000
MAX_BYTES = 50_000_000
MAX_BYTES_OF_FILE = 5_000_000  # larger ones are data, not text that somebody wrote
MAX_DEPTH = 20

SCRIPT_SUFFIXES = (".sh", ".bash", ".py", ".bat", ".cmd", ".mk")
_PROTO = "caffe.proto"
_LAYER_SOURCE = r"(?i)layer.*\.(?:cpp|cc|cxx|cu|hpp|h)$"
_SCRIPT_NAMES = ("makefile", "gnumakefile", "readme")  # a name, or what stands before its suffix
_OTHER_FOLDERS = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", "site-packages"})
_OTHER_ROOTS = frozenset({".git", "pyvenv.cfg"})  # of a repository or a virtual environment inside


class Found(NamedTuple):
    """Files of one kind below a folder, sorted; `is_whole` is False if there are more than the bounds admit."""

    paths: tuple[str, ...]
    is_whole: bool


class RepositoryFiles(NamedTuple):
    """The files of a repository, by absolute paths: prototxt files, those that may contain commands, and of a Caffe that it brings
    each caffe.proto and the sources of layers in C++.
    """

    root: str
    prototxts: Found
    scripts: Found
    protos: Found
    layers: Found


def search_root(path: str) -> str:
    """Return the folder in which the files that belong to a file are searched: its project, or else its own folder."""
    folder = os.path.dirname(os.path.abspath(path))
    return project_root(folder) or folder


@cache
def repository_files(root: str) -> RepositoryFiles:
    """Return the files below a folder that .gitignore does not exclude, nearest first. Cached for the run.

    Links are not followed, and repositories and virtual environments inside are left out.
    """
    prototxts, scripts, protos, layers = _Collected(), _Collected(), _Collected(), _Collected()
    ignored = Ignored(root)
    waiting = deque([(root, 0)])
    entries, too_deep = 0, False
    while waiting and entries < MAX_ENTRIES:
        folder, depth = waiting.popleft()
        try:
            with os.scandir(folder) as found:
                inside = sorted(found, key=lambda entry: entry.name)
        except OSError:
            continue
        entries += len(inside)
        names = {entry.name for entry in inside}
        if folder != root and not names.isdisjoint(_OTHER_ROOTS):
            continue
        if ".gitignore" in names:
            ignored.read(folder)
        for entry in inside:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _OTHER_FOLDERS and not ignored(entry.path, is_folder=True):
                    too_deep = too_deep or depth == MAX_DEPTH
                    if depth < MAX_DEPTH:
                        waiting.append((entry.path, depth + 1))
                continue
            kind = prototxts if entry.name.endswith(SUFFIXES) else scripts if is_script(entry.name) else None
            if entry.name == _PROTO:
                kind = protos
            elif re.search(_LAYER_SOURCE, entry.name) is not None:
                kind = layers
            if kind is not None and not ignored(entry.path, is_folder=False):
                kind.add(entry)
    everything = entries < MAX_ENTRIES and not too_deep
    return RepositoryFiles(root, *(kind.found(everything) for kind in (prototxts, scripts, protos, layers)))


class _Collected:
    """Files of one kind, within the bounds."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bytes = 0
        self.is_whole = True

    def add(self, entry: os.DirEntry[str]) -> None:
        """Add a file if it is a regular one, may be text, and the bounds admit it."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES_OF_FILE:
            return
        self.bytes += status.st_size
        if len(self.paths) >= MAX_FILES or self.bytes > MAX_BYTES:
            self.is_whole = False
        else:
            self.paths.append(entry.path)

    def found(self, everything: bool) -> Found:
        """Return what was collected; `everything` says whether the walk came to its end."""
        return Found(tuple(self.paths), self.is_whole and everything)


def is_script(name: str) -> bool:
    """Whether a file of that name may contain commands that start a training."""
    lower = name.lower()
    return lower.endswith(SCRIPT_SUFFIXES) or lower.partition(".")[0] in _SCRIPT_NAMES


def read_found(path: str, limit: int = MAX_BYTES_OF_FILE) -> bytes | None:
    """Return the bytes of a file of a repository; None if it is a link, or no regular file of at most `limit` bytes."""
    try:
        return read_regular(path, limit, follow=False)
    except Unreadable:
        return None


def forget_repositories() -> None:
    """Clear the cached files, which are otherwise searched once in a run."""
    repository_files.cache_clear()
