"""The texts of an editor and the files around them: which belong together, what is found in them, and the nets that they build.

What was read is kept as long as its text is the same, so that a key press costs one file, not all. The process that talks to the
editor has one of these, and so has the one that simulates trainings (`judge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from ..api import InputError, Session, Stability, stability_of_job
from ..fixes.edit import Fix
from ..proto.named_tuple import NamedTuple
from ..proto.schema import caffe_schema
from ..rule.finding import Finding
from ..settings.in_force import CommandLine
from ..source.disk_caches import forget_disk
from ..source.files import SourceFile, net_references, read_source, refuse_others, shown
from ..source.opener import Unreadable, real_path
from ..source.solver_index import mentions_of

if TYPE_CHECKING:
    from ..engine.checking import Checked, Runner
    from ..engine.running import Kept
    from ..net.job import Job, NetInPhase

MOST_SOLVERS = 16  # that name a net, and are checked with it while it is edited
KEPT_BYTES = 20_000_000  # of the texts whose trees are kept
KEPT_VIEWS = 4
LARGE = 1_000_000  # bytes from which a text is not read while it is typed, but only in the process of its own
ON_STABILITY = "G"  # the family of rules that need a simulation


class View(NamedTuple):
    """The jobs that a file belongs to, and their nets, deploy nets included; for a net alone, its phases."""

    jobs: tuple[Job, ...]
    nets: tuple[NetInPhase, ...]

    def of(self, path: str) -> Iterator[NetInPhase]:
        """Yield the nets that a file holds."""
        return (net for net in self.nets if net.file.path == path)

    @property
    def files(self) -> list[SourceFile]:
        """The files of the jobs, each once."""
        found = [job.solver.file for job in self.jobs] + [net.file for net in self.nets]
        found += [file for job in self.jobs for file in job.files]
        return list({file.path: file for file in found}.values())


class Found(NamedTuple):
    """What a check found, by path, in files whose texts are `texts`; a file without findings is there as well."""

    findings: Mapping[str, tuple[Finding, ...]]
    texts: Mapping[str, bytes]


class Project:
    """The texts of an editor by path, over the files on disk. `asked` are the settings that the editor gives."""

    def __init__(self, asked: CommandLine) -> None:
        self.asked = asked
        self.texts: dict[str, bytes] = {}
        self._kept: dict[str, SourceFile] = {}  # the longest unused first
        self._views: dict[str, tuple[tuple[int, ...], View]] = {}
        self._sessions: dict[bool, Session] = {}

    def forget(self) -> None:
        """Forget what was read of the disk: files may have changed."""
        forget_disk()
        self._sessions.clear()
        self._views.clear()
        self._kept = {path: file for path, file in self._kept.items() if path in self.texts}

    def session(self, *, with_stability: bool = True) -> Session:
        """Return the settings for each path, with or without the rules that simulate trainings."""
        if with_stability not in self._sessions:
            ignore = self.asked.ignore if with_stability else (*self.asked.ignore, ON_STABILITY)
            self._sessions[with_stability] = Session(self.asked._replace(ignore=ignore))
        return self._sessions[with_stability]

    def file(self, path: str) -> SourceFile:
        """Return the file at a path as the editor or the disk has it. Raises Unreadable and ConfigError."""
        known = self._kept.pop(path, None)
        source = self.texts.get(path)
        if source is None:
            source = known.source if known is not None else read_source(path)
        dialect = self.session().settings.of(path).dialect
        if known is None or known.source != source or known.asked_dialect != dialect:
            known = SourceFile(path, source, caffe_schema(), dialect)
        self._kept[path] = known
        total = sum(len(file.source) for file in self._kept.values())
        for oldest in [other for other in self._kept if other != path]:
            if total <= KEPT_BYTES:
                break
            total -= len(self._kept.pop(oldest).source)
        return known

    def together(self, path: str) -> tuple[str, ...]:
        """Return the paths that are checked with one: the solvers of its nets, or else itself, then itself."""
        file = self.file(path)
        if file.kind == "solver":
            nets = list(self._nets_of(file))
            solvers = [path]
        else:
            nets, solvers = [path], []
        for net in nets:
            candidates = [*self.texts, *mentions_of(net).paths]
            solvers += [other for other in map(shown, candidates) if other != path and self._names(other, net)]
        found = tuple(islice(dict.fromkeys(solvers), MOST_SOLVERS))
        return found if path in found else (*found, path)

    def _nets_of(self, solver: SourceFile) -> Iterator[str]:
        for reference in net_references(solver.message, solver.path, None, self.texts):
            if reference.path is not None:
                yield reference.path

    def _names(self, path: str, net: str) -> bool:
        if len(self.texts.get(path, b"")) > LARGE:  # no solver
            return False
        try:
            file = self.file(path)
        except Unreadable:
            return False
        return file.kind == "solver" and real_path(net) in map(real_path, self._nets_of(file))

    def view(self, path: str) -> View:
        """Return the jobs and nets of a file, built once for each text. Raises InputError."""
        paths = self.together(path)
        session = self.session()
        files = session.files(paths, self.texts, before=self._kept)
        for each in paths:
            self.file(each)  # keeps their trees
        key = tuple(id(self._kept[each]) for each in self._kept)
        known = self._views.pop(path, None)
        if known is None or known[0] != key:
            jobs: list[Job] = []
            nets: list[NetInPhase] = []
            for each in paths:
                if files.get(each).kind not in ("solver", "net") or any(net.file.path == each for net in nets):
                    continue
                opened = session.nets_among(each, files)
                nets += opened.nets
                if opened.job is not None:
                    jobs.append(opened.job)
                    nets += filter(None, (opened.job.deploy,))
            for built in nets:
                if built.file.path not in self.texts:
                    self._kept.setdefault(built.file.path, built.file)
            known = tuple(id(self._kept[each]) for each in self._kept), View(tuple(jobs), tuple(nets))
        self._views[path] = known
        while len(self._views) > KEPT_VIEWS:
            del self._views[next(iter(self._views))]
        return known[1]

    def check(self, path: str, *, with_stability: bool) -> Found:
        """Check a file with those that belong to it. Raises InputError, NotPrototxt if it is no text."""
        refuse_others(path, self.texts.get(path, b""))
        kept: list[Kept] = []
        session = self.session(with_stability=with_stability)
        found = self._found(self._checked(self.together(path), session, session.keeping_files(kept)))
        for each in kept:
            each.files.take_nets_apart()
        return found

    def check_folders(self, folders: Iterable[str]) -> Found:
        """Check all solvers and nets below folders, and all texts of the editor. Raises InputError."""
        session = self.session()
        found = self._found(self._checked((*folders, *self.texts), session, session.run))
        bare = {
            path: tuple(finding._replace(fix=None) for finding in listed) for path, listed in found.findings.items()
        }
        return found._replace(findings=bare)

    def _checked(self, paths: tuple[str, ...], session: Session, runner: Runner, *, only: str | None = None) -> Checked:
        """Check files, and fix them for the text of `only` one."""
        for path in self.texts:
            self.file(path)  # keeps their trees
        files = session.files(paths, self.texts, before=self._kept)
        files.with_verdicts = False
        files.only = only
        files.tries_guesses = only is not None  # else a fix is tried when it is offered: see `verified`
        return session.check(paths, files, runner)

    def _found(self, checked: Checked) -> Found:
        by_path: dict[str, list[Finding]] = {path: [] for path in checked.sources}
        for finding in checked.findings:
            by_path.setdefault(finding.place.path, []).append(finding)
        return Found(
            {path: tuple(findings) for path, findings in by_path.items()},
            checked.sources,
        )

    def fixed(self, path: str, *, unsafe: bool = False, select: tuple[str, ...] = ()) -> bytes | None:
        """Return the text of a file after its fixes, or those of some rules only; None if there is nothing to fix.

        It is verified by protobuf's own parser, as `--fix` does it. Raises InputError, also if the patch is refused.
        """
        before = self.asked
        if select:
            self.asked = before._replace(select=select, extend_select=())
            self._sessions.clear()
        try:
            session = self.session(with_stability=not select)
            runner = partial(session.run, patch="unsafe" if unsafe else "safe")
            checked = self._checked(self.together(path), session, runner, only=path)
        finally:
            if select:
                self.asked = before
                self._sessions.clear()
        patched = {name: text for name, text in checked.patched.items() if name == path}
        if not patched:
            return None
        allowed, refused = session.verified(patched, checked.rounds)
        if refused:
            raise InputError(refused[0])
        return allowed[path]

    def verified(self, fix: Fix) -> bool:
        """Whether the fix of a finding changes what it says and nothing else. Raises Unreadable."""
        return self.session().is_sound(self.file(fix.path), fix)

    def stability(self, path: str) -> Stability | None:
        """Return what is predicted of the training of a solver, or of a net that a solver names; None without a job."""
        job = next((job for job in self.view(path).jobs if job.train is not None), None)
        if job is None:
            return None
        found = stability_of_job(job)  # with dictionaries, which can be sent to another process
        return found._replace(sizes=dict(found.sizes), gradients=dict(found.gradients), updates=dict(found.updates))
