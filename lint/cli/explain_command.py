"""`caffe-lint explain`: prints the pages of rules."""

from __future__ import annotations

import os
import shutil
import sys

import click

from ..report import rule_page as page
from ..rule.registry import all_rules, matching
from ..settings.settings import ConfigError, check_selectors
from .check import Trouble, load_plugins, print_text

WIDEST = 100  # columns: longer lines of prose are hard to read


@click.command()
@click.argument("selectors", nargs=-1, required=True, metavar="CODE|NAME…")
@click.option("--output-format", type=click.Choice(page.FORMATS), default="text", show_default=True)
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colours. [auto]")
@click.option("--config", metavar="FILE", help="The configuration whose plugins are explained too. [nearest upwards]")
@click.option("--isolated", is_flag=True, help="Use no configuration file.")
def explain(selectors: tuple[str, ...], output_format: str, color: str, config: str | None, isolated: bool) -> None:
    """Print the pages of rules: what they do, why it matters, how they fix it, an example with what is printed for it.

    The beginning of codes (`S1`) prints every page of it.
    """
    load_plugins(config, isolated=isolated)
    try:
        check_selectors("explain", selectors)
    except ConfigError as error:
        raise Trouble(str(error)) from None
    codes = dict.fromkeys(code for selector in selectors for code in matching(selector))
    rules = [all_rules()[code] for code in codes]
    if not all(rule.page for rule in rules):
        raise Trouble("the pages are docstrings, which python leaves out when it runs with -OO")
    colour = color == "always" or (color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
    print_text(page.render(output_format, rules, colour=colour, width=width))
