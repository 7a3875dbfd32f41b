"""Pages: the docstring of a rule, read into its sections and the files of its bad and its good example.

A page is a sentence and sections (`page_form.SECTIONS`). The files of an example are its indented blocks. A block
bears the name in the line before it ("`net.prototxt`:"); without such a line it is a solver or a net, by what it says.
The good example changes files of the bad one: what it does not show stays.
"""

from __future__ import annotations

import re
from functools import cache

from ..proto.named_tuple import NamedTuple
from .page_form import BAD, GOOD

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

_NAME = re.compile(r"`([\w./-]+)`:")
_COMES_WITH = re.compile(r"^Comes with: ([A-Z]\d{3}(?:, [A-Z]\d{3})*)\.$", re.MULTILINE)


class Page(NamedTuple):
    """A page: its first sentence, the text of its sections, the files of both examples by their names.

    `comes_with` are the codes of other rules that the bad example cannot but break as well.
    """

    summary: str
    sections: dict[str, str]
    bad: dict[str, str]
    good: dict[str, str]
    comes_with: tuple[str, ...]


@cache
def read_page(page: str) -> Page:
    """A page, from the docstring without its indentation."""
    summary, *parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    sections = {name: text.strip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}
    bad = _files(sections.get(BAD, ""))
    good = {**bad, **_files(sections.get(GOOD, ""))}
    comes_with = _COMES_WITH.search(sections.get(BAD, ""))
    return Page(summary.strip(), sections, bad, good, tuple(comes_with[1].split(", ")) if comes_with else ())


class Part(NamedTuple):
    """A paragraph of prose, or a block of code with the name of its file, if it is one.

    `changed` are the numbers, from 1, of the lines that the file of that name in the bad example does not have.
    """

    text: str
    is_code: bool
    name: str = ""
    changed: tuple[int, ...] = ()


def parts_of(page: Page, section: str) -> list[Part]:
    """The parts of a section of a page in their order; lines that only name a file are not among them."""
    return [
        part._replace(changed=_changed(page.bad[part.name], part.text))
        if section == GOOD and part.is_code and part.name in page.bad
        else part
        for part in cut(page.sections[section], named=section in (BAD, GOOD))
    ]


def cut(text: str, *, named: bool = False) -> list[Part]:
    """A text cut into paragraphs and blocks of code, which lose their indentation; files where they are `named`."""
    parts: list[Part] = []
    for is_code, lines in _blocks(text):
        shown = "\n".join(line.removeprefix("    ") if is_code else line for line in lines).strip("\n") + "\n"
        name = ""
        if is_code and named:
            said = _NAME.fullmatch(parts[-1].text.strip()) if parts and not parts[-1].is_code else None
            if said:
                del parts[-1]
            name = said[1] if said else _name_of(shown)
        parts.append(Part(shown, is_code, name))
    return parts


def _blocks(text: str) -> list[tuple[bool, list[str]]]:
    """The lines of paragraphs, and of blocks of code (True)."""
    found: list[tuple[bool, list[str]]] = []
    for line in text.split("\n"):
        is_code = line.startswith("    ")
        if not line.strip() and found:
            found[-1][1].append("")
        elif found and found[-1][0] == is_code and (is_code or found[-1][1][-1]):
            found[-1][1].append(line)
        else:
            found.append((is_code, [line]))
    return found


def _changed(before: str, after: str) -> tuple[int, ...]:
    from difflib import SequenceMatcher

    matcher = SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    return tuple(
        number + 1 for tag, _, _, start, end in matcher.get_opcodes() if tag != "equal" for number in range(start, end)
    )


def _files(section: str) -> dict[str, str]:
    """The files that a section shows."""
    return {part.name: part.text for part in cut(section, named=True) if part.is_code}


def _name_of(text: str) -> str:
    from ..proto.parser import parse
    from ..source.files import kind_of

    return "solver.prototxt" if kind_of(parse(text.encode())) == "solver" else "net.prototxt"
