"""Plugins: installed packages that provide layer types and rules.

A package registers a module in the entry-point group `caffe_lint.plugins`; importing that module registers its layer types
(`layers.record.layer_type`) and rules (`rule.registry.rule`). Only plugins that the configuration names are loaded: other
installed packages change nothing, and a run without plugins does not look for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from ..proto.spelling import nearest_name
from ..rule.registry import RULES, all_rules, forget_listed
from ..settings.settings import ConfigError

GROUP = "caffe_lint.plugins"


class PluginError(ConfigError):
    """A plugin that is not installed or cannot be loaded. The message says why."""


def load(names: Iterable[str]) -> None:
    """Load plugins that are not loaded yet. Raises PluginError."""
    for name in names:
        _load(name)


def types_of(names: tuple[str, ...]) -> frozenset[str]:
    """Return the layer types that these plugins provide."""
    if not names:
        return frozenset()
    from ..layers.record import TYPES  # keeps the layer types out of the start

    return frozenset(
        name
        for name, kinds in TYPES.items()
        if all(kind.plugin for kind in kinds) and any(kind.plugin in names for kind in kinds)
    )


def codes_of_others(names: tuple[str, ...]) -> frozenset[str]:
    """Return the codes of rules of plugins that are loaded, but not named here."""
    return frozenset(code for code, rule in RULES.items() if rule.plugin and rule.plugin not in names)


@cache
def _load(name: str) -> None:
    from importlib.metadata import entry_points  # as slow as the check of a small solver

    from ..layers.record import TYPES  # keeps the layer types out of the start

    offered = {point.name: point for point in entry_points(group=GROUP)}
    if name not in offered:
        nearest = nearest_name(name, list(offered))
        known = ", ".join(sorted(offered)) or "none"
        hint = f"did you mean '{nearest}'?" if nearest else f"installed plugins: {known}"
        raise PluginError(f"plugin '{name}' is not installed; {hint}")
    rules = set(all_rules())
    types = {id(kind): kind for kinds in TYPES.values() for kind in kinds}
    try:
        offered[name].load()
    except Exception as error:  # a plugin may raise anything when it is imported
        raise PluginError(f"plugin '{name}' cannot be loaded: {type(error).__name__}: {error}") from error
    for code in RULES.keys() - rules:
        RULES[code] = RULES[code]._replace(plugin=name)
    for kinds in TYPES.values():
        kinds[:] = [kind if id(kind) in types else kind._replace(plugin=name) for kind in kinds]
    forget_listed()
