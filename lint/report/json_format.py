"""JSON: one object with a version of its layout, the findings, and the summary.

Lines and columns are counted from 1, columns in characters; the end is after the last character. The layout, version 1:
{"version": 1, "findings": [{"code", "name", "severity", "confidence", "message", "reason", "path", "line", "column", "end_line",
"end_column", "related": [{"path", "line", "column", "end_line", "end_column", "message"}], "fix": null or {"title",
"safe", "path", "edits": [{"start", "end", "text"}]}, "caused_by": null or {"code", "path", "line", "column"}}], "summary":
{"files", "error", "warning", "advice", "fixable", "unsafe_fixable", "fixed"}}; "start" and "end" of an edit are byte offsets,
and "caused_by" is the finding that explains this one. Later versions of the program may add keys; the version changes if a
key is removed or changes its meaning.
"""

from __future__ import annotations

import json
from typing import Any

from ..rule.finding import Finding
from ..source.places import Place
from . import Summary

VERSION = 1


def render(findings: list[Finding], summary: Summary, *, colour: bool = False) -> str:
    """The report, never coloured."""
    fixes = [finding.fix for finding in findings if finding.fix is not None]
    counts = {
        severity: sum(finding.severity == severity for finding in findings)
        for severity in ("error", "warning", "advice")
    }
    report = {
        "version": VERSION,
        "findings": [_finding(finding) for finding in findings],
        "summary": {
            "files": len(summary.texts),
            **counts,
            "fixable": sum(fix.safe for fix in fixes),
            "unsafe_fixable": sum(not fix.safe for fix in fixes),
            "fixed": len(summary.fixed),
        },
    }
    return json.dumps(report, indent=2) + "\n"


def _finding(finding: Finding) -> dict[str, Any]:
    fix = finding.fix
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "message": finding.message,
        "reason": finding.reason,
        **_place(finding.place),
        "related": [{**_place(other), "message": other.message} for other in finding.related],
        "fix": fix
        and {
            "title": fix.title,
            "safe": fix.safe,
            "path": fix.path,
            "edits": [
                {"start": edit.start, "end": edit.end, "text": edit.text.decode("utf-8", "replace")}
                for edit in fix.edits
            ],
        },
        "caused_by": finding.caused_by and finding.caused_by._asdict(),
    }


def _place(place: Place) -> dict[str, Any]:
    return {
        "path": place.path,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
    }
