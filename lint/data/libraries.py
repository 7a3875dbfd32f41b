"""The libraries that read data; they come with `caffe-lint[data]`, and are imported only when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PACKAGES = {"lmdb": "lmdb", "h5py": "h5py", "numpy": "numpy", "PIL.Image": "Pillow", "cramjam": "cramjam"}


class MissingLibrary(Exception):
    """A library that is not installed; says what for, and how to get it."""


def library(module: str, purpose: str) -> Any:
    """The module. Raises MissingLibrary with the `purpose` it would have served."""
    try:
        return import_module(module)
    except ImportError:
        package = _PACKAGES[module]
        raise MissingLibrary(f"{purpose} needs {package}: pip install 'caffe-lint[data]'") from None


def is_installed(module: str) -> bool:
    """Whether the module can be imported."""
    try:
        import_module(module)
    except ImportError:
        return False
    return True
