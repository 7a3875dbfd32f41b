"""The trainings that the scripts of a repository start, as read from their text, and which of them train a solver.

Read are shell scripts, Makefiles, batch files, Python programs and the code in a README. Nothing is run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from .files import shown
from .questions import question
from .repository_files import read_found, repository_files, search_root
from .script_values import SCRIPT_FOLDER, UNKNOWN, joined

if TYPE_CHECKING:
    from .caffe_commands import TrainingRun

MAX_BYTES_OF_SCRIPT = 300_000  # larger ones are generated
MAX_WORK = 8_000_000  # the bytes of all scripts that may start a training, and as many for each line as one usually has
_BYTES_OF_LINE = 30
MAX_RUNS_OF_SCRIPT = 200

_MAY_TRAIN = rb"-solver\b|Solver\(|get_solver\(|\b(?:train|finetune)_net\b"
_TRAINS = rb"\btrain\b|weights|_net\b|\.step\(|\.solve\("


class _Runs(NamedTuple):
    """The trainings that the scripts of a repository start, and its prototxt files, both by the file name of the solver.

    `targets` are the solvers that the paths of trainings lead to, as far as they were asked for. `is_whole` is False if there
    is more than the bounds admit.
    """

    root: str
    by_name: dict[str, list[TrainingRun]]
    files: dict[str, set[str]]
    targets: dict[TrainingRun, str | None]
    is_whole: bool


class RunsOfSolver(NamedTuple):
    """The trainings of a solver that scripts start, with the weights that are there; `is_whole` is False if there are too many
    scripts to read.
    """

    runs: list[TrainingRun]
    is_whole: bool


@question
def runs_of_solver(path: str) -> RunsOfSolver:
    """Return the trainings of a solver that scripts of its repository start."""
    folder, name = os.path.split(os.path.abspath(path))
    solver = os.path.join(os.path.realpath(folder), name)
    runs = _runs_of_repository(os.path.realpath(search_root(solver)))
    found = [run for run in runs.by_name.get(name, ()) if _trains(run, solver, runs)]
    return RunsOfSolver([run._replace(weights=_weights(run, runs.root)) for run in found], runs.is_whole)


@cache
def _runs_of_repository(root: str) -> _Runs:
    found = repository_files(root)
    trainings, is_whole = _runs_of(found.scripts.paths)
    runs = _Runs(root, {}, {}, {}, is_whole and found.scripts.is_whole)
    for run in trainings:
        runs.by_name.setdefault(os.path.basename(run.solver.replace("\\", "/")), []).append(run)
    for path in found.prototxts.paths:
        runs.files.setdefault(os.path.basename(path), set()).add(path)
    return runs


def forget_runs() -> None:
    """Clear the trainings that were found, which are otherwise searched once in a run."""
    _runs_of_repository.cache_clear()


def _trains(run: TrainingRun, solver: str, runs: _Runs) -> bool:
    """Whether a training is that of a solver: whether the path that the script names leads to it."""
    folder = os.path.dirname(os.path.abspath(run.script))
    written = _from_script(run, run.solver)
    if any(UNKNOWN in part for part in _parts(written)[1:]):
        return _fits(_parts(written), solver, folder, runs.root)
    same_name = runs.files.get(os.path.basename(solver), set())
    if solver not in same_name:  # a file whose name does not say what it is
        return _target(written, folder, runs.root, {*same_name, solver}) == solver
    if run not in runs.targets:
        runs.targets[run] = _target(written, folder, runs.root, same_name)
    return runs.targets[run] == solver


def _weights(run: TrainingRun, root: str) -> str:
    """Return the files of weights that a training names, separated by commas; empty if they are not all there."""
    bases = _bases(os.path.dirname(os.path.abspath(run.script)), root)
    found = []
    for each in run.weights.split(",") if run.weights else ():
        written = _from_script(run, each)
        path = next(filter(os.path.isfile, (os.path.join(base, written) for base in bases)), None)
        if path is None:
            return ""
        found.append(shown(path))
    return ",".join(found)


def _target(written: str, folder: str, root: str, files: set[str]) -> str | None:
    """Return the file that a path in a script of a folder leads to, of those with its name; None if that is not certain.

    A relative path is taken from the script's folder, the root of the repository, or a folder between them, whichever has
    such a file. Otherwise it is a path of another machine, and the one file that shares its longest end is meant.
    """
    for base in _bases(folder, root):
        candidate = os.path.normpath(os.path.join(base, written))
        if candidate in files:
            return candidate
    parts = [part for part in _parts(written) if part != ".." and UNKNOWN not in part]
    least = 1 if UNKNOWN in written and len(parts) == 1 else 2  # in a folder that only the script knows
    for length in range(len(parts), least - 1, -1):
        end = os.sep + os.sep.join(parts[-length:])
        found = [path for path in files if path.endswith(end)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _fits(parts: list[str], solver: str, folder: str, root: str) -> bool:
    """Whether a path that is not known in the middle can be that of a solver; one of its folders must be known."""
    if all(UNKNOWN in part for part in parts[:-1]):
        return False
    if parts[0] == UNKNOWN:
        parts = parts[1:]
        inside = os.path.relpath(solver, root).split(os.sep)
        return len(inside) >= len(parts) and all(map(_part_fits, parts, inside[-len(parts) :]))
    return any(
        len(inside) == len(parts) and all(map(_part_fits, parts, inside))
        for inside in (os.path.relpath(solver, base).split(os.sep) for base in (root, folder))
    )


def _part_fits(pattern: str, part: str) -> bool:
    """Whether a folder or file may have a name that is known in parts."""
    pieces = pattern.split(UNKNOWN)
    if len(pieces) == 1:
        return pattern == part
    at = len(pieces[0])
    if not part.startswith(pieces[0]) or not part[at:].endswith(pieces[-1]):
        return False
    for piece in pieces[1:-1]:
        at = part.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return at <= len(part) - len(pieces[-1])


def _from_script(run: TrainingRun, path: str) -> str:
    """Return a path in a training as its script means it; that of the script's own folder is known."""
    written = joined(run.folder, path.replace("\\", "/"))
    if SCRIPT_FOLDER not in written:
        return written
    return os.path.dirname(os.path.abspath(run.script)) + "/" + written.rpartition(SCRIPT_FOLDER)[2]


def _bases(folder: str, root: str) -> list[str]:
    """Return the folders in which a relative path of a script is looked for: its own, the root, and those between them."""
    return [folder, root, *_between(folder, root)]


def _between(folder: str, root: str) -> Iterator[str]:
    """Yield the folders between a folder and the root, without both."""
    while folder != root and (folder := os.path.dirname(folder)).startswith(root + os.sep):
        yield folder


def _parts(path: str) -> list[str]:
    return [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]


def _runs_of(scripts: Iterable[str]) -> tuple[list[TrainingRun], bool]:
    """Return the trainings that scripts start, each once for each script, and whether all scripts were read.

    A file that is not text has none.
    """
    found: list[TrainingRun] = []
    work = 0
    for path in scripts:
        content = read_found(path, MAX_BYTES_OF_SCRIPT)
        if content is None or b"\0" in content[:4096] or not (re.search(_MAY_TRAIN, content) and re.search(_TRAINS, content)):
            continue
        work += len(content) + _BYTES_OF_LINE * content.count(b"\n")
        if work > MAX_WORK:
            return found, False
        from .script_trainings import trainings_in  # keeps what reads scripts out of most checks

        text = content.decode("utf-8", "replace").replace("\r\n", "\n")
        unique: dict[tuple[object, ...], TrainingRun] = {}
        for run in islice(trainings_in(path, text), MAX_RUNS_OF_SCRIPT):
            unique.setdefault((run.folder, run.solver, run.loads, run.resumes, run.gpus, run.steps), run)
        found += unique.values()
    return found, True
