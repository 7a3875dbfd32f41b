"""Functions that settings need from packages above theirs, which pass them in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..proto.named_tuple import NamedTuple


class Allowed(NamedTuple):
    """What an option of a rule may be: a value like its default, and if that is a number, none below `least` or above `greatest`."""

    default: Any
    least: float | None = None
    greatest: float | None = None


class Lookups(NamedTuple):
    """Functions that settings call, since they know nothing of rules, layer types, data or baselines.

    `load_plugins` loads packages by name; afterwards the other functions know their rules and layer types.
    `check_selectors` takes the place of selectors and the selectors, and rejects those that match no rule.
    `rule_options` returns the code of a rule, from its code or name, and what each option may be, or None for an
    unknown rule; `rule_names` returns all names. `read_layer` reads the description of a layer type from its name and
    table; `read_facts` and `read_baseline` read a file; `empty_baseline` returns a baseline that is yet to be written
    to a path. Errors are ConfigErrors.
    """

    load_plugins: Callable[[tuple[str, ...]], None]
    check_selectors: Callable[[str, tuple[str, ...]], None]
    rule_options: Callable[[str], tuple[str, dict[str, Allowed]] | None]
    rule_names: Callable[[], list[str]]
    read_layer: Callable[[str, Any], Any]
    read_facts: Callable[[str], dict[str, Any]]
    read_baseline: Callable[[str], Any]
    empty_baseline: Callable[[str], Any]
