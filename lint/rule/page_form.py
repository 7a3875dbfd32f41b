"""The required form of a rule's page: a docstring with all sections, and the files of its examples."""

from __future__ import annotations

FIX, EXAMPLE, OPTIONS = "Fix", "Example", "Options"
SECTIONS = (
    "What it does", "Why is this bad?", "When it is reported", FIX, EXAMPLE, OPTIONS, "References",
)  # fmt: skip
BAD, GOOD = "bad", "good"  # the folders of an example


def fault_of(page: str, *, fixes: bool, options: bool) -> str:
    """Return what is wrong with a rule's docstring, empty if nothing is. The section `Example` is optional."""
    place = 0
    for section in SECTIONS:
        found = page.find(f"## {section}\n", place)
        if found < 0 and f"## {section}\n" in page:
            return f"section '{section}' of its page is out of order"
        if found < 0 and section != EXAMPLE and (section != FIX or fixes) and (section != OPTIONS or options):
            return f"its page has no section '{section}'"
        place = max(place, found)
    return ""


def fault_of_examples(bad: dict[str, str], good: dict[str, str], *, fixes: bool) -> str:
    """Return what is wrong with the files of a rule's examples, if anything. `good` includes all files of `bad`."""
    if not bad:
        return "it has no example: its folder 'bad' contains no file"
    if fixes and bad == good:
        return "its examples show no fix: the good one equals the bad one"
    return ""
