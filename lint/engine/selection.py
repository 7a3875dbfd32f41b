"""The rules and layer types that settings select."""

from __future__ import annotations

from typing import Any

from .. import rules  # noqa: F401 - registers the loader of our own rules
from ..rule.registry import RULES, Rule, all_rules, matching, means, rules_of_files
from ..settings.settings import ConfigError, Settings, did_you_mean
from . import plugins


def codes_of_files(settings: Settings, *, with_data: bool) -> frozenset[str]:
    """Return the codes of the enabled rules for solvers and nets; `with_data` adds those for facts about their data."""
    known = rules_of_files(with_data=with_data)
    if settings.select or settings.extend_select or settings.ignore:
        return _among(known, settings)
    default = frozenset(code for code, rule in known.items() if rule.default)
    return default - plugins.codes_of_others(settings.plugins)


def codes(settings: Settings) -> frozenset[str]:
    """Return the codes of the enabled rules."""
    return _among(all_rules(), settings)


def _among(known: dict[str, Rule], settings: Settings) -> frozenset[str]:
    """Return the codes of the enabled rules among the known ones."""
    selected = (*settings.select, *settings.extend_select)
    chosen = {
        code
        for code, rule in known.items()
        if (rule.default and not settings.select) or any(means(selector, rule) for selector in selected)
    }
    ignored = {code for code in chosen if any(means(selector, known[code]) for selector in settings.ignore)}
    return frozenset(chosen - ignored - plugins.codes_of_others(settings.plugins))


def codes_of_subject(settings: Settings, subject: str) -> frozenset[str]:
    """Return the codes of the enabled rules of one subject: a log, or data.

    If `select` names none of them, as in a preset for nets, their defaults apply.
    """
    of_subject = frozenset(code for code, rule in all_rules().items() if rule.subject == subject)
    if all(of_subject.isdisjoint(matching(selector)) for selector in settings.select):
        return of_subject & codes(settings._replace(select=()))
    return of_subject & codes(settings)


def codes_by_name(settings: Settings, *, with_data: bool) -> frozenset[str]:
    """Return those of the rules of files that are selected by their code or name, not by ALL or a code prefix."""
    chosen = {selector.lower() for selector in (*settings.select, *settings.extend_select)}
    known = rules_of_files(with_data=with_data).items() if chosen else ()
    return frozenset(code for code, rule in known if not chosen.isdisjoint((code.lower(), rule.name)))


def options_of(settings: Settings, code: str) -> dict[str, Any]:
    """Return every option of a rule, set or default."""
    options = RULES[code].options
    if not options:
        return {}
    return {**{name: option.default for name, option in options.items()}, **settings.options.get(code, {})}


def layer_types(settings: Settings) -> frozenset[str]:
    """Return the names of the layer types that the configuration describes or a plugin provides."""
    return plugins.types_of(settings.plugins).union(settings.layers)


def check_selectors(where: str, selectors: tuple[str, ...]) -> None:
    """Raise ConfigError for a selector that matches no rule."""
    for selector in selectors:
        # Nearly all selectors match rules of files, which are loaded anyway.
        if not any(means(selector, rule) for rule in rules_of_files().values()) and not matching(selector):
            names = [name for code, rule in all_rules().items() for name in (code, rule.name)]
            raise ConfigError(f"{where}: unknown rule '{selector}'{did_you_mean(selector, names)}")
