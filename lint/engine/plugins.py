"""Plugins: installed packages that bring layer types and rules of their own.

A package offers a module under a name in the entry-point group `caffe_lint.plugins`; importing that module
registers its layer types (`layers.record.layer_type`) and rules (`rule.registry.rule`). Only plugins that the
configuration names are loaded: whatever else is installed changes nothing, and a run without plugins does not
pay for looking.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..proto.binder import nearest_name
from ..proto.named_tuple import NamedTuple
from ..rule.registry import RULES, all_rules, rules_of_files

GROUP = "caffe_lint.plugins"


class PluginError(Exception):
    """A plugin that cannot be had; says why."""


class Brought(NamedTuple):
    """What a plugin has registered: codes of rules and names of layer types."""

    codes: frozenset[str]
    types: frozenset[str]


_LOADED: dict[str, Brought] = {}


def load(names: Iterable[str]) -> None:
    """Loads plugins that are not loaded yet. Raises PluginError."""
    for name in names:
        if name not in _LOADED:
            _LOADED[name] = _load(name)


def types_of(names: Iterable[str]) -> frozenset[str]:
    """The layer types that these plugins brought."""
    return frozenset().union(*(_LOADED[name].types for name in names))


def codes_of_others(names: Iterable[str]) -> frozenset[str]:
    """The codes of rules that came with plugins which are loaded, but not asked for here."""
    return frozenset().union(*(brought.codes for name, brought in _LOADED.items() if name not in names))


def bringing(code: str) -> list[str]:
    """The loaded plugins that brought a rule: one, or none for a rule of our own."""
    return [name for name, brought in _LOADED.items() if code in brought.codes]


def _load(name: str) -> Brought:
    from importlib.metadata import entry_points  # as slow as the check of a small solver

    from ..layers.record import described_names

    offered = {point.name: point for point in entry_points(group=GROUP)}
    if name not in offered:
        nearest = nearest_name(name, list(offered))
        known = ", ".join(sorted(offered)) or "none"
        hint = f"did you mean '{nearest}'?" if nearest else f"installed are: {known}"
        raise PluginError(f"no plugin '{name}' is installed; {hint}")
    codes, types = set(all_rules()), set(described_names())
    try:
        offered[name].load()
    except Exception as error:  # whatever a stranger's module does when it is imported
        raise PluginError(f"plugin '{name}' cannot be loaded: {type(error).__name__}: {error}") from error
    all_rules.cache_clear()
    rules_of_files.cache_clear()
    return Brought(frozenset(RULES) - codes, frozenset(described_names()) - types)
