"""`caffe-lint probe`: write a debugging net and solver that find bad input."""

from __future__ import annotations

import os
from typing import Any

import click

from ..api import Session
from ..settings.in_force import CommandLine
from ..settings.nearest_files import find_facts
from ..source.errors import InputError, message_of
from ..source.files import shown
from ..source.visible import visible
from ..source.wording import counted
from .console import EXIT_CLEAN, check_output_folder, complain, print_text, write_output
from .from_options import read_data_facts, texts_of
from .help_groups import GroupedCommand
from .option_types import FILE, config_options, data_facts_option, dialect_option, output_dir_option, proto_option


@click.command(cls=GroupedCommand, short_help="Write a net that finds the batch with NaN or a bad label.")
@click.argument("path", type=FILE, metavar="SOLVER|NET|-")
@output_dir_option("-o", required=True)
@click.option("--force", is_flag=True, help="Overwrite the files of an earlier probe.")
@dialect_option
@proto_option
@data_facts_option
@config_options
def probe(path: str, output_dir: str, data_facts: str | None, force: bool, proto: str | None, **options: Any) -> int:
    """Write a net, a solver and a script that read all data once, to find bad batches.

    The net contains the data layers of SOLVER or NET with their transforms, and a loss for each blob that is 0 if all
    values are finite and NaN otherwise; invalid labels also make it NaN. Nothing is trained or saved. Run `DIR/run.sh`.
    """
    check_output_folder(output_dir)
    facts = read_data_facts(data_facts or (None if options["isolated"] else find_facts(path)))
    session = Session(CommandLine(**options), proto)
    opened = session.nets(path, texts_of(path), facts=facts)
    for problem in opened.missing:
        complain(f"{path}: {problem.message}")
    made = session.probe(opened, facts, output_dir)
    _write(output_dir, made.files, force)
    length = (
        "one pass over the data" if made.complete else "set max_iter and test_iter, see the comments in solver.prototxt"
    )
    print_text(f"wrote {', '.join(made.files)} to {visible(output_dir)} ({counted(made.iterations, 'iteration')}; {length})\n")
    print_text(f"run it with: sh {visible(shown(os.path.join(output_dir, 'run.sh')))}\n")
    return EXIT_CLEAN


def _write(folder: str, files: dict[str, str], force: bool) -> None:
    """Write the files; none of them if one exists and `force` is not set."""
    targets = {os.path.join(folder, name): text for name, text in files.items()}
    existing = [target for target in targets if os.path.lexists(target)]
    if existing and not force:
        raise InputError(f"{existing[0]} already exists; choose another folder, or use --force to overwrite it")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise InputError(message_of(error, folder)) from None
    for target, text in targets.items():
        write_output(target, text.encode("utf-8", "surrogateescape"), mode=0o755 if target.endswith(".sh") else None)
