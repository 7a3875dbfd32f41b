"""The help of the command line: commands first, options under headings, one spelling, and no line that ends inside a word."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from caffe_lint.cli.command_table import COMMAND_GROUPS, COMMANDS
from caffe_lint.cli.commands import cli
from caffe_lint.cli.help_groups import OPTION_GROUPS

# What differs by command in an option of one name: its choices and the first of them, or that a command has no use without it.
CHOICES_DIFFER = {"--output-format"}
REQUIRED_DIFFERS = {"--output-dir"}
# Where a command writes what it makes: to a file, or, where that is several files, to a folder.
SHORT_FORMS_DIFFER = {"-o": {"--output-file", "--output-dir"}}


def commands() -> dict[str, click.Command]:
    context = click.Context(cli)
    return {name: command for name in COMMANDS if (command := cli.get_command(context, name)) is not None}


def help_of(*words: str, columns: int = 80) -> str:
    result = CliRunner().invoke(cli, [*words, "--help"], terminal_width=columns)
    assert result.exit_code == 0
    return result.output


def options() -> list[tuple[str, click.Option]]:
    return [
        (name, param)
        for name, command in commands().items()
        for param in command.params
        if isinstance(param, click.Option)
    ]


def test_commands_come_before_options_each_under_a_heading() -> None:
    lines = help_of().splitlines()
    places = [lines.index(f"{title}:") for title in COMMAND_GROUPS]
    assert places == sorted(places)
    assert max(places) < min(lines.index(f"{title}:") for title in OPTION_GROUPS)
    for names in COMMAND_GROUPS.values():
        for name in names:
            assert any(line.startswith(f"  {name} ") for line in lines)


def test_without_arguments_the_help_is_printed() -> None:
    assert CliRunner().invoke(cli, []).output == help_of()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_all_its_options_once(command: str) -> None:
    listed = re.findall(r"^  (?:-\w, )?(--[\w-]+)", help_of(command), re.MULTILINE)
    expected = [max(param.opts, key=len) for name, param in options() if name == command]
    assert sorted(listed) == sorted([*expected, "--help"])


def test_every_option_has_a_sentence() -> None:
    assert [(name, param.name) for name, param in options() if not param.help] == []


def test_an_option_means_the_same_in_all_commands() -> None:
    meanings: dict[str, set[tuple[object, ...]]] = {}
    for _, param in options():
        name = max(param.opts, key=len)
        kind: tuple[object, ...] = (repr(param.type.to_info_dict()), repr(param.default))
        if name in CHOICES_DIFFER:
            kind = (param.type.name, param.show_default)
        said = (param.help, param.metavar, param.name, param.is_flag, param.multiple, param.nargs, *kind)
        meanings.setdefault(name, set()).add((*said, None if name in REQUIRED_DIFFERS else param.required))
    assert {name: said for name, said in meanings.items() if len(said) > 1} == {}


def test_a_short_form_stands_for_the_same_option_in_all_commands() -> None:
    longs: dict[str, set[str]] = {}
    shorts: dict[str, set[tuple[str, ...]]] = {}
    for _, param in options():
        name = max(param.opts, key=len)
        found = tuple(flag for flag in param.opts if not flag.startswith("--"))
        for flag in found:
            longs.setdefault(flag, set()).add(name)
        if name not in set().union(*SHORT_FORMS_DIFFER.values()) - {"--output-file"}:
            shorts.setdefault(name, set()).add(found)
    assert {flag: names for flag, names in longs.items() if len(names) > 1} == SHORT_FORMS_DIFFER
    assert {name: found for name, found in shorts.items() if len(found) > 1} == {}


def test_there_is_one_name_for_each_thing() -> None:
    flags = {flag for _, param in options() for flag in param.opts}
    assert flags.isdisjoint({"--format", "--dot", "--colour", "--processes", "--fail-level"})
    formats = [name for name, param in options() if param.name == "output_format"]
    assert {"check", "config", "explain", "inputs", "log", "net", "rules", "schedule", "signal", "simulate"} <= set(
        formats
    )


def test_headings_name_options_that_exist() -> None:
    known = {param.name for _, param in options()}
    assert {name for names in OPTION_GROUPS.values() for name in names} <= known


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_lines_end_between_words(command: str, columns: int) -> None:
    words = set(re.split(r"[\s|]+", help_of(*command.split(), columns=400)))
    for line in help_of(*command.split(), columns=columns).splitlines():
        assert len(line) <= columns
        assert set(re.split(r"[\s|]+", line)) <= words
