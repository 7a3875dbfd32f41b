"""The report for people, job by job: the verdict, then each finding with its line, a caret, notes, and the fix."""

from __future__ import annotations

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
from .wrapping import columns, fitted, wrapped

WIDTH = 110  # of notes, if that of the terminal is unknown or larger
SHOWN = 160  # a longer line of a file is shortened to this many characters around the place
LEAST_SHOWN = 20  # however narrow the terminal is
TAB = 4
LISTED = 10  # other messages of a repeated rule that are shown; of the rest, only the places


def render(findings: list[Finding], summary: Summary, *, colour: bool) -> str:
    """The report."""
    growing = Growing(colour, summary.most, summary.width)
    if summary.in_full:
        blocks = [line for job in summary.jobs for line in _verdicts(job.verdicts, colour, summary.width)]
        text = "".join(
            f"{one}\n\n" for one in (*blocks, *(block(finding, colour, summary.width) for finding in findings))
        )
    else:
        text = "".join(map(growing.add, summary.jobs or [JobReport((), findings)]))
    return text + growing.closing(findings, summary)


class Growing:
    """A report that is printed while jobs are still checked: first each job, then what concerns all of them."""

    def __init__(self, colour: bool, most: int | None = None, width: int | None = None) -> None:
        self._colour = colour
        self._most = most
        self._width = width
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
                texts.append(_block_of(group, self._colour, self._width))
        says_nothing = not texts and not job.is_named and all(one.severity in ("", "advice") for one in job.verdicts)
        verdicts = [] if is_full or says_nothing else _verdicts(job.verdicts, self._colour, self._width)
        return "".join(f"{text}\n\n" for text in (*verdicts, *texts))

    def closing(self, findings: list[Finding], summary: Summary) -> str:
        """Return the text on the whole run, with all its findings."""
        blocks = []
        if len(self._on_all_jobs) == 1:
            blocks.append(block(self._on_all_jobs[0], self._colour, self._width))
        elif self._on_all_jobs:
            blocks.append(self._advice_on_all_jobs())
        if self._also:
            blocks.append("\n".join(self._also_in()))
        if summary.fixed:
            text = "\n".join(paint(f"fixed: {what}", "fix", self._colour) for what in summary.fixed)
            blocks.append(fitted(text, self._width))
        if self._most is not None and len(findings) > self._most:
            from .overview import overview  # with json, which short reports do without

            blocks.append(overview(findings))
        last = summary_line(findings, summary)
        if self._hidden:
            last = f"{counted(self._hidden, 'finding')} not shown: --show-all shows all of them.\n{last}"
        return "\n\n".join([*blocks, fitted(last, self._width)]) + "\n"

    @property
    def _is_full(self) -> bool:
        return self._most is not None and self._blocks >= self._most

    def _advice_on_all_jobs(self) -> str:
        """Return one block for advice on many jobs: how many there are, and where."""
        first, number = self._on_all_jobs[0], len(self._on_all_jobs)
        head = paint(f"{first.severity}[{first.code}]", first.severity, self._colour)
        fixable = sum(finding.fix is not None and finding.fix.safe for finding in self._on_all_jobs)
        about = (
            f"{counted(number, 'solver')}, {fixable} of them fixable with --fix"
            if fixable
            else counted(number, "solver")
        )
        lines = [fitted(f"{head} {paint(first.name, 'path', self._colour)}: in {about}", self._width)]
        places = [f"{finding.place.path}:{finding.place.line}" for finding in self._on_all_jobs[:LISTED]]
        more = f" and {number - LISTED} more" if number > LISTED else ""
        lines += wrapped(f"{', '.join(places)}{more}", self._width or WIDTH, first="  = ", others="    ")
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
            yield from wrapped(f"{start}{', '.join(places)}{more}", self._width or WIDTH, others="    ")


def _what_is_alike(finding: Finding) -> tuple[str, ...]:
    return finding.code, finding.severity, finding.message, finding.line_text.strip()


def _verdicts(verdicts: Sequence[JobVerdict], colour: bool, width: int | None) -> Iterator[str]:
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
        yield fitted("\n".join(lines), width)


def _block_of(group: Group, colour: bool, width: int | None) -> str:
    """Return the text of a finding with what is folded beneath it."""
    first = group.first
    margin = " " * len(str(first.place.line))
    bar, indent = f"{margin} {paint('=', 'frame', colour)} ", " " * (len(margin) + 3)
    return "\n".join([block(first, colour, width), *folded(group, bar, indent, width)])


def folded(group: Group, bar: str, indent: str, width: int | None) -> list[str]:
    """Return the lines on what is folded beneath a finding."""
    first, lines = group.first, []
    if group.repeats:
        messages = dict.fromkeys(finding.message for finding in group.repeats if finding.message != first.message)
        listed = list(messages)[:LISTED]
        others = [finding for finding in group.repeats if finding.message not in listed]
        if others:
            lines += wrapped(f"also at {_columns(others)}", width or WIDTH, first=bar, others=indent)
        for message in listed:
            text = f"also at {_columns(finding for finding in group.repeats if finding.message == message)}: {message}"
            lines += wrapped(text, width, first=bar, others=indent) if width else [bar + text]
    if group.effects:
        text = f"explains {counted(len(group.effects), 'other finding')}: {_by_rule(group.effects, first.place.path)}"
        lines += wrapped(text, width or WIDTH, first=bar, others=indent)
    return lines


def _columns(findings: Iterable[Finding]) -> str:
    return ", ".join(map(_column, findings))


def _column(finding: Finding) -> str:
    return f"{finding.place.line}:{finding.place.column}"


def _by_rule(findings: Iterable[Finding], path: str) -> str:
    """Return the codes of findings with their places: `N304 7:3, 8:3; G101 solver.prototxt:8:1`."""
    places: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        where = "" if finding.place.path == path else f"{finding.place.path}:"
        places.setdefault((where, finding.code), []).append(f"{where}{_column(finding)}")
    return "; ".join(f"{code} {', '.join(found)}" for (_, code), found in places.items())


def block(finding: Finding, colour: bool, width: int | None = None) -> str:
    """Return the text of a finding, without a final line feed. `width` is that of the terminal, if it is printed to one."""
    place = finding.place
    head = paint(f"{finding.severity}[{finding.code}]", finding.severity, colour)
    lines = [fitted(f"{head} {paint(finding.name, 'path', colour)}: {finding.message}", width)]
    margin = " " * len(str(place.line))
    indent = " " * (len(margin) + 3)
    equals = f"{margin} {paint('=', 'frame', colour)} "
    lines.append(f"{margin}{paint('-->', 'frame', colour)} {place.shown}")
    bar = paint("|", "frame", colour)
    if finding.line_text.strip():
        text, before, marked = _window(
            finding.line_text, place, max(LEAST_SHOWN, min(SHOWN, width - len(indent) - 2)) if width else SHOWN
        )
        lines.append(f"{margin} {bar}")
        lines.append(f"{paint(str(place.line), 'frame', colour)} {bar} {text}")
        lines.append(f"{margin} {bar} {' ' * before}{paint('^' * marked, finding.severity, colour)}")
    for other in finding.related:
        where = "" if other.path == place.path else f"{other.path}:"
        text = f"{where}{other.line}:{other.column}: {other.message}"
        lines += wrapped(text, width, first=equals, others=indent) if width else [equals + text]
    if finding.reason:
        lines += wrapped(f"note: {finding.reason}", width or WIDTH, first=equals, others=indent)
    if finding.confidence != "high":
        lines.append(f"{equals}confidence: {finding.confidence}")
    if finding.fix is not None:
        how = "--fix" if finding.fix.safe else "--fix --unsafe-fixes"
        where = "" if finding.fix.path == place.path else f" in {finding.fix.path}"
        text = paint(f"help: {finding.fix.title}{where} ({how})", "fix", colour)
        lines += wrapped(text, width or WIDTH, first=equals, others=indent)
    return "\n".join(lines)


def _window(line: str, place: Place, most: int) -> tuple[str, int, int]:
    """Return the part of a line to show, the number of columns before the caret, and the width of the carets."""
    start, end = place.column - 1, max(place.end_column - 1, place.column)
    if place.line == 1:
        line = line.removeprefix("\ufeff")
    left = 0
    if len(line) > most:
        left = max(0, min(start - most // 3, len(line) - most))
    shown = line[left : left + most]
    text = ("…" if left else "") + printable(shown) + ("…" if left + most < len(line) else "")
    before = columns(printable(line[left:start])) + bool(left)
    return text, before, max(1, columns(printable(line[start : min(end, left + most)])))


def printable(text: str) -> str:
    """Replace tabs by spaces, and make control characters visible."""
    return visible(text.replace("\t", " " * TAB))
