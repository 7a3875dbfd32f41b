"""Reports: how findings are shown. A format is one file, entered in FORMATS."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

from ..proto.lines import Lines
from ..proto.named_tuple import NamedTuple
from ..rule.finding import Finding
from ..source.places import Place

# The formats of findings, and the module of each. It has `render(findings, summary, *, colour)`, and is loaded when it
# is asked for.
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


class Summary(NamedTuple):
    """What a run did beside its findings.

    `texts` are the files that were checked, by path, as the findings speak of them: after the fixes; a log, which may
    be large, is there without its text. `applied` is how many findings were settled by fixes in how many `patched`
    files; `trouble` are sentences on what could not be done. `fail_on` says, by path, which severity makes the run
    fail at least; `warning` where it says nothing. `docs_url` is where the pages of the rules are served, if they are.
    """

    texts: dict[str, bytes]
    applied: int = 0
    patched: int = 0
    trouble: tuple[str, ...] = ()
    fail_on: dict[str, str] = {}  # noqa: RUF012 - never changed
    docs_url: str | None = None

    def line_text(self, place: Place) -> str:
        """The line of a place, empty where the text is not at hand."""
        lines = lines_of(self.texts.get(place.path, b""))
        if place.line > len(lines.starts):
            return ""
        start = lines.starts[place.line - 1]
        return lines.source[start : lines.end(start)].rstrip(b"\r").decode("utf-8", "replace")

    def fails(self, finding: Finding) -> bool:
        """Whether a finding is at the level that counts."""
        return finding.reaches(self.fail_on.get(finding.place.path, "warning"))


@lru_cache(maxsize=64)
def lines_of(text: bytes) -> Lines:
    """The lines of a file, found once for all its findings."""
    return Lines(text)


def render(format: str, findings: list[Finding], summary: Summary, *, colour: bool = False) -> str:
    """The whole report in one of FORMATS, ending in a line feed unless it is empty."""
    text: str = import_module(f".{FORMATS[format]}", __name__).render(findings, summary, colour=colour)
    return text


def summary_line(findings: list[Finding], summary: Summary) -> str:
    """What was found, in how many files, and how much of it a fix would settle."""
    fixed = ""
    if summary.applied:
        fixed = f"Fixed {counted(summary.applied, 'finding')} in {counted(summary.patched, 'file')}. "
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


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
