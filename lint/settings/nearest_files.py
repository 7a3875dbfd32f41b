"""Finding the files that apply to a path: the nearest configuration and facts about data, upwards from it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..source.opener import MAX_SETTINGS, Unreadable, read_regular
from .settings import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_NAMES = ("caffe-lint.toml", "pyproject.toml")
FACTS_NAME = "caffe-lint.data.json"


def find_config(start: str) -> str | None:
    """Return the configuration file that applies to a file or folder: the nearest one upwards."""
    for folder in _upwards(start):
        for name in FILE_NAMES:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and (name != "pyproject.toml" or _is_ours(path)):
                return path
    return None


def _is_ours(pyproject: str) -> bool:
    """Return whether a pyproject.toml has our table. Files without its name are not parsed as TOML."""
    try:
        may_be_ours = any(map(_names_our_table, read_regular(pyproject, MAX_SETTINGS).split(b"\n")))
    except Unreadable as error:
        raise ConfigError(str(error)) from None
    if not may_be_ours:
        return False
    from .config_file import has_table  # keeps what reads TOML out of the start

    return has_table(pyproject)


def _names_our_table(line: bytes) -> bool:
    """Return whether a line may begin our table: `[tool.caffe-lint]` with any quotes, or `[tool]`."""
    before, _, after = line.partition(b"tool")
    return b"caffe-lint" in after or (before.strip(b" \t\"'") == b"[" and after.strip(b" \t\"'").startswith(b"]"))


def find_facts(start: str) -> str | None:
    """Return the file of facts about data (see `data_facts`) that applies to a path: the nearest one upwards."""
    paths = (os.path.join(folder, FACTS_NAME) for folder in _upwards(start))
    return next((path for path in paths if os.path.isfile(path)), None)


def _upwards(start: str) -> Iterator[str]:
    """Yield the folder of a file, or a folder itself, and all its parents."""
    folder = os.path.abspath(start if os.path.isdir(start) else os.path.dirname(start) or ".")
    while True:
        yield folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent
