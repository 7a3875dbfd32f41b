"""`caffe-lint net`: show a net as Caffe builds it, as a table or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..api import Session
from ..moments.shapes import describe
from ..proto.spelling import nearest_name
from ..report.net_formats import NET_FORMATS, render_nets
from ..settings.in_force import CommandLine
from ..source.errors import InputError
from .console import EXIT_CLEAN, EXIT_FINDINGS, complain, print_fitted, print_text, terminal_width
from .from_options import texts_of
from .help_groups import GroupedCommand
from .option_types import FILE, config_options, dialect_option, input_shape_option, output_format_option, proto_option

if TYPE_CHECKING:
    from ..net.job import NetInPhase

InputShapes = tuple[tuple[str, tuple[int, ...]], ...]


@click.command(cls=GroupedCommand, short_help="Print a net as Caffe builds it: shapes, parameters, multiply-adds.")
@click.argument("path", type=FILE, metavar="SOLVER|NET|-")
@click.option(
    "--phase",
    type=click.Choice(["TRAIN", "TEST"], case_sensitive=False),
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
    _check_input_shapes(input_shape, opened.nets)
    print_text(render_nets(output_format, opened.nets, splits=splits, width=terminal_width()))
    problems = opened.problems()
    for problem in problems:
        print_fitted(f"{problem.line}\n", to_stderr=True)
    return EXIT_FINDINGS if problems else EXIT_CLEAN


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
