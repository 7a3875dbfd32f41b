"""The number of findings of each rule, most frequent first, as a table or as JSON.

JSON: {"version": 1, "rules": [{"code", "name", "severity", "count", "fixable"}]}; fixable: with a safe fix.
"""

from __future__ import annotations

import json
from collections import Counter

from ..rule.finding import Finding
from . import Summary, summary_line
from .wrapping import fitted

VERSION = 1


def render(findings: list[Finding], summary: Summary, *, as_json: bool = False) -> str:
    """The report."""
    if as_json:
        rules = [
            {"code": code, "name": name, "severity": severity, "count": count, "fixable": fixable}
            for (code, name, severity), count, fixable in _counts(findings)
        ]
        return json.dumps({"version": VERSION, "rules": rules}, indent=2) + "\n"
    return fitted("\n".join([*rows(findings), summary_line(findings, summary)]) + "\n", summary.width)


def rows(findings: list[Finding]) -> list[str]:
    """Return the rows of the table."""
    return [
        f"{count:6}  {code}  {severity:8}  {'[*]' if fixable else '   '}  {name}"
        for (code, name, severity), count, fixable in _counts(findings)
    ]


def _counts(findings: list[Finding]) -> list[tuple[tuple[str, str, str], int, int]]:
    """Return code, name and severity with the number of findings, and of those with a safe fix; the most frequent first."""
    counts = Counter((finding.code, finding.name, finding.severity) for finding in findings)
    fixable = Counter(
        (finding.code, finding.name, finding.severity)
        for finding in findings
        if finding.fix is not None and finding.fix.safe
    )
    return [(key, count, fixable[key]) for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
