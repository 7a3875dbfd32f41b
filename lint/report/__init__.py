"""Reports: how findings are shown. One file for a format, entered in `render`."""

from __future__ import annotations

from typing import NamedTuple

from ..findings import Finding

FORMATS = ("full", "concise", "json")


class Summary(NamedTuple):
    """What a run did beside its findings."""

    files: int
    applied: int
    patched: int


def render(format: str, findings: list[Finding], summary: Summary, *, colour: bool = False) -> str:
    """The whole report in one of FORMATS, ending in a line feed unless it is empty."""
    if format == "json":
        from . import json_format

        return json_format.render(findings, summary)
    if format == "concise":
        from . import concise

        return concise.render(findings, summary, colour=colour)
    from . import full

    return full.render(findings, summary, colour=colour)


def summary_line(findings: list[Finding], summary: Summary) -> str:
    """What was found, in how many files, and how much of it a fix would settle."""
    fixed = ""
    if summary.applied:
        fixed = f"Fixed {_count(summary.applied, 'finding')} in {_count(summary.patched, 'file')}. "
    if not findings:
        checked = f"{_count(summary.files, 'file')} checked"
        return f"{fixed}Nothing left to report, {checked}." if fixed else f"No findings, {checked}."
    files = len({finding.place.path for finding in findings})
    by_severity = [
        _count(number, severity) if severity != "advice" else f"{number} advice"
        for severity in ("error", "warning", "advice")
        if (number := sum(finding.severity == severity for finding in findings))
    ]
    line = f"{fixed}{_count(len(findings), 'finding')} in {_count(files, 'file')} ({', '.join(by_severity)})."
    safe = sum(finding.fix is not None and finding.fix.safe for finding in findings)
    unsafe = sum(finding.fix is not None and not finding.fix.safe for finding in findings)
    if safe:
        line += f"\n[*] {safe} fixable with `--fix`"
        line += f", {unsafe} more with `--fix --unsafe-fixes`." if unsafe else "."
    elif unsafe:
        line += f"\n{unsafe} fixable with `--fix --unsafe-fixes`."
    return line


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
