"""The work of `caffe-lint FILE…`: from paths and options to a report, patched files and an exit status.

Without click: the usual call, which has no options, does not load it.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..engine.files_in_memory import Files
from ..engine.grouping import find_units
from ..engine.running import run_units
from ..engine.units import Unit, UnitResult
from ..proto.named_tuple import NamedTuple
from ..report import Summary, counted, render, summary_line
from ..rule.finding import Finding
from ..settings.in_force import CommandLine, SettingsOfPaths
from ..settings.settings import ConfigError
from ..source.errors import InputError

if TYPE_CHECKING:
    from ..net.data_facts import DataFacts
    from ..proto.schema import Schema

EXIT_CLEAN, EXIT_FINDINGS, EXIT_TROUBLE = 0, 1, 2


class Trouble(InputError):
    """The program cannot do its work; says why, for people."""


class Options(NamedTuple):
    """What the command line can ask of a check: `settings` of what is checked, and what is made of it.

    The help of each stands in `cli.check`.
    """

    settings: CommandLine = CommandLine()
    fix: bool = False
    add_ignore: bool = False
    unsafe_fixes: bool = False
    diff: bool = False
    output_dir: str | None = None
    output_format: str = "full"
    output_file: str | None = None
    exit_zero: bool = False
    statistics: bool = False
    proto: str | None = None
    jobs: int = 1
    stdin_filename: str | None = None
    color: str = "auto"
    watch: bool = False
    interactive: bool = False


class Checked(NamedTuple):
    """What a check came to: its exit status, and the paths of all files that it read, configuration included."""

    status: int
    read: tuple[str, ...]


def check(paths: tuple[str, ...], options: Options) -> int:
    """Checks files and folders, reports, patches if asked for, and gives the exit status. Raises Trouble."""
    if not paths:
        raise Trouble("no file or folder given")
    if paths[0] not in ("-", options.stdin_filename) and not os.path.lexists(paths[0]):
        from ..proto.spelling import nearest_name
        from .main import COMMANDS

        if meant := nearest_name(paths[0], sorted(COMMANDS)):
            raise Trouble(f"no command and no file is called '{paths[0]}'; did you mean `caffe-lint {meant}`?")
    if options.output_dir and not options.fix:
        raise Trouble("--output-dir goes with --fix")
    if options.settings.deploy and not os.path.isfile(options.settings.deploy):
        raise Trouble(f"--deploy {options.settings.deploy}: no such file")
    if options.fix and options.diff:
        raise Trouble("--fix writes and --diff only shows: one of the two")
    if options.fix and options.add_ignore:
        raise Trouble("--fix repairs and --add-ignore accepts what is there: first the one, then the other")
    if options.settings.write_baseline:
        _hold_apart("--write-baseline takes what is there as known", (), options, *_NOT_WITH_A_RECORD)
    if options.interactive:
        _hold_apart("--interactive asks what to do with each fix", paths, options, *_NOT_IN_A_TALK)
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise Trouble("--interactive asks questions, and there is no terminal to answer them")
    if options.watch:
        _hold_apart("--watch only looks, again and again", paths, options, "fix", "add_ignore")
        from .watching import watch

        return watch(paths, options)
    return check_once(paths, options).status


_NOT_WITH_A_RECORD = ("fix", "diff", "add_ignore", "interactive", "watch", "statistics", "output_file")
_NOT_IN_A_TALK = ("fix", "diff", "add_ignore", "watch", "statistics", "output_file")


def _hold_apart(what: str, paths: tuple[str, ...], options: Options, *others: str) -> None:
    """Raises Trouble for options, or a `-`, that make no sense together with another."""
    given = [f"--{name.replace('_', '-')}" for name in others if getattr(options, name)]
    for other in (*given, *(path for path in paths if path == "-")):
        raise Trouble(f"{what}: not together with {other}")


def check_once(paths: tuple[str, ...], options: Options) -> Checked:
    """Checks, reports and patches as the options say. Raises Trouble."""
    trouble: list[str] = []
    notes: list[str] = []
    try:
        settings = SettingsOfPaths(options.settings, read_schema(options.proto))
        files = Files(settings.schema, settings.of(paths[0]).dialect)
        paths = tuple(_standard_input(path, files, options) for path in paths)
        units = find_units(paths, files, trouble, notes, settings.excluded)
        results = _run(units, files, settings, options)
        findings = _all_findings(results)
        failed = any(finding.reaches(settings.of(finding.place.path).fail_on) for finding in findings)
    except ConfigError as error:
        raise Trouble(str(error)) from None
    texts = {path: source for result in results for path, source in result.patched.items()}
    patched = {path: texts[path] for path in {os.path.realpath(path): path for path in texts}.values()}
    sources = {path: source for result in results for path, source in result.sources.items()}
    piped = next(iter(files.given), None)
    for result in results:
        trouble += result.trouble
    everything = len(findings)
    if options.add_ignore:
        findings = _add_ignores(findings, sources, patched, settings)
        failed = any(finding.reaches(settings.of(finding.place.path).fail_on) for finding in findings)
    if options.settings.write_baseline:
        notes.append(_record(findings, results, sources, options.settings.write_baseline))
        failed = False
    elif options.diff:
        _show_diff(patched, sources, _colour(options))
        failed = bool(patched)
    else:
        notes += _settled(results, settings)
        if options.fix or options.add_ignore or options.interactive:
            _write(patched, sources, options.output_dir, piped, trouble)
        if options.add_ignore and patched and not trouble:
            suppressed = counted(everything - len(findings), "finding")
            notes.append(f"suppressed {suppressed} in {counted(len(patched), 'file')}")
        summary = Summary(
            {**sources, **texts, **patched},
            sum(result.applied for result in results),
            len(patched),
            tuple(dict.fromkeys(trouble)),
            {path: settings.of(path).fail_on for path in {finding.place.path for finding in findings}},
            settings.of(paths[0]).docs_url,
        )
        _show(findings, summary, options, to_stderr=bool(piped and (options.fix or options.add_ignore)))
    if not units and not trouble and not notes:
        notes.append("no solver or net of Caffe found there")
    for sentence in dict.fromkeys(notes + trouble):
        complain(sentence)
    status = EXIT_TROUBLE if trouble else EXIT_FINDINGS if failed and not options.exit_zero else EXIT_CLEAN
    return Checked(status, (*sources, *settings.files()))


def complain(sentence: str) -> None:
    """A sentence to standard error."""
    print_text(f"caffe-lint: {sentence}\n", to_stderr=True)


def print_text(text: str, *, to_stderr: bool = False) -> None:
    """Writes text whatever it holds: in UTF-8, bytes that came in undecoded going out unchanged."""
    stream = sys.stderr if to_stderr else sys.stdout
    stream.flush()
    stream.buffer.write(text.encode("utf-8", "surrogateescape"))
    stream.buffer.flush()


def _all_findings(results: list[UnitResult]) -> list[Finding]:
    """The findings of all units, each once: a net may be checked with several of them."""
    findings = {finding[:6]: finding for result in results for finding in result.findings}
    return sorted(findings.values(), key=lambda finding: (*finding.place[:3], finding.code, finding.message))


def _record(findings: list[Finding], results: list[UnitResult], sources: dict[str, bytes], path: str) -> str:
    """Writes what was found into a baseline, and says so. Raises Trouble."""
    from ..engine.baseline import Baseline, BaselineError, joined, keys_of, read_baseline, updated, write_baseline

    try:
        old = read_baseline(path) if os.path.exists(path) else Baseline(path, {})
        judged = joined(result.comparison for result in results if result.comparison is not None).judged
        new = updated(old, Counter(keys_of(findings, sources)), judged)
        write_baseline(new)
    except BaselineError as error:
        raise Trouble(str(error)) from None
    files = len({key[0] for key in new.counts})
    return f"{path}: {counted(sum(new.counts.values()), 'known finding')} in {counted(files, 'file')}"


def _settled(results: list[UnitResult], settings: SettingsOfPaths) -> Iterator[str]:
    """A sentence for each baseline that knows more than there is."""
    comparisons = [result.comparison for result in results if result.comparison is not None]
    if not comparisons:
        return
    from ..engine.baseline import joined, stale

    comparison = joined(comparisons)
    for baseline in settings.baselines:
        gone = stale(baseline, comparison)
        if gone:
            named = ", ".join(f"{code} in {os.path.relpath(path)}" for path, code, _ in gone[:3])
            more = ", …" if len(gone) > 3 else ""
            yield (
                f"{baseline.path} knows {counted(len(gone), 'finding')} too many, settled since ({named}{more}):"
                f" --write-baseline {baseline.path} takes them out"
            )


def _add_ignores(
    findings: list[Finding], sources: dict[str, bytes], patched: dict[str, bytes], settings: SettingsOfPaths
) -> list[Finding]:
    """Puts texts with suppressions for the findings into `patched`; the findings that are left."""
    from ..engine.ignoring import Known, write_suppressions
    from ..source.files import SourceFile

    left: list[Finding] = []
    for path in dict.fromkeys(finding.place.path for finding in findings):
        mine = {Known(finding.code, finding.start): finding for finding in findings if finding.place.path == path}
        file = SourceFile(path, sources[path], settings.schema, settings.of(path).dialect)
        written = write_suppressions(file, mine)
        if written.source != sources[path]:
            patched[path] = written.source
        left += (mine[known] for known in written.left)
    return left


def read_schema(proto: str | None) -> Schema:
    """The schema to read by: ours, or one compiled from the user's caffe.proto."""
    from ..proto.schema import Schema, caffe_schema

    if proto is None:
        return caffe_schema()
    from pathlib import Path

    from ..proto.compile import CompileError, compile_proto, schema_table

    try:
        schema = Schema(schema_table(compile_proto(Path(proto))), base=caffe_schema())
    except CompileError as error:
        raise Trouble(f"--proto {proto}: {error}") from None
    for name in ("NetParameter", "SolverParameter"):
        if not schema.has(name):
            raise Trouble(f"--proto {proto}: it has no message {name}, so it is no caffe.proto")
    return schema


def load_plugins(config: str | None, *, isolated: bool) -> None:
    """Loads the plugins that the configuration names that holds in the working directory. Raises Trouble."""
    try:
        SettingsOfPaths(CommandLine(config=config, isolated=isolated), read_schema(None)).of(".")
    except ConfigError as error:
        raise Trouble(str(error)) from None


def read_data_facts(path: str | None) -> DataFacts:
    """The facts about the data in a file, none without one. Raises Trouble."""
    if path is None:
        return {}
    from ..net.data_facts import FactsError, read_facts

    try:
        return read_facts(path)
    except FactsError as error:
        raise Trouble(str(error)) from None


def _standard_input(path: str, files: Files, options: Options) -> str:
    """`-` read whole, under the name it stands for; any other path as it is."""
    if path != "-":
        return path
    shown = options.stdin_filename or "-"
    files.add(shown, sys.stdin.buffer.read())
    return shown


def _run(units: list[Unit], files: Files, settings: SettingsOfPaths, options: Options) -> list[UnitResult]:
    work = [(unit, settings.of(unit.paths[0])) for unit in units]
    if options.interactive:
        from .interactive import fix_as_chosen

        return fix_as_chosen(work, files, unsafe=options.unsafe_fixes, colour=_colour(options))
    fixes = options.fix or (options.diff and not options.add_ignore)
    patch = ("unsafe" if options.unsafe_fixes else "safe") if fixes else ""
    return run_units(work, files, patch, options.jobs or os.cpu_count() or 1)


def _colour(options: Options) -> bool:
    if options.color != "auto":
        return options.color == "always"
    return sys.stdout.isatty() and not options.output_file and "NO_COLOR" not in os.environ


def _show(findings: list[Finding], summary: Summary, options: Options, *, to_stderr: bool) -> None:
    if options.interactive:  # everything else was shown with its question
        text = f"\n{summary_line(findings, summary)}\n"
    elif options.statistics:
        from ..report.rule_counts import render as render_statistics

        text = render_statistics(findings, summary, as_json=options.output_format == "json")
    else:
        text = render(options.output_format, findings, summary, colour=_colour(options))
    write_report(text, options.output_file, to_stderr=to_stderr)


def write_report(text: str, output_file: str | None, *, to_stderr: bool = False) -> None:
    """Writes a report to a file, or prints it where none is named. Raises Trouble."""
    if not output_file:
        print_text(text, to_stderr=to_stderr)
        return
    try:
        with open(output_file, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except OSError as error:
        raise Trouble(f"{output_file}: {error.strerror}") from None


def _show_diff(patched: dict[str, bytes], sources: dict[str, bytes], colour: bool) -> None:
    from ..report.diff import render as render_diff

    for path in sorted(patched):
        print_text(render_diff(path, sources[path], patched[path], colour=colour))


def _write(
    patched: dict[str, bytes],
    sources: dict[str, bytes],
    output_dir: str | None,
    piped: str | None,
    trouble: list[str],
) -> None:
    """Writes the patched files; standard input goes to standard output. What fails is added to `trouble`."""
    from ..fixes.write import write_atomically, write_copy

    if piped is not None:
        sys.stdout.buffer.write(patched.get(piped, sources.get(piped, b"")))
        sys.stdout.buffer.flush()
    on_disk = {path: source for path, source in sources.items() if path != piped}
    base = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in on_disk]) if on_disk else ""
    for path, source in sorted(on_disk.items()):
        try:
            if output_dir:
                target = os.path.join(output_dir, os.path.relpath(os.path.abspath(path), base))
                write_copy(path, target, patched.get(path, source))
            elif path in patched and patched[path] != source:
                write_atomically(path, source, patched[path])
        except OSError as error:
            trouble.append(f"not written: {error.strerror + ': ' + path if error.strerror else error}")
