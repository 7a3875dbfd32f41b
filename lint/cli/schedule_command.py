"""`caffe-lint schedule`: the learning rate over a run."""

from __future__ import annotations

import click

from ..api import Session
from ..settings.in_force import CommandLine
from ..source.errors import InputError, message_of
from .console import EXIT_CLEAN, EXIT_FINDINGS, complain, in_colour, print_text, text_width
from .from_options import texts_of
from .help_groups import GroupedCommand
from .option_types import FILE, color_option, dialect_option, output_format_option

_MOST_ITERATIONS = 2**31 - 1


@click.command(cls=GroupedCommand, short_help="Print and plot the learning rate over the run.")
@click.argument("path", type=FILE, metavar="SOLVER|-")
@click.option(
    "--iterations",
    type=click.IntRange(1, _MOST_ITERATIONS),
    metavar="N",
    help="Number of iterations. [default: max_iter of the solver]",
)
@output_format_option(["text", "json"], "text")
@click.option("--plot", type=FILE, metavar="FILE", help="Plot the curve to a .png or .svg file (needs matplotlib).")
@color_option
@dialect_option
def schedule(
    path: str, iterations: int | None, output_format: str, plot: str | None, color: str, dialect: str | None
) -> int:
    """Print the learning rate over a run: where it changes, its curve, and where it becomes 0, negative or NaN.

    The exit status is 1 if that happens.
    """
    from ..report.schedule_text import as_json, as_text  # keeps json out of the start

    session = Session(CommandLine(dialect=dialect, isolated=True))
    found, rate = session.schedule(path, texts_of(path), iterations)
    if output_format == "json":
        print_text(as_json(path, found))
    else:
        print_text(as_text(path, found, rate, colour=in_colour(color), width=text_width()))
    if plot:
        from ..report.schedule_picture import plot as draw  # keeps matplotlib out of the start

        try:
            draw(plot, path, found, rate)
        except OSError as error:
            raise InputError(message_of(error, plot)) from None
        complain(f"written: {plot}")
    return EXIT_FINDINGS if found.faults else EXIT_CLEAN
