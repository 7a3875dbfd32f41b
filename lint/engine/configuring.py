"""Creating the settings of paths, with the functions that settings need from packages above theirs."""

from __future__ import annotations

from typing import Any

from ..proto.schema import Schema
from ..rule.registry import all_rules, matching
from ..settings.in_force import CommandLine, SettingsOfPaths
from ..settings.lookups import Allowed, Lookups
from ..settings.settings import ConfigError
from . import plugins
from .selection import check_selectors


def settings_of_paths(command_line: CommandLine, schema: Schema) -> SettingsOfPaths:
    """Return the settings in force for each path of a run."""
    return SettingsOfPaths(command_line, schema, LOOKUPS)


def _rule_options(selector: str) -> tuple[str, dict[str, Allowed]] | None:
    code = next(iter(matching(selector)), None)
    if code is None or selector.upper() not in (code, all_rules()[code].name.upper()):
        return None
    options = all_rules()[code].options
    return code, {name: Allowed(option.default, option.least, option.greatest) for name, option in options.items()}


def _rule_names() -> list[str]:
    return [rule.name for rule in all_rules().values()]


def _read_layer(name: str, table: Any) -> Any:
    from ..layers.custom import read_description  # keeps the layer types out of the start

    try:
        return read_description(name, table)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _read_facts(path: str) -> dict[str, Any]:
    from ..net.data_facts import FactsError, read_facts  # keeps json out of the start

    try:
        return read_facts(path)
    except FactsError as error:
        raise ConfigError(str(error)) from None


def _read_baseline(path: str) -> Any:
    from .baseline import BaselineError, read_baseline  # keeps json out of the start

    try:
        return read_baseline(path)
    except BaselineError as error:
        raise ConfigError(str(error)) from None


def _empty_baseline(path: str) -> Any:
    from .baseline import Baseline  # keeps json out of the start

    return Baseline(path, {})


LOOKUPS = Lookups(
    load_plugins=plugins.load,
    check_selectors=check_selectors,
    rule_options=_rule_options,
    rule_names=_rule_names,
    read_layer=_read_layer,
    read_facts=_read_facts,
    read_baseline=_read_baseline,
    empty_baseline=_empty_baseline,
)
