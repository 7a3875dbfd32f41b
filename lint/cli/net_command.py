"""`caffe-lint net`: show a net as Caffe builds it, as a table or JSON."""

from __future__ import annotations

import click

from ..api import Session
from ..report.net_formats import NET_FORMATS, render_nets
from ..settings.in_force import CommandLine
from .console import EXIT_CLEAN, EXIT_FINDINGS, print_error, print_text, terminal_width
from .from_options import texts_of
from .help_groups import GroupedCommand
from .opened_nets import InputShapes, check_input_shapes
from .option_types import FILE, config_options, dialect_option, input_shape_option, output_format_option, proto_option


@click.command(cls=GroupedCommand, short_help="Print a net as Caffe builds it: shapes, parameters, multiply-adds.")
@click.argument("path", type=FILE, metavar="SOLVER|NET|-")
@click.option(
    "--phase",
    type=click.Choice(["TRAIN", "TEST"], case_sensitive=False),
    metavar="[TRAIN|TEST]",  # which versions of click write in lower case
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
    session = Session(CommandLine(config=config, isolated=isolated, dialect=dialect, input_shape=input_shape), proto)
    opened = session.nets(path, texts_of(path), phase=phase.upper() if phase else None, level=level, stages=stages)
    check_input_shapes(opened, input_shape)
    print_text(render_nets(output_format, opened.nets, splits=splits, width=terminal_width()))
    problems = opened.problems()
    for problem in problems:
        print_error(problem.line)
    return EXIT_FINDINGS if problems else EXIT_CLEAN
