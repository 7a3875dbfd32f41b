"""The report for people, job by job: the verdict, then each finding with its line, a caret, notes, and the fix."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from ..engine.job_verdicts import JobVerdict
from ..rule.explanations import ON_ALL_JOBS
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
    growing = Growing(colour, summary.most)
    if summary.in_full:
        blocks = [line for job in summary.jobs for line in _verdicts(job.verdicts, colour)]
        text = "".join(f"{one}\n\n" for one in (*blocks, *(block(finding, colour) for finding in findings)))
    else:
        text = "".join(map(growing.add, summary.jobs or [JobReport((), findings)]))
    return text + growing.closing(findings, summary)


class Growing:
    """A report that is printed while jobs are still checked: first each job, then what concerns all of them."""

    def __init__(self, colour: bool, most: int | None = None) -> None:
        self._colour = colour
        self._most = most
        self._blocks = 0
        self._hidden = 0  # findings
        self._on_all_jobs: list[Finding] = []
        self._first: dict[tuple[str, ...], Finding] = {}  # of findings that are alike, by what is alike
        self._also: dict[tuple[str, ...], list[Finding]] = {}  # the others, in other files

    def add(self, job: JobReport) -> str:
        """Return the text on a job, with an empty line at the end; nothing if there were too many findings before it.

        Nor is there any on files that nobody named, if all that was found is advice that comes at the end.
        """
        texts = []
        is_full = self._is_full
        for group in groups(job.findings):
            alike = _what_is_alike(group.first)
            first = self._first.setdefault(alike, group.first)
            if group.first.code in ON_ALL_JOBS and group.first.severity == "advice" and not group.effects:
                self._on_all_jobs += (group.first, *group.repeats)
            elif first.place.path != group.first.place.path and not group.repeats:
                self._also.setdefault(alike, []).append(group.first)
            elif self._is_full:
                self._hidden += 1 + len(group.repeats) + len(group.effects)
            else:
                self._blocks += 1
                texts.append(_block_of(group, self._colour))
        says_nothing = not texts and not job.is_named and all(one.severity in ("", "advice") for one in job.verdicts)
        verdicts = [] if is_full or says_nothing else _verdicts(job.verdicts, self._colour)
        return "".join(f"{text}\n\n" for text in (*verdicts, *texts))

    def closing(self, findings: list[Finding], summary: Summary) -> str:
        """Return the text on the whole run, with all its findings."""
        blocks = []
        if len(self._on_all_jobs) == 1:
            blocks.append(block(self._on_all_jobs[0], self._colour))
        elif self._on_all_jobs:
            blocks.append(self._advice_on_all_jobs())
        if self._also:
            blocks.append("\n".join(self._also_in()))
        if summary.fixed:
            blocks.append("\n".join(paint(f"fixed: {what}", "fix", self._colour) for what in summary.fixed))
        if self._most is not None and len(findings) > self._most:
            from .overview import overview  # with json, which short reports do without

            blocks.append(overview(findings))
        last = summary_line(findings, summary)
        if self._hidden:
            last = f"{counted(self._hidden, 'finding')} not shown: --show-all shows all of them.\n{last}"
        return "\n\n".join([*blocks, last]) + "\n"

    @property
    def _is_full(self) -> bool:
        return self._most is not None and self._blocks >= self._most

    def _advice_on_all_jobs(self) -> str:
        """Return one block for advice on many jobs: how many there are, and where."""
        first, number = self._on_all_jobs[0], len(self._on_all_jobs)
        head = paint(f"{first.severity}[{first.code}]", first.severity, self._colour)
        fixable = sum(finding.fix is not None and finding.fix.safe for finding in self._on_all_jobs)
        about = f"{counted(number, 'solver')}, {fixable} of them fixable with --fix" if fixable else counted(number, "solver")
        lines = [f"{head} {paint(first.name, 'path', self._colour)}: in {about}"]
        places = [f"{finding.place.path}:{finding.place.line}" for finding in self._on_all_jobs[:LISTED]]
        more = f" and {number - LISTED} more" if number > LISTED else ""
        lines += _wrapped("  = ", f"{', '.join(places)}{more}", 4)
        lines.append(f"  = help: caffe-lint explain {first.code}; --show-all shows each of them")
        return "\n".join(lines)

    def _also_in(self) -> Iterator[str]:
        """Yield where findings that were shown stand as well."""
        for number, (alike, others) in enumerate(self._also.items()):
            if number == LISTED:
                yield f"… and {counted(len(self._also) - LISTED, 'other finding')} also in other files"
                return
            first = self._first[alike]
            places = [f"{finding.place.path}:{finding.place.line}" for finding in others[:LISTED]]
            more = f" and {len(others) - LISTED} more" if len(others) > LISTED else ""
            start = f"{first.code} at {first.place.path}:{first.place.line} also in "
            yield from _wrapped(start, f"{', '.join(places)}{more}", 4)


def _what_is_alike(finding: Finding) -> tuple[str, ...]:
    return finding.code, finding.severity, finding.message, finding.line_text.strip()


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
