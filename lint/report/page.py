"""The page of a rule, for a terminal, as Markdown or as JSON: its sections, and what our commands print for its example."""

from __future__ import annotations

import json
import re
import textwrap
import unicodedata
from collections.abc import Iterator
from typing import Any

from ..page_examples import MissingLibrary, run_example
from ..pages import BAD, OPTIONS, USUAL_NET_NAME, blocks, read_page
from ..rule import FAMILIES, Option, Rule
from .colours import paint

FORMATS = ("text", "markdown", "json")
PRINTED = "What it prints"

_INDENT = "  "
_ITEM = re.compile(r"^(- |\d+\. )")


def render(format: str, rules: list[Rule], *, colour: bool = False, width: int = 100) -> str:
    """Pages in one of FORMATS."""
    if format == "json":
        return json.dumps([as_dict(rule) for rule in rules], indent=2, ensure_ascii=False) + "\n"
    if format == "markdown":
        return "\n".join(markdown(rule) for rule in rules)
    return "\n\n".join(_text(rule, colour, width) for rule in rules)


def sections(rule: Rule) -> dict[str, str]:
    """The sections of a rule's page, with what is printed for the bad example behind it, and with every option."""
    parts: dict[str, str] = {}
    for name, text in read_page(rule.page).sections.items():
        parts[name] = text
        if name == OPTIONS:
            parts[name] += "\n\n" + "\n".join(_option(key, option) for key, option in rule.options.items())
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
        lines += ["", f"## {name}", ""]
        for is_code, block in blocks(text):
            if is_code:
                fence = "`" * max(3, *(len(ticks) + 1 for ticks in re.findall("`+", block)), 0)
                lines += [f"{fence}text", _visible(block).rstrip("\n"), fence, ""]
            else:
                lines += [block.rstrip("\n"), ""]
        del lines[-1]
    return "\n".join(lines) + "\n"


def _text(rule: Rule, colour: bool, width: int) -> str:
    lines = [paint(f"{rule.code} {rule.name}", "path", colour), _facts(rule), ""]
    lines += textwrap.wrap(rule.summary, width)
    for name, text in sections(rule).items():
        lines += ["", paint(name, "frame", colour)]
        for is_code, block in blocks(text):
            if is_code:
                lines += [paint(f"{_INDENT * 2}{line}".rstrip(), "code", colour) for line in _visible(block).splitlines()]
            else:
                lines += [line for piece in _pieces(block) for line in _wrapped(piece, width)]
            lines.append("")
        del lines[-1]
    return "\n".join(lines) + "\n"


def _facts(rule: Rule) -> str:
    fixes = {"": "no fix", "safe": "safe fix", "unsafe": "unsafe fix", "safe, unsafe": "safe and unsafe fixes"}
    off = "" if rule.default else ", off unless selected"
    named = " when selected by code or name" if rule.by_name else ""
    return f"{rule.severity}, {fixes[rule.fixes]}{named}{off} · {FAMILIES[rule.code[0]]}"


def _option(name: str, option: Option) -> str:
    return f"- `{name}` ({type(option.default).__name__}, default {json.dumps(option.default)}): {option.meaning}"


def _printed(rule: Rule) -> str:
    page = read_page(rule.page)
    try:
        ran = run_example(rule, page.bad)
    except MissingLibrary as error:
        return f"Not shown: {error}."
    shown = textwrap.indent(f"$ {ran.command}\n{ran.output}".rstrip("\n"), "    ", lambda line: True)
    if USUAL_NET_NAME not in page.bad and any(USUAL_NET_NAME in text for text in page.bad.values()):
        return f"{shown}\n\n`{USUAL_NET_NAME}` is a net of one layer, on which there is nothing to say."
    return shown


def _pieces(prose: str) -> Iterator[str]:
    """Paragraphs, items of lists and rows of tables of a stretch of prose, each on one line; "" between paragraphs."""
    for number, paragraph in enumerate(prose.strip("\n").split("\n\n")):
        if number:
            yield ""
        if paragraph.startswith("|"):
            yield from _table(paragraph)
            continue
        piece = ""
        for line in paragraph.split("\n"):
            if piece and _ITEM.match(line):
                yield piece
                piece = line
            else:
                piece = f"{piece} {line.strip()}".strip()
        yield piece


def _table(text: str) -> Iterator[str]:
    """The rows of a table of Markdown with their columns one below the other, without the line below its head."""
    rows = [[cell.strip() for cell in row.strip("| ").split("|")] for row in text.split("\n")]
    del rows[1]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _wrapped(piece: str, width: int) -> list[str]:
    item = _ITEM.match(piece)
    indent = _INDENT + " " * (len(item[0]) if item else 0)
    return textwrap.wrap(
        piece, width, initial_indent=_INDENT, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _visible(code: str) -> str:
    """Code with a sign for characters that nobody would see, such as a byte-order mark."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) == "Cf" else character for character in code
    )
