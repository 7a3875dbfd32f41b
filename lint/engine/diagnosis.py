"""Diagnosing a log: every rule of family T on every run, the most likely cause first."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..proto.named_tuple import NamedTuple
from ..rule.registry import all_rules
from ..settings.settings import Settings
from ..training_log.causes import HIGH, MEDIUM, UNEXPLAINED, Diagnosed
from ..training_log.evidence import Evidence
from ..training_log.runs import Run
from ..training_log.same_training import Comparison, compare
from .selection import codes_of_subject

if TYPE_CHECKING:
    from ..net.job import Job

# A cause that explains the symptoms of others: if it is found, the others are dropped.
_EXPLAINS = {
    "T101": ("T104", "T405"),
    "T102": ("T103", "T104"),
    "T106": ("T301", "T405"),
    "T207": ("T208", "T102", "T103", "T104", "T201", "T203", "T204", "T405"),
    "T208": ("T309",),
    "T407": ("T208", "T201", "T309", "T402"),
    "T206": ("T201", "T203"),
    "T205": ("T201",),
    "T404": ("T502",),
    "T303": ("T201", "T304", "T305"),
    "T308": ("T201", "T203"),
}
_MISSING_LINES = "T405"  # missing-debug-info
# A probe does not learn: it can only show bad input, or that Caffe stopped.
_OF_PROBES = ("T101", "T501", "T502")


class Judged(NamedTuple):
    """What is known of the runs of a log: the causes of what went wrong, the most likely one of the last run first.

    `compared` says by the number of a run how it differs from the solver and its nets, if there are any. `is_log` is False for a
    text in which nothing of a training was found.
    """

    causes: list[Diagnosed]
    compared: Mapping[int, Comparison]
    is_log: bool


def judge(runs: list[Run], settings: Settings, job: Job | None = None) -> Judged:
    """Diagnose the runs of a log as settings say; those that are of the job as it is now, together with it."""
    compared = comparisons(runs, job) if job is not None else {}
    others = [number for number, comparison in compared.items() if not comparison.is_same]
    found = diagnose(runs, job, codes=codes_of_subject(settings, "log"), options=settings.options, others=others)
    causes = [each._replace(severity=settings.severities.get(each.code, each.severity)) for each in found]
    return Judged(
        [each for each in causes if each.is_sure(settings.min_confidence)],
        compared,
        bool(found) or any(run.recognised for run in runs),
    )


def diagnose(
    runs: Iterable[Run],
    job: Job | None = None,
    *,
    codes: Iterable[str] | None = None,
    options: dict[str, dict[str, Any]] | None = None,
    others: Container[int] = (),
) -> list[Diagnosed]:
    """Return the causes found in a log's runs: the last run first, and the most likely cause first.

    `others` are the numbers of the runs that are not of the `job` as it is now. `codes` are the rules to use, by default all of
    subject `log`; `options` are their settings by code.
    """
    rules = [rule for rule in all_rules().values() if rule.subject == "log" and (codes is None or rule.code in codes)]
    found: list[Diagnosed] = []
    for run in runs:
        evidence = Evidence(run)
        if job is not None and run.number not in others and not evidence.is_probe:
            evidence = Evidence(run, job)
        causes_of_run = []
        for rule in rules:
            if evidence.is_probe and rule.code not in _OF_PROBES:
                continue
            defaults = {name: option.default for name, option in rule.options.items()}
            causes: Iterable[Any] = rule.check(evidence, **{**defaults, **(options or {}).get(rule.code, {})})
            causes_of_run += [
                Diagnosed(rule.code, rule.name, cause.severity or rule.severity, run.number, cause) for cause in causes
            ]
        found += _explained(causes_of_run)
    found.sort(key=lambda each: (-each.run, -each.cause.confidence, each.code))
    return _once(found)


def comparisons(runs: Iterable[Run], job: Job) -> dict[int, Comparison]:
    """Return how each run differs from the solver and its nets, by its number; a probe is of no training.

    A run in the same log that prints neither solver nor net, such as one that was resumed, is of the training before it.
    """
    found: dict[int, Comparison] = {}
    before: Run | None = None
    for run in runs:
        if Evidence(run).is_probe:
            continue
        prints = bool(run.solver_text or run.net_texts)
        found[run.number] = compare(run if prints or before is None else before, job)
        before = run if prints else before
    return found


def _explained(found: list[Diagnosed]) -> list[Diagnosed]:
    explained = {code for each in found if each.cause.confidence >= HIGH for code in _EXPLAINS.get(each.code, ())}
    if len(found) > 1:
        found = [each for each in found if each.cause.cause != UNEXPLAINED]
    named = any(each.code != _MISSING_LINES and each.cause.confidence >= MEDIUM for each in found)
    return [
        each._replace(severity="advice") if named and each.code == _MISSING_LINES else each
        for each in found
        if each.code not in explained
    ]


def _once(found: list[Diagnosed]) -> list[Diagnosed]:
    """Return each cause once: the ranks of one training report the same causes."""
    seen: dict[tuple[Any, ...], Diagnosed] = {}
    for each in found:
        cause = each.cause
        seen.setdefault((each.code, cause.cause, cause.layer, cause.blob, cause.iteration), each)
    return list(seen.values())
