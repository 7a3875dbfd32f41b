"""Paths relative to the root of the repository, as services expect them that show findings next to the code."""

from __future__ import annotations

import os
from urllib.parse import quote

_MARKERS = (".git", ".hg", ".svn")


def root() -> str:
    """Return the root of the current repository, or the working directory if there is none."""
    start = folder = os.getcwd()
    while not any(os.path.exists(os.path.join(folder, marker)) for marker in _MARKERS):
        folder, before = os.path.dirname(folder), folder
        if folder == before:
            return start
    return folder


def path_from(base: str, path: str) -> str | None:
    """Return a path relative to `base` with forward slashes, None if it is not inside `base`."""
    relative = os.path.relpath(path, base)
    if relative == os.pardir or relative.startswith(os.pardir + os.sep) or os.path.isabs(relative):
        return None
    return relative.replace(os.sep, "/")


def named(base: str, path: str) -> str:
    """Return a path relative to `base` if it is inside, otherwise the absolute path, as valid Unicode."""
    return plain_text(path_from(base, path) or os.path.abspath(path))


def uri(path: str) -> str:
    """Convert a relative path to a URI reference. Bytes that are not UTF-8 are kept."""
    return quote(os.fsencode(path), safe="/~")


def file_uri(path: str) -> str:
    """Return the URI of a file or folder, with its absolute path."""
    absolute = os.path.abspath(path).replace(os.sep, "/")
    return "file://" + quote(os.fsencode("/" * (not absolute.startswith("/")) + absolute), safe="/~:")


def plain_text(text: str) -> str:
    """Replace the lone surrogates that represent undecoded bytes, since readers of JSON and XML reject them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
