"""`caffe-lint log`: why a training failed, according to its log, and the fix."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ..api import Session
from ..report import FORMATS, Summary
from ..report.log_report import render, report_on
from ..settings.in_force import CommandLine
from ..settings.settings import SEVERITIES
from ..source.errors import InputError, message_of
from .console import (
    EXIT_CLEAN,
    EXIT_FAILED,
    EXIT_FINDINGS,
    EXIT_STOPPED,
    UsageError,
    check_output_folder,
    complain,
    in_colour,
    print_bytes,
    show_diff,
    text_width,
    write_report,
)
from .help_groups import GroupedCommand
from .option_types import (
    FILE,
    check_about,
    config_options,
    diff_option,
    exit_options,
    fix_option,
    ignore_option,
    joined,
    min_confidence_option,
    output_dir_option,
    report_file,
    report_options,
    select_option,
    simulate_option,
)

if TYPE_CHECKING:
    from ..engine.files_in_memory import Files
    from ..net.job import Job
    from ..training_log.causes import Diagnosed
    from ..training_log.following import Sign
    from ..training_log.runs import Run
    from ..training_log.same_training import Comparison


@click.command(
    cls=GroupedCommand, short_help="Find out from a training log what went wrong, where and why, and patch that."
)
@click.argument("path", type=FILE, metavar="LOG|-")
@click.option(
    "--solver",
    "solver_path",
    type=FILE,
    metavar="FILE",
    help="The solver of that training; findings then point into it and its nets.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Follow a running training: pass its log through and warn at the first sign of divergence.",
)
@click.option(
    "--stop-on", type=click.Choice(["divergence"]), help="With --follow: exit with status 3 when that happens."
)
@fix_option
@diff_option
@output_dir_option()
@select_option
@ignore_option
@min_confidence_option
@report_options(FORMATS, "full")
@click.option(
    "--csv", type=FILE, metavar="FILE", help="Export the iterations as CSV, and debug_info next to it (FILE.debug.csv)."
)
@click.option("--json", type=FILE, metavar="FILE", help="Export them as JSON.")
@click.option("--parquet", type=FILE, metavar="FILE", help="Export them as Parquet (needs pyarrow).")
@exit_options
@simulate_option
@config_options
def log(path: str, solver_path: str | None, fix: bool, diff: bool, **options: Any) -> int:
    """Read a log of Caffe and say where the training went wrong, why, and what to change.

    LOG is a file, which may be gzipped, or - for standard input. Rules of family T are applied. With --solver, --fix patches the
    most likely cause in the solver and its nets.

    Exit status: 0 no problem found, 1 causes found,
    2 the log could not be read, 3 stopped by --stop-on.
    """
    if (fix or diff) and not solver_path:
        raise UsageError("--fix and --diff need --solver, the file to patch")
    if fix and diff:
        raise UsageError("--fix and --diff cannot be combined: --fix writes the patch, --diff shows it")
    if options["output_dir"] and not fix:
        raise UsageError("--output-dir needs --fix")
    options["output_file"] = report_file(options["output_file"])
    check_output_folder(options["output_dir"])
    if options["stop_on"] and not options["follow"]:
        raise UsageError("--stop-on needs --follow")
    session = _session(options)
    place = solver_path or ("." if path == "-" else path)
    options["fail_on"] = session.settings.of(place).fail_on
    exports = [(form, options[form]) for form in ("csv", "json", "parquet") if options[form]]
    if path == "-" and exports:
        raise UsageError("exports read the log twice: pass a file instead of standard input")
    job, files = session.job(solver_path) if solver_path else (None, None)
    for problem in session.missing(job) if job is not None else ():
        complain(f"{problem.line}, so the log is read without it")
    stopped: list[Sign] = []
    runs = _follow(session, path, options["stop_on"], stopped) if options["follow"] else session.read_log(path)
    for form, target in exports:
        _export(path, target, form)
    judged = session.diagnosis(runs, place, job)
    found = judged.causes
    if not judged.is_log:
        complain(f"{path}: not a Caffe training log (for a single number: caffe-lint explain --symptom TEXT)")
        return EXIT_FAILED
    number = found[0].run if found else max(judged.compared, default=0)
    comparison = judged.compared.get(number)
    errors = []
    if job is not None and comparison is not None:
        errors = _differences(path, comparison, job, fixing=fix or diff)
        if comparison.other:
            job = None
        else:
            found = session.unsuppressed(found, job)
    is_same = comparison is None or comparison.is_same
    status = _report(
        session, path, runs, found, job, files, errors, fix=fix and is_same, diff=diff, is_same=is_same, options=options
    )
    return EXIT_STOPPED if stopped and options["stop_on"] else status


def _session(options: dict[str, Any]) -> Session:
    check_about(options["select"], "log", "logs")
    return Session(
        CommandLine(
            config=options["config"],
            isolated=options["isolated"],
            select=joined(options["select"]),
            ignore=joined(options["ignore"]),
            fail_on=options["fail_on"],
            min_confidence=options["min_confidence"],
            simulate=options["simulate"],
        )
    )


def _follow(session: Session, path: str, stop_on: str | None, stopped: list[Sign]) -> list[Run]:
    def report(sign: Sign) -> None:
        word = "diverged" if sign.diverged else "warning"
        if sys.stderr.isatty():  # over the line of progress
            sys.stderr.write("\r\x1b[K")
        complain(f"{word}: {sign.text}")
        if sign.diverged:
            stopped.append(sign)

    pass_on = print_bytes if path == "-" else None
    return session.follow_log(path, report, pass_on=pass_on, stop=lambda: bool(stopped and stop_on))


def _export(path: str, target: str, form: str) -> None:
    from ..report.log_tables import export  # only with an export

    try:
        written = export(path, target, form)
    except OSError as error:
        raise InputError(message_of(error, path)) from None
    complain(f"written: {', '.join(written)}")


def _report(
    session: Session,
    path: str,
    runs: list[Run],
    found: list[Diagnosed],
    job: Job | None,
    files: Files | None,
    errors: list[str],
    *,
    fix: bool,
    diff: bool,
    is_same: bool,
    options: dict[str, Any],
) -> int:
    following = options["follow"]
    titles: list[str] = []
    patched: dict[str, bytes] = {}
    if found and job is not None and files is not None and is_same:
        repair = session.repair(runs, found, job, files, applies=fix or diff or following, settles=fix or diff)
        for sentence in repair.notes:
            complain(sentence)
        titles = [f"{each.title} in {each.path}" for each in repair.fixes]
        patched = repair.patched
        errors += repair.errors
    if fix and files is not None and patched:
        written = session.write(patched, files.sources, files.roots or (), options["output_dir"])
        errors += written.failures
        for sentence in written.losses:
            complain(sentence)
    colour = in_colour(options["color"], to_stderr=following) and not options["output_file"]
    report = report_on(
        path,
        runs,
        found,
        session.places(found, job) if job is not None else {},
        titles,
        Summary(
            {path: b"", **(files.quoted() if files is not None else {})},
            errors=tuple(errors),
            width=None if options["output_file"] else text_width(to_stderr=following),
            fail_on=dict.fromkeys([path, *(files.sources if files is not None else ())], options["fail_on"]),
        ),
        fixed=fix and not errors,
        of_all_rules=not options["select"] and not options["ignore"],
    )
    if not diff:
        write_report(
            render(options["output_format"], report, colour=colour),
            options["output_file"],
            to_stderr=following,
            has_commands=options["output_format"] == "github",
        )
    if files is not None and (diff or (patched and not fix)):
        target = options["output_file"] if diff else None  # the report's, if there is one
        for sentence in show_diff(patched, files.sources, target, colour=colour, to_stderr=following):
            complain(sentence)
    for sentence in errors:
        complain(sentence)
    if errors:
        return EXIT_FAILED
    failed = any(SEVERITIES.index(each.severity) >= SEVERITIES.index(options["fail_on"]) for each in found)
    return EXIT_FINDINGS if failed and not options["exit_zero"] else EXIT_CLEAN


def _differences(path: str, comparison: Comparison, job: Job, *, fixing: bool) -> list[str]:
    """The sentence on a log that is not of this solver, an error if something was to be changed; otherwise it is printed.

    If something is to be changed, also says what could not be compared.
    """
    solver = job.solver.file.path
    sentence = comparison.sentence(path, solver)
    if sentence and fixing:
        return [f"{sentence}. Nothing was changed"]
    if sentence:
        complain(sentence)
    elif fixing and comparison.unknown:
        complain(
            f"{path} does not print its {' and '.join(comparison.unknown)}, so it may be of another training than {solver}"
        )
    return []
