"""How often each rule found something, the most frequent first."""

from __future__ import annotations

from collections import Counter

from ..findings import Finding
from . import Summary, summary_line


def render(findings: list[Finding], summary: Summary) -> str:
    """The report."""
    counts = Counter((finding.code, finding.name, finding.severity) for finding in findings)
    fixable = Counter(
        (finding.code, finding.name, finding.severity)
        for finding in findings
        if finding.fix is not None and finding.fix.safe
    )
    lines = [
        f"{count:6}  {key[0]}  {key[2]:8}  {'[*]' if fixable[key] else '   '}  {key[1]}"
        for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    return "\n".join([*lines, summary_line(findings, summary)]) + "\n"
