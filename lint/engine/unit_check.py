"""Checking one unit: the subjects of its rules, and the findings in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from ..fixes.edit import partial_repairs
from ..net.job import Job, NetInPhase, Nets, SolverFile
from ..proto.named_tuple import NamedTuple
from ..rule.finding import Finding, Hit
from ..rule.guesses import tried, untried
from ..rule.suppressed import suppressing, suppressions_of
from ..settings.settings import ConfigError, Settings
from .companions import Offers, depends_on_solvers, nets_to_search, search
from .explaining import explained, with_known_causes, without_effects
from .files_in_memory import Files, nets_for
from .job_verdicts import JobVerdict, verdict_on
from .rules_on import RulesOfPaths, RulesOn
from .units import Unit

if TYPE_CHECKING:
    from ..rule.registry import Rule
    from ..rule.suppressions import Selector


# Rules whose findings say that a name is unknown, or a value of another type; a repository may bring a Caffe that knows it.
_OF_NAMES = frozenset({"E110", "E111", "E112", "E115", "E116"})


def check_unit(unit: Unit, files: Files, settings: Settings) -> list[Finding]:
    """Return the findings of one unit, each once, in the order of path, line, column and code.

    Findings of a rule at one place in several phases of a net are one mistake, even if their numbers differ, as batch
    sizes do: the most severe is reported, or the first of equals.

    If they depend on solvers that were not named, `files.companions` has these afterwards, and their findings are among
    those returned: `files.is_companion` tells them apart. `files.judge` gives the verdicts on the jobs of the unit.

    A finding is not reported if one that is suppressed or known from a baseline explains it.
    """
    checked = _check(unit, files, settings)
    nets = nets_to_search(checked.findings, unit, files)
    if nets:
        known = files.companions
        files.companions = search(nets, unit, files, settings)
        if files.companions.solvers != known.solvers:
            try:
                checked = _check(unit, files, settings)
            except ConfigError:  # for a net that one of them names
                gap = "the configuration for another net of its solvers is broken"
                files.companions = known._replace(searched=files.companions.searched, gap=gap)
    on = checked.on
    findings = [checked.offers.agreed(finding, files.companions) for finding in checked.findings]
    everything = findings
    if settings.known is not None:
        findings = _new_ones(everything, checked.subjects, files, on)
    new = set(map(id, findings))
    recorded = [finding for finding in everything if id(finding) not in new]
    silent = [*checked.suppressed, *recorded]
    if silent:
        findings = without_effects(findings, silent)
    shown = [finding for finding in findings if on.of(finding.place.path).shows(finding)]
    shown = _with_whole_repairs(shown, files)
    shown = with_known_causes(shown, everything, lambda finding: not files.is_companion(finding.place.path))
    files.subjects = checked.subjects
    files.judge = partial(_verdicts, unit, checked.subjects, shown, recorded)
    return shown


class _Checked(NamedTuple):
    """The findings of a unit's rules, the jobs that offer their fixes, what the rules checked, with its kind, and the rules."""

    findings: list[Finding]
    suppressed: list[Finding]
    offers: Offers
    subjects: list[tuple[str, Any]]
    on: RulesOfPaths


def _check(unit: Unit, files: Files, settings: Settings) -> _Checked:
    found: dict[tuple[Any, ...], Finding] = {}
    suppressed: list[Finding] = []
    used: dict[str, set[Selector]] = {}  # used selectors, by the path of their file
    subjects = list(_subjects(unit, files, settings))
    checked = [file for kind, file in subjects if kind == "file"]
    on = RulesOfPaths(settings, with_data=any(kind == "inputs" for kind, _ in subjects))
    rules = on.by_subject(file.path for file in checked)
    offers = Offers()
    for kind, subject in subjects:
        own = on.of(path_of_subject(kind, subject))
        if kind == "job":
            offers.add_job(subject)
        for rule, view, job in _views(kind, subject, rules.get(kind, ())):
            here: dict[tuple[Any, ...], int] = {}  # the number of findings of this subject at each place
            hits = rule.check(view, **own.options(rule))
            if kind == "file":
                hits = tried(hits) if files.tries_guesses else untried(hits)
            for hit in hits:
                there = on.of(hit.file.path)
                selectors = set(suppressing(hit.file, rule.code, hit.span[0]))
                if selectors:
                    used.setdefault(hit.file.path, set()).update(selectors)
                    if rule.code in there.codes:
                        suppressed.append(there.finding(hit, rule))
                elif rule.code in there.codes:
                    if _is_at_mark(hit) or _is_known_to_repository(hit, rule.code, there, files):
                        continue
                    finding = _with_allowed_fix(there.finding(hit, rule), files)
                    if job is not None:
                        offers.add(finding, job)
                    key: tuple[Any, ...] = (finding.place, finding.code, finding.message)
                    if kind == "net":
                        number = here[key[:2]] = here.get(key[:2], -1) + 1
                        key = (*key[:2], number)
                    if key not in found or not found[key].reaches(finding.severity):
                        found[key] = finding
    if any(suppressions_of(file) is not None for file in checked):
        from .unused import outcomes  # keeps what reads suppressions out of the start

        for outcome in outcomes(subjects, on, used):
            for rule in rules.get("suppressions", ()):
                there = on.of(outcome.file.path)
                for hit in rule.check(outcome, **there.options(rule)) if rule.code in there.codes else ():
                    if not any(suppressing(hit.file, rule.code, hit.span[0])):
                        finding = _with_allowed_fix(there.finding(hit, rule), files)
                        found[finding.place, finding.code, finding.message] = finding
    findings = sorted(found.values(), key=lambda finding: (*finding.place[:3], finding.code, finding.message))
    jobs = [_paths(job) for kind, job in subjects if kind == "job"]
    findings = explained([*findings, *suppressed], files.get, jobs)[: len(findings)]
    return _Checked(findings, suppressed, offers, subjects, on)


def _with_whole_repairs(findings: list[Finding], files: Files) -> list[Finding]:
    """Return findings without the fixes of repairs of which a part is not offered, or would change a file that is not to be changed.

    If a part is unsafe, so are the others.
    """
    parts = [finding.fix for finding in findings if finding.fix is not None and finding.fix.repair]
    unsafe = {fix.repair for fix in parts if not fix.safe}
    possible = [fix for fix in parts if files.may_have_part(fix.path)]
    incomplete = partial_repairs(possible) | {fix.repair for fix in parts} - {fix.repair for fix in possible}
    return [_as_part(finding, incomplete, unsafe) for finding in findings]


def _as_part(finding: Finding, incomplete: set[str], unsafe: set[str]) -> Finding:
    fix = finding.fix
    if fix is not None and fix.repair in incomplete:
        return finding.without_fix("it is one of several changes that belong together, and not all of them can be made")
    return finding._replace(fix=fix._replace(safe=False)) if fix is not None and fix.repair in unsafe else finding


def _paths(job: Job) -> list[str]:
    """Return the paths of the files of a job, the solver first."""
    deploy = [] if job.deploy is None else [job.deploy.file]
    return list(dict.fromkeys(file.path for file in (job.solver.file, *job.files, *deploy)))


def _verdicts(
    unit: Unit, subjects: list[tuple[str, Any]], findings: list[Finding], recorded: list[Finding]
) -> Iterator[JobVerdict]:
    """Yield the verdict on each solver of a unit, or on the net that it consists of; `recorded` are findings in a baseline."""
    solvers = {job.solver.file.path: job for kind, job in subjects if kind == "job"}
    for path in unit.paths:
        job = solvers.get(path)
        yield verdict_on(path, [path] if job is None else _paths(job), findings, job, recorded)


def _views(kind: str, subject: Any, rules: Iterable[Rule]) -> Iterator[tuple[Rule, Any, Job | None]]:
    """Yield each rule with what it checks, and the job whose fix it may offer.

    Rules that depend on solvers check a net once with each of its jobs.
    """
    for rule in rules:
        if kind == "net" and subject.jobs and depends_on_solvers(rule):
            for job in subject.jobs:
                yield rule, subject._replace(jobs=[job]), job
        else:
            yield rule, subject, subject if kind == "job" else None


def _is_at_mark(hit: Hit) -> bool:
    """Return whether a hit is at a placeholder in a string, which is not what Caffe will read."""
    return any(mark.start <= hit.span[0] < mark.end for mark in hit.file.marks)


def _is_known_to_repository(hit: Hit, code: str, there: RulesOn, files: Files) -> bool:
    """Return whether the caffe.proto of the file's own repository knows what a hit says is unknown."""
    if code not in _OF_NAMES or there.settings.no_repository_proto:
        return False
    return files.protos.knows(hit.file, code, *hit.span)


def _with_allowed_fix(finding: Finding, files: Files) -> Finding:
    """Return a finding without its fix if nothing may be changed in that file; `files` keeps the reason."""
    if finding.fix is None or not files.why_not_fixed(finding.fix.path):
        return finding
    files.leave_alone(finding.fix.path, checked=True)
    return finding._replace(fix=None)


def _new_ones(
    findings: list[Finding], subjects: list[tuple[str, Any]], files: Files, on: RulesOfPaths
) -> list[Finding]:
    """Return the findings that are not in a baseline; `files` keeps the comparison."""
    from .baseline import Comparison, without_known  # keeps json out of the start
    from .unused import judged_codes  # keeps what reads suppressions out of the start

    texts = {path: files.get(path).source for path in {finding.place.path for finding in findings}}
    new, hidden = without_known(findings, texts, lambda path: on.of(path).settings.known)
    files.comparison = Comparison(
        {key: number for key, number in hidden.items() if not files.is_companion(key[0])},
        {path: codes for path, codes in judged_codes(subjects, on).items() if not files.is_companion(path)},
    )
    return new


def path_of_subject(kind: str, subject: Any) -> str:
    """Return the path of the file whose settings apply to a rule's subject."""
    if kind == "job":
        subject = subject.solver
    elif kind == "inputs":
        subject = subject.net
    path: str = subject.path if kind == "file" else subject.file.path
    return path


def _subjects(unit: Unit, files: Files, settings: Settings) -> Iterator[tuple[str, Any]]:
    """Yield the subjects of a unit's rules, each once: its files, solvers, nets in their phases, jobs.

    A job is built by the settings of its solver, and a net without a solver by its own.
    """
    named = [files.get(path) for path in unit.paths]
    companions = [files.get(path) for path in files.companions.solvers]
    solvers = [*(named if named[0].kind == "solver" else ()), *companions]
    nets: dict[int, Nets] = {}  # by the settings
    jobs = []
    for solver in solvers:
        own = settings.of(solver.path)
        if id(own) not in nets:
            nets[id(own)] = nets_for(files, own)
        jobs.append(nets[id(own)].job(SolverFile(solver, own.caffe_version), unit.root))
    files.mark_companions(unit, jobs)
    files.unread = dict(pair for job in jobs if job.solver.file.path in unit.paths for pair in _unread_by_this_run(job))
    seen: set[int] = set()
    for job in jobs:
        yield "file", job.solver.file
        for net_file in job.files:
            if id(net_file) not in seen:
                seen.add(id(net_file))
                if net_file.kind == "template":
                    files.leave_alone(net_file.path, checked=False)
                else:
                    yield "file", net_file
        yield "solver", job.solver
        for net in job.nets:
            if id(net) not in seen:
                seen.add(id(net))
                yield "net", net
        yield "job", job
        yield from _data_subjects(job.nets, job)
    if named[0].kind != "solver" and id(named[0]) not in seen:
        yield "file", named[0]
        alone = nets_for(files, settings).alone(named[0])
        for net in alone:
            yield "net", net
        yield from _data_subjects(alone, None)


def _unread_by_this_run(job: Job) -> Iterator[tuple[str, str]]:
    """Yield the path of each net that a solver names and that this run could not read, with the message."""
    for path in [reference.path for reference in job.references if reference.path is not None]:
        error = job.unread.get(path)
        if error is not None and error.is_of_this_run:
            yield path, str(error)


def _data_subjects(nets: list[NetInPhase], job: Job | None) -> Iterator[tuple[str, Any]]:
    """Yield the data layers of nets whose sources are known from a file of facts."""
    if any(net.net.built_with.facts for net in nets):
        from ..data.judging import subjects_of_facts  # keeps the readers of data out of the start

        for data in subjects_of_facts(nets, job):
            yield "inputs", data
