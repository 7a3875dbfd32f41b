"""The findings of a job as people read them: the most important first, what one explains beneath it, repetitions in one block."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..engine.job_verdicts import counts, importance, roots
from ..proto.named_tuple import NamedTuple
from ..rule.finding import Finding


class Group(NamedTuple):
    """A finding, further ones of its rule in the same file, and those that they explain."""

    first: Finding
    repeats: list[Finding]
    effects: list[Finding]


def groups(findings: Iterable[Finding], what: Callable[[Finding], Any] | None = None) -> list[Group]:
    """Return findings in groups, sorted by severity, confidence and place.

    Repetitions are those of one rule in one file that are as severe, certain and fixable. What a finding explains counts
    for how severe its group is, if it is certain. Findings that are sorted already, as those of a log are by how likely they are,
    keep their order if `what` says in what else repetitions are alike.
    """
    if what is None:
        in_order = sorted(findings, key=lambda finding: (importance(finding), *finding.place[:3], finding.code, finding.message))
    else:
        in_order = list(findings)

    def kind_of(finding: Finding) -> tuple[object, ...]:
        return (*_kind(finding), what(finding) if what is not None else None)

    root_of = roots(in_order)
    found: dict[tuple[object, ...], Group] = {}
    effects: list[tuple[Finding, Finding]] = []  # each with what explains it in the end
    for finding in in_order:
        root = root_of(finding)
        if root is finding:
            group = found.setdefault(kind_of(finding), Group(finding, [], []))
            if group.first is not finding:
                group.repeats.append(finding)
        else:
            effects.append((root, finding))
    for root, finding in effects:
        found[kind_of(root)].effects.append(finding)
    return sorted(found.values(), key=_rank) if what is None else list(found.values())


def _kind(finding: Finding) -> tuple[object, ...]:
    fix = finding.fix
    return finding.code, finding.place.path, importance(finding), None if fix is None else fix.safe


def _rank(group: Group) -> tuple[object, ...]:
    severity = min(importance(finding)[0] for finding in (group.first, *group.effects) if counts(finding) or finding is group.first)
    return (severity, importance(group.first)[1], *group.first.place[:3], group.first.code)
