"""Checking one unit: the subjects of its rules, and the findings in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..net.job import Job, NetInPhase, SolverFile
from ..rule.finding import Finding
from ..rule.suppressed import suppressing, suppressions_of
from ..settings.settings import Settings
from .files_in_memory import Files, nets_for
from .rules_on import RulesOfPaths
from .units import Unit

if TYPE_CHECKING:
    from ..rule.suppressions import Selector


def check_unit(unit: Unit, files: Files, settings: Settings) -> list[Finding]:
    """Return the findings of one unit, each once, in the order of path, line, column and code.

    Findings of a rule at one place in several phases of a net are one mistake, even if their numbers differ, as batch
    sizes do: the most severe is reported, or the first of equals.
    """
    found: dict[tuple[Any, ...], Finding] = {}
    used: dict[str, set[Selector]] = {}  # used selectors, by the path of their file
    on = RulesOfPaths(settings)
    subjects = list(_subjects(unit, files, settings))
    checked = [file for kind, file in subjects if kind == "file"]
    rules = on.by_subject(file.path for file in checked)
    for kind, subject in subjects:
        own = on.of(path_of_subject(kind, subject))
        for rule in rules.get(kind, ()):
            here: dict[tuple[Any, ...], int] = {}  # the number of findings of this subject at each place
            for hit in rule.check(subject, **own.options(rule)):
                there = on.of(hit.file.path)
                selectors = set(suppressing(hit.file, rule.code, hit.span[0]))
                if selectors:
                    used.setdefault(hit.file.path, set()).update(selectors)
                elif rule.code in there.codes:
                    finding = there.finding(hit, rule)
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
                        finding = there.finding(hit, rule)
                        found[finding.place, finding.code, finding.message] = finding
    findings = sorted(found.values(), key=lambda finding: (*finding.place[:3], finding.code, finding.message))
    if settings.known is not None:
        findings = _new_ones(findings, subjects, files, on)
    return [finding for finding in findings if on.of(finding.place.path).shows(finding)]


def _new_ones(
    findings: list[Finding], subjects: list[tuple[str, Any]], files: Files, on: RulesOfPaths
) -> list[Finding]:
    """Return the findings that are not in a baseline; `files` keeps the comparison."""
    from .baseline import Comparison, without_known  # keeps json out of the start
    from .unused import judged_codes  # keeps what reads suppressions out of the start

    texts = {path: files.get(path).source for path in {finding.place.path for finding in findings}}
    new, hidden = without_known(findings, texts, lambda path: on.of(path).settings.known)
    files.comparison = Comparison(hidden, judged_codes(subjects, on))
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
    """Yield the subjects of a unit's rules, each once: its files, solvers, nets in their phases, jobs."""
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
    """Yield the data layers of nets whose sources are known from a file of facts."""
    if settings.facts:
        from ..data.judging import subjects_of_facts  # keeps the readers of data out of the start

        for data in subjects_of_facts(nets, job, settings.facts):
            yield "inputs", data
