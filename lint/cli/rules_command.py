"""`caffe-lint rules`: the list of rules."""

from __future__ import annotations

import click

from ..report.rule_list import RULE_LIST_FORMATS, render
from .console import print_text, terminal_width
from .from_options import load_plugins
from .help_groups import GroupedCommand
from .option_types import config_options, output_format_option


@click.command(cls=GroupedCommand, short_help="List the rules.")
@output_format_option(RULE_LIST_FORMATS, "text")
@config_options
def rules(output_format: str, config: str | None, isolated: bool) -> None:
    """List the rules, including those of the configuration's plugins."""
    load_plugins(config, isolated=isolated)
    print_text(render(output_format, width=terminal_width()))
