"""Finding the units of a run: its files, and which of them belong together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from ..proto.named_tuple import NamedTuple
from ..source.files import NotPrototxt, find_files, net_references
from ..source.opener import Unreadable
from ..source.wording import counted
from .files_in_memory import Files
from .units import Unit

# While a folder is searched, the trees of this many bytes of text are kept until the files are checked.
TREES_KEPT = 2_000_000
# Of the files of folders that are not prototxt files, this many are named.
NAMED = 3


def find_units(
    paths: Iterable[str],
    files: Files,
    errors: list[str],
    notes: list[str],
    excluded: Callable[[str], bool] = lambda path: False,
) -> list[Unit]:
    """Return the units of files, and of the solvers and nets in folders.

    A file that is neither, or that is `excluded`, is skipped in a folder; one that is named adds a message to `notes`.
    A file or folder that cannot be read adds a message to `errors`, but the files of folders that are not prototxt files
    add one message to `notes`, with their number. A template is skipped and kept in `files.left_alone`.
    """
    def failed(error: OSError) -> None:
        errors.append(f"{os.path.normpath(error.filename)}: {error.strerror or error}")

    others: dict[str, str] = {}  # what the files of folders are that are not prototxt files
    found_as: dict[str, _Found] = {}
    seen: set[str] = set()
    kept = 0
    for path in paths:
        if os.path.isdir(path):
            for found in _links_last(find_files(os.path.normpath(path), failed)):
                real = os.path.realpath(found)
                if real in seen or excluded(found):
                    continue
                try:
                    kind = files.get(found).kind
                except NotPrototxt as error:
                    if not found.endswith(".pt"):  # which is how PyTorch names its weights
                        others[found] = error.what
                    continue
                except Unreadable as error:
                    if os.path.lexists(found):  # not one that was deleted since the folder was listed
                        errors.append(str(error))
                    continue
                if kind == "template":
                    files.leave_alone(found, checked=False)
                elif kind != "other":
                    found_as[found] = _Found(kind, os.path.abspath(path), real)
                    seen.add(real)
                    kept += len(files.sources[found])
                elif not files.sources[found].strip():
                    others[found] = "empty"
                elif files.get(found).is_prose:
                    others[found] = "notes"
                if kind in ("other", "template") or kept > TREES_KEPT:
                    files.forget(found)
            continue
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        try:
            kind = files.get(path).kind
        except Unreadable as error:
            errors.append(str(error))
            continue
        if kind == "template":
            files.leave_alone(path, checked=False)
        elif kind != "other":
            found_as[path] = _Found(kind, None, real)
        elif files.get(path).is_prose:
            errors.append(f"{path}: these are notes for people, not a prototxt file")
        elif files.get(path).source.strip():
            notes.append(f"{path}: neither a solver nor a net, not checked")
        else:
            errors.append(f"{path}: the file is empty")
    if others:
        named = [f"{path} ({what})" for path, what in list(others.items())[:NAMED]]
        more = ", …" if len(others) > NAMED else ""
        were = "is not a prototxt file and was" if len(others) == 1 else "are not prototxt files and were"
        notes.append(f"{counted(len(others), 'file')} {were} not checked: {', '.join(named)}{more}")
    return _units(found_as, files)


def _links_last(paths: Iterable[str]) -> Iterator[str]:
    """Yield paths, links at the end: a file is known by its own name rather than by that of a link to it."""
    links = []
    for path in paths:
        if os.path.islink(path):
            links.append(path)
        else:
            yield path
    yield from links


class _Found(NamedTuple):
    """A solver or net that was found: its kind, the folder that was searched, and its real path."""

    kind: str
    root: str | None
    real: str


def _units(found_as: dict[str, _Found], files: Files) -> list[Unit]:
    """Group solvers that share a net; a net that no solver names is a unit of its own."""
    together: dict[str, list[str]] = {}  # the paths of a unit, under each of its nets and its first solver
    read_by = {found.real: path for path, found in found_as.items()}
    nets: dict[str, list[str]] = {}  # of each solver, as `Unit` has them
    for path, found in found_as.items():
        if found.kind != "solver":
            continue
        unit = [path]
        references = net_references(files.get(path).message, path, found.root, files.given)
        named = dict.fromkeys(os.path.realpath(reference.path) for reference in references if reference.path)
        nets[path] = [read_by[real] for real in named if real in read_by]
        for net in named:
            other = together.get(net, unit)
            if other is not unit:
                unit = other + [mine for mine in unit if mine not in other]
                for key in [key for key, paths in together.items() if set(paths) & set(unit)]:
                    together[key] = unit
            together[net] = unit
        together[found.real] = unit
    units = [
        Unit(tuple(paths), found_as[paths[0]].root, tuple(dict.fromkeys(net for path in paths for net in nets[path])))
        for paths in {id(unit): unit for unit in together.values()}.values()
    ]
    units += [
        Unit((path,), found.root)
        for path, found in found_as.items()
        if found.kind != "solver" and found.real not in together
    ]
    return units
