"""`caffe-lint signal`: whether training diverges or stalls, and activations, gradients and updates of iteration 0."""

from __future__ import annotations

import click

from ..engine.configuring import settings_of_paths
from ..engine.files_in_memory import files_of, nets_for
from ..settings.in_force import CommandLine
from ..source.errors import InputError
from .console import EXIT_CLEAN, EXIT_FINDINGS, print_text
from .from_options import read_schema
from .option_types import InputShape, check_weights, weights_options


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
@click.option(
    "--input-shape",
    "input_shapes",
    type=InputShape(),
    multiple=True,
    help="Shape of a data top that the file does not give; 0 keeps a size of the file, * is any top.",
)
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
    from ..net.job import SolverFile  # keeps nets out of the start
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
    schema = read_schema(None)
    settings = settings_of_paths(asked, schema).of(path)
    files = files_of(settings, schema)
    file = files.get(path)
    if file.kind != "solver":
        raise InputError(f"{path}: not a solver")
    job = nets_for(files, settings).job(SolverFile(file, settings.caffe_version), None)
    found = prediction_of(job)
    print_text(as_json(found) if format_ == "json" else as_table(found))
    return EXIT_FINDINGS if found.word in ("diverges", "stalls") else EXIT_CLEAN
