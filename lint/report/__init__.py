"""Reports of findings. Each format is a file of its own with an entry in FORMATS."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TypeVar

from ..engine.job_verdicts import JobVerdict
from ..proto.lines import Lines
from ..proto.named_tuple import NamedTuple
from ..rule.finding import Cause, Finding
from ..source.places import Place
from ..source.visible import visible
from ..source.wording import counted

# The output formats and their modules. A module has `render(findings, summary, *, colour)` and is loaded on demand.
FORMATS = {
    "full": "full",
    "concise": "concise",
    "json": "json_format",
    "sarif": "sarif",
    "github": "github",
    "gitlab": "gitlab",
    "junit": "junit",
    "html": "html",
}
_FOR_PROGRAMS = frozenset({"json", "sarif", "gitlab"})  # they name paths as they are, escaped by the format


class JobReport(NamedTuple):
    """What people are told of files that are checked together: the verdict on each job, and the findings.

    `is_named` says whether the user named one of the files, rather than a folder.
    """

    verdicts: tuple[JobVerdict, ...]
    findings: list[Finding]
    is_named: bool = True

    def shown(self) -> JobReport:
        """Return it with `visible` texts."""
        verdicts = tuple(
            verdict._replace(path=visible(verdict.path), sentence=visible(verdict.sentence)) for verdict in self.verdicts
        )
        return self._replace(verdicts=verdicts, findings=list(map(shown, self.findings)))


class Summary(NamedTuple):
    """What else there is to report about a run.

    `texts` are the checked files by path, after fixes, since findings refer to these; a log, which may be large, has an
    empty text. `fixed` says of each finding that was fixed what was written, in `patched` files; `errors` are sentences about
    what could not be done. `fail_on` is the lowest severity that fails the run by path, `warning` by default. `docs_url` is
    the address of the rules' pages, if they are served. `jobs` are the findings again, job by job, for the formats that people
    read; without jobs, and with `in_full`, these list the findings in the order of their places, without folding any. `most` is how
    many blocks people are shown before an overview of the rest, None for all. `width` is that of the terminal that they read it in.
    `drawings` are the pages of `caffe-lint view` beside the report, by the path of the solver or net.
    """

    texts: dict[str, bytes]
    fixed: tuple[str, ...] = ()
    patched: int = 0
    errors: tuple[str, ...] = ()
    fail_on: dict[str, str] = {}  # noqa: RUF012 - never changed
    docs_url: str | None = None
    jobs: tuple[JobReport, ...] = ()
    in_full: bool = False
    most: int | None = None
    width: int | None = None
    drawings: dict[str, str] = {}  # noqa: RUF012 - never changed

    def line_text(self, place: Place) -> str:
        """Return the line of a place, empty if its text is not available."""
        lines = lines_of(self.texts.get(place.path, b""))
        if place.line > len(lines.starts):
            return ""
        start = lines.starts[place.line - 1]
        return lines.source[start : lines.end(start)].rstrip(b"\r").decode("utf-8", "replace")

    def shown(self) -> Summary:
        """Return it with `visible` paths and sentences."""
        return self._replace(
            texts={visible(path): text for path, text in self.texts.items()},
            errors=tuple(map(visible, self.errors)),
            fixed=tuple(map(visible, self.fixed)),
            fail_on={visible(path): severity for path, severity in self.fail_on.items()},
            drawings={visible(path): page for path, page in self.drawings.items()},
            jobs=tuple(job.shown() for job in self.jobs),
        )

    def fails(self, finding: Finding) -> bool:
        """Whether a finding is severe enough to fail the run."""
        return finding.reaches(self.fail_on.get(finding.place.path, "warning"))


@lru_cache(maxsize=64)
def lines_of(text: bytes) -> Lines:
    """Return the lines of a file, computed once for all its findings."""
    return Lines(text)


def render(format: str, findings: list[Finding], summary: Summary, *, colour: bool = False) -> str:
    """Return the report in one of FORMATS, ending in a line feed unless it is empty."""
    with_paths = format not in _FOR_PROGRAMS
    text: str = import_module(f".{FORMATS[format]}", __name__).render(
        [shown(finding, with_paths=with_paths) for finding in findings],
        summary.shown() if with_paths else summary,
        colour=colour,
    )
    return text


def shown(finding: Finding, *, with_paths: bool = True) -> Finding:
    """Return a finding with `visible` texts, and paths if people read them; the line that it stands in stays as it is."""
    related = tuple(_shown(place, with_paths)._replace(message=visible(place.message)) for place in finding.related)
    if related == finding.related:
        related = finding.related
    fix = finding.fix
    if fix is not None:
        fix = fix._replace(path=visible(fix.path) if with_paths else fix.path, title=visible(fix.title))
    return finding._replace(
        place=_shown(finding.place, with_paths),
        message=visible(finding.message),
        reason=visible(finding.reason),
        related=related,
        fix=fix,
        caused_by=_shown(finding.caused_by, with_paths) if finding.caused_by is not None else None,
    )


_Where = TypeVar("_Where", Place, Cause)


def _shown(place: _Where, with_paths: bool) -> _Where:
    return place._replace(path=visible(place.path)) if with_paths else place


def summary_line(findings: list[Finding], summary: Summary) -> str:
    """Return a line with the number of findings, of files, and of fixable findings."""
    fixed = ""
    if summary.fixed:
        fixed = f"Fixed {counted(len(summary.fixed), 'finding')} in {counted(summary.patched, 'file')}. "
    if not findings:
        checked = f"{counted(len(summary.texts), 'file')} checked"
        if not summary.texts:
            return "No file was checked."
        return f"{fixed}Nothing left to report, {checked}." if fixed else f"No findings, {checked}."
    files = len({finding.place.path for finding in findings})
    by_severity = [
        counted(number, severity) if severity != "advice" else f"{number} advice"
        for severity in ("error", "warning", "advice")
        if (number := sum(finding.severity == severity for finding in findings))
    ]
    line = f"{fixed}{counted(len(findings), 'finding')} in {counted(files, 'file')} ({', '.join(by_severity)})."
    safe = sum(finding.fix is not None and finding.fix.safe for finding in findings)
    unsafe = sum(finding.fix is not None and not finding.fix.safe for finding in findings)
    if safe:
        line += f"\n[*] {safe} fixable with `--fix`"
        line += f", {unsafe} more with `--fix --unsafe-fixes`." if unsafe else "."
    elif unsafe:
        line += f"\n{unsafe} fixable with `--fix --unsafe-fixes`."
    return line


