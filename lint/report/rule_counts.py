"""The number of findings of each rule, most frequent first, as a table or as JSON.

JSON: {"version": 1, "rules": [{"code", "name", "severity", "count", "fixable"}]}; fixable: with a safe fix.
"""

from __future__ import annotations

import json
from collections import Counter

from ..rule.finding import Finding
from . import Summary, summary_line

VERSION = 1


def render(findings: list[Finding], summary: Summary, *, as_json: bool = False) -> str:
    """The report."""
    counts = Counter((finding.code, finding.name, finding.severity) for finding in findings)
    fixable = Counter(
        (finding.code, finding.name, finding.severity)
        for finding in findings
        if finding.fix is not None and finding.fix.safe
    )
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if as_json:
        rules = [
            {"code": key[0], "name": key[1], "severity": key[2], "count": count, "fixable": fixable[key]}
            for key, count in ordered
        ]
        return json.dumps({"version": VERSION, "rules": rules}, indent=2) + "\n"
    lines = [
        f"{count:6}  {key[0]}  {key[2]:8}  {'[*]' if fixable[key] else '   '}  {key[1]}" for key, count in ordered
    ]
    return "\n".join([*lines, summary_line(findings, summary)]) + "\n"
