"""Whether a file lies in the folders in which files may be changed."""

from __future__ import annotations

import os
from collections.abc import Iterable


def is_inside(path: str, roots: Iterable[str]) -> bool:
    """Return whether a path, with its links resolved, lies in one of the folders."""
    return root_of(os.path.realpath(path), roots) is not None


def root_of(target: str, roots: Iterable[str]) -> str | None:
    """Return the folder in which a resolved path lies, resolved as well."""
    for root in map(os.path.realpath, roots):
        if target == root or target.startswith(os.path.join(root, "")):
            return root
    return None
