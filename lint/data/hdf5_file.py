"""Open HDF5 files: nothing in one leads to another file, and no dataset has many more values than are stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..source.opener import check_regular
from .broken import BrokenData
from .libraries import library

_MOST_STEPS = 100  # groups and links on the way to a dataset
_MOST_VALUES = 2**31 - 1  # of a blob (blob.cpp, Blob::Reshape)
_COMPRESSION = 2_000  # deflate, the strongest filter that people use, reaches 1,032
_UNSTORED = 1 << 20  # bytes that may be without storage: fill values


class BrokenHdf5(BrokenData):
    """A file or a dataset cannot be used; says why."""


@contextmanager
def open_hdf5(path: str, purpose: str) -> Iterator[Any]:
    """Open an HDF5 file for reading. Raises MissingLibrary, Unreadable, and BrokenHdf5 if it is damaged.

    Only what is read shows the damage, and h5py has many exceptions for it, by what the library was doing.
    """
    h5py = library("h5py", purpose)
    check_regular(path)
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise BrokenHdf5(_fault_in_words(str(error))) from None


def _fault_in_words(text: str) -> str:
    if "signature" in text:
        return "it is not an HDF5 file"
    if "filter not available" in text:
        return "it is compressed in a way that h5py cannot read"
    return "it is truncated" if "truncated" in text else "it is damaged"


def dataset_at(group: Any, name: str) -> Any:
    """Return the dataset with a name in the same file, None if there is none.

    Raises BrokenHdf5 if it is stored in another file, or has values that the file does not store.
    """
    found = member(group, name)
    if not hasattr(found, "shape"):
        return None
    if found.external or found.is_virtual:
        raise BrokenHdf5("its values are in another file")
    if found.size is None or found.size > _MOST_VALUES:
        raise BrokenHdf5("it has more values than a blob can have" if found.size else "it has no values")
    if found.size * found.dtype.itemsize > _COMPRESSION * found.id.get_storage_size() + _UNSTORED:
        raise BrokenHdf5("most of its values were never written")
    return found


def member(group: Any, name: str) -> Any:
    """Return what a group has under a name, which may be a path; None if there is nothing. Soft links are followed.

    Raises BrokenHdf5 for a link to another file, and for one that leads to nothing but links.
    """
    h5py = library("h5py", "reading HDF5")
    found, steps = group, 0
    waiting = deque(_steps(name))
    while waiting:
        part = waiting.popleft()
        steps += 1
        if part == "/":
            found = found.file["/"]
            continue
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) and "\0" not in part else None
        if link is None:
            return None
        if isinstance(link, h5py.HardLink):
            found = found[part]
        elif not isinstance(link, h5py.SoftLink):
            raise BrokenHdf5("it is a link to another file")
        elif steps > _MOST_STEPS:
            raise BrokenHdf5("it is a link that leads to links without end")
        else:
            waiting.extendleft(reversed(_steps(link.path)))
    return found


def _steps(path: str) -> list[str]:
    return [*(["/"] if path.startswith("/") else []), *(part for part in path.split("/") if part not in ("", "."))]
