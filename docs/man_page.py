"""Write the manual page docs/caffe-lint.1 from the help of the commands.

    python docs/man_page.py

tests/test_adoption.py fails if it is out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click

from caffe_lint.cli.command_table import COMMAND_GROUPS
from caffe_lint.cli.commands import cli
from caffe_lint.cli.help_groups import sections

PAGE = Path(__file__).resolve().parent / "caffe-lint.1"


def page() -> str:
    """Return the manual page in roff."""
    return "".join(f"{line}\n" for line in _page())


def _page() -> Iterator[str]:
    top = click.Context(cli, info_name="caffe-lint")
    yield '.TH CAFFE-LINT 1 "" "caffe-lint" "User Commands"'
    yield ".SH NAME"
    purpose = (cli.help or "").rstrip(".")
    yield f"caffe\\-lint \\- {_roff(purpose[:1].lower() + purpose[1:])}"
    yield ".SH SYNOPSIS"
    yield ".B caffe-lint"
    yield _roff("FILE|FOLDER|-… [OPTIONS]")
    yield ".br"
    yield ".B caffe-lint"
    yield _roff("COMMAND … [OPTIONS]")
    yield ".SH COMMANDS"
    for title, names in COMMAND_GROUPS.items():
        yield f'.SS "{_roff(title)}"'
        for name in names:
            yield from _term(name, _command(name, top).get_short_help_str(1000))
    for name in (name for names in COMMAND_GROUPS.values() for name in names):
        yield from _section(name, top)
    yield ".SH EXIT STATUS"
    yield _roff(
        "0: nothing found at the level that counts; 1: findings at that level, or a patch with --diff; 2: the work could not be done."
    )
    yield ".SH FILES"
    yield from _term("caffe-lint.toml", "The configuration, the nearest upwards from a file.")
    yield from _term("caffe-lint.data.json", "Facts about the data, the nearest upwards from a file.")


def _section(name: str, top: click.Context) -> Iterator[str]:
    command = _command(name, top)
    context = click.Context(command, info_name=name, parent=top, help_option_names=["-h", "--help"])
    yield f'.SH "{_roff(f"caffe-lint {name}".upper())}"'
    yield f".B caffe\\-lint {_roff(name)}"
    yield _roff(" ".join(command.collect_usage_pieces(context)))
    for paragraph in cleandoc(command.help or "").split("\n\n"):
        yield ".PP"
        yield _roff(" ".join(paragraph.split()))
    for title, rows in sections(command, context).items():
        yield f'.SS "{_roff(title)}"'
        for term, text in rows:
            yield from _term(term, text)


def _command(name: str, top: click.Context) -> click.Command:
    command = cli.get_command(top, name)
    assert command is not None
    return command


def _term(term: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield f".B {_roff(term)}"
    yield _roff(" ".join(text.split()))


def _roff(text: str) -> str:
    """Escape what roff would read as a request, and keep hyphens as they are typed."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace('"', "\\(dq")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
