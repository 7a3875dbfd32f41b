"""`caffe-lint signal`: whether training diverges or stalls, and activations, gradients and updates of iteration 0."""

from __future__ import annotations

import click

from ..settings.in_force import CommandLine
from .console import EXIT_CLEAN, EXIT_FINDINGS, print_text
from .from_options import open_job
from .option_types import check_weights, input_shape_option, weights_options


@click.command()
@click.argument("path", metavar="SOLVER")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="The output format.",
)
@click.option("--data-facts", metavar="FILE", help="Facts about the data. [nearest caffe-lint.data.json upwards]")
@input_shape_option("input_shapes")
@weights_options
@click.option("--dialect", metavar="NAME", help="The Caffe that reads the files. [detected]")
def signal(
    path: str,
    format_: str,
    data_facts: str | None,
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...],
    from_scratch: bool,
    weights: str | None,
    gpus: int | None,
    dialect: str | None,
) -> int:
    """Print whether the training is likely to diverge or stall, and the predicted debug_info of iteration 0.

    Nothing is run: everything is computed from the files. Where the answer depends on what they do not say, such as loaded
    weights, a layer type without a model or the size of the data, the command says so, and what would settle it. The exit
    status is 1 if the training is predicted to fail.
    """
    from ..report.signal_text import as_json, as_table  # keeps json out of the start
    from ..stability.advice.prediction import prediction_of  # keeps the signal models out of the start

    check_weights(from_scratch, weights)
    asked = CommandLine(
        dialect=dialect,
        from_scratch=from_scratch,
        weights=weights,
        gpus=gpus,
        data_facts=data_facts,
        input_shape=input_shapes,
    )
    job = open_job(path, asked)
    found = prediction_of(job)
    print_text(as_json(found) if format_ == "json" else as_table(found))
    return EXIT_FINDINGS if found.word in ("diverges", "stalls") else EXIT_CLEAN
