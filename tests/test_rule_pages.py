"""A rule's page shows a bad example that is found, and a good one that is clean and what a fix makes."""

from __future__ import annotations

import re
import textwrap

import pytest
from harness import check, fix

from caffe_lint.proto.parser import parse
from caffe_lint.rule import RULES, all_rules
from caffe_lint.sources import kind_of

SECTIONS = ("What it finds", "Why it hurts", "Example", "Use instead", "Fix", "When to ignore it", "Sources")

# The rules whose pages are held to this, and of these the ones that no single file shows.
FAMILIES = ("E1", "S1")
NEED_MORE_THAN_A_FILE = {"E105", "E121", "E122", "E123"}
CODES = [code for code in all_rules() if code[:2] in FAMILIES and code not in NEED_MORE_THAN_A_FILE]


def sections(page: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def example(section: str) -> str:
    """The first indented block of a section."""
    match = re.search(r"(?:^(?:    .*)?\n)*^    .*\n?", section, re.MULTILINE)
    assert match, "no example"
    return textwrap.dedent(match[0]).strip("\n") + "\n"


def name_of(text: str) -> str:
    return "solver.prototxt" if kind_of(parse(text.encode())) == "solver" else "net.prototxt"


@pytest.mark.parametrize("code", CODES)
def test_a_page_has_the_sections_a_reader_looks_for(code: str) -> None:
    found = list(sections(RULES[code].page))
    assert set(found) <= set(SECTIONS)
    assert found == sorted(found, key=SECTIONS.index)
    assert {"What it finds", "Why it hurts", "Sources"} <= set(found)


@pytest.mark.parametrize("code", CODES)
def test_the_example_is_found(code: str) -> None:
    text = example(sections(RULES[code].page)["Example"])
    assert code in {finding.code for finding in check(text, name_of(text), select=(code,))}


@pytest.mark.parametrize("code", [code for code in CODES if "Use instead" in sections(RULES[code].page)])
def test_what_to_use_instead_is_clean_and_is_what_a_fix_makes(code: str) -> None:
    page = sections(RULES[code].page)
    bad, good = example(page["Example"]), example(page["Use instead"])
    assert check(good, name_of(good), select=(code,)) == []
    if any(finding.fix for finding in check(bad, name_of(bad), select=(code,))):
        assert fix(bad, name_of(bad), unsafe=True, select=(code,)) == good


@pytest.mark.parametrize("code", CODES)
def test_a_rule_offers_the_fixes_it_declares(code: str) -> None:
    text = example(sections(RULES[code].page)["Example"])
    offered = {finding.fix.safe for finding in check(text, name_of(text), select=(code,)) if finding.fix}
    declared = {"safe": True, "unsafe": False}
    assert offered <= {declared[word] for word in RULES[code].fixes.split(", ") if word}
