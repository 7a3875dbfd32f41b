"""Findings as diagnostics of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lsprotocol.types import (
    CodeDescription,
    Diagnostic,
    DiagnosticRelatedInformation,
    DiagnosticSeverity,
    Location,
)

from ..rule.finding import Finding
from ..source.visible import visible
from .positions import Positions, difference

SOURCE = "caffe-lint"
SEVERITIES = {
    "error": DiagnosticSeverity.Error,
    "warning": DiagnosticSeverity.Warning,
    "advice": DiagnosticSeverity.Information,
}


def diagnostic(
    finding: Finding, positions_of: Callable[[str], Positions], uri_of: Callable[[str], str], page_of: Callable[[str], str | None]
) -> Diagnostic:
    """Return a finding as a diagnostic: its message, what it means and how sure that is, with related places and the rule's page."""
    place = finding.place
    positions = positions_of(place.path)
    sure = "" if finding.confidence == "high" else f"{finding.confidence} confidence"
    said = [finding.message, *filter(None, (finding.reason, sure))]
    related = [
        DiagnosticRelatedInformation(
            Location(uri_of(other.path), positions_of(other.path).range(*positions_of(other.path).span_of(other))),
            visible(other.message) or "related",
        )
        for other in finding.related
    ]
    cause = finding.caused_by
    if cause is not None:
        there = positions_of(cause.path)
        start, _ = there.span_of(place._replace(line=cause.line, column=cause.column, end_line=cause.line, end_column=cause.column))
        location = Location(uri_of(cause.path), there.range(start, start))
        related.append(DiagnosticRelatedInformation(location, f"explained by {cause.code}"))
    page = page_of(finding.code)
    return Diagnostic(
        positions.range(*positions.span_of(place)),
        "\n".join(map(visible, said)),
        severity=SEVERITIES[finding.severity],
        code=finding.code,
        code_description=CodeDescription(page) if page else None,
        source=SOURCE,
        related_information=related or None,
        data={"rule": finding.name, "severity": finding.severity, "confidence": finding.confidence},
    )


def carried(findings: Iterable[Finding], old: bytes, new: bytes) -> list[Finding]:
    """Return findings of an old text that still stand in the new one, moved to where they are now, without their fixes.

    They are what simulations found, until these are done again; one in the text that was changed is dropped.
    """
    start, end, text = difference(old, new)
    lines = new.count(b"\n") - old.count(b"\n")
    kept = []
    for finding in findings:
        place = finding.place
        if finding.start >= end and not _is_on_line(old, end, finding.start):
            moved = place._replace(line=place.line + lines, end_line=place.end_line + lines)
            kept.append(finding._replace(place=moved, start=finding.start + len(text) - (end - start), fix=None))
        elif finding.start < start and not _is_on_line(old, finding.start, start):
            kept.append(finding._replace(fix=None))
    return kept


def _is_on_line(source: bytes, start: int, end: int) -> bool:
    return source.find(b"\n", start, end) < 0
