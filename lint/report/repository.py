"""Paths as the services know them that show findings beside the code: from the root of the repository."""

from __future__ import annotations

import os
from urllib.parse import quote

_MARKERS = (".git", ".hg", ".svn")


def root() -> str:
    """The root of the repository that the program runs in, or the working directory where it runs in none."""
    start = folder = os.getcwd()
    while not any(os.path.exists(os.path.join(folder, marker)) for marker in _MARKERS):
        folder, before = os.path.dirname(folder), folder
        if folder == before:
            return start
    return folder


def path_from(base: str, path: str) -> str | None:
    """A path from `base`, with forward slashes; None if it lies elsewhere."""
    relative = os.path.relpath(path, base)
    if relative == os.pardir or relative.startswith(os.pardir + os.sep) or os.path.isabs(relative):
        return None
    return relative.replace(os.sep, "/")


def named(base: str, path: str) -> str:
    """A path from `base` where it lies below, else from the root of the file system; as text that is valid Unicode."""
    return plain_text(path_from(base, path) or os.path.abspath(path))


def uri(path: str) -> str:
    """A relative path as a reference in a URI. Bytes that are no UTF-8 are kept."""
    return quote(os.fsencode(path), safe="/~")


def file_uri(path: str) -> str:
    """The URI of a file or folder by its absolute path."""
    absolute = os.path.abspath(path).replace(os.sep, "/")
    return "file://" + quote(os.fsencode("/" * (not absolute.startswith("/")) + absolute), safe="/~:")


def plain_text(text: str) -> str:
    """A text without the lone surrogates that stand for undecoded bytes: readers of JSON and XML refuse them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
