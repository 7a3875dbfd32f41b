"""Reports: how findings are shown. One file for a format, entered in `render`."""

from __future__ import annotations

from typing import NamedTuple

from ..findings import Finding

FORMATS = ("full", "concise", "json", "sarif", "github", "gitlab", "junit", "html")


class Summary(NamedTuple):
    """What a run did beside its findings.

    `texts` are the files that were checked, by path, as the findings speak of them: after the fixes. `applied` is how
    many findings were settled by fixes in how many `patched` files; `trouble` are sentences on what could not be
    done. `fail_on` says, by path, which severity makes the run fail at least; `warning` where it says nothing.
    """

    texts: dict[str, bytes]
    applied: int = 0
    patched: int = 0
    trouble: tuple[str, ...] = ()
    fail_on: dict[str, str] = {}  # noqa: RUF012 - never changed

    def fails(self, finding: Finding) -> bool:
        """Whether a finding is at the level that counts."""
        return finding.reaches(self.fail_on.get(finding.place.path, "warning"))


def render(format: str, findings: list[Finding], summary: Summary, *, colour: bool = False) -> str:
    """The whole report in one of FORMATS, ending in a line feed unless it is empty."""
    if format == "json":
        from . import json_format

        return json_format.render(findings, summary)
    if format == "concise":
        from . import concise

        return concise.render(findings, summary, colour=colour)
    if format == "sarif":
        from . import sarif

        return sarif.render(findings, summary)
    if format == "github":
        from . import github

        return github.render(findings)
    if format == "gitlab":
        from . import gitlab

        return gitlab.render(findings)
    if format == "junit":
        from . import junit

        return junit.render(findings, summary)
    if format == "html":
        from . import html

        return html.render(findings, summary)
    from . import full

    return full.render(findings, summary, colour=colour)


def summary_line(findings: list[Finding], summary: Summary) -> str:
    """What was found, in how many files, and how much of it a fix would settle."""
    fixed = ""
    if summary.applied:
        fixed = f"Fixed {_count(summary.applied, 'finding')} in {_count(summary.patched, 'file')}. "
    if not findings:
        checked = f"{_count(len(summary.texts), 'file')} checked"
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
