"""Patches as unified diffs for `patch -p1` and `git apply`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import unified_diff

from .colours import paint

_ESCAPES = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}


def base_of(paths: Iterable[str]) -> str:
    """Return the folder in which a patch of some files is to be applied: the working directory if all of them lie in it.

    `patch` and `git apply` refuse paths that lead upwards, absolute ones, and links.
    """
    here = os.path.realpath(os.curdir)
    folders = [os.path.dirname(os.path.realpath(path)) for path in paths]
    return here if all(os.path.commonpath([here, folder]) == here for folder in folders) else os.path.commonpath(folders)


def render(path: str, old: bytes, new: bytes, *, base: str | None = None, colour: bool = False) -> str:
    """Return the diff of one file, empty if nothing differs. Bytes that are not UTF-8 become surrogates.

    Its path is relative to `base`, by default the folder of `base_of`. When the diff is printed, control characters in its lines
    become visible: such a diff is for people, and cannot be applied.
    """
    name = os.path.relpath(os.path.realpath(path), base or base_of([path])).replace(os.sep, "/")
    lines = unified_diff(_lines(old), _lines(new), _quoted(f"a/{name}"), _quoted(f"b/{name}"), n=3)
    text = []
    for line in lines:
        body = line.removesuffix("\n")
        meaning = {"+": "added", "-": "removed", "@": "hunk"}.get(line[0], "")
        if line.startswith(("---", "+++")):
            meaning = "path"
        text.append(paint(body, meaning, colour) if meaning else body)
        if not line.endswith("\n"):
            text.append("\\ No newline at end of file")
    return "".join(line + "\n" for line in text)


def _quoted(name: str) -> str:
    """Return a name as git writes it: in quotes if it has controls, quotes or backslashes, before a tab if it has spaces."""
    quoted = "".join(f"\\{ord(each):03o}" if ord(each) < 32 and ord(each) not in _ESCAPES else each for each in name)
    quoted = quoted.translate(_ESCAPES)
    if quoted != name:
        return f'"{quoted}"'
    return f"{name}\t" if " " in name else name


def _lines(source: bytes) -> list[str]:
    """Split into lines with their endings. Only a line feed ends a line, as for `patch`."""
    text = source.decode("utf-8", "surrogateescape")
    return [line + "\n" for line in text.split("\n")[:-1]] + (
        [last] if (last := text.rpartition("\n")[2]) else []
    )
