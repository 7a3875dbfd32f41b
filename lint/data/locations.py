"""Find the sources that nets name on disk. Caffe's paths are relative to the folder in which it is started."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..source.files import repository_root


def base_folder(written: Iterable[str], near: str) -> str:
    """Return the folder in which most of the paths exist: the working directory, the folder of the file `near`, or a parent.

    The working directory if none of them helps.
    """
    paths = [path for path in written if path and not os.path.isabs(path)]
    best, most = os.getcwd(), 0
    for folder in _folders(near):
        found = sum(os.path.exists(os.path.join(folder, path)) for path in paths)
        if found > most:
            best, most = folder, found
    return best


def _folders(near: str) -> list[str]:
    folder = os.path.dirname(os.path.abspath(near))
    top = repository_root(folder) or folder
    folders = [os.getcwd(), folder]
    while folder != top and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
        folders.append(folder)
    return folders
