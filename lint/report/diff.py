"""Patches as unified diffs for `patch -p1` and `git apply`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..fixes.apply import edited
from .colours import paint
from .unified import unified_lines

if TYPE_CHECKING:
    from ..fixes.edit import Edit

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
    lines = unified_lines(_lines(old), _lines(new), _CONTEXT, _quoted(f"a/{name}"), _quoted(f"b/{name}"))
    text = []
    for line in lines:
        body = line.removesuffix("\n")
        meaning = _MEANINGS.get(line[0], "")
        if line.startswith(("---", "+++")):
            meaning = "path"
        text.append(paint(body, meaning, colour) if meaning else body)
        if not line.endswith("\n"):
            text.append("\\ No newline at end of file")
    return "".join(line + "\n" for line in text)


_MEANINGS = {"+": "added", "-": "removed", "@": "hunk"}
_CONTEXT = 3


def patch_lines(old: bytes, edits: Sequence[Edit]) -> list[tuple[str, str]]:
    """Return the lines of the diff that some edits make, without its head, each with what it means: see `colours`.

    Only the lines around the edits are compared, so that the diffs of many fixes of a large file take no longer than they are.
    """
    first = min((edit.start for edit in edits), default=0)
    last = max((edit.end for edit in edits), default=0)
    start = end = 0
    for _ in range(_CONTEXT + 1):
        first = start = old.rfind(b"\n", 0, max(first, 0)) + 1
        first -= 1
        last = old.find(b"\n", last) + 1 or len(old)
        end = last
    new = edited(old, edits)
    before = old.count(b"\n", 0, start)
    found = []
    for line in unified_lines(_lines(old[start:end]), _lines(new[start : end + len(new) - len(old)]), _CONTEXT):
        if line.startswith("@"):
            line = _HUNK.sub(lambda match: f"{match[1]}{int(match[2]) + before}", line)
        found.append((_MEANINGS.get(line[:1], ""), line.removesuffix("\n")))
    return found


_HUNK = re.compile(r"([-+])(\d+)")


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
