"""What the options and arguments of several commands name, read: standard input, facts about data, plugins."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..api import Session
from ..settings.in_force import CommandLine

if TYPE_CHECKING:
    from ..net.data_facts import DataFacts


def texts_of(path: str) -> dict[str, bytes]:
    """The texts that replace files on disk: standard input, whole, for `-`."""
    return {path: sys.stdin.buffer.read()} if path == "-" else {}


def load_plugins(config: str | None, *, isolated: bool) -> None:
    """Loads the plugins that the configuration of the working directory names. Raises InputError."""
    Session(CommandLine(config=config, isolated=isolated)).settings.of(".")


def read_data_facts(path: str | None) -> DataFacts:
    """The facts about the data in a file, none without one. Raises InputError."""
    if path is None:
        return {}
    from ..net.data_facts import read_facts  # keeps json out of the start

    return read_facts(path)
