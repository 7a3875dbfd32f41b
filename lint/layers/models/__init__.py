"""Signal models of layer types: how each maps the moments of values forward and of gradients backward.

The record of a type names its model; it is loaded only when a signal is computed.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...moments.signal_model import SignalModel


@cache
def model_class(name: str) -> type[SignalModel]:
    """The class that a record names as `module.Class`."""
    module, _, class_name = name.partition(".")
    found: type[SignalModel] = getattr(import_module(f"{__name__}.{module}"), class_name)
    return found
