"""The libraries that the extras `data` and `simulate` install, imported only when needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..source.errors import InputError

_PACKAGES = {"lmdb": "lmdb", "h5py": "h5py", "numpy": "numpy", "PIL.Image": "Pillow", "cramjam": "cramjam"}


class MissingLibrary(InputError):
    """A library is not installed; the message says what it is needed for and how to install it."""


def library(module: str, purpose: str) -> Any:
    """Import a module. Raises MissingLibrary, which names the `purpose` and how to install the library."""
    try:
        return import_module(module)
    except ImportError:
        package = _PACKAGES[module]
        raise MissingLibrary(f"{purpose} needs {package}: pip install {package}") from None


def is_installed(module: str) -> bool:
    """Whether the module can be imported."""
    try:
        import_module(module)
    except ImportError:
        return False
    return True
