"""What rules check: solvers, nets in a phase, and jobs, which are a solver with the nets that it would build."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from copy import copy
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ..proto.binder import Message
from ..proto.named_tuple import NamedTuple
from ..proto.upgrade import Upgraded, upgrade, upgrade_solver
from ..source.files import NetReference, NotPrototxt, SourceFile, net_references, run_folder
from ..source.opener import Unreadable
from .beside import deploy_beside, training_beside
from .build import build
from .net import Net
from .phases import TEST, NetState, file_state, phases_of, solver_state
from .weights_origin import FILLERS, LOADED, StatedOrigin, WeightsOrigin, origin_of

if TYPE_CHECKING:
    from ..layers.custom import Description  # keeps what describes layer types out of the start
    from ..moments.layer_type import LayerType
    from .data_facts import DataFacts
    from .trained_weights import TrainedWeights

# Trains a job for some steps in the memory, and says what became of it; what it gives is `stability.verdict.simulated.Simulated`.
Simulate = Callable[["Job", Any], Any]


class NetInPhase(NamedTuple):
    """A net as Caffe would build it, and the file that contains it: the solver's file for an inline net.

    `jobs` are the jobs of this run that train it, `used_by` all those that it belongs to: for training, for tests, or as the deploy
    net.
    """

    file: SourceFile
    net: Net
    caffe_version: str | None
    jobs: list[Job]
    used_by: list[Job]

    @property
    def phase(self) -> str:
        """`TRAIN` or `TEST`."""
        return self.net.phase

    @property
    def weights_loaded(self) -> bool:
        """Whether trained weights are loaded into it, as its solver, a script or the user says."""
        return any(job.origin.is_stated and job.origin.kind == LOADED for job in self.jobs)

    @property
    def weights_from_fillers(self) -> bool:
        """Whether no trained weights are loaded into it, as scripts or the user say."""
        return bool(self.jobs) and all(job.origin.is_stated and job.origin.kind == FILLERS for job in self.jobs)


class SolverFile:
    """A solver: its file, its message in the current format, and the Caffe version it is checked for (None: not given)."""

    def __init__(self, file: SourceFile, caffe_version: str | None = None) -> None:
        self.file = file
        self.caffe_version = caffe_version

    @cached_property
    def upgraded(self) -> Upgraded:
        """The message in the current format, and the problems of the upgrade."""
        return upgrade_solver(self.file.message)

    @property
    def message(self) -> Message:
        """The solver's message in the current format."""
        return self.upgraded.message


_NOTHING: Mapping[str, Unreadable] = {}


class Job:
    """A solver with the nets that it would build: one for training, any number for testing.

    `references` say how its paths are resolved; `files` are the files of the nets, templates included. `train` is None if the
    net is not found, or if the solver names several and Caffe would stop. `deploy` is the deploy net for its weights, which the
    solver does not name; `deploy_is_named` says whether the user named it. `train_beside` is the training net beside a `train`
    whose file is called a test net. `given` are paths of files that are known although they are not on disk. `unread` says why
    files of nets could not be read, or hold nothing, by path. `simulate` simulates the training if that was asked for, and
    `with_files` is the same job with other texts of its files, which are given by path.
    """

    def __init__(
        self, solver: SolverFile, given: Container[str], stated: StatedOrigin, unread: Mapping[str, Unreadable] = _NOTHING
    ) -> None:
        self.solver = solver
        self.simulate: Simulate | None = None
        self.with_files: Callable[[Mapping[str, SourceFile]], Job] = lambda files: self
        self.given = given
        self._stated = stated
        self.unread = unread
        self.references: list[NetReference] = []
        self.files: list[SourceFile] = []
        self.train: NetInPhase | None = None
        self.tests: list[NetInPhase] = []
        self.deploy: NetInPhase | None = None
        self.deploy_is_named = False
        self.train_beside: NetInPhase | None = None

    @property
    def nets(self) -> list[NetInPhase]:
        """All nets, the training net first."""
        return ([self.train] if self.train else []) + self.tests

    @property
    def run_folder(self) -> str | None:
        """The folder in which Caffe is run, as the solver's net paths show it; None if they do not."""
        return run_folder(self.references, self.solver.file.path, self.given)

    @property
    def has_guessed_net(self) -> bool:
        """Whether the file of its training net is a guess."""
        path = self.train.file.path if self.train is not None else None
        return any(reference.is_guess and reference.path == path for reference in self.references)

    @property
    def tests_of_run(self) -> list[NetInPhase]:
        """The test nets that one run of Caffe certainly reads together with the training net; others may be those of another model."""
        return [test for test in self.tests if self.train is not None and self._has_one_run_folder(self.train, test)]

    def _has_one_run_folder(self, first: NetInPhase, second: NetInPhase) -> bool:
        """Whether two of its nets are certainly those that one run of Caffe reads.

        They are in one file, in the solver itself, or their paths as written lead to them from the same folder. Of paths of
        another machine, both must have been in one folder there, as the files are here.
        """
        paths = {first.file.path, second.file.path} - {self.solver.file.path}
        if len(paths) < 2:
            return True
        one, other = ([named for named in self.references if named.path == path] for path in paths)
        return any(_are_together(a, b) for a in one for b in other)

    @cached_property
    def origin(self) -> WeightsOrigin:
        """Where the initial weights come from, and the number of GPUs. Computed when first asked for; see `origin_of`."""
        return origin_of(self.solver.file, self.train.net if self.train is not None else None, self._stated)

    @cached_property
    def loaded_shapes(self) -> TrainedWeights | None:
        """The shapes of the weights that are loaded; None if none are, or their file is not known. Raises InputError."""
        files = self._stated.weights or self.origin.named
        return self._stated.read_shapes(files) if files and self._stated.read_shapes is not None else None


def _are_together(one: NetReference, other: NetReference) -> bool:
    if one.base is not None or other.base is not None or one.path is None or other.path is None:
        return one.base == other.base
    folders = {(os.path.dirname(named.written), os.path.dirname(named.path)) for named in (one, other) if named.path}
    return len(folders) == 1


class _NetSource(NamedTuple):
    """A net before it is built: the file that contains it, and its message."""

    file: SourceFile
    message: Message
    inline: bool


_NOTHING_STATED = StatedOrigin()


class Nets:
    """The nets of a run of checks, each built once for each state, however many solvers use it.

    `input_shapes` are those of `net.build`, `layers` the layer types that the configuration describes, `weights` what the user said
    of initial weights, and `deploy` the path of the deploy net. `facts_for` gives what is known of the data of a net by the path of
    its file. `level` and `stages` are those of the command line of `caffe train`. `simulate` is what
    simulates the trainings of jobs.
    """

    def __init__(
        self,
        open_file: Callable[[str], SourceFile],
        caffe_version: str | None,
        given: Container[str] = (),
        *,
        input_shapes: Mapping[str, tuple[int, ...]] | None = None,
        deploy: str | None = None,
        layers: Collection[Description] = (),
        facts_for: Callable[[str], DataFacts] | None = None,
        weights: StatedOrigin = _NOTHING_STATED,
        level: int = 0,
        stages: tuple[str, ...] = (),
        simulate: Simulate | None = None,
    ) -> None:
        self._open = open_file
        self._simulate = simulate
        self._given = given
        self._caffe_version = caffe_version
        self._deploy_path = deploy
        self._input_shapes = input_shapes
        self._described = _described(layers)
        self._facts_for = facts_for
        self._weights = weights
        self._level = level
        self._stages = stages
        self._unread: dict[str, Unreadable] = {}
        self._upgraded: dict[int, Upgraded] = {}
        self._built: dict[tuple[int, NetState, str], NetInPhase] = {}

    def job(self, solver: SolverFile, root: str | None) -> Job:
        """The job of a solver, with the nets built as that solver would (Solver::InitTrainNet, InitTestNets).

        `root` limits the search for nets that are not found at the written path.
        """
        job = Job(solver, self._given, self._weights, self._unread)
        job.simulate = self._simulate
        job.with_files = partial(self._with_files, solver, root)
        message = solver.message
        named: dict[str, list[_NetSource | None]] = {"net": [], "train_net": [], "test_net": []}
        for reference in net_references(message, solver.file.path, root, self._given):
            file = self._net_file(reference)
            job.references.append(reference if file is None else reference._replace(path=file.path))
            if file is not None and file not in job.files:
                job.files.append(file)
            is_net = file is not None and file.kind == "net"
            named[reference.field].append(_NetSource(file, file.message, inline=False) if file and is_net else None)
        inline: dict[str, list[_NetSource | None]] = {
            name: [_NetSource(solver.file, entry[0], inline=True) for entry in message.entries.get(name, ())]
            for name in ("net_param", "train_net_param", "test_net_param")
        }
        shared = [*inline["net_param"], *named["net"]]
        training = [*shared, *inline["train_net_param"], *named["train_net"]]
        if len(training) == 1 and training[0] is not None:
            job.train = self._net(
                training[0], partial(solver_state, message, level=self._level, stages=self._stages)
            )
            job.train.jobs.append(job)
            if not training[0].inline:
                job.deploy = self._deploy(job.train)
                job.deploy_is_named = self._deploy_path is not None
                state = partial(solver_state, message, level=self._level, stages=self._stages)
                job.train_beside = self._beside(training_beside(job.train.file.path, self._given), state)
        testing = [*inline["test_net_param"], *named["test_net"]]
        generic = max(0, len(message["test_iter"]) - len(testing)) if shared else 0
        for index, source in enumerate(testing + shared[:1] * generic):
            if source is not None:
                job.tests.append(
                    self._net(
                        source,
                        partial(solver_state, message, test=index, level=self._level, stages=self._stages),
                        job.train,
                    )
                )
        for net in {id(net): net for net in (*job.nets, job.deploy) if net is not None}.values():
            net.used_by.append(job)
        return job

    def _with_files(self, solver: SolverFile, root: str | None, files: Mapping[str, SourceFile]) -> Job:
        """The job of a solver with other texts of some files, by the paths of those that they replace."""

        def open_file(path: str) -> SourceFile:
            file = self._open(path)
            return files.get(file.path, file)

        others = copy(self)
        others._open = open_file
        others._unread, others._upgraded, others._built = {}, {}, {}
        return others.job(SolverFile(files.get(solver.file.path, solver.file), solver.caffe_version), root)

    def alone(self, file: SourceFile, phases: Iterable[str] = ()) -> list[NetInPhase]:
        """A net without a known solver, in the given phases, or else in those that its file is made for."""
        source = _NetSource(file, file.message, inline=False)
        phases = phases or phases_of(self._upgrade(source).message)
        return [
            self._net(source, partial(file_state, phase=phase, level=self._level, stages=self._stages))
            for phase in phases
        ]

    def _deploy(self, train: NetInPhase) -> NetInPhase | None:
        """The deploy net that the user named, else the one beside the training net, if there is one."""
        path = self._deploy_path or deploy_beside(train.file.path, self._given)
        return self._beside(path, partial(file_state, phase=TEST), train)

    def _beside(
        self, path: str | None, state: Callable[[Message], NetState], train: NetInPhase | None = None
    ) -> NetInPhase | None:
        """The net of a file that no solver names, None if there is none."""
        if path is None:
            return None
        try:
            file = self._open(path)
        except Unreadable:
            return None
        return self._net(_NetSource(file, file.message, inline=False), state, train) if file.kind == "net" else None

    def _net_file(self, reference: NetReference) -> SourceFile | None:
        if reference.path is None:
            return None
        try:
            file = self._open(reference.path)
        except Unreadable as error:
            self._unread[reference.path] = error
            return None
        if not file.source.strip():
            advice = "and Caffe stops at the first iteration of a net without layers"
            self._unread[reference.path] = NotPrototxt(file.path, "empty", advice)
        _ = file.tree  # which is read anyway, and tells the kind as well as what looks at the beginning of a text would
        return file if file.kind in ("net", "template") else None

    def take_apart(self) -> None:
        """Drop all nets and their jobs, once nobody looks at them any more; see `Net.take_apart`."""
        for built in self._built.values():
            built.jobs.clear()
            built.used_by.clear()
            built.net.take_apart()
        self._built.clear()

    def _upgrade(self, source: _NetSource) -> Upgraded:
        key = id(source.message)
        if key not in self._upgraded:
            # Caffe uses an inline net as written, without upgrading it (solver.cpp, InitTrainNet).
            self._upgraded[key] = (
                Upgraded(source.message) if source.inline else upgrade(source.message, source.file.schema)
            )
        return self._upgraded[key]

    def _net(
        self, source: _NetSource, state_of: Callable[[Message], NetState], train: NetInPhase | None = None
    ) -> NetInPhase:
        """A net in the state that `state_of` gives for it, for the Caffe of its training net if that is known to read it."""
        upgraded = self._upgrade(source)
        state = state_of(upgraded.message)
        dialect = source.file.bound.dialect
        if train is not None and all(train.net.dialect in use.dialects for use in source.file.bound.uses):
            dialect = train.net.dialect
        key = (id(source.message), state, dialect)
        if key not in self._built:
            net = build(
                upgraded,
                state,
                dialect=dialect,
                input_shapes=self._input_shapes,
                described=self._described,
                facts=self._facts_for(source.file.path) if self._facts_for is not None else None,
            )
            self._built[key] = NetInPhase(source.file, net, self._caffe_version, [], [])
        return self._built[key]


def _described(layers: Collection[Description]) -> dict[str, LayerType]:
    if not layers:
        return {}  # most runs: nothing needs to be loaded to read descriptions
    from ..layers.custom import described_types  # keeps what describes layer types out of the start

    return described_types(layers)
