"""`caffe-lint explain`: prints the pages of rules, and what causes and numbers in a log mean."""

from __future__ import annotations

import shutil

import click

from ..engine.selection import check_selectors
from ..report import rule_page as page
from ..report import symptom_page
from ..report.symptom_page import ShortPage
from ..rule.registry import all_rules, matching, naming
from ..source.errors import InputError
from .console import UsageError, in_colour, print_fitted, print_text
from .from_options import load_plugins
from .help_groups import GroupedCommand
from .option_types import RuleNames, color_option, config_options, output_format_option
from .page_examples import printed_for

WIDEST = 100  # columns: longer lines of prose are hard to read


@click.command(cls=GroupedCommand, short_help="Print the pages of rules, or what a number in a log means.")
@click.argument("selectors", nargs=-1, type=RuleNames(), metavar="[CODE|NAME…]")
@click.option(
    "--symptom", metavar="TEXT", help='A number or line of a log, such as "loss = 87.3365" or "accuracy stays at 0.1".'
)
@output_format_option(page.FORMATS, "text")
@color_option
@config_options
def explain(
    selectors: tuple[str, ...], symptom: str | None, output_format: str, color: str, config: str | None, isolated: bool
) -> None:
    """Print the pages of rules: what they do, why it matters, how they fix it, and an example with its output.

    The prefix of a code (`S1`) prints all pages that match. A cause that `caffe-lint log` names is explained too. --symptom says
    what a number in a log means in Caffe, and what to run next.
    """
    if bool(selectors) == (symptom is not None):
        raise UsageError("name rules, or describe a --symptom: one of the two")
    load_plugins(config, isolated=isolated)
    width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
    colour = in_colour(color)
    if symptom is not None:
        _print(symptom_page.render(output_format, [_symptom(symptom)], colour=colour, width=width), output_format)
        return
    causes = [name for name in dict.fromkeys(selectors) if not matching(name) and naming(name)]
    selectors = tuple(name for name in selectors if name not in causes)
    if causes and selectors and output_format == "json":
        raise UsageError("with --output-format json, name either rules or causes")
    check_selectors("explain", selectors)
    codes = dict.fromkeys(code for selector in selectors for code in matching(selector))
    rules = [all_rules()[code] for code in codes]
    if not all(rule.page for rule in rules):
        raise InputError("the pages are docstrings, which python leaves out when it runs with -OO")
    in_examples = colour and output_format == "text"
    pages = [(rule, printed_for(rule, colour=in_examples)) for rule in rules]
    if causes:
        text = symptom_page.render(output_format, [_cause(name) for name in causes], colour=colour, width=width)
        _print(text, output_format)
    if rules:
        _print(page.render(output_format, pages, colour=colour, width=width), output_format)


def _print(text: str, output_format: str) -> None:
    (print_fitted if output_format == "text" else print_text)(text)


def _cause(name: str) -> ShortPage:
    rules = [all_rules()[code] for code in naming(name)]
    return ShortPage(
        name.lower(),
        " ".join(dict.fromkeys(rule.causes[name.lower()] for rule in rules)),
        (),
        tuple((rule.code, rule.name) for rule in rules),
    )


def _symptom(text: str) -> ShortPage:
    from ..training_log.refusal_messages import explain as explain_refusal  # for this option only
    from ..training_log.symptoms import SYMPTOMS, symptom_of  # for this option only

    refusal = explain_refusal("", text, "", had_begun=None)
    if refusal is not None:
        return ShortPage(refusal.what, f"{refusal.why} {refusal.help}", (), (("T501", all_rules()["T501"].name),))
    seen = symptom_of(text)
    if seen is None:
        known = ", ".join(f'"{symptom.title}"' for symptom in SYMPTOMS.values())
        raise InputError(f"no number or word of a log in '{text}'. Known are: {known}")
    rules = tuple((code, all_rules()[code].name) for code in seen.symptom.rules)
    return ShortPage(seen.symptom.title, seen.meaning, seen.symptom.next, rules)
