"""Convert parts of rules' pages to Markdown."""

from __future__ import annotations

import re

from ..rule.pages import Part, visible


def one_text(parts: list[Part]) -> str:
    """Return parts as one Markdown text."""
    texts = []
    for part in parts:
        texts += [f"`{part.name}`:\n"] if part.name else []
        texts.append(fenced(part.text) + "\n" if part.is_code else part.text)
    return "\n".join(texts)


def fenced(code: str, attributes: str = "") -> str:
    """Return a fenced block of code, with a fence longer than any inside, and invisible characters made visible."""
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall("`{3,}", code))])
    return f"{fence}text{attributes}\n{visible(code).rstrip()}\n{fence}"
