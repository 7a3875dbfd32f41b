"""Short pages for a terminal, as Markdown or as JSON: what a number in a log means, and what a cause of a log is."""

from __future__ import annotations

import json
import textwrap

from ..proto.named_tuple import NamedTuple
from ..source.visible import visible
from .colours import paint


class ShortPage(NamedTuple):
    """A title, what it means, what to run next, and the codes and names of the rules about it."""

    title: str
    meaning: str
    next: tuple[str, ...]
    rules: tuple[tuple[str, str], ...]


def render(format: str, pages: list[ShortPage], *, colour: bool = False, width: int = 100) -> str:
    """Return short pages in one of `rule_page.FORMATS`."""
    if format == "json":
        values = [
            {"title": page.title, "meaning": page.meaning, "next": list(page.next), "rules": [code for code, _ in page.rules]}
            for page in pages
        ]
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    if format == "markdown":
        return "\n".join(_markdown(page) for page in pages)
    return "\n".join(_text(page, colour, width) for page in pages)


def _text(page: ShortPage, colour: bool, width: int) -> str:
    lines = [paint(visible(page.title), "path", colour), ""]
    lines += textwrap.wrap(visible(page.meaning), width, break_long_words=False, break_on_hyphens=False)
    if page.next:
        lines += ["", paint("What to run next", "frame", colour), *(f"  {each}" for each in page.next)]
    if page.rules:
        lines += ["", paint("Rules", "frame", colour), *(f"  {code} {name}" for code, name in page.rules)]
    return "\n".join(lines) + "\n"


def _markdown(page: ShortPage) -> str:
    lines = [f"# {visible(page.title)}", "", visible(page.meaning)]
    if page.next:
        lines += ["", "## What to run next", "", *(f"- {each}" for each in page.next)]
    if page.rules:
        lines += ["", "## Rules", "", *(f"- {code} {name}" for code, name in page.rules)]
    return "\n".join(lines) + "\n"
