"""`caffe-lint config`: the settings in force for a file, and where each comes from."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from ..engine.configuring import settings_of_paths
from ..report.settings_text import as_json, as_toml
from ..settings.in_force import CommandLine
from ..settings.settings import CONFIDENCES, PRESETS, SEVERITIES
from ..source.errors import InputError
from .console import EXIT_CLEAN, print_text
from .from_options import read_schema
from .option_types import Codes, InputShape, check_weights, joined, weights_options


@click.command()
@click.argument("path", default=".", metavar="[FILE|FOLDER]")
@click.option("--output-format", type=click.Choice(["toml", "json"]), default="toml", show_default=True)
@click.option("--preset", type=click.Choice(list(PRESETS)), help="The base set of rules.")
@click.option("--select", type=Codes(), multiple=True, help="Enable only these rules.")
@click.option("--extend-select", type=Codes(), multiple=True, help="Enable these rules as well.")
@click.option("--ignore", type=Codes(), multiple=True, help="Disable these rules.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Lowest severity that sets exit status 1.")
@click.option("--min-confidence", type=click.Choice(CONFIDENCES), help="Lowest confidence to report. [low]")
@click.option("--dialect", metavar="NAME", help="The Caffe that reads the files.")
@click.option("--caffe-version", metavar="VERSION", help="The Caffe release.")
@weights_options
@click.option("--baseline", metavar="FILE", help="The file of known findings.")
@click.option("--input-shape", type=InputShape(), multiple=True, help="Shape of a data top that the file does not give.")
@click.option("--config", metavar="FILE", help="The configuration to use. [nearest upwards]")
@click.option("--isolated", is_flag=True, help="Ignore all configuration files.")
def config(path: str, output_format: str, **options: Any) -> int:
    """Print the settings that apply to a file as an equivalent configuration, with the origin of each.

    The options are those of a check: given here, they show what that check would use.
    """
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder")
    for name in ("select", "extend_select", "ignore"):
        options[name] = joined(options[name])
    check_weights(options["from_scratch"], options["weights"])
    settings = settings_of_paths(CommandLine(**options), read_schema(None))
    explained = settings.explained(path)
    found = settings.config(path)
    if output_format == "json":
        print_text(json.dumps(as_json(path, found, explained), indent=2) + "\n")
    else:
        print_text(as_toml(path, found, explained))
    return EXIT_CLEAN
