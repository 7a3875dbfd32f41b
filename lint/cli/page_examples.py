"""The examples of pages, run: our own commands on their files, in a folder made for it."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from ..proto.named_tuple import NamedTuple
from ..report.colours import with_marks
from ..report.rule_page import Printed
from ..rule.pages import USUAL_NET_NAME, read_page, usual_net
from ..rule.registry import Rule
from ..settings.nearest_files import FACTS_NAME
from ..source.errors import InputError
from .commands import run


class Ran(NamedTuple):
    """What a command came to: how it was called, what it printed, its status, and the text of the files after it."""

    command: str
    output: str
    status: int
    files: dict[str, str]


def run_example(rule: Rule, files: dict[str, str], *options: str) -> Ran:
    """Runs the command that has the rule on the files of an example, with further options.

    Files whose names end in `.py` are run before, and make data. Raises InputError where a library for data is missing.
    """
    if rule.plugin and "caffe-lint.toml" not in files:
        files = {"caffe-lint.toml": f"plugins = {json.dumps([rule.plugin])}\n", **files}
    arguments = [*_arguments(rule, files), *options]
    with TemporaryDirectory() as folder, _inside(folder), _captured() as output:
        os.mkdir(".git")  # nothing above the folder belongs to the example
        _write(files)
        status = run(arguments)
        after = {name: _text(name) for name in files}
    shown = " ".join(word for word in arguments if word not in _HIDDEN)
    return Ran(f"caffe-lint {shown}", output[0], status, after)


def printed_for(rule: Rule, *, colour: bool = False) -> Printed:
    """What a command prints for the bad example of a rule's page."""
    in_colour = ("--color=always",) if colour and rule.subject != "inputs" else ()
    try:
        ran = run_example(rule, read_page(rule).bad, *in_colour)
    except (InputError, OSError) as error:  # no library for the data, no place for the files
        return Printed(missing=str(error))
    return Printed(ran.command, with_marks(ran.output))


# Options that make a run independent of where it is run, and are of no interest to readers.
_HIDDEN = ("--color=always", "--isolated", "--jobs=1", "--config=caffe-lint.toml")


def _arguments(rule: Rule, files: dict[str, str]) -> list[str]:
    prototxts = [name for name in files if name.endswith(".prototxt")]
    solvers = [name for name in prototxts if os.path.basename(name).startswith("solver")]
    named = ["--config=caffe-lint.toml"] if rule.plugin else []  # it loads the plugin, so it must be named
    if rule.subject == "log":
        return ["log", "train.log", *(word for name in solvers[:1] for word in ("--solver", name)), *named]
    extended = [] if rule.default else ["--extend-select", rule.code]
    isolated = [] if {FACTS_NAME, "caffe-lint.toml"}.intersection(files) else ["--isolated"]
    isolated = named or isolated
    if rule.subject == "inputs":
        return ["inputs", *(solvers or prototxts)[:1], "--jobs=1", *isolated]
    return [*(solvers or prototxts), *extended, *isolated]


def _write(files: dict[str, str]) -> None:
    if any(USUAL_NET_NAME in text for text in files.values()):
        files = {USUAL_NET_NAME: usual_net(), **files}
    for name, text in files.items():
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        with open(name, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    for name, text in files.items():
        if name.endswith(".py"):
            try:
                exec(
                    compile(text, name, "exec"), {"__name__": "__main__"}
                )  # a program of our examples, or of a plugin's
            except ImportError as error:
                raise InputError(f"the data of this example need {error.name}: pip install {error.name}") from None


def _text(name: str) -> str:
    with open(name, encoding="utf-8", newline="") as file:
        return file.read()


@contextmanager
def _inside(folder: str) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _captured() -> Iterator[list[str]]:
    """What is written to standard output meanwhile, as the one text of the list; standard error is dropped."""
    texts: list[str] = []
    before = sys.stdout, sys.stderr
    written = io.BytesIO()
    output, dropped = io.TextIOWrapper(written, "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    sys.stdout, sys.stderr = output, dropped
    try:
        yield texts
    finally:
        sys.stdout, sys.stderr = before
        output.flush()
        texts.append(written.getvalue().decode("utf-8", "replace"))
