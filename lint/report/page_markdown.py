"""Parts of rules' pages as Markdown."""

from __future__ import annotations

import re

from ..rule.pages import Part, visible


def one_text(parts: list[Part]) -> str:
    """Parts as Markdown."""
    texts = []
    for part in parts:
        texts += [f"`{part.name}`:\n"] if part.name else []
        texts.append(fenced(part.text) + "\n" if part.is_code else part.text)
    return "\n".join(texts)


def fenced(code: str, attributes: str = "") -> str:
    """Code between fences that are longer than any in it, with a sign for characters that nobody would see."""
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall("`{3,}", code))])
    return f"{fence}text{attributes}\n{visible(code).rstrip()}\n{fence}"
