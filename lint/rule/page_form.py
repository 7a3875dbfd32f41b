"""What a rule must bring to have a page: a docstring with its sections, and the files of its examples."""

from __future__ import annotations

FIX, EXAMPLE, OPTIONS = "Fix", "Example", "Options"
SECTIONS = (
    "What it does", "Why is this bad?", "When it is reported", FIX, EXAMPLE, OPTIONS, "References",
)  # fmt: skip
BAD, GOOD = "bad", "good"  # the folders of an example


def fault_of(page: str, *, fixes: bool, options: bool) -> str:
    """Why a rule cannot have this docstring, empty if it can. `Example`, which has prose only, may be missing."""
    place = 0
    for section in SECTIONS:
        found = page.find(f"## {section}\n", place)
        if found < 0 and f"## {section}\n" in page:
            return f"section '{section}' of its page is not in its place"
        if found < 0 and section != EXAMPLE and (section != FIX or fixes) and (section != OPTIONS or options):
            return f"its page has no section '{section}'"
        place = max(place, found)
    return ""


def fault_of_examples(bad: dict[str, str], good: dict[str, str], *, fixes: bool) -> str:
    """Why a rule cannot have these files as its examples, empty if it can. `good` has those of `bad` that stay as well."""
    if not bad:
        return "it has no example: there is no file in its folder 'bad'"
    if fixes and bad == good:
        return "its examples show no fix: the good one is the bad one"
    return ""
