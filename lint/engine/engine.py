"""Checking: which files belong together, which rules look at what, and the findings in order; and patching.

A run is made of units - a solver with the nets it names, or a net on its own - which know nothing of each other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..fixes.apply import FixRejected, edited, select, verify
from ..fixes.edit import Fix
from ..net.job import Job, NetInPhase, Nets, SolverFile
from ..proto.named_tuple import NamedTuple
from ..proto.schema import Schema
from ..rule.finding import Finding
from ..settings.settings import Settings
from ..source.files import SourceFile, Unreadable, find_files, net_references, read_source
from . import plugins
from .rules_on import RulesOfPaths

if TYPE_CHECKING:
    from ..rule.suppressions import Selector
    from .baseline import Comparison

# Rounds of applying fixes and checking again. Each round settles all fixes that do not touch each other.
MAX_ROUNDS = 100

# Turns of running units again because another one changed a file that they share.
MAX_TURNS = 10

# Of a folder, the trees of this many bytes of text are kept between finding out what a file is and checking it.
TREES_KEPT = 20_000_000


class Unit(NamedTuple):
    """Files that are checked together: solvers that share nets, or one net that no solver of this run names.

    `root` is the folder that was asked for, within which a solver's nets are searched. `nets` are those of the solvers'
    nets that were read already: the path that the check will ask for, and the one it was read by.
    """

    paths: tuple[str, ...]
    root: str | None
    nets: tuple[tuple[str, str], ...] = ()


class UnitResult(NamedTuple):
    """What came of a unit: findings that are left, how many fixes were applied, and the patched files' new bytes.

    `sources` are the bytes of the files that were checked, as read; `trouble` are sentences for people.
    """

    findings: list[Finding]
    applied: int
    patched: dict[str, bytes]
    sources: dict[str, bytes]
    trouble: list[str]
    comparison: Comparison | None = None  # with the baseline

    @property
    def checked(self) -> list[str]:
        """The paths of the files that were looked at."""
        return list(self.sources)


class Files:
    """The files of a run as the checks see them: read once, and replaced by their patched text where there is one.

    `dialect` is what they are held to, unless `settings` are there that know it for each file. `settled` are the texts
    that patched files have after other units, by where their paths lead: units that share a file go on from there.
    """

    def __init__(self, schema: Schema, dialect: str | None, settings: Settings | None = None) -> None:
        self.schema = schema
        self.dialect = dialect
        self.settings = settings
        self.sources: dict[str, bytes] = {}
        self.patched: dict[str, bytes] = {}
        self.given: set[str] = set()
        self.settled: dict[str, bytes] = {}
        self.comparison: Comparison | None = None  # what the last check made of the baseline
        self._files: dict[str, SourceFile] = {}

    def add(self, path: str, source: bytes) -> None:
        """Gives the bytes of a file that is not to be read from disk (standard input)."""
        self.sources[path] = source
        self.given.add(path)

    def get(self, path: str) -> SourceFile:
        """The file at a path. Raises Unreadable."""
        known = self._files.get(path)
        if known is None:
            if path not in self.sources:
                self.sources[path] = read_source(path)
            if self.settled and path not in self.patched and (real := os.path.realpath(path)) in self.settled:
                self.patched[path] = self.settled[real]
            source = self.patched.get(path, self.sources[path])
            known = self._files[path] = SourceFile(path, source, self.schema, self._dialect_of(path))
        return known

    def _dialect_of(self, path: str) -> str | None:
        return self.dialect if self.settings is None else self.settings.of(path).dialect

    def replace(self, path: str, source: bytes) -> None:
        """Sets the patched text of a file."""
        self.patched[path] = source
        del self._files[path]

    def settle(self, result: UnitResult) -> None:
        """Takes over what a unit made of its files, for the units that are still to come."""
        self.settled.update((os.path.realpath(path), source) for path, source in result.patched.items())

    def forget(self, path: str) -> None:
        """Drops the tree of a file; the text is parsed again when it is asked for."""
        self._files.pop(path, None)

    def forget_all(self) -> None:
        """The same for all files."""
        self._files.clear()

    def release(self, unit: Unit, settings: Settings) -> Files:
        """The files of a unit, and whatever they lead to, for a check of their own; their trees leave this store."""
        schema = self.schema
        if settings.layer_types():
            from ..layers.custom import schema_with

            schema = schema_with(schema, settings.layer_types())
        files = Files(schema, settings.dialect, settings)
        files.settled = self.settled
        for path in self.given:
            files.add(path, self.sources[path])
        for path, read_by in (*((path, path) for path in unit.paths), *unit.nets):
            files.sources[path] = self.sources[read_by]
            if read_by in self._files and not self.settled:
                files._files[path] = self._files.pop(read_by).read_as(path, schema, files._dialect_of(path))
        return files


def find_units(
    paths: Iterable[str],
    files: Files,
    trouble: list[str],
    notes: list[str],
    excluded: Callable[[str], bool] = lambda path: False,
) -> list[Unit]:
    """The units of what the user named: files, and folders in which solvers and nets are looked for.

    A file that is neither is passed over in a folder, as is one that is `excluded`, and a sentence in `notes` when
    named. What cannot be read is a sentence in `trouble`.
    """
    found_as: dict[str, _Found] = {}
    seen: set[str] = set()
    kept = 0
    for path in paths:
        if os.path.isdir(path):
            for found in find_files(os.path.normpath(path)):
                real = os.path.realpath(found)
                if real in seen or excluded(found):
                    continue
                with suppress(Unreadable):
                    kind = files.get(found).kind
                    if kind != "other":
                        found_as[found] = _Found(kind, os.path.abspath(path), real)
                        seen.add(real)
                        kept += len(files.sources[found])
                    if kind == "other" or kept > TREES_KEPT:
                        files.forget(found)
            continue
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        try:
            kind = files.get(path).kind
        except Unreadable as error:
            trouble.append(str(error))
            continue
        if kind != "other":
            found_as[path] = _Found(kind, None, real)
        elif files.get(path).source.strip():
            notes.append(f"{path}: neither a solver nor a net of Caffe, not checked")
        else:
            trouble.append(f"{path}: is empty")
    return _units(found_as, files)


class _Found(NamedTuple):
    """What was found under a path: a solver or a net, below which folder that was asked for, and where links lead."""

    kind: str
    root: str | None
    real: str


def _units(found_as: dict[str, _Found], files: Files) -> list[Unit]:
    """Solvers that name a common net go together; a net that none of them names is for itself."""
    together: dict[str, list[str]] = {}  # the paths of a unit, under each of its nets and its first solver
    read_by = {found.real: path for path, found in found_as.items()}
    nets: dict[str, list[tuple[str, str]]] = {}  # of each solver, as `Unit` has them
    for path, found in found_as.items():
        if found.kind != "solver":
            continue
        unit = [path]
        references = net_references(files.get(path).message, path, found.root, files.given)
        named = {reference.path: os.path.realpath(reference.path) for reference in references if reference.path}
        nets[path] = [(name, read_by[real]) for name, real in named.items() if real in read_by]
        for net in set(named.values()):
            other = together.get(net, unit)
            if other is not unit:
                unit = other + [mine for mine in unit if mine not in other]
                for key in [key for key, paths in together.items() if set(paths) & set(unit)]:
                    together[key] = unit
            together[net] = unit
        together[found.real] = unit
    units = [
        Unit(tuple(paths), found_as[paths[0]].root, tuple({net: None for path in paths for net in nets[path]}))
        for paths in {id(unit): unit for unit in together.values()}.values()
    ]
    units += [
        Unit((path,), found.root)
        for path, found in found_as.items()
        if found.kind != "solver" and found.real not in together
    ]
    return units


def check_unit(unit: Unit, files: Files, settings: Settings) -> list[Finding]:
    """The findings of one unit, each once, in the order of path, line, column and code.

    What a rule says of one place in several phases of a net is one mistake, also where the numbers differ, as batch
    sizes do: the worst of them stands for all, of equals the first.
    """
    found: dict[tuple[Any, ...], Finding] = {}
    used: dict[str, set[Selector]] = {}  # what suppressed something, by the path of its file
    on = RulesOfPaths(settings)
    subjects = list(_subjects(unit, files, settings))
    checked = [file for kind, file in subjects if kind == "file"]
    rules = on.by_subject(file.path for file in checked)
    for kind, subject in subjects:
        own = on.of(path_of_subject(kind, subject))
        for rule in rules.get(kind, ()):
            here: dict[tuple[Any, ...], int] = {}  # how many findings of this subject stand at a place
            for hit in rule.check(subject, **own.options(rule)):
                there = on.of(hit.file.path)
                suppressing = set(hit.file.suppressing(rule.code, hit.span[0]))
                if suppressing:
                    used.setdefault(hit.file.path, set()).update(suppressing)
                elif rule.code in there.codes:
                    finding = there.finding(hit, rule)
                    key: tuple[Any, ...] = (finding.place, finding.code, finding.message)
                    if kind == "net":
                        number = here[key[:2]] = here.get(key[:2], -1) + 1
                        key = (*key[:2], number)
                    if key not in found or not found[key].reaches(finding.severity):
                        found[key] = finding
    if any(file.suppressions is not None for file in checked):
        from .unused import outcomes

        for outcome in outcomes(subjects, on, used):
            for rule in rules.get("suppressions", ()):
                there = on.of(outcome.file.path)
                for hit in rule.check(outcome, **there.options(rule)) if rule.code in there.codes else ():
                    if not any(hit.file.suppressing(rule.code, hit.span[0])):
                        finding = there.finding(hit, rule)
                        found[finding.place, finding.code, finding.message] = finding
    findings = sorted(found.values(), key=lambda finding: (*finding.place[:3], finding.code, finding.message))
    return findings if settings.known is None else _new_ones(findings, subjects, files, on)


def _new_ones(
    findings: list[Finding], subjects: list[tuple[str, Any]], files: Files, on: RulesOfPaths
) -> list[Finding]:
    """The findings that no baseline knows; `files` keeps what came of the others."""
    from .baseline import Comparison, without_known
    from .unused import judged_codes

    texts = {path: files.get(path).source for path in {finding.place.path for finding in findings}}
    new, hidden = without_known(findings, texts, lambda path: on.of(path).settings.known)
    files.comparison = Comparison(hidden, judged_codes(subjects, on))
    return new


def path_of_subject(kind: str, subject: Any) -> str:
    """The path of the file whose settings hold for what a rule looks at."""
    if kind == "job":
        subject = subject.solver
    elif kind == "inputs":
        subject = subject.net
    path: str = subject.path if kind == "file" else subject.file.path
    return path


def nets_for(files: Files, settings: Settings, *, level: int = 0, stages: tuple[str, ...] = ()) -> Nets:
    """What builds nets from files as the settings have it, for a level and stages."""
    return Nets(
        files.get,
        settings.caffe_version,
        files.given,
        deploy=settings.deploy,
        input_shapes=settings.input_shapes,
        layers=settings.layers.values(),
        facts=settings.facts,
        level=level,
        stages=stages,
    )


def _subjects(unit: Unit, files: Files, settings: Settings) -> Iterator[tuple[str, Any]]:
    """What the rules of a unit look at, each once: its files, solvers, nets in their phases, jobs."""
    nets = nets_for(files, settings)
    solvers = [files.get(path) for path in unit.paths]
    if solvers[0].kind != "solver":
        yield "file", solvers[0]
        alone = nets.alone(solvers[0])
        for net in alone:
            yield "net", net
        yield from _data_subjects(alone, None, settings)
        return
    jobs = [nets.job(SolverFile(solver, settings.caffe_version), unit.root) for solver in solvers]
    seen: set[int] = set()
    for job in jobs:
        yield "file", job.solver.file
        for net_file in job.files:
            if id(net_file) not in seen:
                seen.add(id(net_file))
                yield "file", net_file
        yield "solver", job.solver
        for net in job.nets:
            if id(net) not in seen:
                seen.add(id(net))
                yield "net", net
        yield "job", job
        yield from _data_subjects(job.nets, job, settings)


def _data_subjects(nets: list[NetInPhase], job: Job | None, settings: Settings) -> Iterator[tuple[str, Any]]:
    """The data layers of nets whose sources are known from a file of facts."""
    if settings.facts:
        from ..data.judging import subjects_of_facts

        for data in subjects_of_facts(nets, job, settings.facts):
            yield "inputs", data


def fix_unit(unit: Unit, files: Files, settings: Settings, *, unsafe: bool) -> UnitResult:
    """Applies the fixes of a unit, round after round, until none is left; nothing is written to disk.

    Every round is verified: the new text means what the old one did but for the fields that its fixes name.
    A fix that fails this is left out and reported in `trouble`.
    """
    trouble: list[str] = []
    applied = 0
    refused: set[tuple[Any, ...]] = set()
    findings = check_unit(unit, files, settings)
    for _ in range(MAX_ROUNDS):
        fixes: dict[str, list[Fix]] = {}
        for finding in findings:
            fix = finding.fix
            if fix is not None and (fix.safe or unsafe) and _key(fix) not in refused:
                fixes.setdefault(fix.path, []).append(fix)
        if not fixes:
            break
        for path, offered in fixes.items():
            chosen = select(offered)
            if len(chosen) > 1 and not _try(files, path, chosen):
                chosen = chosen[:1]
            elif len(chosen) > 1:
                applied += len(chosen)
                continue
            try:
                apply_fixes(files, path, chosen)
                applied += 1
            except FixRejected as error:
                refused.add(_key(chosen[0]))
                trouble.append(f"{path}: not fixed ({chosen[0].title}): {error}")
        findings = check_unit(unit, files, settings)
    else:
        trouble.append(f"{unit.paths[0]}: gave up after {MAX_ROUNDS} rounds of fixes that call for each other")
    return UnitResult(findings, applied, dict(files.patched), dict(files.sources), trouble, files.comparison)


def _key(fix: Fix) -> tuple[Any, ...]:
    return fix.path, fix.title, fix.edits


def _try(files: Files, path: str, fixes: list[Fix]) -> bool:
    try:
        apply_fixes(files, path, fixes)
    except FixRejected:
        return False
    return True


def apply_fixes(files: Files, path: str, fixes: list[Fix]) -> None:
    """Applies fixes to a file in memory. Raises FixRejected, with nothing changed, if they do not verify."""
    old = files.get(path)
    source = edited(old.source, (edit for fix in fixes for edit in fix.edits))
    new = SourceFile(path, source, old.schema, old.asked_dialect)
    if len(new.tree.problems) > len(old.tree.problems):
        raise FixRejected(f"the patched text would have a new error of syntax: {new.tree.problems[0].message}")
    if new.kind != old.kind:
        raise FixRejected(f"the patched text would no longer be a {old.kind}")
    verify(old.message, new.message, fixes)
    files.replace(path, source)


def run_units(work: list[tuple[Unit, Settings]], files: Files, patch: str, jobs: int) -> list[UnitResult]:
    """Checks units, in several processes if asked for, and patches them in memory if `patch` is `safe` or `unsafe`.

    Where units share files, as a deploy net is checked with its solver and for itself, all results hold the same texts.
    """
    if jobs < 2 or len(work) < 2:
        results = [_run_unit(unit, settings, files.release(unit, settings), patch) for unit, settings in work]
    else:
        results = _run_all_apart(work, files, patch, jobs)
    if any(result.patched for result in results):
        _agree(work, results, files, patch)
    return results


def _agree(work: list[tuple[Unit, Settings]], results: list[UnitResult], files: Files, patch: str) -> None:
    """Runs units again, from the texts that the others left, until no file has two texts."""
    for turn in range(MAX_TURNS):
        for number, (unit, settings) in enumerate(work):
            result = results[number]
            if _is_stale(result, files.settled):
                again = _run_unit(unit, settings, files.release(unit, settings), patch)
                # At the first turn, what it had done before is not among the settled texts: it has been done anew.
                results[number] = again._replace(applied=again.applied + (result.applied if turn else 0))
            files.settle(results[number])
        if not any(_is_stale(result, files.settled) for result in results):
            return
    results[-1].trouble.append(f"gave up after {MAX_TURNS} turns of fixes in files that call for each other")


def _is_stale(result: UnitResult, settled: dict[str, bytes]) -> bool:
    """Whether another unit made another text of a file that this one looked at."""
    texts = {**result.sources, **result.patched}
    return bool(settled) and any(settled.get(os.path.realpath(path), text) != text for path, text in texts.items())


def _run_all_apart(work: list[tuple[Unit, Settings]], files: Files, patch: str, jobs: int) -> list[UnitResult]:
    import signal
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs) as pool:
        runs = []
        # Ctrl-C reaches every process, and this one alone heeds it: the others are born with the signal blocked.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for unit, settings in work:
                own = files.release(unit, settings)
                own.forget_all()  # trees are larger than the text they are read from
                runs.append(pool.submit(_run_apart, unit, settings, own, patch))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        try:
            return [run.result() for run in runs]
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run_unit(unit: Unit, settings: Settings, files: Files, patch: str) -> UnitResult:
    if patch:
        return fix_unit(unit, files, settings, unsafe=patch == "unsafe")
    findings = check_unit(unit, files, settings)
    return UnitResult(findings, 0, {}, files.sources, [], files.comparison)


def _run_apart(unit: Unit, settings: Settings, files: Files, patch: str) -> UnitResult:
    """The same in another process: what goes back holds no trees."""
    plugins.load(settings.plugins)
    result = _run_unit(unit, settings, files, patch)
    findings = [
        finding._replace(fix=finding.fix._replace(changes=())) if finding.fix is not None else finding
        for finding in result.findings
    ]
    return result._replace(findings=findings)
