"""A self-contained page for a browser: findings job by job, with the surrounding lines, notes and patches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from ..proto.lines import Lines
from ..rule.finding import Finding
from ..rule.pages import read_page, sections_of
from ..rule.registry import Rule, all_rules
from . import Summary, lines_of, summary_line
from .diff import patch_lines
from .folding import groups
from .full import printable
from .html_page import html_page
from .repository import uri

AROUND = 2  # lines shown before and after the one of a finding
LONGEST = 240  # characters of a line to show before the place, and after it
LONGEST_IN_PATCH = 1000


def render(findings: list[Finding], summary: Summary, *, colour: bool = False) -> str:
    """The report, never coloured."""
    return html_page(
        "report.html.j2",
        summary=summary_line(findings, summary),
        errors=summary.errors,
        counts={
            severity: sum(finding.severity == severity for finding in findings)
            for severity in ("error", "warning", "advice")
        },
        verdicts=[verdict for job in summary.jobs for verdict in job.verdicts] if summary.in_full else [],
        sections=list(_sections(findings, summary)),
        clean=sorted(set(summary.texts) - {finding.place.path for finding in findings}),
        rules=[_page(all_rules()[code]) for code in sorted({finding.code for finding in findings})],
    )


def _sections(findings: list[Finding], summary: Summary) -> Iterator[dict[str, Any]]:
    """Yield what the template shows of each job, or of each file if the findings are to be listed by path."""
    numbers = count(1)

    def shown(listed: list[Finding]) -> list[dict[str, Any]]:
        return [_shown(finding, summary, next(numbers)) for finding in listed]

    if summary.in_full or not summary.jobs:
        for path in dict.fromkeys(finding.place.path for finding in findings):
            own = [finding for finding in findings if finding.place.path == path]
            alone = [{"first": one, "repeats": [], "effects": []} for one in shown(own)]
            yield {"title": path, "verdicts": [], "drawings": [], "groups": alone}
        return
    for job in summary.jobs:
        found = [
            {"first": shown([group.first])[0], "repeats": shown(group.repeats), "effects": shown(group.effects)}
            for group in groups(job.findings)
        ]
        paths = [verdict.path for verdict in job.verdicts] or [finding.place.path for finding in job.findings[:1]]
        drawings = [(path, uri(page)) for path in paths if (page := summary.drawings.get(path)) is not None]
        yield {"title": ", ".join(paths), "verdicts": job.verdicts, "groups": found, "drawings": drawings}


def _shown(finding: Finding, summary: Summary, number: int) -> dict[str, Any]:
    """Return what the template shows of a finding."""
    fix = finding.fix
    lines = lines_of(summary.texts.get(finding.place.path, b""))
    known = fix is not None and fix.path in summary.texts
    patch = patch_lines(summary.texts[fix.path], fix.edits) if fix is not None and known else []
    return {
        "number": number,
        "finding": finding,
        "before": _texts(lines, finding.place.line - AROUND, finding.place.line),
        "line": _marked(finding),
        "after": _texts(lines, finding.place.line + 1, finding.place.line + 1 + AROUND),
        "patch": [(meaning, printable(line[:LONGEST_IN_PATCH])) for meaning, line in patch],
    }


def _page(rule: Rule) -> dict[str, Any]:
    """Return what the template shows of a rule: the parts of each section."""
    return {"rule": rule, "sections": sections_of(read_page(rule))}


def _texts(lines: Lines, first: int, end: int) -> list[tuple[int, str]]:
    """Return the existing lines from `first` to before `end` with their numbers."""
    found = []
    for number in range(max(first, 1), min(end, len(lines.starts) + 1)):
        start = lines.starts[number - 1]
        text = lines.source[start : lines.end(start)].decode("utf-8", "replace").rstrip("\r")
        if number < len(lines.starts) or text:
            found.append((number, printable(text[:LONGEST])))
    return found


def _marked(finding: Finding) -> tuple[str, str, str]:
    """Split the line of a finding into the text before the place, the place, and the text after it."""
    place = finding.place
    text = finding.line_text.removeprefix("\ufeff") if place.line == 1 else finding.line_text
    start, end = place.column - 1, place.end_column - 1
    before, after = text[:start], text[end:]
    if len(before) > LONGEST:
        before = "…" + before[-LONGEST:]
    if len(after) > LONGEST:
        after = after[:LONGEST] + "…"
    return printable(before), printable(text[start:end]) or " ", printable(after)
