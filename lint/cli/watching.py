"""`--watch`: the check again whenever one of its files changes.

What is watched are folders, not files: editors save by renaming, and a file that is missing today may come tomorrow.
Folders are named one by one, since what lies below a training's folder may be a million images.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator

from ..proto.schema import caffe_schema
from ..settings.nearest_files import FACTS_NAME, FILE_NAMES
from ..source import files as sources
from ..source.disk_caches import forget_disk
from ..source.errors import InputError
from ..source.opener import Unreadable
from ..source.repository_files import is_script
from .console import EXIT_INTERRUPTED, UsageError, complain

CLEAR_SCREEN = "\x1b[2J\x1b[3J\x1b[H"
_TELLING_NAMES = (*FILE_NAMES, FACTS_NAME, ".gitignore")
_WAIT = 1000  # milliseconds of quiet after which it looks once whether something changed before the watch began
_NAMES_A_NET = re.compile(rb"\b(?:train_|test_)?net\s*:")  # spares parsing what is no solver

# What tells that a file is another than it was: when and how large it was written, and as which file of the disk.
State = tuple[int, int, int] | None


def watch(paths: tuple[str, ...], also: Iterable[str | None], check: Callable[[], Collection[str]]) -> int:
    """Checks, and checks again at every change, until Ctrl-C. Raises UsageError and InputError.

    `check` gives the paths of the files that it read; `also` are files that it would read, whether they are there or not.
    """
    try:
        from watchfiles import watch as changes_in  # of the extra `watch`
    except ImportError:
        raise UsageError("--watch needs watchfiles: pip install watchfiles") from None

    named = {path for path in (*paths, *also) if path}
    searched = [path for path in paths if os.path.isdir(path)]
    watched = Watched(named, searched)
    try:
        while True:
            states = watched.states()  # before the check, so that no change is missed
            forget_disk()
            if sys.stdout.isatty():
                sys.stdout.write(CLEAR_SCREEN)
                sys.stdout.flush()
            try:
                watched = Watched({*named, *check()}, searched)
            except InputError as error:
                complain(str(error))
            states = {**watched.states(), **states}
            changes = changes_in(
                *watched.folders,
                watch_filter=watched,
                recursive=False,
                yield_on_timeout=True,
                rust_timeout=_WAIT,
            )
            complain(f"{time.strftime('%H:%M:%S')}: waiting for changes, Ctrl-C ends it")
            try:
                _wait(changes, watched, states)
            except FileNotFoundError:
                pass  # a folder is gone before it could be watched: a change as well
            except OSError as error:
                raise InputError(f"the folders cannot be watched: {error}") from None
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _wait(changes: Iterable[Collection[object]], watched: Watched, states: dict[str, State]) -> None:
    """Returns at a change; what changed between reading and watching is found when it has been quiet for a moment."""
    looked = False
    for change in changes:
        if change or (not looked and {**states, **watched.states()} != states):
            return
        looked = True


class Watched:
    """The folders whose changes may matter, and which changes do.

    They are those of the `files`, by their name and where a link leads, and of nets that solvers name and that are
    missing; those below the folders that are `searched`; and the folders above, where a configuration may come.
    """

    def __init__(self, files: set[str], searched: list[str]) -> None:
        known = {*files, *_missing_nets(files)}
        self.files = {where(path) for path in known for where in (os.path.abspath, os.path.realpath)}
        self.searched = tuple(os.path.join(os.path.abspath(path), "") for path in searched)
        inner = {os.path.dirname(path) for path in self.files}
        inner |= {folder for path in self.searched for folder, _ in sources.walk(path)}
        upwards = {parent for folder in inner for parent in _upwards(folder)}
        self.folders = {folder for folder in inner | upwards if os.path.isdir(folder)}

    def __call__(self, change: object, path: str) -> bool:
        """Whether a change of this path can change the findings."""
        name = os.path.basename(path)
        if path in self.files or name in _TELLING_NAMES or name.endswith(sources.SUFFIXES) or is_script(name):
            return True
        # A folder that came, went or was renamed, in a search or with a file in it.
        if path.startswith(self.searched):
            return path in self.folders or os.path.isdir(path)
        return any(file.startswith(path + os.sep) for file in self.files)

    def states(self) -> dict[str, State]:
        """The files that are there or may come, each with what tells that it is another than it was."""
        found = {file for path in self.searched for file in sources.find_files(path)}
        configurations = {os.path.join(folder, name) for folder in self.folders for name in _TELLING_NAMES}
        return {path: _state(path) for path in {*self.files, *found, *configurations}}


def _state(path: str) -> State:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return None if stat.S_ISDIR(status.st_mode) else (status.st_mtime_ns, status.st_size, status.st_ino)


def _upwards(folder: str) -> Iterator[str]:
    """The folders above one, up to the root of its repository; the next one above where there is none."""
    root = sources.repository_root(folder)
    parent = os.path.dirname(folder)
    while root is not None and folder not in (root, parent):
        yield parent
        folder, parent = parent, os.path.dirname(parent)
    yield parent


def _missing_nets(files: set[str]) -> Iterator[str]:
    """Where the nets may come to stand that solvers name and that are not there, or are no files."""
    for path in files:
        try:
            source = sources.read_source(path)
        except Unreadable:
            continue
        if not _NAMES_A_NET.search(source):
            continue
        file = sources.SourceFile(path, source, caffe_schema(), None)
        if file.kind == "solver":
            for reference in sources.net_references(file.message, path):
                if reference.path is None or not os.path.isfile(reference.path):
                    yield reference.written
                    yield os.path.join(os.path.dirname(path), reference.written)
