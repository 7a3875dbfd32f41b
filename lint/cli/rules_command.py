"""`caffe-lint rules`: the list of rules."""

from __future__ import annotations

import click

from ..report.rule_list import RULE_LIST_FORMATS, render
from .console import print_text
from .from_options import load_plugins


@click.command()
@click.option("--output-format", type=click.Choice(list(RULE_LIST_FORMATS)), default="text", help="[text]")
@click.option("--config", metavar="FILE", help="The configuration whose plugins are loaded. [nearest upwards]")
@click.option("--isolated", is_flag=True, help="Ignore all configuration files.")
def rules(output_format: str, config: str | None, isolated: bool) -> None:
    """List the rules, including those of the configuration's plugins."""
    load_plugins(config, isolated=isolated)
    print_text(render(output_format))
