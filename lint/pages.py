"""Pages: the docstring of a rule, read into its sections and the files of its bad and its good example.

A page is a sentence and sections in the order of SECTIONS. The files of an example are its indented blocks. A block
bears the name in the line before it ("`net.prototxt`:"); without such a line it is a solver or a net, by what it says.
The good example changes files of the bad one: what it does not show stays.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

SECTIONS = (
    "What it finds", "Why it hurts", "Example", "Use instead", "When to ignore it", "Options", "Sources",
)  # fmt: skip
BAD, GOOD, OPTIONS = "Example", "Use instead", "Options"

# The net of solvers whose example names it and does not show it.
USUAL_NET_NAME = "train_val.prototxt"
USUAL_NET = """\
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param {
    shape { dim: 64 dim: 1 dim: 28 dim: 28 }
    shape { dim: 64 }
    data_filler { type: "gaussian" std: 1 }
    data_filler { type: "constant" value: 0 }
  }
}
layer {
  name: "score"
  type: "InnerProduct"
  bottom: "data"
  top: "score"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "score"
  bottom: "label"
  top: "loss"
}
"""

# Not compiled here: every start imports this file, few read a page.
_NAME = r"`([\w./-]+)`:"
_COMES_WITH = r"(?m)^Comes with: ([A-Z]\d{3}(?:, [A-Z]\d{3})*)\.$"


class Page(NamedTuple):
    """A page: its first sentence, the text of its sections, the files of both examples by their names.

    `comes_with` are the codes of other rules that the bad example cannot but break as well.
    """

    summary: str
    sections: dict[str, str]
    bad: dict[str, str]
    good: dict[str, str]
    comes_with: tuple[str, ...]


def fault_of(page: str, *, fixes: bool, options: bool) -> str:
    """Why a rule cannot be registered with this docstring, empty if it can. Fast, as every start asks for every rule."""
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


@cache
def read_page(page: str) -> Page:
    """A page, from the docstring without its indentation."""
    summary, *parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    sections = {name: text.strip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}
    bad = _files(sections.get(BAD, ""))
    good = {**bad, **_files(sections.get(GOOD, ""))}
    comes_with = re.search(_COMES_WITH, sections.get(BAD, ""))
    return Page(summary.strip(), sections, bad, good, tuple(comes_with[1].split(", ")) if comes_with else ())


def blocks(section: str) -> list[tuple[bool, str]]:
    """A section cut into prose and code (True), in order; code without its indentation, ending in a line feed."""
    cut: list[tuple[bool, list[str]]] = []
    for line in section.split("\n"):
        is_code = line.startswith("    ")
        if not line.strip() and cut:
            cut[-1][1].append("")
        elif cut and cut[-1][0] == is_code and (is_code or cut[-1][1][-1]):
            cut[-1][1].append(line)
        else:
            cut.append((is_code, [line]))
    return [
        (is_code, "\n".join(line.removeprefix("    ") if is_code else line for line in lines).strip("\n") + "\n")
        for is_code, lines in cut
    ]


def _files(section: str) -> dict[str, str]:
    """The files that a section shows."""
    files: dict[str, str] = {}
    before = ""
    for is_code, text in blocks(section):
        if is_code:
            name = re.fullmatch(_NAME, before.strip())
            files[name[1] if name else _name_of(text)] = text
        before = text
    return files


def _name_of(text: str) -> str:
    from .proto.parser import parse
    from .sources import kind_of

    return "solver.prototxt" if kind_of(parse(text.encode())) == "solver" else "net.prototxt"
