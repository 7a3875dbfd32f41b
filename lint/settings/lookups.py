"""What settings look up in the rooms above theirs, which hand it in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..proto.named_tuple import NamedTuple


class Lookups(NamedTuple):
    """Functions that settings call, as they know nothing of rules, layer types, data or baselines.

    `load_plugins` loads packages by their names, after which the others know what these bring. `check_selectors` takes
    where selectors stand and refuses those that mean no rule. `rule_options` gives the code of the rule of a code or
    name and the default of each of its options, None where no rule is called so; `rule_names` is all there are.
    `read_layer` reads the description of a layer type, from its name and table; `read_facts` and `read_baseline` read
    a file; `empty_baseline` is one that is yet to be written there. What is refused is a ConfigError.
    """

    load_plugins: Callable[[tuple[str, ...]], None]
    check_selectors: Callable[[str, tuple[str, ...]], None]
    rule_options: Callable[[str], tuple[str, dict[str, Any]] | None]
    rule_names: Callable[[], list[str]]
    read_layer: Callable[[str, Any], Any]
    read_facts: Callable[[str], dict[str, Any]]
    read_baseline: Callable[[str], Any]
    empty_baseline: Callable[[str], Any]
