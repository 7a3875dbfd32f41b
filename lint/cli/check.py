"""The work of `caffe-lint FILE…`: from paths and options to a report, patched files and an exit status.

Without click: the usual call, which has no options, does not load it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..api import Keeping, Session
from ..fixes.allowed import is_inside
from ..proto.named_tuple import NamedTuple
from ..report import JobReport, Summary, render, shown, summary_line
from ..settings.in_force import CommandLine
from ..source.errors import InputError
from ..source.wording import counted
from .command_table import COMMANDS
from .console import (
    EXIT_CLEAN,
    EXIT_FAILED,
    EXIT_FINDINGS,
    UsageError,
    check_output_folder,
    complain,
    in_colour,
    print_text,
    show_diff,
    text_width,
    write_output,
    write_report,
)
from .progress import Progress, progress

if TYPE_CHECKING:
    from ..engine.checking import Checked
    from ..engine.files_in_memory import Files
    from ..engine.running import Kept, Work
    from ..engine.units import LeftAlone, Unit, UnitResult
    from ..engine.writing import Written
    from ..report.full import Growing
    from ..rule.finding import Finding

# The blocks of findings that a terminal is shown before an overview of the rest.
MOST = 50
# The most jobs that are drawn beside a report for the browser.
MOST_DRAWN = 4


class Options(NamedTuple):
    """What the command line can ask of a check: `settings` of what is checked, and what is made of it.

    The help of each stands in `cli.check_command`.
    """

    settings: CommandLine = CommandLine()
    fix: bool = False
    add_ignore: bool = False
    unsafe_fixes: bool = False
    diff: bool = False
    with_solvers: bool = False
    output_format: str = "full"
    output_file: str | None = None
    exit_zero: bool = False
    statistics: bool = False
    sort: str = "severity"
    show_all: bool = False
    proto: str | None = None
    jobs: int = 0  # 0: one for each core, if there are more than a few files
    cache_dir: str | None = None
    no_cache: bool = False
    stdin_filename: str | None = None
    color: str = "auto"
    watch: bool = False
    interactive: bool = False


class Outcome(NamedTuple):
    """What a check came to: its exit status, and the paths of all files that it read, configuration included."""

    status: int
    read: tuple[str, ...]


def check(paths: tuple[str, ...], options: Options) -> int:
    """Checks files and folders, reports, patches if asked for, and gives the exit status.

    Raises InputError and UsageError.
    """
    _ask_for_sense(paths, options)
    if options.watch:
        from .watching import watch  # only with --watch

        said = options.settings
        also = (said.config, said.baseline, said.deploy, options.proto)
        return watch(paths, also, lambda: check_once(paths, options).read)
    return check_once(paths, options).status


def _ask_for_sense(paths: tuple[str, ...], options: Options) -> None:
    """Raises UsageError or InputError for options that make no sense together, and for a command that is none."""
    if not paths:
        raise UsageError("no file or folder given")
    if paths[0] not in ("-", options.stdin_filename) and not os.path.lexists(paths[0]):
        from ..proto.spelling import nearest_name  # for a mistyped command only

        if meant := nearest_name(paths[0], sorted(COMMANDS)):
            raise UsageError(f"no command and no file is called '{paths[0]}'; did you mean `caffe-lint {meant}`?")
    if options.settings.output_dir and not options.fix:
        raise UsageError("--output-dir needs --fix")
    check_output_folder(options.settings.output_dir)
    check_output_folder(options.cache_dir)
    if options.cache_dir and options.no_cache:
        raise UsageError("--cache-dir and --no-cache cannot be combined")
    if options.settings.deploy and not os.path.isfile(options.settings.deploy):
        raise InputError(f"--deploy {options.settings.deploy}: no such file")
    if options.fix and options.diff:
        raise UsageError("--fix and --diff cannot be combined: --fix writes the patch, --diff shows it")
    if options.fix and options.add_ignore:
        raise UsageError("--fix and --add-ignore cannot be combined: run --fix first, then --add-ignore")
    if options.settings.write_baseline:
        _hold_apart("--write-baseline records the findings", (), options, *_NOT_WITH_A_RECORD)
    if options.interactive:
        _hold_apart("--interactive asks about each fix", paths, options, *_NOT_IN_A_TALK)
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError("--interactive needs a terminal")
    if options.watch:
        _hold_apart("--watch writes nothing", paths, options, "fix", "add_ignore")


_NOT_WITH_A_RECORD = ("fix", "diff", "add_ignore", "interactive", "watch", "statistics", "output_file")
_NOT_IN_A_TALK = ("fix", "diff", "add_ignore", "watch", "statistics", "output_file")


def _hold_apart(what: str, paths: tuple[str, ...], options: Options, *others: str) -> None:
    """Raises UsageError for options, or a `-`, that make no sense together with another."""
    given = [f"--{name.replace('_', '-')}" for name in others if getattr(options, name)]
    for other in (*given, *(path for path in paths if path == "-")):
        raise UsageError(f"{what}; it cannot be combined with {other}")


def check_once(paths: tuple[str, ...], options: Options) -> Outcome:
    """Checks, reports and patches as the options say. Raises InputError."""
    session = Session(
        _searching(paths, options.settings), options.proto, keeping=None if options.no_cache else Keeping(options.cache_dir)
    )
    settings = session.settings
    piped_from = [options.stdin_filename or "."] if "-" in paths else []
    files = session.files(paths, named=(*paths, *piped_from))
    files.with_verdicts = _shows_verdicts(options)
    paths = tuple(_standard_input(path, files, options) for path in paths)
    notes: list[str] = []
    if options.with_solvers:
        solvers, notes = session.solvers_naming(paths, files)
        paths += tuple(solvers)
    jobs = _Jobs(paths, files)
    growing = _growing(options)
    kept: list[Kept] = []  # what is drawn beside a report for the browser
    with progress() as bar:

        def print_job(unit: Unit, result: UnitResult) -> None:
            report = jobs.report(unit, result)
            if growing is not None and report is not None:
                bar.clear()
                print_text(growing.add(report.shown()))

        def run(work: Work, files: Files) -> list[UnitResult]:
            if not _draws(work, options):
                return _run(session, work, files, options, bar, print_job)
            results = session.keeping_files(kept)(work, files)
            for (unit, _), result in zip(work, results, strict=True):
                print_job(unit, result)
            return results

        checked = session.check(paths, files, run)
    fail_on = _fail_on(session, checked.findings)
    outside = set(filter(jobs.is_outside, checked.sources))
    findings = [jobs.quoted(finding) for finding in checked.findings]
    patched = checked.patched
    notes += checked.notes
    errors = checked.errors
    rounds = checked.rounds
    if options.add_ignore:
        suppressed = session.suppressed(checked, findings)
        findings = suppressed.left
        patched.update(suppressed.texts)
        rounds.update(suppressed.rounds)
    if options.output_file is not None:
        from ..source.output import require_output  # with what writes files

        require_output(options.output_file)  # before anything is written
    failed = any(finding.reaches(fail_on[finding.place.path]) for finding in findings)
    unverified: set[str] = set()
    if patched:
        allowed, refused = session.verified(patched, rounds)
        unverified = set(patched) - set(allowed)
        patched = allowed
        errors += refused
    if options.settings.write_baseline:
        if not checked.units and not errors and not notes:
            notes.append("no Caffe solver or net found")
        notes.append(_record(session, checked, options.settings.write_baseline))
        failed = False
    elif options.diff:
        notes += show_diff(patched, checked.sources, options.output_file, colour=_coloured(options))
        failed = bool(patched)
    else:
        notes += _settled(session, checked)
        piped = next(iter(files.given), None)
        done: set[str] = set()  # real paths of what was written
        if options.fix or options.add_ignore or options.interactive:
            # A file whose patch was refused is not written at all, except what was piped in: that goes through as it is.
            sources = {path: text for path, text in checked.sources.items() if path not in unverified}
            if piped is not None:
                sources[piped] = files.given[piped]
            written = _write(session, patched, sources, options.settings.output_dir, piped, files.roots or ())
            errors += written.failures
            done = {os.path.realpath(path) for path in written.paths if path in patched}
            if piped in patched:
                done.add(os.path.realpath(piped))
            notes += written.losses
            if (written.failures or unverified) and options.fix and piped is None:
                findings, jobs = _left_as_they_were(session, paths, options)
                fail_on = _fail_on(session, findings)
                patched = {path: text for path, text in patched.items() if path in written.paths}
        if options.add_ignore and done and not errors:
            number = counted(len(checked.findings) - len(findings), "finding")
            notes.append(f"suppressed {number} in {counted(len(done), 'file')}")
        summary = Summary(
            {**checked.texts, **patched, **dict.fromkeys(outside, b"")},
            tuple(one.sentence for one in checked.fixed if os.path.realpath(one.path) in done),
            len(done),
            tuple(dict.fromkeys(errors)),
            fail_on,
            settings.of(paths[0]).docs_url,
            tuple(_left(jobs.reports, findings) if options.add_ignore else jobs.reports),
            in_full=_is_in_full(options),
            most=_most(options),
            width=_width(options),
            drawings=_drawings(kept, session, options.output_file) if kept and options.output_file else {},
        )
        _show(findings, summary, options, growing, to_stderr=bool(piped and (options.fix or options.add_ignore)))
    notes += _left_alone(checked.left_alone, fixing=options.fix or options.interactive or options.diff)
    if not checked.units and not errors and not notes:
        notes.append("no Caffe solver or net found")
    for sentence in dict.fromkeys(notes + errors):
        complain(sentence)
    status = EXIT_FAILED if errors else EXIT_FINDINGS if failed and not options.exit_zero else EXIT_CLEAN
    return Outcome(status, (*checked.sources, *settings.files()))


def _searching(paths: tuple[str, ...], settings: CommandLine) -> CommandLine:
    """The settings by which files are searched: the folder for copies is left out unless something in it was named."""
    output = settings.output_dir
    return settings._replace(output_dir=None) if output and any(is_inside(path, (output,)) for path in paths) else settings


def _shows_verdicts(options: Options) -> bool:
    """Whether a report has the verdicts on jobs: only those for people, and no counts, patches or records."""
    otherwise = options.add_ignore or options.statistics or options.diff or options.interactive or options.settings.write_baseline
    return options.output_format in ("full", "html") and not otherwise


def _draws(work: Work, options: Options) -> bool:
    """Whether each job gets a page with its nets drawn: those of a few files, beside a report for the browser in a file."""
    is_page = options.output_format == "html" and options.output_file is not None
    return is_page and _shows_verdicts(options) and not options.fix and len(work) <= MOST_DRAWN


def _drawings(kept: list[Kept], session: Session, report: str) -> dict[str, str]:
    """Writes the page of each named solver and net beside a report, and gives their names. Raises InputError."""
    from ..report.view.contents import content_of  # only for pages
    from ..report.view.page import render as render_page  # as above
    base = os.path.splitext(report)[0]
    named = [(path, each) for each in kept for path in each.unit.paths]
    found: dict[str, str] = {}
    for number, (path, each) in enumerate(named, 1):
        stem = os.path.splitext(os.path.basename(path))[0]
        page = f"{base}-{number}-{stem}.html" if len(named) > 1 else f"{base}-{stem}.html"
        write_output(page, render_page(content_of(path, each, session.settings.of(path))).encode())
        found[path] = os.path.basename(page)
    return found


class _Jobs:
    """What is reported of each unit, in the order of their paths."""

    def __init__(self, paths: tuple[str, ...], files: Files) -> None:
        self.reports: list[JobReport] = []
        self._paths = paths
        self._files = files
        self._seen: set[tuple[Any, ...]] = set()
        self._outside: dict[str, bool] = {}

    def report(self, unit: Unit, result: UnitResult) -> JobReport | None:
        """The report on a unit, which is kept; None if nothing was found in files that nobody named.

        A finding in a file of several units is reported for the first of them.
        """
        own = [self.quoted(finding) for finding in result.findings if finding.identity not in self._seen]
        self._seen.update(finding.identity for finding in own)
        is_named = not set(unit.paths).isdisjoint(self._paths)
        if not own and not is_named:
            return None
        self.reports.append(JobReport(result.verdicts, own, is_named))
        return self.reports[-1]

    def quoted(self, finding: Finding) -> Finding:
        """A finding without its line if that is of a file outside that nobody named: it is nobody's business."""
        return finding._replace(line_text="") if self.is_outside(finding.place.path) else finding

    def is_outside(self, path: str) -> bool:
        """Whether a file lies outside of what was named."""
        if path not in self._outside:
            self._outside[path] = path not in self._paths and self._files.is_outside(path)
        return self._outside[path]


def _left(reports: list[JobReport], findings: list[Finding]) -> Iterator[JobReport]:
    """The reports on jobs with those of their findings that are left."""
    left = {finding.identity for finding in findings}
    for report in reports:
        yield report._replace(findings=[finding for finding in report.findings if finding.identity in left])


def _is_in_full(options: Options) -> bool:
    return options.show_all or options.sort == "path"


def _most(options: Options) -> int | None:
    """How many blocks people are shown in a terminal."""
    return None if options.output_file or not sys.stdout.isatty() else MOST


def _width(options: Options) -> int | None:
    return None if options.output_file else text_width()


def _growing(options: Options) -> Growing | None:
    """The report that is printed job by job, None if it is printed at the end: another format, or files are changed first."""
    is_later = options.output_format != "full" or options.fix or options.output_file or _is_in_full(options)
    if is_later or not _shows_verdicts(options):
        return None
    from ..report.full import Growing  # only for people

    return Growing(_coloured(options), _most(options), _width(options))


def _left_alone(files: dict[str, LeftAlone], *, fixing: bool) -> Iterator[str]:
    """A sentence for each file that was not checked, or, when `fixing`, in which nothing may be changed."""
    for path, left in sorted(files.items()):
        if fixing or not left.checked:
            yield f"{path}: not {'fixed' if fixing else 'checked'}: {left.reason}"


def _standard_input(path: str, files: Files, options: Options) -> str:
    """`-` read whole, under the name it stands for; any other path as it is."""
    if path != "-":
        return path
    shown = options.stdin_filename or "-"
    files.add(shown, sys.stdin.buffer.read())
    return shown


def _run(
    session: Session,
    work: Work,
    files: Files,
    options: Options,
    bar: Progress,
    print_job: Callable[[Unit, UnitResult], None],
) -> list[UnitResult]:
    if options.interactive:
        from .interactive import fix_as_chosen  # keeps --interactive out of the start

        results = fix_as_chosen(work, files, unsafe=options.unsafe_fixes, colour=_coloured(options))
        for (unit, _), result in zip(work, results, strict=False):
            print_job(unit, result)
        return results
    bar.of(len(work))
    if len(work) == 1:
        files.simulated = bar.simulated
    fixes = options.fix or (options.diff and not options.add_ignore)
    return session.run(
        work,
        files,
        patch=("unsafe" if options.unsafe_fixes else "safe") if fixes else "",
        jobs=options.jobs or None,
        progress=bar.show,
        result=lambda number, result: print_job(work[number][0], result),
    )


def _record(session: Session, checked: Checked, path: str) -> str:
    """Writes what was found into a baseline, and says so. Raises InputError."""
    new = session.record(checked, path)
    files = len({key[0] for key in new.counts})
    return f"{path}: {counted(sum(new.counts.values()), 'known finding')} in {counted(files, 'file')}"


def _settled(session: Session, checked: Checked) -> Iterator[str]:
    """A sentence for each baseline that knows more than there is."""
    for baseline, gone in session.settled(checked):
        named = ", ".join(f"{code} in {os.path.relpath(path)}" for path, code, _ in gone[:3])
        more = ", …" if len(gone) > 3 else ""
        yield (
            f"{baseline.path} knows {counted(len(gone), 'finding')} too many, settled since ({named}{more}):"
            f" --write-baseline {baseline.path} takes them out"
        )


def _coloured(options: Options) -> bool:
    return in_colour(options.color) and not (options.color == "auto" and options.output_file)


def _show(
    findings: list[Finding], summary: Summary, options: Options, growing: Growing | None, *, to_stderr: bool
) -> None:
    if growing is not None:
        print_text(growing.closing(list(map(shown, findings)), summary.shown()))
        return
    if options.interactive:  # everything else was shown with its question
        text = f"\n{summary_line(findings, summary)}\n"
    elif options.statistics:
        from ..report.rule_counts import render as render_statistics  # keeps json out of the start

        text = render_statistics(findings, summary, as_json=options.output_format == "json")
    else:
        text = render(options.output_format, findings, summary, colour=_coloured(options))
    has_commands = options.output_format == "github" and not options.interactive and not options.statistics
    write_report(text, options.output_file, to_stderr=to_stderr, has_commands=has_commands)


def _fail_on(session: Session, findings: Iterable[Finding]) -> dict[str, str]:
    """The severity from which on findings in each file fail a check."""
    return {path: session.settings.of(path).fail_on for path in {finding.place.path for finding in findings}}


def _left_as_they_were(session: Session, paths: tuple[str, ...], options: Options) -> tuple[list[Finding], _Jobs]:
    """What is found in files of which not all could be patched, as they now are."""
    files = session.files(paths, named=paths)
    files.with_verdicts = _shows_verdicts(options)
    jobs = _Jobs(paths, files)

    def run(work: Work, files: Files) -> list[UnitResult]:
        def report(number: int, result: UnitResult) -> None:
            jobs.report(work[number][0], result)

        return session.run(work, files, jobs=options.jobs or None, result=report)

    return [jobs.quoted(finding) for finding in session.check(paths, files, run).findings], jobs


def _write(
    session: Session,
    patched: dict[str, bytes],
    sources: dict[str, bytes],
    output_dir: str | None,
    piped: str | None,
    roots: tuple[str, ...],
) -> Written:
    """Writes the patched files; standard input goes to standard output."""
    if piped is not None:
        sys.stdout.buffer.write(patched.get(piped, sources.get(piped, b"")))
        sys.stdout.buffer.flush()
    on_disk = {path: source for path, source in sources.items() if path != piped and is_inside(path, roots)}
    if not output_dir:
        return session.write({path: patched[path] for path in on_disk if path in patched}, on_disk, roots)
    base = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in on_disk]) if on_disk else ""
    return session.write({path: patched.get(path, source) for path, source in on_disk.items()}, on_disk, roots, output_dir, base)
