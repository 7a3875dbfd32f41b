"""`caffe-lint inputs`: check the data that nets read."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ..api import Session
from ..report import FORMATS, Summary, render
from ..settings.in_force import CommandLine
from ..settings.nearest_files import FACTS_NAME
from ..source.errors import InputError
from ..source.visible import visible
from ..source.wording import counted
from ..source.workers import cores
from .console import (
    EXIT_CLEAN,
    EXIT_FAILED,
    EXIT_FINDINGS,
    EXIT_INTERRUPTED,
    complain,
    in_colour,
    text_width,
    write_report,
)
from .from_options import texts_of
from .help_groups import GroupedCommand
from .option_types import (
    FILE,
    baseline_option,
    check_about,
    config_options,
    dialect_option,
    exit_options,
    fix_option,
    ignore_option,
    jobs_option,
    joined,
    min_confidence_option,
    proto_option,
    report_file,
    report_options,
    select_option,
    unsafe_fixes_option,
)
from .progress import draw_bar

if TYPE_CHECKING:
    from ..data.looking import Source
    from ..data.source_report import SourceReport
    from ..engine.opening import Opened
    from ..rule.finding import Finding


@click.command(cls=GroupedCommand, short_help="Check the data of nets for NaN, invalid labels and broken images.")
@click.argument("path", type=FILE, metavar="SOLVER|NET|-")
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="Check only N items of each source. [default: all]"
)
@click.option(
    "--write-facts", type=FILE, metavar="FILE", help=f"Write facts about each source to this file ({FACTS_NAME})."
)
@fix_option
@unsafe_fixes_option
@select_option
@ignore_option
@min_confidence_option
@baseline_option
@report_options(FORMATS, "full")
@exit_options
@dialect_option
@proto_option
@config_options
@jobs_option
def inputs(
    path: str,
    sample: int | None,
    write_facts: str | None,
    fix: bool,
    unsafe_fixes: bool,
    select: tuple[tuple[str, ...], ...],
    ignore: tuple[tuple[str, ...], ...],
    output_format: str,
    output_file: str | None,
    color: str,
    exit_zero: bool,
    jobs: int,
    proto: str | None,
    **options: Any,
) -> int:
    """Check the data of a net, or of a solver's nets, for NaN, invalid labels, damaged images and wrong sizes.

    Reads LMDB, LevelDB, HDF5, image lists, window files and mean files, without locking them or writing to them.
    Rules of family D are applied; --fix patches what follows from the data. Needs the extra `data` (docs/inputs.md). Ctrl-C stops
    the check and reports what was found so far.
    """
    output_file = report_file(output_file)
    session = Session(CommandLine(select=joined(select), ignore=joined(ignore), **options), proto)
    opened = session.nets(path, texts_of(path), facts={})
    check_about(select, "inputs", "data")
    for problem in opened.missing:
        complain(f"{path}: {problem.message}")
    base, reports = session.read_data(opened, sample=sample, jobs=jobs or cores(), progress=partial(draw_bar, "items"))
    patch = ("unsafe" if unsafe_fixes else "safe") if fix else ""
    opened, findings, fixed, failures = session.check_data(opened, base, reports, patch=patch)
    for sentence in failures:
        complain(sentence)
    if opened.files.patched:
        _write(session, opened)
    summary = Summary(
        {**opened.files.sources, **opened.files.patched},
        tuple(one.sentence for one in fixed),
        len(opened.files.patched),
        tuple(f"{path}: {problem.message}" for problem in opened.missing),
        {finding.place.path: opened.settings.of(finding.place.path).fail_on for finding in findings},
        opened.settings.docs_url,
        width=None if output_file else text_width(),
    )
    text = render(output_format, findings, summary, colour=in_colour(color) and not (color == "auto" and output_file))
    if output_format == "full":
        text += "".join(_line_on(source, report) for source, report in reports.items())
    write_report(text, output_file, has_commands=output_format == "github")
    status = _status(findings, summary, is_whole=not opened.missing)
    if status == EXIT_FINDINGS and exit_zero:
        status = EXIT_CLEAN
    if any(report.interrupted for report in reports.values()):
        complain("interrupted: the report covers only the data read so far")
        status = EXIT_INTERRUPTED
    elif write_facts and any(report.cut_short for report in reports.values()):
        complain(f"{write_facts}: not written: a damaged source could not be read to the end")
    elif write_facts:
        number = session.write_facts(write_facts, opened, base, reports, time.strftime("%Y-%m-%d"))
        complain(f"wrote facts about {counted(number, 'source')} to {write_facts}")
    return status


def _status(findings: list[Finding], summary: Summary, *, is_whole: bool) -> int:
    if not is_whole:
        return EXIT_FAILED
    return EXIT_FINDINGS if any(map(summary.fails, findings)) else EXIT_CLEAN


def _write(session: Session, opened: Opened) -> None:
    files = opened.files
    patched, refused = session.verified(files.patched, files.rounds)
    written = session.write(patched, files.sources, files.roots or ())
    for sentence in written.losses:
        complain(sentence)
    if failures := refused + written.failures:
        raise InputError("; ".join(failures))


def _line_on(source: Source, report: SourceReport) -> str:
    """Return a line about a source, empty if it could not be read."""
    if report.error:
        return ""
    checked = "" if report.looked_at == report.items else f", {report.looked_at} of them checked"
    labels = [report.labels[array] for array in source.labels if report.labels.get(array)]
    shown = "".join(f", labels {min(one):g} to {max(one):g}" for one in labels)
    return f"{visible(source.written)}: {report.kind}, {counted(report.items or 0, 'item')}{checked}{shown}\n"
