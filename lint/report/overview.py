"""How many findings there are of each rule and in each folder, for runs with too many to read."""

from __future__ import annotations

import os
from collections import Counter

from ..rule.finding import Finding
from ..source.wording import counted
from .rule_counts import rows

RULES, FOLDERS = 20, 10  # that are named


def overview(findings: list[Finding]) -> str:
    """Return the two tables, the most frequent first."""
    by_rule = rows(findings)
    if len(by_rule) > RULES:
        by_rule[RULES:] = [f"        of {counted(len(by_rule) - RULES, 'other rule')}: --statistics counts all"]
    folders = Counter(os.path.dirname(finding.place.path) or "." for finding in findings)
    ordered = sorted(folders.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{count:6}  {folder}" for folder, count in ordered[:FOLDERS]]
    if len(ordered) > FOLDERS:
        rest = sum(count for _, count in ordered[FOLDERS:])
        lines.append(f"{rest:6}  in {counted(len(ordered) - FOLDERS, 'other folder')}")
    return "\n".join([*by_rule, "", *lines])
