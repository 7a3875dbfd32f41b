"""JUnit XML, which most CI servers show: a test suite per file, a failed test case per finding.

A file without findings has one passing test case. A finding below the level that counts (--fail-on) is a skipped test
case, and anything that could not be done is an error in a separate suite.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from ..rule.finding import Finding
from ..source.visible import visible
from . import Summary
from .repository import plain_text

# Characters that XML cannot represent.
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(findings: list[Finding], summary: Summary, *, colour: bool = False) -> str:
    """The report, never coloured."""
    by_path: dict[str, list[Finding]] = {path: [] for path in sorted(summary.texts)}
    for finding in findings:
        by_path.setdefault(finding.place.path, []).append(finding)
    suites = [_suite(path, found, summary) for path, found in by_path.items()]
    if summary.errors:
        suites.append(_errors(summary.errors))
    total = {name: sum(counts[name] for counts, _ in suites) for name in ("tests", "failures", "errors", "skipped")}
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<testsuites{_attributes(name='caffe-lint', **total)}>"]
    lines += [line for _, suite in suites for line in suite]
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _suite(path: str, findings: list[Finding], summary: Summary) -> tuple[dict[str, int], list[str]]:
    failures = sum(summary.fails(finding) for finding in findings)
    counts = {
        "tests": max(1, len(findings)),
        "failures": failures,
        "errors": 0,
        "skipped": len(findings) - failures,
    }
    lines = [f"  <testsuite{_attributes(name=path, **counts)}>"]
    if not findings:
        lines.append(f"    <testcase{_attributes(name='no findings', classname=path, file=path)}/>")
    for finding in findings:
        place = finding.place
        name = f"{finding.code} {finding.name} at {place.line}:{place.column}"
        lines.append(f"    <testcase{_attributes(name=name, classname=path, file=path, line=place.line)}>")
        lines.append("      " + (_failure(finding) if summary.fails(finding) else _skipped(finding)))
        lines.append("    </testcase>")
    return counts, [*lines, "  </testsuite>"]


def _failure(finding: Finding) -> str:
    place = finding.place
    text = [f"{place.shown}: {finding.code} {finding.message}"]
    if finding.line_text.strip():
        text.append(visible(finding.line_text))
    text += [f"{other.shown}: {other.message}" for other in finding.related]
    if finding.reason:
        text.append(f"note: {finding.reason}")
    text.append(f"confidence: {finding.confidence}")
    if finding.caused_by is not None:
        text.append(f"caused by: {finding.caused_by.sentence}")
    if finding.fix is not None:
        text.append(f"help: {finding.fix.title} ({'--fix' if finding.fix.safe else '--fix --unsafe-fixes'})")
    attributes = _attributes(type=finding.severity, message=finding.message)
    return f"<failure{attributes}>{escape(_possible(chr(10).join(text)))}</failure>"


def _skipped(finding: Finding) -> str:
    return f"<skipped{_attributes(message=f'{finding.severity}: {finding.message}')}/>"


def _errors(sentences: tuple[str, ...]) -> tuple[dict[str, int], list[str]]:
    counts = {"tests": len(sentences), "failures": 0, "errors": len(sentences), "skipped": 0}
    lines = [f"  <testsuite{_attributes(name='caffe-lint', **counts)}>"]
    for number, sentence in enumerate(sentences, 1):
        lines.append(f"    <testcase{_attributes(name=f'error {number}', classname='caffe-lint')}>")
        lines.append(f"      <error{_attributes(type='error', message=sentence)}/>")
        lines.append("    </testcase>")
    return counts, [*lines, "  </testsuite>"]


def _attributes(**values: str | int) -> str:
    return "".join(f" {name}={quoteattr(_possible(str(value)))}" for name, value in values.items())


def _possible(text: str) -> str:
    return _IMPOSSIBLE.sub("\N{REPLACEMENT CHARACTER}", plain_text(text))
