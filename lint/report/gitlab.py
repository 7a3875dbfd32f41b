"""GitLab's Code Quality report: a JSON list of issues, which it shows in merge requests.

Paths are relative to the root of the repository. An error is `critical`, a warning `major`, advice `info`.
"""

from __future__ import annotations

import json

from ..rule.finding import Finding
from . import Summary
from .fingerprints import fingerprints
from .repository import named, plain_text, root

_SEVERITIES = {"error": "critical", "warning": "major", "advice": "info"}


def render(findings: list[Finding], summary: Summary, *, colour: bool = False) -> str:
    """The report, never coloured."""
    base = root()
    issues = [
        {
            "description": plain_text(f"{finding.code}: {finding.message}"),
            "check_name": finding.name,
            "fingerprint": fingerprint,
            "severity": _SEVERITIES[finding.severity],
            "content": {"body": plain_text(_body(finding))},
            "location": {
                "path": named(base, finding.place.path),
                "lines": {"begin": finding.place.line, "end": finding.place.end_line},
            },
        }
        for finding, fingerprint in zip(findings, fingerprints(findings, base), strict=True)
    ]
    return json.dumps(issues, indent=2) + "\n"


def _body(finding: Finding) -> str:
    cause = f" Caused by {finding.caused_by.sentence}." if finding.caused_by is not None else ""
    return f"{finding.reason}\n\nConfidence: {finding.confidence}.{cause}".lstrip()
