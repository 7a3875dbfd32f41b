"""`caffe-lint signal`: whether training diverges or stalls, and activations, gradients and updates of iteration 0."""

from __future__ import annotations

from typing import Any

import click

from ..api import Session
from ..settings.in_force import CommandLine
from .console import EXIT_CLEAN, EXIT_FINDINGS, print_fitted, print_text
from .help_groups import GroupedCommand
from .opened_nets import open_training
from .option_types import FILE, check_weights, output_format_option, proto_option, training_options


@click.command(cls=GroupedCommand, short_help="Predict whether a training diverges, stalls or learns.")
@click.argument("path", type=FILE, metavar="SOLVER")
@click.option("--trace", is_flag=True, help="Print activations, gradients and updates of iteration 0 as well.")
@output_format_option(["text", "json"], "text")
@training_options
@proto_option
def signal(
    path: str,
    trace: bool,
    output_format: str,
    proto: str | None,
    **options: Any,
) -> int:
    """Print whether the training is likely to diverge, stall or learn, and why.

    Nothing is run: everything is computed from the files. Where the answer depends on what they do not say, such as loaded
    weights, a layer type without a model or the size of the data, the command says so, and what would settle it. --trace adds
    what Caffe would print with debug_info for iteration 0. The exit status is 1 if the training is predicted to fail, or if Caffe
    refuses the solver or its nets, which are errors that go to standard error, one per line.
    """
    from ..report.signal_text import as_json, as_text  # keeps json out of the start

    check_weights(options["from_scratch"], options["weights"])
    session = Session(CommandLine(**options), proto)
    opened, refusals = open_training(session, path, options["input_shape"])
    found = session.prediction(opened, refusals)
    if output_format == "json":
        print_text(as_json(found))
    else:
        print_fitted(as_text(found, trace=trace))
    return EXIT_FINDINGS if refusals or found.word in ("diverges", "stalls") else EXIT_CLEAN
