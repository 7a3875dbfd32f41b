"""`caffe-lint schedule`: the learning rate over a run."""

from __future__ import annotations

import sys
from functools import partial

import click

from ..engine.files_in_memory import Files
from ..proto.binder import Message, nearest_name
from ..solver.rate_course import Course, course
from ..solver.schedule import POLICIES, learning_rate
from ..source.errors import InputError, message_of
from ..source.files import SourceFile
from .console import EXIT_CLEAN, EXIT_FINDINGS, complain, in_colour, print_text
from .from_options import read_schema
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
@click.option(
    "--plot", type=FILE, metavar="FILE", help="Plot the curve to a .png or .svg file (needs matplotlib)."
)
@color_option
@dialect_option
def schedule(
    path: str, iterations: int | None, output_format: str, plot: str | None, color: str, dialect: str | None
) -> int:
    """Print the learning rate over a run: where it changes, its curve, and where it becomes 0, negative or NaN.

    The exit status is 1 if that happens.
    """
    from ..report.schedule_text import as_json, as_text  # keeps json out of the start

    message = _solver(path, dialect)
    found = _course(path, message, iterations)
    rate = partial(learning_rate, message)
    if output_format == "json":
        print_text(as_json(path, found))
    else:
        print_text(as_text(path, found, rate, colour=in_colour(color)))
    if plot:
        _plot(plot, path, found, message)
    return EXIT_FINDINGS if found.faults else EXIT_CLEAN


def _solver(path: str, dialect: str | None) -> Message:
    files = Files(read_schema(None), dialect)
    if path == "-":
        files.add(path, sys.stdin.buffer.read())
    file: SourceFile = files.get(path)
    if file.kind != "solver":
        raise InputError(f"{path}: not a solver")
    return file.message


def _course(path: str, message: Message, iterations: int | None) -> Course:
    length = iterations or message["max_iter"]
    if length <= 0:
        raise InputError(f"{path}: the solver does not say how long the run is (max_iter): give --iterations")
    found = course(message, length)
    if found is None:
        written = message["lr_policy"]
        nearest = nearest_name(written, list(POLICIES))
        what = f"unknown lr_policy '{written}'" if written else "the solver has no lr_policy"
        raise InputError(f"{path}: {what}" + (f"; did you mean '{nearest}'?" if nearest else ""))
    return found


def _plot(target: str, path: str, found: Course, message: Message) -> None:
    from ..report.schedule_picture import plot  # keeps matplotlib out of the start

    try:
        plot(target, path, found, partial(learning_rate, message))
    except OSError as error:
        raise InputError(message_of(error, target)) from None
    complain(f"written: {target}")
