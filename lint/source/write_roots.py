"""Where a run may write, by the paths that the user named: nowhere else, whatever a solver, a link or a configuration says."""

from __future__ import annotations

import os
from collections.abc import Iterable

from .files import ROOT_MARKERS

_VERSION_CONTROL = ROOT_MARKERS[:3]


def write_root(path: str) -> str:
    """Return the folder in which a path that the user named allows writing: its repository, or else its folder.

    The repository is that of the path as it is written. What a link leads to counts only where there is none.
    """
    absolute = os.path.abspath(path)
    folder = absolute if os.path.isdir(absolute) else os.path.dirname(absolute)
    above = os.path.dirname(absolute) if os.path.islink(absolute) else folder
    return os.path.realpath(_repository(above) or folder)


def write_roots(paths: Iterable[str | None]) -> tuple[str, ...]:
    """Return the folders in which paths that the user named allow writing; None and `-` allow nothing."""
    return tuple(sorted({write_root(path) for path in paths if path and path != "-"}))


def output_folder_problem(folder: str) -> str:
    """Return why nothing is written to a folder that the user named for output: a link leads out of the repository.

    Empty if it may be used. Without a repository, the last part of the path is not followed if it is a link.
    """
    absolute = os.path.abspath(folder)
    root = _repository(os.path.dirname(absolute))
    if root is None:
        return f"{folder} is a link, which is not followed" if os.path.islink(absolute) else ""
    inside = os.path.join(os.path.realpath(root), "")
    if os.path.realpath(absolute).startswith(inside) or os.path.realpath(absolute) + os.sep == inside:
        return ""
    return f"{folder} is reached by a link that leads out of {root}"


def _repository(folder: str) -> str | None:
    """Return the nearest folder upwards that is under version control, or else has a configuration.

    The user's home and the folders above it are none, even if they are under version control: all that the user has lies there.
    """
    home = os.path.join(os.path.realpath(os.path.expanduser("~")), "")
    parents = [folder]
    while os.path.dirname(parents[-1]) != parents[-1]:
        parents.append(os.path.dirname(parents[-1]))
    parents = [parent for parent in parents if not home.startswith(os.path.join(os.path.realpath(parent), ""))]
    for markers in (_VERSION_CONTROL, ROOT_MARKERS[3:]):
        for parent in parents:
            if any(os.path.exists(os.path.join(parent, marker)) for marker in markers):
                return parent
    return None
