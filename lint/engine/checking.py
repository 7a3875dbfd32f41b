"""Checking files and folders: running their units and merging the results."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..proto.named_tuple import NamedTuple
from ..rule.finding import Finding, Fixed
from ..settings.in_force import SettingsOfPaths
from ..settings.settings import Settings
from ..source.opener import note_read
from ..source.wording import counted
from .files_in_memory import Files
from .grouping import find_units
from .units import LeftAlone, Unit, UnitResult, path_order

if TYPE_CHECKING:
    from ..fixes.changes import Round
    from ..source.repository_proto import KnownName

Runner = Callable[[list[tuple[Unit, Settings]], Files], list[UnitResult]]


class Checked(NamedTuple):
    """The result of a check: the remaining findings, each once, in the order of path, line, column and code.

    `sources` are the bytes of all checked files as read, and `texts` the bytes after the fixes. `patched` has each
    changed file once, however many paths lead to it. `fixed` are the findings that were fixed, in the order of fixing;
    `errors` and `notes` are messages on what failed and what was skipped. `left_alone` are the files in which nothing may
    be changed.
    """

    units: list[Unit]
    results: list[UnitResult]
    findings: list[Finding]
    sources: dict[str, bytes]
    texts: dict[str, bytes]
    patched: dict[str, bytes]
    fixed: list[Fixed]
    errors: list[str]
    notes: list[str]
    left_alone: dict[str, LeftAlone]

    @property
    def rounds(self) -> dict[str, tuple[Round, ...]]:
        """The rounds of fixes that led to the patched files, by path."""
        return {path: passed for result in self.results for path, passed in result.rounds.items()}


def check_paths(paths: tuple[str, ...], files: Files, settings: SettingsOfPaths, run: Runner) -> Checked:
    """Check files, and the solvers and nets in folders. Raises ConfigError.

    `run` runs units, each with its settings: `run_units`, or a function that asks the user in between.
    """
    errors: list[str] = []
    notes: list[str] = []
    units = find_units(paths, files, errors, notes, settings.excluded)
    results = run([(unit, settings.of(unit.paths[0])) for unit in units], files)
    findings = _all_findings([results[number] for number in path_order(units) if number < len(results)])
    sources = {path: source for result in results for path, source in result.sources.items()}
    note_read(sources)  # by whatever process
    patched = {path: source for result in results for path, source in result.patched.items()}
    new = {path: source for path, source in patched.items() if source != sources[path]}
    for result in results:
        errors += result.errors
    notes += _known_to_repositories(name for result in results for name in result.known)
    return Checked(
        units,
        results,
        findings,
        sources,
        {**sources, **new},
        {path: new[path] for path in {os.path.realpath(path): path for path in new}.values()},
        list(dict.fromkeys(one for result in results for one in result.fixed)),
        errors,
        notes,
        {**files.left_alone, **{path: left for result in results for path, left in result.left_alone.items()}},
    )


def _known_to_repositories(known: Iterable[KnownName]) -> Iterator[str]:
    """Yield a sentence for each caffe.proto, or folder of sources, whose names took findings back."""
    by_place: dict[str, set[KnownName]] = {}
    for name in known:
        by_place.setdefault(name.place, set()).add(name)
    for path, names in sorted(by_place.items()):
        numbers = Counter(name.what for name in names)
        words = [counted(numbers[what], what) for what in ("field", "enum value", "type") if numbers[what]]
        listed = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
        yield f"read {path}: {listed} known to this repository (--no-repository-proto reports {'it' if len(names) == 1 else 'them'})"


def _all_findings(results: Iterable[UnitResult]) -> list[Finding]:
    """Return the findings of all units, each once: a net may be checked in several units, of which the first counts."""
    findings: dict[tuple[Any, ...], Finding] = {}
    for result in results:
        for finding in result.findings:
            findings.setdefault(finding.identity, finding)
    return sorted(findings.values(), key=lambda finding: (*finding.place[:3], finding.code, finding.message))
