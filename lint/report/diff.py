"""Patches as unified diffs for `patch -p1` and `git apply`."""

from __future__ import annotations

import os
from difflib import unified_diff

from ..source.visible import visible
from .colours import paint


def render(path: str, old: bytes, new: bytes, *, colour: bool = False) -> str:
    """Return the diff of one file, empty if nothing differs. Bytes that are not UTF-8 become surrogates.

    When it is printed, control characters in its lines become visible: such a diff is for people, and cannot be applied.
    """
    relative = os.path.relpath(path) if os.path.isabs(path) else path
    name = visible(path if relative.startswith("..") else relative)
    lines = unified_diff(_lines(old), _lines(new), f"a/{name}", f"b/{name}", n=3)
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


def _lines(source: bytes) -> list[str]:
    """Split into lines with their endings. Only a line feed ends a line, as for `patch`."""
    text = source.decode("utf-8", "surrogateescape")
    return [line + "\n" for line in text.split("\n")[:-1]] + (
        [last] if (last := text.rpartition("\n")[2]) else []
    )
