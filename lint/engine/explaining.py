"""Which finding of a unit explains which other, by `rule.explanations` and the files that they stand in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from ..proto.named_tuple import NamedTuple
from ..proto.tree import Block, Field, Scalar, fields_at
from ..rule.explanations import EXPLANATIONS, FILE, JOB, LAYER, MESSAGE, READERS, SETTINGS, TYPE
from ..rule.finding import Cause, Finding
from ..source.files import SourceFile

_CAUSES = frozenset(code for each in EXPLANATIONS for code in each.causes)
_LAYERS = ("layer", "layers")

Key = tuple[Any, ...]


def explained(
    findings: Sequence[Finding], open_file: Callable[[str], SourceFile], jobs: Sequence[Sequence[str]]
) -> list[Finding]:
    """Return the findings with their causes, if these are among them.

    `jobs` are the paths of the files of each job.
    """
    if not any(finding.code in _CAUSES for finding in findings):
        return list(findings)

    @cache
    def spot_of(path: str, start: int) -> _Spot:
        return _spot(open_file(path), start)

    job_numbers: dict[str, list[int]] = {}
    for number, paths in enumerate(jobs):
        for path in paths:
            job_numbers.setdefault(path, []).append(number)
    causes: dict[Key, list[Finding]] = {}
    for number, explanation in enumerate(EXPLANATIONS):
        for finding in findings:
            if finding.code in explanation.causes:
                spot = spot_of(finding.place.path, finding.start)
                for key in _as_cause(explanation.where, finding.place.path, spot, job_numbers):
                    causes.setdefault((number, *key), []).append(finding)

    def cause_of(finding: Finding) -> Cause | None:
        for number, explanation in enumerate(EXPLANATIONS):
            if finding.code in explanation.effects:
                spot = spot_of(finding.place.path, finding.start)
                keys = _as_effect(explanation.where, finding.place.path, spot, job_numbers)
                there = [_explaining(finding, explanation.where, causes.get((number, *key), ())) for key in keys]
                found = [cause for cause in there if cause is not None]
                if found and (explanation.where != JOB or len(found) == len(there)):
                    return found[0]
        return None

    return [finding._replace(caused_by=cause_of(finding)) for finding in findings]


def _explaining(finding: Finding, where: str, causes: Iterable[Finding]) -> Cause | None:
    """Return the first of some causes that may explain a finding: another one, and far from it one that is at least as severe."""
    may = (cause.as_cause for cause in causes if where not in (FILE, JOB) or cause.reaches(finding.severity))
    return next((cause for cause in may if cause != finding.as_cause), None)


def without_effects(findings: Iterable[Finding], silent: Iterable[Finding]) -> list[Finding]:
    """Return the findings that none of the `silent` ones explains, directly or through others."""
    findings, silent = list(findings), list(silent)
    causes = _causes([*findings, *silent])
    gone = {finding.as_cause for finding in silent}
    return [finding for finding in findings if gone.isdisjoint(_chain(finding, causes))]


def with_known_causes(
    findings: Sequence[Finding], all_findings: Iterable[Finding], is_reported: Callable[[Finding], bool]
) -> list[Finding]:
    """Return findings that were chosen from others, each explained by the nearest cause among them that is reported."""
    causes = _causes(all_findings)
    if not causes:
        return list(findings)
    reported = {finding.as_cause for finding in findings if is_reported(finding)}
    return [
        finding._replace(caused_by=next((each for each in _chain(finding, causes) if each in reported), None))
        for finding in findings
    ]


def _causes(findings: Iterable[Finding]) -> dict[Cause, Cause]:
    return {finding.as_cause: finding.caused_by for finding in findings if finding.caused_by is not None}


def _chain(finding: Finding, causes: Mapping[Cause, Cause]) -> Iterator[Cause]:
    """Yield the cause of a finding, the cause of that, and so on."""
    cause = finding.caused_by
    while cause is not None:
        yield cause
        cause = causes.get(cause)


class _Spot(NamedTuple):
    """Where in a file a finding stands: the fields around it, outermost first, and the layer among them."""

    fields: list[Field]
    layer: Field | None


def _spot(file: SourceFile, start: int) -> _Spot:
    fields = fields_at(file.tree.root, start)
    layers = [field for field in fields if field.name in _LAYERS and isinstance(field.value, Block)]
    return _Spot(fields, layers[-1] if layers else None)


def _as_cause(where: str, path: str, spot: _Spot, jobs: Mapping[str, list[int]]) -> Iterator[Key]:
    """Yield what a cause is found by."""
    if where in (FILE, JOB):
        yield from _as_effect(where, path, spot, jobs)
    elif where == MESSAGE:
        if spot.fields:
            yield path, spot.fields[-1].start
    elif spot.layer is not None:
        if where == LAYER:
            yield path, spot.layer.start
        elif where == READERS:
            yield from ((path, top) for top in _values(spot.layer, "top"))
        elif where in (TYPE, SETTINGS) and spot.fields[-1].name == "type":
            yield from ((path, name) for name in _values(spot.layer, "type"))


def _as_effect(where: str, path: str, spot: _Spot, jobs: Mapping[str, list[int]]) -> Iterator[Key]:
    """Yield what the causes of a finding are found by."""
    if where == FILE:
        yield (path,)
    elif where == JOB:
        yield from ((number,) for number in jobs.get(path, ()))
    elif where == MESSAGE:
        yield from ((path, field.start) for field in reversed(spot.fields[:-1]))
    elif spot.layer is not None:
        if where == LAYER:
            yield path, spot.layer.start
        elif where == READERS:
            yield from ((path, bottom) for bottom in _values(spot.layer, "bottom"))
        elif where == SETTINGS and not any(field.name.endswith("_param") for field in spot.fields):
            return
        elif where in (TYPE, SETTINGS) and spot.fields[-1].name != "type":
            yield from ((path, name) for name in _values(spot.layer, "type"))


def _values(layer: Field, name: str) -> list[bytes]:
    """Return the values of a field of a layer, without quotes."""
    block = layer.value
    assert isinstance(block, Block)
    found = [field.value for field in block.fields if field.name == name]
    return [value.text.strip(b"\"'") for value in found if isinstance(value, Scalar)]
