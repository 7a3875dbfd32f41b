"""Solvers that the user did not name, but that name a net which is checked: what is computed for it depends on them.

A net says neither its learning rate nor where its weights come from, and a change that suits one of its solvers may not suit
another. So before a fix of a net that depends on its solvers is offered, all solvers of its repository that name it are checked
along with it, their own mistakes repaired in memory only. Other nets cost no search.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..rule.finding import Finding
from ..rule.registry import RULES, Rule
from ..settings.settings import ConfigError
from ..source.files import net_references, shown
from ..source.opener import Unreadable, real_path
from .units import Companions

if TYPE_CHECKING:
    from ..net.job import Job
    from ..settings.settings import Settings
    from ..source.files import SourceFile
    from .files_in_memory import Files
    from .units import Unit

_SHOWN = 3  # how many solvers are named


def depends_on_solvers(rule: Rule) -> bool:
    """Whether what a rule finds in a net is computed with the solvers of the net."""
    return rule.code.startswith("G")


def nets_to_search(findings: Iterable[Finding], unit: Unit, files: Files) -> frozenset[str]:
    """Return the nets of findings that depend on solvers which may not be known yet.

    Of a net without a solver these are all findings that depend on one. With a solver, only fixes matter. They include those of
    other rules that look at the net as Caffe builds it, since other solvers may build other phases, and those that change the other
    nets of a solver as well.
    """
    nets = set()
    for finding in findings:
        rule, fix = RULES[finding.code], finding.fix
        path = fix.path if fix is not None else finding.place.path
        if depends_on_solvers(rule):
            asks = fix is not None or path in unit.paths
        else:
            asks = fix is not None and (rule.in_all_nets or (fix.safe and rule.subject in ("net", "job")))
        if asks and files.get(path).kind == "net":
            nets.add(path)
    return frozenset(nets) - files.companions.searched


def search(nets: frozenset[str], unit: Unit, files: Files, settings: Settings) -> Companions:
    """Return the companions of a unit, with the solvers that name some of its nets.

    A broken configuration that is in force for none but such a solver leaves that solver out, as the user may not know of it.
    """
    from ..source.solver_index import mentions_of  # few checks need it

    known = files.companions
    solvers = list(known.solvers)
    seen = {real_path(path) for path in (*unit.paths, *solvers)}
    gap = known.gap
    for net in sorted(nets):
        mentions = mentions_of(net)
        if not mentions.is_whole:
            gap = gap or "there are too many files to search for the solvers that name this net"
        for path in map(shown, mentions.paths):
            real = real_path(path)
            is_new = path not in files.sources
            try:
                if real in seen or settings.excluded(path):
                    continue
                file = files.get(path)
            except Unreadable:
                continue
            except ConfigError:
                gap = gap or f"the configuration for '{path}', which may train this net, is broken"
                continue
            if file.kind == "solver" and _may_name(file, net, unit.root, files):
                seen.add(real)
                solvers.append(path)
            elif is_new:
                files.drop(path)
    return Companions(tuple(solvers), known.searched | nets, gap)


def solvers_naming(paths: Iterable[str], files: Files, excluded: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Return the solvers of the repository that name one of these files as their net, and sentences on what was not searched.

    They are for a check that is to judge nets with the solvers that train them, such as that of a commit with a net alone.
    """
    from ..source.solver_index import mentions_of  # few checks need it

    named = list(paths)
    seen = set(map(real_path, named))
    solvers: list[str] = []
    left: dict[str, None] = {}
    for net in named:
        try:
            if os.path.isdir(net) or net in files.given or files.get(net).kind != "net":
                continue
        except Unreadable:
            continue  # which the check says
        mentions = mentions_of(net)
        if not mentions.is_whole:
            left["the repository has too many files to search them for the solvers that name these nets"] = None
        for path in map(shown, mentions.paths):
            try:
                if real_path(path) in seen or excluded(path):
                    continue
                solver = files.get(path)
            except (Unreadable, ConfigError) as error:
                left[f"{path}, which may train one of these nets, was not checked: {error}"] = None
                continue
            if solver.kind == "solver" and _may_name(solver, net, None, files):
                seen.add(real_path(path))
                solvers.append(path)
            else:
                files.drop(path)
    return solvers, list(left)


def _may_name(solver: SourceFile, net: str, root: str | None, files: Files) -> bool:
    """Whether a solver names a net, or may do so once its mistakes are repaired.

    If the path that it writes leads to another net from its own folder, it is not about a net in the working directory.
    """
    real = real_path(net)
    for from_here in (True, False):
        references = net_references(solver.message, solver.path, root, files.given, from_here=from_here)
        if not references:
            return bool(solver.tree.problems or solver.bound.problems)
        named = {real_path(reference.path) for reference in references if reference.path is not None}
        if real not in named and (from_here or named):
            return False
    return True


class Offers:
    """Which jobs offer each fix of a net, and which jobs train the net."""

    def __init__(self) -> None:
        self._by: dict[tuple[str, object], set[Job]] = {}
        self._unsafe: set[tuple[str, object]] = set()
        self._trained_by: dict[str, set[Job]] = {}

    def add_job(self, job: Job) -> None:
        """Add a job of the unit."""
        if job.train is not None and job.train.file is not job.solver.file:
            self._trained_by.setdefault(job.train.file.path, set()).add(job)

    def add(self, finding: Finding, job: Job) -> None:
        """Add the fix of a finding that a job has."""
        if finding.fix is not None:
            key = (finding.fix.path, finding.fix.edits)
            self._by.setdefault(key, set()).add(job)
            if not finding.fix.safe:
                self._unsafe.add(key)

    def agreed(self, finding: Finding, companions: Companions) -> Finding:
        """Return a finding without its fix, and with the reason, if the fix changes a net in a way that is not certain.

        It must be what all solvers that train the net need, and be a default fix for all of them to be one.
        """
        fix = finding.fix
        if fix is None or not depends_on_solvers(RULES[finding.code]):
            return finding
        jobs = self._trained_by.get(fix.path, set())
        if not jobs and fix.path not in companions.searched:
            return finding  # a change of a solver
        if companions.gap and (fix.safe or fix.stage.is_computed):
            why = companions.gap
        elif not jobs and fix.stage.is_computed:
            why = "no solver of this repository names this net; its learning rate is unknown"
        else:
            key = (fix.path, fix.edits)
            if self._by.get(key, jobs) == jobs:
                return finding._replace(fix=fix._replace(safe=False)) if key in self._unsafe and fix.safe else finding
            names = sorted(shown(job.solver.file.path) for job in jobs)
            others = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            why = (
                f"the solvers that train this net do not all need the same change ({', '.join(names[:_SHOWN])}{others})"
            )
        return finding.without_fix(why)
