"""`caffe-lint config`: the settings in force for a file, and where each comes from."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from ..api import Session
from ..report.settings_text import as_json, as_toml
from ..settings.in_force import CommandLine
from ..source.errors import InputError
from .console import EXIT_CLEAN, print_text, text_width
from .help_groups import GroupedCommand
from .option_types import (
    FILE,
    baseline_option,
    caffe_version_option,
    check_weights,
    config_options,
    dialect_option,
    extend_select_option,
    fail_on_option,
    ignore_option,
    input_shape_option,
    joined,
    min_confidence_option,
    output_format_option,
    preset_option,
    select_option,
    simulate_option,
    weights_options,
)


@click.command(cls=GroupedCommand, short_help="Print the settings that apply to a file, and where each comes from.")
@click.argument("path", default=".", type=FILE, metavar="[FILE|FOLDER]")
@preset_option
@select_option
@extend_select_option
@ignore_option
@min_confidence_option
@baseline_option
@output_format_option(["toml", "json"], "toml")
@fail_on_option
@dialect_option
@caffe_version_option
@input_shape_option
@weights_options
@simulate_option
@config_options
def config(path: str, output_format: str, **options: Any) -> int:
    """Print the settings that apply to a file as an equivalent configuration, with the origin of each.

    The options are those of a check: given here, they show what that check would use.
    """
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder")
    for name in ("select", "extend_select", "ignore"):
        options[name] = joined(options[name])
    check_weights(options["from_scratch"], options["weights"])
    settings = Session(CommandLine(**options)).settings
    explained = settings.explained(path)
    found = settings.config(path)
    if output_format == "json":
        print_text(json.dumps(as_json(path, found, explained), indent=2) + "\n")
    else:
        print_text(as_toml(path, found, explained, width=text_width()))
    return EXIT_CLEAN
