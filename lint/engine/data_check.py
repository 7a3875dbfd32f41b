"""Checking data sources that were read: the findings of the rules for data, and the files after their fixes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..data.judging import LayerData, facts_of, sources_of, subjects
from ..data.locations import base_folder
from ..data.looking import Source, look
from ..data.source_report import SourceReport
from ..fixes.apply import next_round
from ..net.data_facts import DataFacts
from ..proto.named_tuple import NamedTuple
from ..rule.finding import Finding, Fixed
from ..rule.suppressed import suppressing
from ..source.errors import InputError
from ..source.opener import note_read
from .explaining import explained
from .fixing import MAX_ROUNDS, Course
from .opening import Opened, nets_of
from .rules_on import RulesOfPaths

Reports = Mapping[Source, SourceReport]


class DataChecked(NamedTuple):
    """The result of checking a file's data: its nets after the fixes, the remaining findings, what was fixed.

    `failures` are messages on fixes that did not verify.
    """

    opened: Opened
    findings: list[Finding]
    fixed: list[Fixed]
    failures: list[str]


def read_sources(
    opened: Opened, *, sample: int | None, jobs: int, progress: Callable[[int, int], None]
) -> tuple[str, Reports]:
    """Read the sources of nets, or `sample` items of each, in `jobs` processes.

    Return the folder that their paths begin in, and a report on each. Raises InputError if there is none.
    """
    written = [source.written for _, _, source in sources_of(opened.nets, "")]
    if not written:
        raise InputError(f"{opened.file.path}: no layer reads data that can be checked")
    base = base_folder(written, opened.file.path)
    sources = [source for _, _, source in sources_of(opened.nets, base)]
    note_read(source.path for source in sources)  # by other processes
    return base, look(sources, sample=sample, jobs=jobs, progress=progress)


def facts_about(opened: Opened, base: str, reports: Reports, date: str) -> DataFacts:
    """Return facts about the sources that were read on a date."""
    return facts_of(_layers_with_data(opened, base, reports), date)


def _layers_with_data(opened: Opened, base: str, reports: Reports) -> list[LayerData]:
    """Return the data layers whose sources were read, with paths relative to `base`."""
    return subjects(opened.nets, opened.job, base, reports)


def check_data(opened: Opened, base: str, reports: Reports, *, patch: str = "") -> DataChecked:
    """Check the data, and apply fixes until none is left if `patch` is `safe` or `unsafe`.

    Nothing is written to disk. Raises ConfigError.
    """
    findings = _findings(opened, base, reports)
    course = Course(opened.files)
    for _ in range(MAX_ROUNDS if patch else 0):
        offered = [one.fix for one in findings if one.fix is not None and (one.fix.safe or patch == "unsafe")]
        fixes = [fix for fix in offered if course.is_open(fix) and not opened.files.is_outside(fix.path)]
        if not fixes:
            break
        course.apply(next_round(fixes), findings)
        opened = nets_of(opened.file.path, opened.files, opened.settings)
        findings = _findings(opened, base, reports)
    return DataChecked(opened, list(map(course.explained, findings)), course.fixed, course.errors)


def _findings(opened: Opened, base: str, reports: Reports) -> list[Finding]:
    on = RulesOfPaths(opened.settings, "inputs")
    found: dict[tuple[Any, ...], Finding] = {}
    for subject in _layers_with_data(opened, base, reports):
        own = on.of(subject.net.file.path)
        for rule in on.by_subject({opened.file.path, subject.net.file.path}).get("inputs", ()):
            for hit in rule.check(subject, **own.options(rule)):
                there = on.of(hit.file.path)
                if rule.code in there.codes and not any(suppressing(hit.file, rule.code, hit.span[0])):
                    finding = there.finding(hit, rule)
                    found.setdefault((finding.place, finding.code, finding.message), finding)
    findings = sorted(found.values(), key=lambda finding: (*finding.place[:3], finding.code, finding.message))
    if opened.settings.known is not None:
        from .baseline import without_known  # few runs have a baseline

        texts = {finding.place.path: opened.files.get(finding.place.path).source for finding in findings}
        findings, _ = without_known(findings, texts, lambda path: on.of(path).settings.known)
    files = [] if opened.job is None else [opened.job.solver.file, *opened.job.files]
    findings = explained(findings, opened.files.get, [list(dict.fromkeys(file.path for file in files))])
    return [finding for finding in findings if on.of(finding.place.path).shows(finding)]
