"""The page of a rule, for a terminal, as Markdown or as JSON: its sections, and what our commands print for its example."""

from __future__ import annotations

import json
import re
import textwrap
import unicodedata
from collections.abc import Iterator
from typing import Any

from ..check import Trouble
from ..page_examples import run_example
from ..pages import BAD, OPTIONS, USUAL_NET_NAME, blocks, read_page
from ..rule import FAMILIES, Option, Rule
from .colours import paint

FORMATS = ("text", "markdown", "json")
PRINTED = "What it prints"

_INDENT = "  "


def render(format: str, rules: list[Rule], *, colour: bool = False, width: int = 100) -> str:
    """Pages in one of FORMATS."""
    if format == "json":
        return json.dumps([as_dict(rule) for rule in rules], indent=2, ensure_ascii=False) + "\n"
    if format == "markdown":
        return "\n".join(markdown(rule) for rule in rules)
    return "\n\n".join(_text(rule, colour, width) for rule in rules)


def sections(rule: Rule) -> dict[str, str]:
    """The sections of a rule's page, with what is printed for the bad example behind it, and a table of its options."""
    parts: dict[str, str] = {}
    for name, text in read_page(rule.page).sections.items():
        parts[name] = text
        if name == OPTIONS:
            rows = [_option(key, option) for key, option in rule.options.items()]
            parts[name] += "\n\n" + "\n".join(["| option | type | default | meaning |", "|---|---|---|---|", *rows])
        if name == BAD:
            parts[PRINTED] = _printed(rule)
    return parts


def as_dict(rule: Rule) -> dict[str, Any]:
    """All that is known of a rule."""
    page = read_page(rule.page)
    return {
        "code": rule.code,
        "name": rule.name,
        "family": FAMILIES[rule.code[0]],
        "severity": rule.severity,
        "fix": rule.fixes,
        "fix_by_name": rule.by_name,
        "default": rule.default,
        "summary": rule.summary,
        "options": {
            name: {"default": option.default, "meaning": option.meaning} for name, option in rule.options.items()
        },
        "sections": sections(rule),
        "bad": page.bad,
        "good": page.good,
    }


def markdown(rule: Rule) -> str:
    """A page as Markdown."""
    lines = [f"# {rule.code} {rule.name}", "", _facts(rule), "", rule.summary]
    for name, text in sections(rule).items():
        lines += ["", f"## {name}"]
        for is_code, block in blocks(text):
            lines += ["", fenced(block) if is_code else block.rstrip("\n")]
    return "\n".join(lines) + "\n"


def fenced(code: str, attributes: str = "") -> str:
    """Code between fences that are longer than any in it, with a sign for characters that nobody would see."""
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall("`{3,}", code))])
    shown = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) == "Cf" else character for character in code
    )
    return f"{fence}text{attributes}\n{shown.rstrip()}\n{fence}"


def _text(rule: Rule, colour: bool, width: int) -> str:
    lines = [paint(f"{rule.code} {rule.name}", "path", colour), _facts(rule), ""]
    lines += textwrap.wrap(rule.summary, width)
    for name, text in sections(rule).items():
        lines += ["", paint(name, "frame", colour)]
        for is_code, block in blocks(text):
            if is_code:
                shown = fenced(block).splitlines()[1:-1]
                lines += [paint(f"{_INDENT * 2}{line}".rstrip(), "code", colour) for line in shown]
            else:
                lines += _prose(block, width)
            lines.append("")
        del lines[-1]
    return "\n".join(lines) + "\n"


def _facts(rule: Rule) -> str:
    fixes = {"": "no fix", "safe": "safe fix", "unsafe": "unsafe fix", "safe, unsafe": "safe and unsafe fixes"}
    off = "" if rule.default else ", off unless selected"
    named = " when selected by code or name" if rule.by_name else ""
    return f"{rule.severity}, {fixes[rule.fixes]}{named}{off} · {FAMILIES[rule.code[0]]}"


def _option(name: str, option: Option) -> str:
    return f"| `{name}` | {type(option.default).__name__} | `{json.dumps(option.default)}` | {option.meaning} |"


def _printed(rule: Rule) -> str:
    page = read_page(rule.page)
    try:
        ran = run_example(rule, page.bad)
    except Trouble as error:
        return f"Not shown: {error}."
    shown = textwrap.indent(f"$ {ran.command}\n{ran.output}".rstrip("\n"), "    ", lambda line: True)
    if USUAL_NET_NAME not in page.bad and any(USUAL_NET_NAME in text for text in page.bad.values()):
        return f"{shown}\n\n`{USUAL_NET_NAME}` is a net of one layer, on which there is nothing to say."
    return shown


def _prose(text: str, width: int) -> Iterator[str]:
    """Paragraphs, lists and tables, wrapped."""
    for number, paragraph in enumerate(text.strip("\n").split("\n\n")):
        if number:
            yield ""
        if paragraph.startswith("|"):
            yield from _table(paragraph, width)
            continue
        for piece in re.split(r"\n(?=- |\d+\. )", paragraph):
            item = re.match(r"- |\d+\. |", piece)
            yield from _wrapped(" ".join(piece.split()), width, len(item[0]) if item else 0)


def _table(text: str, width: int) -> Iterator[str]:
    """The rows of a table of Markdown with their columns one below the other, without the line below its head."""
    rows = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in text.split("\n")]
    del rows[1]
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    for row in rows:
        padded = "".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True))
        yield from _wrapped(padded.rstrip(), width, sum(widths[:-1]))


def _wrapped(text: str, width: int, hang: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT + " " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
