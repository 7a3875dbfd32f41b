"""The files of a run as the checks see them, and building nets from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..fixes.allowed import is_inside
from ..fixes.changes import PathChanges, Round
from ..net.job import Job, Nets, Simulate
from ..net.weights_origin import StatedOrigin
from ..proto.schema import Schema
from ..settings.settings import Settings
from ..source.files import SourceFile, read_source, refuse_others
from ..source.opener import real_path
from .selection import layer_types
from .units import Companions, LeftAlone, Unit, UnitResult

if TYPE_CHECKING:
    from ..net.data_facts import DataFacts
    from ..net.trained_weights import TrainedWeights
    from ..rule.finding import Finding, Fixed
    from ..source.repository_proto import KnownName, RepositoryProtos
    from .baseline import Comparison
    from .job_verdicts import JobVerdict


class Files:
    """The files of a run as the checks see them: read once, and replaced by their patched text.

    `dialect` is the dialect of all files, unless `settings` give it for each file. `settled` are the texts of patched
    files after other units, with the rounds that led to them, by real path: units that share a file continue from there.
    `roots` are the folders in which files may be changed, None for all.
    """

    def __init__(self, schema: Schema, dialect: str | None, settings: Settings | None = None) -> None:
        self.schema = schema
        self.dialect = dialect
        self.settings = settings
        self.sources: dict[str, bytes] = {}
        self.patched: dict[str, bytes] = {}
        self.given: dict[str, bytes] = {}
        self.roots: tuple[str, ...] | None = None
        self.settled: dict[str, tuple[bytes, tuple[Round, ...]]] = {}
        self.only: str | None = None  # the file whose patched text is wanted: no repair of which parts are elsewhere is made
        self.contested: set[str] = set()  # real paths of files that units go on changing for each other
        self.rounds: dict[str, tuple[Round, ...]] = {}  # of the patched files
        self.comparison: Comparison | None = None  # of the last check with the baseline
        self.results: str | None = None  # the folder in which results of simulations are kept
        self.simulated: Callable[[], None] = _nothing  # is called after each simulation
        self.reads_weights = False  # of a file that a solver or a script names, its values too: for jobs that are not only checked
        self.with_verdicts = True  # which cost most of the time of a check of jobs
        self.tries_guesses = True  # which takes as long as reading the files again (`rule.guesses`)
        self.judge: Callable[[], Iterable[JobVerdict]] = tuple  # of the last check: asked once, after all fixes
        self.subjects: list[tuple[str, Any]] = []  # what the last check looked at, each with its kind
        self.companions = Companions()
        self.left_alone: dict[str, LeftAlone] = {}
        self.unread: dict[str, str] = {}  # a message on each net of the unit's solvers that this run could not read, by path
        self.before: Mapping[str, SourceFile] = {}  # files that were read for another check, by path
        self._files: dict[str, SourceFile] = {}
        self._named: dict[str, str] = {}  # the path by which each file is known, by its real path
        self._of_companions: frozenset[str] = frozenset()  # real paths
        self._nets: list[Nets] = []  # what built nets from the files

    def add(self, path: str, source: bytes) -> None:
        """Add the bytes of a file that is not read from disk (standard input)."""
        self.given[path] = source

    def get(self, path: str) -> SourceFile:
        """Return the file at a path, under the first path by which it was read. Raises Unreadable."""
        known = self._files.get(path)
        if known is None:
            if path in self.given:
                self.sources[path] = self.given[path]
            elif path not in self.sources:
                named = self._named.setdefault(real_path(path), path)
                if named != path:
                    return self.get(named)
                self.sources[path] = read_source(path)
            if self.settled and path not in self.patched and (real := os.path.realpath(path)) in self.settled:
                self.patched[path], self.rounds[path] = self.settled[real]
            source = self.patched.get(path, self.sources[path])
            if path in self.given:
                refuse_others(path, source)
            before = self.before.get(path)
            if before is not None and before.source == source:
                known = before.read_as(self.schema, self._dialect_of(path))
            else:
                known = SourceFile(path, source, self.schema, self._dialect_of(path))
            self._files[path] = known
        return known

    def get_bytes(self, path: str) -> bytes:
        """Return the bytes of a file as read. Raises Unreadable."""
        return self.sources[path] if path in self.sources else read_source(path)

    def _dialect_of(self, path: str) -> str | None:
        return self.dialect if self.settings is None else self.settings.of(path).dialect

    def replace(self, path: str, source: bytes, changes: PathChanges = ()) -> None:
        """Set the patched text of a file, which differs from the previous one in `changes`."""
        self.rounds[path] = (*self.rounds.get(path, ()), round_of(self.get(path), changes))
        self.patched[path] = source
        del self._files[path]

    def restore(self, patched: Mapping[str, bytes], rounds: Mapping[str, tuple[Round, ...]]) -> None:
        """Set the patched texts, and the rounds that led to them, to earlier ones."""
        self.patched, self.rounds = dict(patched), dict(rounds)
        self.forget_all()

    def mark_companions(self, unit: Unit, jobs: Iterable[Job]) -> None:
        """Set which files belong only to companions of the unit, from the jobs of all its solvers."""
        own: set[str] = set(unit.paths)
        others: set[str] = set()
        for job in jobs:
            deploy = [] if job.deploy is None else [job.deploy.file]
            paths = own if job.solver.file.path in unit.paths else others
            paths.update(file.path for file in (job.solver.file, *job.files, *deploy))
        self._of_companions = frozenset(map(os.path.realpath, others)) - set(map(os.path.realpath, own))

    def may_have_part(self, path: str) -> bool:
        """Return whether a part of a repair of several files may be made in a file."""
        return not self.is_companion(path) and self.only in (None, path)

    def is_companion(self, path: str) -> bool:
        """Return whether a file is checked only because a companion of the unit is, or names it."""
        return bool(self._of_companions) and os.path.realpath(path) in self._of_companions

    def result(self, findings: Iterable[Finding], fixed: Iterable[Fixed], errors: list[str]) -> UnitResult:
        """Return the result of the unit's checks: what concerns its own files."""
        return UnitResult(
            [finding for finding in findings if not self.is_companion(finding.place.path)],
            tuple(one for one in fixed if not self.is_companion(one.path)),
            {path: text for path, text in self.patched.items() if not self.is_companion(path)},
            {path: text for path, text in self.sources.items() if not self.is_companion(path)},
            [*errors, *self.unread.values()],
            self.comparison,
            {path: rounds for path, rounds in self.rounds.items() if not self.is_companion(path)},
            {path: left for path, left in self.left_alone.items() if not self.is_companion(path)},
            verdicts=tuple(self.judge()) if self.with_verdicts else (),
            known=tuple(sorted(self._known_to_repositories())),
        )

    @cached_property
    def protos(self) -> RepositoryProtos:
        """What the caffe.proto files of repositories know, as far as it was asked for."""
        from ..source.repository_proto import RepositoryProtos  # only for names that no Caffe knows

        return RepositoryProtos()

    def _known_to_repositories(self) -> set[KnownName]:
        if "protos" not in self.__dict__:
            return set()
        return {name for path, names in self.protos.names.items() if not self.is_companion(path) for name in names}

    def leave_alone(self, path: str, *, checked: bool) -> None:
        """Keep why nothing in a file may be changed, and whether it is checked."""
        self.left_alone[path] = LeftAlone(self.why_not_fixed(path), checked)

    def why_not_fixed(self, path: str) -> str:
        """Return why nothing in a file may be changed; empty if it may be."""
        if self.is_outside(path):
            return "it lies outside the repositories and folders of the paths that were named"
        if self.contested and os.path.realpath(path) in self.contested:
            return "the solvers and nets that share it need different changes, which undo each other"
        return self.get(path).why_not_fixed

    def quoted(self) -> dict[str, bytes]:
        """Return the texts of all files by path, as read; one that lies outside and was not named is empty."""
        return {path: b"" if self.is_outside(path) else source for path, source in self.sources.items()}

    def is_outside(self, path: str) -> bool:
        """Return whether a file lies outside the folders in which files may be changed."""
        return self.roots is not None and path not in self.given and not is_inside(path, self.roots)

    def settle(self, result: UnitResult) -> None:
        """Keep a unit's patched files for the units that follow."""
        self.settled.update(
            (os.path.realpath(path), (source, result.rounds.get(path, ()))) for path, source in result.patched.items()
        )

    def keep(self, nets: Nets) -> Nets:
        """Return what builds nets from the files, and keep it for `take_nets_apart`."""
        self._nets.append(nets)
        return nets

    def take_nets_apart(self) -> None:
        """Drop all nets that were built from the files: the checks of them are done, and their verdicts known."""
        self.judge = tuple
        self.subjects = []  # jobs refer to what built them, and that to this
        for nets in self._nets:
            nets.take_apart()
        self._nets.clear()

    def forget(self, path: str) -> None:
        """Drop the tree of a file; the text is parsed again on demand."""
        self._files.pop(path, None)

    def drop(self, path: str) -> None:
        """Drop a file that turned out not to be checked."""
        for known in (self._files, self.sources, self.patched, self.rounds):
            known.pop(path, None)

    def forget_unit(self, unit: Unit) -> None:
        """Drop the trees of a unit's files."""
        for path in (*unit.paths, *unit.nets):
            self.forget(path)

    def forget_all(self) -> None:
        """Drop the trees of all files."""
        self._files.clear()

    def release(self, unit: Unit, settings: Settings) -> Files:
        """Return a store of a unit's files, and those they refer to, for a separate check; their trees move to it."""
        files = files_of(settings, self.schema)
        files.settled = self.settled
        files.roots = self.roots
        files.with_verdicts = self.with_verdicts
        files.tries_guesses = self.tries_guesses
        files.results = self.results
        files.simulated = self.simulated
        files._named = {os.path.realpath(path): path for path in (*unit.paths, *unit.nets)}
        files.given = self.given
        files.only = self.only
        files.contested = self.contested
        files.before = self.before
        for path in (*unit.paths, *unit.nets):
            files.sources[path] = self.sources[path]
            if path in self._files and os.path.realpath(path) not in self.settled:
                files._files[path] = self._files.pop(path).read_as(files.schema, files._dialect_of(path))
        return files


def files_of(settings: Settings, schema: Schema) -> Files:
    """Return a store of files that are read as settings say: with the layer types that they describe, and their dialects."""
    if types := layer_types(settings):
        from ..layers.custom import schema_with  # keeps what describes layer types out of the start

        schema = schema_with(schema, types)
    return Files(schema, settings.dialect, settings)


def round_of(file: SourceFile, changes: PathChanges = ()) -> Round:
    """Return a round of changes to a file."""
    problems = (*file.tree.problems, *file.bound.problems)
    as_written = not any(problem.repair and problem.kind != "unknown-layer-type" for problem in problems)
    return Round(file.source, file.message.type.name, changes, as_written, file.asked_dialect)


def nets_for(files: Files, settings: Settings, *, level: int = 0, stages: tuple[str, ...] = ()) -> Nets:
    """Return an object that builds nets from files by the settings, for a level and stages.

    Of the data, it knows the facts that apply to each net's own file, and of other sources those of the settings.
    """

    def facts_for(path: str) -> DataFacts:
        own: DataFacts = settings.of(path).facts
        return own if own is settings.facts else {**settings.facts, **own}

    return files.keep(
        Nets(
            files.get,
            settings.caffe_version,
            files.given,
            deploy=settings.deploy,
            input_shapes=settings.input_shapes,
            layers=settings.layers.values(),
            facts_for=facts_for,
            weights=StatedOrigin(
                settings.from_scratch,
                settings.weights,
                settings.gpus,
                files.reads_weights or settings.simulate,
                _read_weights,
                _read_shapes,
            ),
            level=level,
            stages=stages,
            simulate=_simulation(settings, files.results, files.simulated) if settings.simulate else None,
        )
    )


def _nothing() -> None:
    pass


def _simulation(settings: Settings, folder: str | None, told: Callable[[], None]) -> Simulate:
    from .simulations import simulation_of  # only if simulations are asked for

    return simulation_of(settings, folder, told)


def _read_weights(path: str) -> TrainedWeights:
    from ..data.caffemodel import read_weights  # only if the user gave a file of weights

    return read_weights(path)


def _read_shapes(path: str) -> TrainedWeights:
    from ..data.caffemodel import read_shapes  # only if weights are loaded

    return read_shapes(path)
