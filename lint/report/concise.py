"""One line per finding: `path:line:column: severity[code] name: message`, with `[*]` at the end if `--fix` fixes it."""

from __future__ import annotations

from ..rule.finding import Finding
from . import Summary, summary_line
from .colours import paint


def render(findings: list[Finding], summary: Summary, *, colour: bool) -> str:
    """The report."""
    lines = []
    for finding in findings:
        place = finding.place
        mark = " [*]" if finding.fix is not None and finding.fix.safe else ""
        lines.append(
            f"{paint(place.path, 'path', colour)}:{place.line}:{place.column}:"
            f" {paint(f'{finding.severity}[{finding.code}]', finding.severity, colour)} {finding.name}: {finding.message}{mark}"
        )
    lines += (f"fixed: {what}" for what in summary.fixed)
    lines.append(summary_line(findings, summary))
    return "\n".join(lines) + "\n"
