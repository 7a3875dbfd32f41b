"""What the docstring of a rule must have to be a page."""

from __future__ import annotations

SECTIONS = (
    "What it finds", "Why it hurts", "Example", "Use instead", "When to ignore it", "Options", "Sources",
)  # fmt: skip
BAD, GOOD, OPTIONS = "Example", "Use instead", "Options"


def fault_of(page: str, *, fixes: bool, options: bool) -> str:
    """Why a rule cannot have this docstring, empty if it can."""
    indent = page[page.rfind("\n", 0, max(0, page.find("## "))) + 1 : page.find("## ")]
    places = []
    place = 0
    for section in SECTIONS:
        if section == OPTIONS and not options:
            continue
        place = page.find(f"## {section}\n", place)
        if place < 0:
            return f"its page has no section '{section}', or not in its place"
        places.append(place)
    line = f"\n{indent}    "
    bad, good = (_code(page, line, places[index], places[index + 1]) for index in (2, 3))
    if not bad or not good:
        return f"its page has no code below '{GOOD if bad else BAD}'"
    if fixes and bad == good:
        return "its page shows no fix: the good example is the bad one"
    return ""


def _code(page: str, line: str, start: int, end: int) -> str:
    """From the first to the last line of code between two places; `line` is what such a line begins with."""
    first = page.find(line, start, end)
    return page[first : page.find("\n", page.rfind(line, start, end) + 1)] if first >= 0 else ""
