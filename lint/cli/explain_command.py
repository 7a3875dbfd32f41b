"""`caffe-lint explain`: prints the pages of rules."""

from __future__ import annotations

import shutil

import click

from ..engine.selection import check_selectors
from ..report import rule_page as page
from ..rule.registry import all_rules, matching
from ..source.errors import InputError
from .console import in_colour, print_text
from .from_options import load_plugins
from .page_examples import printed_for

WIDEST = 100  # columns: longer lines of prose are hard to read


@click.command()
@click.argument("selectors", nargs=-1, required=True, metavar="CODE|NAME…")
@click.option("--output-format", type=click.Choice(page.FORMATS), default="text", show_default=True)
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="When to use colours. [auto]")
@click.option("--config", metavar="FILE", help="The configuration whose plugins are loaded. [nearest upwards]")
@click.option("--isolated", is_flag=True, help="Ignore all configuration files.")
def explain(selectors: tuple[str, ...], output_format: str, color: str, config: str | None, isolated: bool) -> None:
    """Print the pages of rules: what they do, why it matters, how they fix it, and an example with its output.

    The prefix of a code (`S1`) prints all pages that match.
    """
    load_plugins(config, isolated=isolated)
    check_selectors("explain", selectors)
    codes = dict.fromkeys(code for selector in selectors for code in matching(selector))
    rules = [all_rules()[code] for code in codes]
    if not all(rule.page for rule in rules):
        raise InputError("the pages are docstrings, which python leaves out when it runs with -OO")
    width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
    colour = in_colour(color)
    in_examples = colour and output_format == "text"
    pages = [(rule, printed_for(rule, colour=in_examples)) for rule in rules]
    print_text(page.render(output_format, pages, colour=colour, width=width))
