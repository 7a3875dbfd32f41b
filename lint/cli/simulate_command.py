"""`caffe-lint simulate`: trains for a few steps with numpy, and says what becomes of it."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from ..api import Session
from ..settings.in_force import CommandLine
from .console import EXIT_CLEAN, EXIT_FINDINGS, complain, print_fitted, print_text, write_output
from .help_groups import GroupedCommand
from .opened_nets import open_training
from .option_types import FILE, Seconds, check_weights, output_format_option, proto_option, training_options
from .progress import draw_bar

_THOROUGH_STEPS, _STEPS, _BATCH = 50, 25, 8


@click.command(
    cls=GroupedCommand, short_help="Train a few steps without Caffe, GPU or data, and say what becomes of it."
)
@click.argument("path", type=FILE, metavar="SOLVER")
@click.option("--steps", type=click.IntRange(5, 1000), help="Number of training steps. [default: 25]")
@click.option(
    "--batch", type=click.IntRange(1, 100_000), help="Items in a batch, at most those of the net. [default: 8]"
)
@click.option(
    "--data", type=click.Choice(["made", "real"]), help="Made-up data, or those that the net names. [default: made]"
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Largest number of seeds in doubtful cases.",
)
@click.option("--thorough", is_flag=True, help="50 steps with whole batches of real data, if not given otherwise.")
@click.option(
    "--budget", type=Seconds(0.01, 100_000), default=20.0, show_default=True, metavar="SECONDS",
    help="The most work, in seconds of one usual core; it is counted, not timed. Beyond it, nothing is told.",
)  # fmt: skip
@output_format_option(["text", "json", "log"], "text")
@click.option("--log-output", type=FILE, metavar="FILE", help="Write the log to this file, in Caffe's format.")
@training_options
@proto_option
def simulate(
    path: str,
    steps: int | None,
    batch: int | None,
    data: str | None,
    seeds: int,
    thorough: bool,
    budget: float,
    output_format: str,
    log_output: str | None,
    proto: str | None,
    **options: Any,
) -> int:
    """Train for a few steps, without Caffe, a GPU or data, and print what becomes of the training.

    Data of the shapes, ranges and classes that the files and facts imply are made up. Values and gradients are computed as by
    Caffe's CPU code, so that `caffe-lint log` explains the log of the simulation (--output-format log) like any other. What cannot
    be simulated is named. The same files give the same answer. The exit status is 1 if the training fails, or if Caffe refuses the
    solver or its nets: these errors go to standard error, one per line, and nothing is simulated. Needs numpy.
    """
    check_weights(options["from_scratch"], options["weights"])
    from ..report.simulation_text import as_json, as_text  # keeps json out of the start
    from ..source.output import require_output  # keeps what writes files out of the start

    session = Session(CommandLine(**options), proto)
    opened, refusals = open_training(session, path, options["input_shape"])
    if log_output is not None:
        require_output(log_output)  # before all the work
    found, plan, log = session.simulation(
        opened,
        refusals,
        steps=steps or (_THOROUGH_STEPS if thorough else _STEPS),
        batch=batch if batch is not None or thorough else _BATCH,
        data=data or ("real" if thorough else "made"),
        seeds=seeds,
        budget=budget,
        progress=partial(draw_bar, "steps"),
    )
    if output_format == "log" and log:
        print_text(log)
    elif output_format == "log":
        complain(as_text(found, plan).replace("\n", " ").strip())
    elif output_format == "json":
        print_text(as_json(found, plan))
    else:
        print_fitted(as_text(found, plan))
    if log_output is not None and log:
        write_output(log_output, log.encode("utf-8", "surrogateescape"))
    fails = found.word in ("diverges", "stalls", "depends on the seed")
    return EXIT_FINDINGS if refusals or fails else EXIT_CLEAN
