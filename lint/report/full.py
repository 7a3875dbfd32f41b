"""The report for people, job by job: the verdict, then each finding with its line, a caret, notes, and the fix."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from ..engine.job_verdicts import JobVerdict
from ..rule.finding import Finding
from ..source.places import Place
from ..source.visible import visible
from ..source.wording import counted
from . import JobReport, Summary, summary_line
from .colours import paint
from .folding import Group, groups

WIDTH = 110
SHOWN = 160  # a longer line is shortened to this many characters around the place
TAB = 4
LISTED = 10  # repetitions of a rule whose messages are shown; of the others, only the places


def render(findings: list[Finding], summary: Summary, *, colour: bool) -> str:
    """The report."""
    blocks = []
    if summary.in_full or not summary.jobs:
        blocks += [line for job in summary.jobs for line in _verdicts(job.verdicts, colour)]
        blocks += [block(finding, colour) for finding in findings]
    else:
        blocks += [text for job in summary.jobs for text in job_blocks(job, colour)]
    if summary.fixed:
        blocks.append("\n".join(paint(f"fixed: {what}", "fix", colour) for what in summary.fixed))
    blocks.append(summary_line(findings, summary))
    return "\n\n".join(blocks) + "\n"


def job_blocks(job: JobReport, colour: bool) -> Iterator[str]:
    """Yield the texts on a job, each without a final line feed: its verdict and its findings."""
    yield from _verdicts(job.verdicts, colour)
    for group in groups(job.findings):
        yield _block_of(group, colour)


def _verdicts(verdicts: Sequence[JobVerdict], colour: bool) -> Iterator[str]:
    """Yield the verdicts on jobs that share nets in one text; jobs with the same verdict are counted."""
    alike: dict[tuple[str, str], list[str]] = {}
    for verdict in verdicts:
        alike.setdefault((verdict.severity, verdict.sentence), []).append(verdict.path)
    lines = []
    for (severity, sentence), (path, *others) in alike.items():
        also = f" and {counted(len(others), 'other solver')}" if others else ""
        meaning = severity if severity in ("error", "warning") else "fix"
        lines.append(f"{paint(f'{path}{also}', 'path', colour)}: {paint(sentence, meaning, colour)}")
    if lines:
        yield "\n".join(lines)


def _block_of(group: Group, colour: bool) -> str:
    """Return the text of a finding with what is folded beneath it."""
    first = group.first
    margin = " " * len(str(first.place.line))
    bar = f"{margin} {paint('=', 'frame', colour)} "
    lines = [block(first, colour)]
    if group.repeats:
        listed = [finding for finding in group.repeats if finding.message != first.message][:LISTED]
        others = [finding for finding in group.repeats if finding not in listed]
        if others:
            lines += _wrapped(bar, f"also at {', '.join(map(_column, others))}", len(margin) + 3)
        lines += (f"{bar}also at {_column(finding)}: {finding.message}" for finding in listed)
    if group.effects:
        text = f"explains {counted(len(group.effects), 'other finding')}: {_by_rule(group.effects, first.place.path)}"
        lines += _wrapped(bar, text, len(margin) + 3)
    return "\n".join(lines)


def _column(finding: Finding) -> str:
    return f"{finding.place.line}:{finding.place.column}"


def _by_rule(findings: Iterable[Finding], path: str) -> str:
    """Return the codes of findings with their places: `N304 7:3, 8:3; G101 solver.prototxt:8:1`."""
    places: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        where = "" if finding.place.path == path else f"{finding.place.path}:"
        places.setdefault((where, finding.code), []).append(f"{where}{_column(finding)}")
    return "; ".join(f"{code} {', '.join(found)}" for (_, code), found in places.items())


def block(finding: Finding, colour: bool) -> str:
    """Return the text of a finding, without a final line feed."""
    place = finding.place
    head = paint(f"{finding.severity}[{finding.code}]", finding.severity, colour)
    lines = [f"{head} {paint(finding.name, 'path', colour)}: {finding.message}"]
    margin = " " * len(str(place.line))
    lines.append(f"{margin}{paint('-->', 'frame', colour)} {place.path}:{place.line}:{place.column}")
    bar = paint("|", "frame", colour)
    if finding.line_text.strip():
        text, before, width = _window(finding.line_text, place)
        lines.append(f"{margin} {bar}")
        lines.append(f"{paint(str(place.line), 'frame', colour)} {bar} {text}")
        lines.append(f"{margin} {bar} {' ' * before}{paint('^' * width, finding.severity, colour)}")
    for other in finding.related:
        where = "" if other.path == place.path else f"{other.path}:"
        lines.append(
            f"{margin} {paint('=', 'frame', colour)} {where}{other.line}:{other.column}: {other.message}"
        )
    if finding.reason:
        lines += _wrapped(
            f"{margin} {paint('=', 'frame', colour)} ", "note: " + finding.reason, len(margin) + 3
        )
    if finding.confidence != "high":
        lines.append(f"{margin} {paint('=', 'frame', colour)} confidence: {finding.confidence}")
    if finding.fix is not None:
        how = "--fix" if finding.fix.safe else "--fix --unsafe-fixes"
        where = "" if finding.fix.path == place.path else f" in {finding.fix.path}"
        lines += _wrapped(
            f"{margin} {paint('=', 'frame', colour)} ",
            paint(f"help: {finding.fix.title}{where} ({how})", "fix", colour),
            len(margin) + 3,
        )
    return "\n".join(lines)


def _wrapped(prefix: str, text: str, indent: int) -> list[str]:
    """Wrap a text between words. Loading `textwrap` would take longer than most whole reports."""
    lines: list[str] = []
    for word in re.split(r"[ \t\n\v\f\r]", text):
        if lines and len(lines[-1]) + 1 + len(word) <= WIDTH - indent:
            lines[-1] += f" {word}"
        elif word:
            lines.append(word)
    first, *others = (line.rstrip() for line in lines)
    return [prefix + first, *(" " * indent + line for line in others)]


def _window(line: str, place: Place) -> tuple[str, int, int]:
    """Return the part of a line to show, the number of columns before the caret, and the width of the carets."""
    start, end = place.column - 1, max(place.end_column - 1, place.column)
    if place.line == 1:
        line = line.removeprefix("\ufeff")
    left = 0
    if len(line) > SHOWN:
        left = max(0, min(start - SHOWN // 3, len(line) - SHOWN))
    shown = line[left : left + SHOWN]
    text = ("…" if left else "") + printable(shown) + ("…" if left + SHOWN < len(line) else "")
    before = _width(printable(line[left:start])) + bool(left)
    return text, before, max(1, _width(printable(line[start : min(end, left + SHOWN)])))


def printable(text: str) -> str:
    """Replace tabs by spaces, and make control characters visible."""
    return visible(text.replace("\t", " " * TAB))


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
