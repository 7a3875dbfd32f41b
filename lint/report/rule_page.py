"""The page of a rule for a terminal, as Markdown or as JSON: its sections, and the output for its example."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from ..proto.named_tuple import NamedTuple
from ..rule.page_form import BAD, EXAMPLE, FIX, OPTIONS
from ..rule.pages import USUAL_NET_NAME, Page, Part, read_page, sections_of
from ..rule.registry import FAMILIES, Option, Rule
from ..source.wording import within
from ..training_log.symptoms import SYMPTOMS
from .colours import paint
from .page_markdown import fenced, one_text

IN_A_LOG = "In a log"  # what the rule's problem looks like there
FORMATS = ("text", "markdown", "json")

_INDENT = "  "


class Printed(NamedTuple):
    """The output of a command for the bad example of a page, or, in `missing`, why it could not be run."""

    command: str = ""
    output: str = ""
    missing: str = ""


def render(format: str, pages: list[tuple[Rule, Printed]], *, colour: bool = False, width: int = 100) -> str:
    """Return pages in one of FORMATS."""
    if format == "json":
        return json.dumps([as_dict(*page) for page in pages], indent=2, ensure_ascii=False) + "\n"
    if format == "markdown":
        return "\n".join(markdown(*page) for page in pages)
    return "\n\n".join(_text(*page, colour, width) for page in pages)


def sections(rule: Rule, printed: Printed) -> dict[str, list[Part]]:
    """Return the sections of a rule's page, with the output for the bad example after it and a table of options."""
    page = read_page(rule)
    found = sections_of(page)
    if rule.options:
        rows = [_option(key, option) for key, option in rule.options.items()]
        table = "\n".join(["| option | type | default | meaning |", "|---|---|---|---|", *rows])
        found[OPTIONS].append(Part(f"{table}\n", is_code=False))
    end = 1 + max(number for number, part in enumerate(found[EXAMPLE]) if part.name.startswith(f"{BAD}/"))
    found[EXAMPLE][end:end] = _printed(page, printed)
    symptoms = [symptom for symptom in SYMPTOMS.values() if rule.code in symptom.rules]
    if symptoms:
        texts = [f"- `{symptom.title}`: {symptom.meaning}\n" for symptom in symptoms]
        found[IN_A_LOG] = [Part("".join(texts), is_code=False)]
    return found


def as_dict(rule: Rule, printed: Printed) -> dict[str, Any]:
    """Return everything about a rule as plain values."""
    page = read_page(rule)
    return {
        "code": rule.code,
        "name": rule.name,
        "family": FAMILIES[rule.code[0]],
        "severity": rule.severity,
        "confidence": rule.confidence,
        "fix": rule.fixes,
        "fix_by_name": rule.by_name,
        "default": rule.default,
        "summary": rule.summary,
        "options": {
            name: {
                "default": option.default,
                "meaning": option.meaning,
                "least": option.least,
                "greatest": option.greatest,
            }
            for name, option in rule.options.items()
        },
        "sections": {name: one_text(parts) for name, parts in sections(rule, printed).items()},
        "causes": rule.causes,
        "bad": page.bad,
        "good": page.good,
    }


def markdown(rule: Rule, printed: Printed) -> str:
    """Return a page as Markdown."""
    lines = [f"# {rule.code} {rule.name}", "", _facts(rule), "", rule.summary]
    for name, parts in sections(rule, printed).items():
        lines += ["", f"## {name}", "", one_text(parts).rstrip("\n")]
    return "\n".join(lines) + "\n"


def _text(rule: Rule, printed: Printed, colour: bool, width: int) -> str:
    lines = [paint(f"{rule.code} {rule.name}", "path", colour), _facts(rule), ""]
    lines += textwrap.wrap(rule.summary, width)
    for name, parts in sections(rule, printed).items():
        lines += ["", paint(name, "frame", colour)]
        for part in parts:
            lines += _code(part, colour and not part.is_output) if part.is_code else _prose(part.text, width)
            lines.append("")
        del lines[-1]
    return "\n".join(lines) + "\n"


def _code(part: Part, colour: bool) -> list[str]:
    """Format a block of code below its name, with the lines that a fix has changed in another colour."""
    lines = [f"{_INDENT}{part.name}:"] if part.name else []
    for number, line in enumerate(fenced(part.text).splitlines()[1:-1], 1):
        meaning = "added" if number in part.changed else "code"
        lines.append(_INDENT * 2 + paint(line, meaning, colour) if line else "")
    return lines


def _facts(rule: Rule) -> str:
    off = "" if rule.default else ", off unless selected"
    return f"{rule.severity}, {rule.confidence} confidence, {repair(rule)}{off} · {FAMILIES[rule.code[0]]}"


def repair(rule: Rule) -> str:
    """Describe the fixes of a rule. For log rules, `caffe-lint log` fixes the most likely cause."""
    if rule.subject == "log":
        return "fix by `caffe-lint log`" if FIX in read_page(rule).sections else "no fix"
    words = {"": "no fix", "safe": "safe fix", "unsafe": "unsafe fix", "safe, unsafe": "safe and unsafe fixes"}
    return words[rule.fixes] + (" if selected by code or name" if rule.by_name else "")


def _option(name: str, option: Option) -> str:
    kind = ", ".join(filter(None, (type(option.default).__name__, within(option.least, option.greatest))))
    return f"| `{name}` | {kind} | `{json.dumps(option.default)}` | {option.meaning} |"


def _printed(page: Page, printed: Printed) -> list[Part]:
    if printed.missing:
        return [Part(f"Not shown: {printed.missing}.\n", is_code=False)]
    parts = [Part(f"$ {printed.command}\n{printed.output}", is_code=True, is_output=True)]
    if USUAL_NET_NAME not in page.bad and any(USUAL_NET_NAME in text for text in page.bad.values()):
        note = f"`{USUAL_NET_NAME}` is a net of one layer without findings.\n"
        parts.append(Part(note, is_code=False))
    return parts


def _prose(text: str, width: int) -> Iterator[str]:
    """Wrap paragraphs, lists and tables, without the marks of bold text."""
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", text)
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
    """Align the columns of a Markdown table, and leave out the line below its header."""
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
