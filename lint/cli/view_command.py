"""`caffe-lint view`: one page for the browser, with the net drawn, the findings, the predicted signal and the runs of logs."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from .. import api
from ..settings.in_force import CommandLine
from ..source.errors import message_of
from .console import EXIT_CLEAN, UsageError, complain, write_output
from .from_options import texts_of
from .help_groups import GroupedCommand
from .option_types import (
    FILE,
    check_weights,
    config_options,
    deploy_option,
    extend_select_option,
    ignore_option,
    joined,
    output_file_option,
    proto_option,
    select_option,
    training_options,
)


@click.command(
    cls=GroupedCommand, short_help="Draw a net with its findings, its signal and the runs of logs on one page."
)
@click.argument("path", type=FILE, metavar="SOLVER|NET|-", required=False)
@click.option(
    "--log", "logs", type=FILE, metavar="LOG", multiple=True, help="Show the runs of this log; can be repeated."
)
@output_file_option
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@select_option
@extend_select_option
@ignore_option
@training_options
@proto_option
@deploy_option
@config_options
def view(
    path: str | None, logs: tuple[str, ...], output_file: str | None, opens: bool, proto: str | None, **options: Any
) -> int:
    """Write one HTML page that shows a solver or a net: drawn, with shapes, costs, findings and the predicted signal.

    With --log, also the curves of the runs and, if they have debug_info, the signal of each layer over the iterations. Without
    a solver or net, the page shows the net that Caffe printed into the log. The page needs no network and can be sent as it is.
    It is written to the working directory, named after the file, with .view.html, or to --output-file.
    """
    if path is None and not logs:
        raise UsageError("name a solver or a net, or a log with --log")
    if logs.count("-") + (path == "-") > 1:
        raise UsageError("standard input can be read once only")
    if opens and output_file == "-":
        raise UsageError("--open needs a file to open: not together with --output-file -")
    check_weights(options["from_scratch"], options["weights"])
    for name in ("select", "extend_select", "ignore"):
        options[name] = joined(options[name])
    texts = texts_of(path) if path is not None else {}
    page = api.view(path, logs=logs, settings=CommandLine(**options), texts=texts, proto=proto).encode()
    target = output_file or _page_of(path if path is not None else logs[0])
    if target == "-":
        sys.stdout.buffer.write(page)
        return EXIT_CLEAN
    write_output(target, page)
    complain(f"written: {target}")
    if opens:
        _open(target)
    return EXIT_CLEAN


def _page_of(path: str) -> str:
    """The page of a file, in the working directory: nothing is written beside files that may be read only."""
    name = os.path.basename(path)
    return f"{os.path.splitext(name)[0] if name != '-' else 'net'}.view.html"


def _open(target: str) -> None:
    import webbrowser  # only with --open

    from ..report.repository import file_uri  # as above

    try:
        opened = webbrowser.open(file_uri(target))
    except (OSError, webbrowser.Error) as error:
        complain(f"no browser could be opened: {message_of(error, target) if isinstance(error, OSError) else error}")
        return
    if not opened:
        complain("no browser could be opened")
