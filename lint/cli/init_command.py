"""`caffe-lint init`: the files with which a repository starts to use caffe-lint."""

from __future__ import annotations

import os
import re

import click

from ..api import Session
from ..settings.in_force import CommandLine
from ..settings.nearest_files import find_config
from ..source.errors import InputError
from ..source.files import repository_root, shown
from ..source.opener import MAX_SETTINGS, read_regular
from ..source.visible import visible
from .check import Options, check
from .console import EXIT_CLEAN, EXIT_FAILED, complain, print_text, write_output
from .help_groups import GroupedCommand
from .option_types import FILE

BASELINE = "caffe-lint.baseline.json"
CONFIG = "caffe-lint.toml"
HOOK = ".pre-commit-config.yaml"
CONFIG_TEXT = f"""\
# Settings of caffe-lint for this repository. `caffe-lint config FILE` prints all that apply to a file.
fail-on = "warning"                      # error, warning or advice
baseline = "{BASELINE}"    # what was found when caffe-lint came; only what is new is reported
# ignore = ["G104"]                      # codes, prefixes of codes, or names of rules
# dialect = "ssd"                        # the Caffe that reads the files; detected for each file if not set
# exclude = ["third_party/"]             # skipped in folders, as is what .gitignore names
"""
HOOK_TEXT = """\
repos:
  - repo: local
    hooks:
      - id: caffe-lint                   # nets are judged together with the solvers that name them
        name: caffe-lint
        entry: caffe-lint --with-solvers
        language: system
        files: '\\.(prototxt|pbtxt|txtpb)$|\\.prototxt\\.txt$'
        require_serial: true
"""
# A line of a configuration of pre-commit that names a hook of caffe-lint, ours or that of a repository.
_RUNS_IT = re.compile(rb"^[ \t]*(?:-[ \t]+)?(?:id|entry):[ \t]*['\"]?(?:\S*/)?caffe-lint\b", re.MULTILINE)


@click.command(cls=GroupedCommand, short_help="Set up a repository: configuration, baseline, and a hook for commits.")
@click.argument("folder", default=".", type=FILE, metavar="[FOLDER]")
def init(folder: str) -> int:
    """Set up a repository: write a configuration, a baseline of what is found today, and a pre-commit hook.

    They are written to the root of the repository of FOLDER, or, without a repository, to FOLDER. Nothing is asked, and nothing is
    overwritten: what is there stays as it is, and the output says what to add to it.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder")
    root = repository_root(os.path.abspath(folder)) or os.path.abspath(folder)
    baseline, config, hook = (shown(os.path.join(root, name)) for name in (BASELINE, CONFIG, HOOK))
    found = find_config(root)
    own = shown(found) if found is not None and os.path.dirname(found) == root else None
    if os.path.lexists(baseline):
        _is_there(baseline)
    elif check((shown(root),), Options(CommandLine(write_baseline=baseline))) == EXIT_FAILED:
        complain(f"{baseline}: some files could not be checked; what is found in them later will be new")
    if own is None:
        _write(config, CONFIG_TEXT)
    else:
        names_one = "baseline" in Session().settings.explained(root).origins
        _is_there(own, "" if names_one else f'add to it:\n  baseline = "{BASELINE}"')
    if not os.path.lexists(os.path.join(root, ".git")):
        print_text("no hook: this is no git repository\n")
    elif os.path.lexists(hook):
        runs_it = _RUNS_IT.search(read_regular(hook, MAX_SETTINGS)) is not None
        _is_there(hook, "" if runs_it else f"add to its `repos`:\n{HOOK_TEXT.partition(chr(10))[2]}".rstrip("\n"))
    else:
        _write(hook, HOOK_TEXT)
        print_text("next: commit these files, and run `pre-commit install` (pip install pre-commit) in each clone\n")
    return EXIT_CLEAN


def _write(path: str, text: str) -> None:
    write_output(path, text.encode())
    print_text(f"wrote {visible(path)}\n")


def _is_there(path: str, what_to_do: str = "") -> None:
    print_text(f"{visible(path)} is there and stays as it is{f'; {what_to_do}' if what_to_do else ''}\n")
