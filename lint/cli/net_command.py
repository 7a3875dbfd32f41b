"""`caffe-lint net`: show a net as Caffe builds it, as a table or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from ..engine.configuring import settings_of_paths
from ..engine.files_in_memory import Files, nets_for
from ..engine.opening import missing_nets, solver_or_net
from ..engine.selection import layer_types
from ..layers.custom import schema_with
from ..moments.shapes import describe
from ..net.job import Job, NetInPhase, Nets, SolverFile
from ..net.phases import TEST, TRAIN
from ..proto.binder import nearest_name
from ..report.net_formats import NET_FORMATS, render_nets
from ..rule.registry import all_rules
from ..settings.in_force import CommandLine
from ..source.errors import InputError
from ..source.files import SourceFile
from ..source.places import place_of
from .console import EXIT_CLEAN, EXIT_FINDINGS, complain, print_text, terminal_width
from .from_options import read_schema
from .help_groups import GroupedCommand
from .option_types import FILE, config_options, dialect_option, input_shape_option, output_format_option, proto_option

InputShapes = tuple[tuple[str, tuple[int, ...]], ...]


@click.command(cls=GroupedCommand, short_help="Print a net as Caffe builds it: shapes, parameters, multiply-adds.")
@click.argument("path", type=FILE, metavar="SOLVER|NET|-")
@click.option(
    "--phase",
    type=click.Choice([TRAIN, TEST], case_sensitive=False),
    help="Show only this phase. [default: all phases of the file]",
)
@click.option("--level", type=int, default=0, show_default=True, help="The level to build the net for.")
@click.option("--stage", "stages", multiple=True, metavar="NAME", help="A stage to build the net for; can be repeated.")
@click.option("--splits", is_flag=True, help="Show the Split layers that Caffe inserts.")
@output_format_option(NET_FORMATS, "table")
@dialect_option
@proto_option
@input_shape_option
@config_options
def net(
    path: str,
    phase: str | None,
    level: int,
    stages: tuple[str, ...],
    input_shape: InputShapes,
    splits: bool,
    output_format: str,
    dialect: str | None,
    proto: str | None,
    config: str | None,
    isolated: bool,
) -> int:
    """Print a net as Caffe builds it: layers, shapes, parameters, multiply-adds and memory.

    The nets of a solver are shown with the training net first. Errors that would stop Caffe while
    it builds the net go to standard error, one per line, and set exit status 1.
    """
    schema = read_schema(proto)
    asked = CommandLine(config=config, isolated=isolated, dialect=dialect, input_shape=input_shape)
    settings = settings_of_paths(asked, schema).of(path)
    files = Files(schema_with(schema, layer_types(settings)), settings.dialect)
    if path == "-":
        files.add(path, sys.stdin.buffer.read())
    nets = nets_for(files, settings, level=level, stages=stages)
    file, built, missing = _nets_of(path, files, nets, phase.upper() if phase else None)
    _check_input_shapes(input_shape, built)
    print_text(render_nets(output_format, built, splits=splits, width=terminal_width()))
    problems = dict.fromkeys(missing)
    for source in _files_of(file, built):
        problems.update(dict.fromkeys(_unreadable(source)))
    for each in built:
        problems.update(dict.fromkeys(_refusals(each)))
    for line in problems:
        print_text(f"{line}\n", to_stderr=True)
    return EXIT_FINDINGS if problems else EXIT_CLEAN


def _nets_of(path: str, files: Files, nets: Nets, phase: str | None) -> tuple[SourceFile, list[NetInPhase], list[str]]:
    """Return the file, its nets, and a line for each net of a solver that cannot be read. Raises InputError if there is no net."""
    file = solver_or_net(path, files)
    if file.kind == "net":
        return file, nets.alone(file, [phase] if phase else ()), []
    job = nets.job(SolverFile(file), None)
    missing = list(_missing(job))
    built = [each for each in job.nets if phase in (None, each.phase)]
    if not built:
        why = "; ".join(missing) or (
            f"it has no net of phase {phase}" if job.nets else "it names no net, or several training nets"
        )
        raise InputError(f"{path}: no net of this solver can be shown: {why}")
    return file, built, missing


def _missing(job: Job) -> Iterator[str]:
    """Yield a line for each net that the solver names and that cannot be read."""
    file = job.solver.file
    for reference, message in missing_nets(job):
        yield _line(file, file.message.span(reference.field, reference.number), message)


def _check_input_shapes(input_shapes: InputShapes, built: list[NetInPhase]) -> None:
    """Check that data layers have these tops, and report shapes that the file overrides. Raises InputError."""
    tops = {blob.name: blob for each in built for layer in each.net.layers if not layer.bottoms for blob in layer.tops}
    for top, dims in input_shapes:
        if top == "*":
            continue
        if top not in tops:
            nearest = nearest_name(top, list(tops))
            known = f"did you mean '{nearest}'?" if nearest else f"known tops: {', '.join(tops) or 'none'}"
            raise InputError(f"--input-shape: no data layer has a top '{top}'; {known}")
        shape = tops[top].shape
        if shape is None or len(shape) != len(dims) or any(a not in (b, 0) for a, b in zip(dims, shape, strict=True)):
            shown = describe(tuple(dims))
            complain(f"--input-shape: '{top}' is {describe(shape)}: the file takes precedence over {shown}")


# -- what Caffe would stop at ----------------------------------------------------------------------


def _files_of(file: SourceFile, built: list[NetInPhase]) -> list[SourceFile]:
    return list({id(source): source for source in (file, *(each.file for each in built))}.values())


def _unreadable(file: SourceFile) -> Iterator[str]:
    """Yield the errors that stop Caffe's parser, as reported by the rules of family E."""
    for rule in all_rules().values():
        if rule.code[0] == "E" and rule.subject == "file":
            options = {name: option.default for name, option in rule.options.items()}
            for hit in rule.check(file, **options):
                if (hit.severity or rule.severity) == "error":
                    yield _line(hit.file, hit.span, hit.message)


def _refusals(built: NetInPhase) -> Iterator[str]:
    """Yield the errors that stop the upgrade and `Net::Init`."""
    for problem in built.net.upgraded.problems:
        if problem.fatal:
            yield _line(built.file, (problem.start, problem.end), problem.message)
    for refusal in built.net.problems:
        if refusal.when == "setup":
            yield _line(built.file, (refusal.start, refusal.end), refusal.message)


def _line(file: SourceFile, span: tuple[int, int], message: str) -> str:
    place = place_of(file, span)
    return f"{place.path}:{place.line}:{place.column}: {message}"
