"""GitHub's workflow commands: each finding becomes an annotation at its line of the pull request.

One line per finding, `::warning title=…,file=…,line=…,endLine=…,col=…,endColumn=…::…`; advice is a `notice`. Paths are
relative to the root of the repository. Characters that would end a value are escaped.
"""

from __future__ import annotations

from ..rule.finding import Finding
from . import Summary
from .repository import named, root

_COMMANDS = {"error": "error", "warning": "warning", "advice": "notice"}


def render(findings: list[Finding], summary: Summary, *, colour: bool = False) -> str:
    """The report, never coloured; empty without findings."""
    base = root()
    return "".join(_command(finding, base) + "\n" for finding in findings)


def _command(finding: Finding, base: str) -> str:
    place = finding.place
    values = {
        "title": f"{finding.code} {finding.name}",
        "file": named(base, place.path),
        "line": place.line,
        "endLine": place.end_line,
        "col": place.column,
        "endColumn": place.end_column,
    }
    properties = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in values.items())
    # The log shows only the text, so the text includes the place.
    text = f"{place.shown}: {finding.code} {finding.message}"
    if finding.reason:
        text += f"\n{finding.reason}"
    if finding.caused_by is not None:
        text += f"\nCaused by: {finding.caused_by.sentence}"
    if finding.fix is not None:
        text += f"\nFix: {finding.fix.title} ({'--fix' if finding.fix.safe else '--fix --unsafe-fixes'})"
    return f"::{_COMMANDS[finding.severity]} {properties}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
