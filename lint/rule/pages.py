"""Pages: the docstring of a rule, split into its sections, with the files of its bad and its good example.

A page is a sentence and sections (`page_form.SECTIONS`). The examples of a rule are files in `examples/CODE/bad/` and
`examples/CODE/good/`, which are in `rules/` for our own rules and next to the rule's module for those of plugins.
`good/` contains only files that differ. A solver may name `train_val.prototxt` without including it: that is the net in
`rules/examples/`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import category

from ..proto.named_tuple import NamedTuple
from .page_form import BAD, EXAMPLE, GOOD, SECTIONS

if TYPE_CHECKING:
    from .registry import Rule

OUR_EXAMPLES = Path(__file__).parent.parent / "rules" / "examples"
USUAL_NET_NAME = "train_val.prototxt"

_COMES_WITH = re.compile(r"^Comes with: ([A-Z]\d{3}(?:, [A-Z]\d{3})*)\.$", re.MULTILINE)
_SIGNS = {"\r": "␍", "\t": "␉"}


class Page(NamedTuple):
    """A page: its first sentence, the text of its sections, and the files of both examples by name.

    `comes_with` are the codes of other rules that the bad example inevitably breaks as well.
    """

    summary: str
    sections: dict[str, str]
    bad: dict[str, str]
    good: dict[str, str]
    comes_with: tuple[str, ...]


def read_page(rule: Rule) -> Page:
    """Return the page of a rule."""
    return _page(rule.page, examples_folder(rule))


def examples_folder(rule: Rule) -> Path:
    """Return the folder of a rule's examples, whether it exists or not."""
    from inspect import getfile  # keeps inspect out of the start

    return (OUR_EXAMPLES if rule.is_ours else Path(getfile(rule.check)).parent / "examples") / rule.code


@cache
def _page(text: str, examples: Path) -> Page:
    summary, *parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    sections = {name: text.strip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}
    bad = _files(examples / BAD)
    comes_with = _COMES_WITH.search(sections.get(EXAMPLE, ""))
    codes = tuple(comes_with[1].split(", ")) if comes_with else ()
    return Page(summary.strip(), sections, bad, {**bad, **_files(examples / GOOD)}, codes)


def usual_net() -> str:
    """Return the net for examples whose solver names it without including it."""
    return _text(OUR_EXAMPLES / USUAL_NET_NAME)


def _files(folder: Path) -> dict[str, str]:
    """Return the files below a folder by name: logs, solvers, nets, then the files that these read.

    `__pycache__` is skipped, because pip compiles the programs that it installs.
    """
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(folder).as_posix(): _text(path) for path in sorted(paths, key=_rank)}


def _rank(path: Path) -> tuple[int, Path]:
    is_solver = path.name.startswith("solver")
    return (0 if path.suffix == ".log" else 1 if is_solver else 2 if path.suffix == ".prototxt" else 3), path


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


class Part(NamedTuple):
    """A paragraph, a block of code with its file name if it has one, or the output of a command.

    `changed` are the numbers, from 1, of the lines that differ from the file with the same name in the bad example.
    """

    text: str
    is_code: bool
    name: str = ""
    changed: tuple[int, ...] = ()
    is_output: bool = False


def sections_of(page: Page) -> dict[str, list[Part]]:
    """Return the parts of each section of a page, in order. The example consists of its prose, then its files."""
    texts = {name: page.sections.get(name, "") for name in (*SECTIONS, *page.sections)}
    found = {name: cut(text) for name, text in texts.items()}
    found[EXAMPLE] += [Part(visible(text), True, f"{BAD}/{name}") for name, text in page.bad.items()]
    found[EXAMPLE] += [
        Part(visible(text), True, f"{GOOD}/{name}", _changed(page.bad[name], text) if name in page.bad else ())
        for name, text in page.good.items()
        if page.bad.get(name) != text
    ]
    return {name: parts for name, parts in found.items() if parts}


def cut(text: str) -> list[Part]:
    """Split a text into paragraphs and blocks of code, and remove the indentation of the code."""
    found: list[tuple[bool, list[str]]] = []
    for line in text.split("\n"):
        is_code = line.startswith("    ")
        if not line.strip() and found:
            found[-1][1].append("")
        elif found and found[-1][0] == is_code and (is_code or found[-1][1][-1]):
            found[-1][1].append(line)
        elif line.strip():
            found.append((is_code, [line]))
    return [
        Part("\n".join(line.removeprefix("    ") if is_code else line for line in lines).strip("\n") + "\n", is_code)
        for is_code, lines in found
    ]


def visible(text: str) -> str:
    """Replace invisible characters by visible symbols."""
    return "".join(
        _SIGNS.get(character) or ("\N{REPLACEMENT CHARACTER}" if category(character) == "Cf" else character)
        for character in text
    )


def _changed(before: str, after: str) -> tuple[int, ...]:
    from difflib import SequenceMatcher  # keeps difflib out of the start

    matcher = SequenceMatcher(None, before.split("\n"), after.split("\n"), autojunk=False)
    return tuple(
        number + 1 for tag, _, _, start, end in matcher.get_opcodes() if tag != "equal" for number in range(start, end)
    )
