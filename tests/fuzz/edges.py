"""The edges of our code that an input reaches, noted at little cost and told to atheris.

What atheris calls at each branch takes a microsecond, more than most of our branches. Here a branch adds its number to a set,
and atheris is told only of those that no input reached before: all that it needs to keep an input and to count edges. Code
that is instrumented so runs at about three quarters of its speed. Comparisons are not traced; targets give words instead.
"""

from __future__ import annotations

import atheris  # of the extra `fuzz`
from atheris.import_hook import HookManager

_reached: set[int] = set()
_told: set[int] = set()
_tell = atheris._trace_branch
probe = _reached.add


def instrumented() -> HookManager:
    """Return a context in which imports of our modules are instrumented."""
    atheris._trace_branch = probe  # what instrumented code calls, by this name
    return HookManager({"caffe_lint"}, set(), enable_loader_override=True, trace_dataflow=False)


def tell_new() -> None:
    """Tell atheris which edges were reached for the first time since the last call."""
    if len(_reached) > len(_told):
        for edge in _reached - _told:
            _tell(edge)
        _told.update(_reached)


def forget() -> None:
    """Forget the edges that were reached by imports and by preparing inputs."""
    _reached.clear()
    _told.clear()
