"""`caffe-lint signal`: predicts activations, gradients and updates of iteration 0, and whether training diverges."""

from __future__ import annotations

import click

from ..engine.files_in_memory import Files
from ..net.data_facts import read_facts
from ..settings.nearest_files import find_facts
from ..source.errors import InputError
from .console import EXIT_CLEAN, EXIT_FINDINGS, print_text
from .from_options import read_schema
from .option_types import InputShape


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
@click.option("--dialect", metavar="NAME", help="The Caffe that reads the files. [detected]")
def signal(
    path: str,
    format_: str,
    data_facts: str | None,
    input_shapes: tuple[tuple[str, tuple[int, ...]], ...],
    dialect: str | None,
) -> int:
    """Print the predicted debug_info of iteration 0, and whether the training is likely to diverge or stall.

    Nothing is run: everything is computed from the files. The exit status is 1 if the training is predicted to fail.
    """
    from ..report.signal_text import as_json, as_table  # keeps json out of the start
    from ..stability.advice.limits import limits  # keeps the signal models out of the start
    from ..stability.signal.passes import unmodelled_layers  # keeps the signal models out of the start
    from ..stability.signal.training import training_of_file  # keeps the signal models out of the start
    from ..stability.verdict.reasons import reasons  # keeps the signal models out of the start
    from ..stability.verdict.verdict import judge  # keeps the signal models out of the start

    files = Files(read_schema(None), dialect)
    file = files.get(path)
    if file.kind != "solver":
        raise InputError(f"{path}: not a solver")
    known = data_facts or find_facts(path)
    facts = read_facts(known) if known else {}
    training = training_of_file(file, files.get, facts, input_shapes=dict(input_shapes))
    if training is None:
        raise InputError(f"{path}: no training net with a loss that Caffe would build; run caffe-lint on it for the reason")
    unmodelled = unmodelled_layers(training.net)
    if unmodelled:
        layer = unmodelled[0]
        others = f" and {len(unmodelled) - 1} more" if len(unmodelled) > 1 else ""
        raise InputError(f"{path}: signal unknown: no signal model for {layer.type} '{layer.name}'{others}")
    found, verdict = judge(training)
    render = as_json if format_ == "json" else as_table
    print_text(render(found, verdict, reasons(found, verdict), limits(found)))
    return EXIT_CLEAN if verdict.word == "learns" else EXIT_FINDINGS
