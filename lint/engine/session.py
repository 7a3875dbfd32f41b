"""A run: the settings of each path, the schema that files are read with, and what is done with files by these.

Everything starts here: the functions of `caffe_lint.api`, the commands and the language server. Results have the trees, jobs and nets
in them; the functions of `caffe_lint.api` turn them into frozen ones.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..net.phases import TRAIN
from ..proto.named_tuple import NamedTuple
from ..proto.schema import Schema, caffe_schema
from ..settings.in_force import CommandLine
from ..source.errors import InputError, message_of
from ..source.files import SourceFile, read_source
from ..source.places import Place, place_of
from ..source.write_roots import write_roots
from .checking import Checked, Runner, check_paths
from .configuring import settings_of_paths
from .files_in_memory import Files, files_of, nets_for, round_of
from .running import FEW, Kept, Listener, Work, keeping, run_units

if TYPE_CHECKING:
    from ..data.probe_files import Probe
    from ..fixes.changes import Round
    from ..fixes.edit import Fix
    from ..net.data_facts import DataFacts
    from ..net.job import Job
    from ..rule.finding import Finding
    from ..simulation.outcome import Outcome
    from ..simulation.simulating import Plan
    from ..solver.rate_course import Schedule
    from ..stability.advice.prediction import Prediction
    from ..training_log.causes import Diagnosed
    from ..training_log.following import Sign
    from ..training_log.runs import Run
    from .baseline import Baseline
    from .cache import Cache
    from .data_check import DataChecked, Reports
    from .diagnosis import Judged
    from .log_fixing import LogRepair
    from .opening import Opened, Problem
    from .units import UnitResult
    from .writing import Written

Texts = Mapping[str, bytes]
NOTHING_ASKED = CommandLine()
NO_TEXTS: Texts = {}
NO_FILES: Mapping[str, SourceFile] = {}


class Keeping(NamedTuple):
    """That results are kept for later runs, in a folder: the one that the user named, or, if it is None, the user's own."""

    named: str | None = None

    def folder(self) -> str | None:
        """Return the folder; None if the user has none."""
        from .cache_folder import users_folder  # only if something is kept

        folder = self.named or users_folder()
        return None if folder is None else os.path.abspath(folder)


class Suppressed(NamedTuple):
    """The new texts of files with comments that suppress findings, the rounds that led to them, and the findings that are left."""

    texts: dict[str, bytes]
    rounds: Mapping[str, tuple[Round, ...]]
    left: list[Finding]


class Simulation(NamedTuple):
    """What became of a simulated training, how it was simulated, and its log as Caffe would print it; empty if nothing was run."""

    outcome: Outcome
    plan: Plan
    log: str


class Session:
    """What was asked for, the settings of each path that follow from it, and what can be done by them.

    `proto` is the caffe.proto of the user; without it, files are read with ours. Without `keeping`, no result is kept for later
    runs. All methods raise InputError for what cannot be used.
    """

    __slots__ = ("asked", "keeping", "settings")

    def __init__(
        self, asked: CommandLine = NOTHING_ASKED, proto: str | None = None, *, keeping: Keeping | None = None
    ) -> None:
        self.asked = asked
        self.settings = settings_of_paths(asked, _schema(proto))
        self.keeping = keeping

    @property
    def schema(self) -> Schema:
        """The schema that files are read with."""
        return self.settings.schema

    # -- checks ------------------------------------------------------------------------------------

    def files(
        self,
        paths: Sequence[str],
        texts: Texts = NO_TEXTS,
        *,
        named: Iterable[str] | None = None,
        before: Mapping[str, SourceFile] = NO_FILES,
    ) -> Files:
        """Return the files of a check of paths, with texts that replace those on disk.

        Files may be changed only where the `named` paths allow it: without them, those of `paths` that are on disk. Trees of
        `before`, files that were read for another check, are used if their texts are the same.
        """
        files = Files(self.schema, self.settings.of(paths[0] if paths else ".").dialect)
        allowing = (path for path in paths if os.path.lexists(path)) if named is None else named
        files.roots = write_roots((*allowing, self.asked.deploy))
        files.before = before
        for path, text in texts.items():
            files.add(path, text)
        if self.asked.deploy:
            self._require_net(self.asked.deploy)
        return files

    def _require_net(self, path: str) -> None:
        deploy = SourceFile(path, read_source(path), self.schema, None)
        if deploy.kind != "net":
            what = {"solver": "a solver", "template": "a template"}.get(
                deploy.kind, "another file" if deploy.source.strip() else "empty"
            )
            raise InputError(f"--deploy {path}: expected a net, but this file is {what}")

    def solvers_naming(self, paths: tuple[str, ...], files: Files) -> tuple[list[str], list[str]]:
        """Return the solvers that name the nets among some paths, and sentences on what was not searched."""
        from .companions import solvers_naming  # with --with-solvers only

        return solvers_naming(paths, files, self.settings.excluded)

    def check(self, paths: tuple[str, ...], files: Files, run: Runner | None = None) -> Checked:
        """Check files, and the solvers and nets in folders.

        `run` runs units, each with its settings; without it, they are checked one after another.
        """

        def running(work: Work, files: Files) -> list[UnitResult]:
            if self.keeping is not None and any(settings.simulate for _, settings in work):
                files.results = self.keeping.folder()
            return (run or self.run)(work, files)

        checked = check_paths(paths, files, self.settings, running)
        checked.notes.extend(self._without_effect(checked))
        return checked

    def _without_effect(self, checked: Checked) -> Iterator[str]:
        """Yield a sentence for each input shape of the command line whose top stands in no file of a check."""
        for top, _ in self.asked.input_shape:
            named = re.compile(rb"[\"']%s[\"']" % re.escape(top.encode("utf-8", "surrogateescape")))
            if top != "*" and checked.units and not any(map(named.search, checked.texts.values())):
                yield f"--input-shape: no file of this check names '{top}'"

    def run(
        self,
        work: Work,
        files: Files,
        *,
        patch: str = "",
        jobs: int | None = 1,
        progress: Callable[[int], None] = lambda done: None,
        result: Callable[[int, UnitResult], None] = lambda number, result: None,
    ) -> list[UnitResult]:
        """Check units in `jobs` processes, and patch them in memory if `patch` is `safe` or `unsafe`: see `run_units`.

        `progress` is called with the number of units that are done, and `result` with each final result.
        """
        cache = self._cache(work, files) if not patch else None
        return run_units(work, files, patch, jobs, cache=cache, listener=Listener(progress, result))

    def keeping_files(self, kept: list[Kept]) -> Runner:
        """Return what runs units in this process, and keeps each with its files, in which its jobs and nets are."""
        return keeping(kept)

    def _cache(self, work: Work, files: Files) -> Cache | None:
        """The cache for a check, if one is kept; none for a few files in the user's own folder, which cost less than it."""
        if self.keeping is None or (self.keeping.named is None and len(work) <= FEW):
            return None
        from .cache import Cache, is_usable  # only for checks of many files

        folder = self.keeping.folder()
        return Cache(folder) if folder is not None and is_usable(files) else None

    def suppressed(self, checked: Checked, findings: Iterable[Finding]) -> Suppressed:
        """Write comments that suppress findings of a check into the texts of its files."""
        from .ignoring import suppress_all  # keeps --add-ignore out of the start

        def as_file(path: str, source: bytes) -> SourceFile:
            return SourceFile(path, source, self.schema, self.settings.of(path).dialect)

        texts, left = suppress_all(findings, checked.sources, as_file)
        rounds = {path: (round_of(as_file(path, checked.sources[path])),) for path in texts}
        return Suppressed(texts, rounds, left)

    def record(self, checked: Checked, path: str) -> Baseline:
        """Write what a check found into a baseline."""
        from .baseline import record  # keeps json out of the start

        return record(path, checked.findings, checked.sources, (result.comparison for result in checked.results))

    def settled(self, checked: Checked) -> Iterator[tuple[Baseline, list[tuple[str, str, str]]]]:
        """Yield each baseline that knows more than a check found, with what it knows too much."""
        comparisons = [result.comparison for result in checked.results if result.comparison is not None]
        if not comparisons:
            return
        from .baseline import joined, stale  # keeps json out of the start

        comparison = joined(comparisons)
        for baseline in self.settings.baselines:
            if gone := stale(baseline, comparison):
                yield baseline, gone

    # -- patches -----------------------------------------------------------------------------------

    def verified(self, patched: Texts, rounds: Mapping[str, Sequence[Round]]) -> tuple[dict[str, bytes], list[str]]:
        """Return the patched texts that protobuf's own parser lets pass, and a sentence for each one that it does not."""
        from ..fixes.bindings import verified  # protobuf, for what is written or shown

        return verified(patched, rounds, self.schema)

    def is_sound(self, file: SourceFile, fix: Fix) -> bool:
        """Whether a fix changes what it says and nothing else, as our own reader sees it."""
        from ..fixes.changes import FixRejected  # with what applies fixes: not for checks
        from .fixing import with_fixes  # as above

        try:
            with_fixes(file, [fix])
        except FixRejected:
            return False
        return True

    def write(
        self, patched: Texts, sources: Texts, roots: Iterable[str], folder: str | None = None, base: str | None = None
    ) -> Written:
        """Write patched files where the roots allow it, or copies of them to a folder, by name or by path relative to `base`."""
        from .writing import write_copies, write_patched  # keeps what writes files out of the start

        return write_copies(patched, folder, base) if folder else write_patched(patched, sources, roots)

    # -- single files ------------------------------------------------------------------------------

    def open(self, path: str, texts: Texts = NO_TEXTS) -> tuple[SourceFile, Files]:
        """Return a file, and the files around it as its settings say they are read."""
        files = files_of(self.settings.of(path), self.schema)
        files.roots = write_roots([path])
        for name, text in texts.items():
            files.add(name, text)
        return files.get(path), files

    def open_solver(self, path: str, texts: Texts = NO_TEXTS) -> tuple[SourceFile, Files]:
        """Return a solver, and the files around it."""
        file, files = self.open(path, texts)
        if file.kind != "solver":
            raise InputError(
                f"{path}: {f'a template: {file.why_not_fixed}' if file.kind == 'template' else 'not a solver'}"
            )
        return file, files

    def job(self, path: str, texts: Texts = NO_TEXTS) -> tuple[Job, Files]:
        """Return a solver with its nets, and the files around it."""
        from ..net.job import SolverFile  # with the readers of nets: not for every call

        file, files = self.open_solver(path, texts)
        settings = self.settings.of(path)
        return nets_for(files, settings).job(SolverFile(file, settings.caffe_version), None), files

    def missing(self, job: Job) -> list[Problem]:
        """Return what is said of each net of a solver that cannot be read, and where."""
        from .opening import missing_nets  # with the readers of nets: not for every call

        return list(missing_nets(job))

    def nets(
        self,
        path: str,
        texts: Texts = NO_TEXTS,
        *,
        facts: DataFacts | None = None,
        phase: str | None = None,
        level: int = 0,
        stages: tuple[str, ...] = (),
    ) -> Opened:
        """Return a solver or a net with its nets, those of a phase if that is given.

        With `facts`, nothing else is known of the data, whatever facts lie beside the file.
        """
        from .opening import require_nets, with_facts  # with the readers of nets: not for checks

        _, files = self.open(path, texts)
        if facts is not None:
            files.settings = with_facts(self.settings, path, facts)
        return require_nets(self.nets_among(path, files, phase=phase, level=level, stages=stages), phase)

    def nets_among(
        self,
        path: str,
        files: Files,
        *,
        phase: str | None = None,
        level: int = 0,
        stages: tuple[str, ...] = (),
    ) -> Opened:
        """Return a solver or a net with its nets, from files that are open; a solver may have none that can be read."""
        from .opening import nets_of  # with the readers of nets: not for checks

        settings = files.settings or self.settings.of(path)
        return nets_of(path, files, settings, phase=phase, level=level, stages=stages)

    def schedule(self, path: str, texts: Texts = NO_TEXTS, iterations: int | None = None) -> Schedule:
        """Return the learning rate of a solver over a run: of so many iterations, by default those that it says."""
        from ..solver.rate_course import schedule_of  # with what draws schedules: not for checks

        return schedule_of(path, self.open_solver(path, texts)[0].message, iterations)

    def training(self, path: str, texts: Texts = NO_TEXTS) -> Opened:
        """Return a solver with its training net. Raises Unreadable if it has none that can be read."""
        from .opening import require_nets  # with the readers of nets: not for checks

        _, files = self.open_solver(path, texts)
        files.reads_weights = True
        return require_nets(self.nets_among(path, files, phase=TRAIN), TRAIN)

    def refusals(self, opened: Opened) -> list[Finding]:
        """Return the errors at which Caffe refuses a solver or its nets, by the settings of their paths."""
        from .refusals import refusals_of  # with the rules: not for the start

        return refusals_of(opened)

    def prediction(self, opened: Opened, refusals: list[Finding]) -> Prediction:
        """Return what is predicted of the training of a solver, of which those are the refusals."""
        from ..stability.advice.prediction import Prediction, prediction_of  # keeps the signal models out of the start
        from .refusals import cannot_start  # as above

        assert opened.job is not None
        why = cannot_start(opened, refusals)
        return prediction_of(opened.job) if why is None else Prediction(why)

    def simulation(
        self,
        opened: Opened,
        refusals: list[Finding],
        *,
        steps: int,
        batch: int | None,
        data: str,
        seeds: int,
        budget: float,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Simulation:
        """Train the net of a solver for some steps, with `made` or `real` data: see `simulation.simulating.Plan`. Needs numpy.

        Nothing is run if there are `refusals`.
        """
        from .. import simulation  # noqa: F401  # says how many threads numpy may use, before it is loaded
        from ..data.libraries import library  # with what loads numpy: not for the start
        from ..data.locations import base_folder  # as above

        library("numpy", "simulating a training")
        from ..simulation.caffe_log import caffe_log  # loads numpy
        from ..simulation.outcome import unknown  # as above
        from ..simulation.simulating import Plan, simulate  # as above
        from .refusals import cannot_start  # with the rules: not for the start

        job, path = opened.job, opened.file.path
        assert job is not None
        base = base_folder(opened.sources(), path)
        plan = Plan(steps=steps, batch=batch, data=data, seeds=seeds, budget=budget, base=base)
        if (why := cannot_start(opened, refusals)) is not None:
            return Simulation(unknown(why), plan, "")
        outcome = simulate(job, plan, progress)
        return Simulation(outcome, plan, caffe_log(job, outcome.courses[0]) if outcome.courses else "")

    def probe(self, opened: Opened, facts: DataFacts, folder: str) -> Probe:
        """Return the files of a net and a solver that read all data once, to be written to a folder."""
        from .data_probe import probe_of  # with the templates of the probe

        return probe_of(opened, facts, folder)

    # -- data --------------------------------------------------------------------------------------

    def read_data(
        self, opened: Opened, *, sample: int | None, jobs: int, progress: Callable[[int, int], None]
    ) -> tuple[str, Reports]:
        """Read the sources of nets, or `sample` items of each. Return the folder that their paths begin in, and a report on each."""
        from .data_check import read_sources  # with the readers of data

        return read_sources(opened, sample=sample, jobs=jobs, progress=progress)

    def check_data(self, opened: Opened, base: str, reports: Reports, *, patch: str = "") -> DataChecked:
        """Check data that were read, and apply fixes in memory if `patch` is `safe` or `unsafe`."""
        from .data_check import check_data  # with the readers of data

        return check_data(opened, base, reports, patch=patch)

    def write_facts(self, path: str, opened: Opened, base: str, reports: Reports, date: str) -> int:
        """Write facts about data that were read on a date to a file. Return the number of sources."""
        from ..net.data_facts import write_facts  # keeps json out of the start
        from .data_check import facts_about  # with the readers of data

        facts = facts_about(opened, base, reports, date)
        write_facts(path, facts)
        return len(facts)

    # -- logs --------------------------------------------------------------------------------------

    def read_log(self, path: str) -> list[Run]:
        """Return the runs of a log, which may be gzipped; `-` is standard input."""
        from ..training_log.log_reader import read_log  # with the readers of logs: not for the start

        try:
            return read_log(path)
        except OSError as error:
            raise _unreadable(error, path) from None

    def follow_log(
        self,
        path: str,
        report: Callable[[Sign], None],
        *,
        pass_on: Callable[[bytes], None] | None,
        stop: Callable[[], bool],
    ) -> list[Run]:
        """Return the runs of a log that grows, once it ends or `stop` says so; `report` is called at signs of divergence."""
        from ..training_log.following import follow  # with the readers of logs: not for the start

        try:
            return follow(path, report, pass_on=pass_on, stop=stop)
        except OSError as error:
            raise _unreadable(error, path) from None

    def diagnosis(self, runs: list[Run], path: str, job: Job | None = None) -> Judged:
        """Return the causes of what went wrong in runs, by the settings of a path; `job` is the solver that they are of."""
        from .diagnosis import judge  # with the readers of logs: not for the start

        return judge(runs, self.settings.of(path), job)

    def unsuppressed(self, causes: list[Diagnosed], job: Job) -> list[Diagnosed]:
        """Return the causes that no comment in the solver and its nets suppresses."""
        from .log_fixing import is_suppressed  # with what repairs solvers: not for the start

        return [each for each in causes if not is_suppressed(each, job)]

    def places(self, causes: list[Diagnosed], job: Job) -> dict[int, tuple[Place, ...]]:
        """Return the places of causes in the solver and its nets, by their position in the list."""
        from .log_fixing import places_of  # with what repairs solvers: not for the start

        return {number: tuple(place_of(*there) for there in places_of(each, job)) for number, each in enumerate(causes)}

    def repair(
        self, runs: list[Run], causes: list[Diagnosed], job: Job, files: Files, *, applies: bool, settles: bool
    ) -> LogRepair:
        """Return the fixes of the most likely cause; `applies` them in memory, and `settles` whether they may be written."""
        from .log_fixing import repair_of  # with what repairs solvers: not for the start

        return repair_of(runs, causes, job, files, self.verified, applies=applies, settles=settles)


def _unreadable(error: OSError, path: str) -> Exception:
    """What is raised for a log that cannot be read; a closed pipe of our own stays what it is."""
    return error if isinstance(error, BrokenPipeError) else InputError(message_of(error, path))


def _schema(proto: str | None) -> Schema:
    """Return the schema to read by: ours, or one compiled from the caffe.proto of the user. Raises InputError."""
    if proto is None:
        return caffe_schema()
    from ..proto.compile import CompileError  # keeps what runs protoc out of the start
    from .user_schema import user_schema  # as above

    try:
        return user_schema(proto)
    except CompileError as error:
        raise InputError(f"--proto {proto}: {error}") from None
