"""Settings: what the configuration file and the command line ask for.

The nearest `caffe-lint.toml`, or `pyproject.toml` with a table `[tool.caffe-lint]`, upwards from a file holds
for it (`config_file` reads it). The command line wins over it (`in_force`).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from ..engine import plugins
from ..proto.binder import nearest_name
from ..proto.named_tuple import NamedTuple
from ..rule.registry import RULES, all_rules, matching, rules_of_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..engine.baseline import Baseline
    from ..layers.custom import Description
    from ..net.data_facts import SourceFacts
    from ..proto.schema import Schema
    from .in_force import SettingsOfPaths

SEVERITIES = ("advice", "warning", "error")
FILE_NAMES = ("caffe-lint.toml", "pyproject.toml")
FACTS_NAME = "caffe-lint.data.json"

# What a preset stands for: fields of Settings, under whatever the configuration says beside it.
PRESETS: dict[str, dict[str, Any]] = {
    "recommended": {"select": (), "fail_on": "warning"},
    "strict": {"select": ("ALL",), "fail_on": "advice"},  # also the rules that are off by default
    "stability": {"select": ("G",), "fail_on": "warning"},
}


class ConfigError(Exception):
    """The configuration cannot be used; says which file and key, what stands there and what was expected."""


class Settings(NamedTuple):
    """All that a run can be told about a file.

    An empty `select` means the rules that are on by default. `options` and `severities` are what is set for single
    rules, by code; `input_shapes` are those that `net.build` takes; `layers` are the layer types that the
    configuration describes, by name; `facts` are what is known of the data, `known` the findings that the baseline
    knows. `preset` is only what was asked for: what it means stands in the other fields. `elsewhere` knows the
    settings of other files of the same run.
    """

    preset: str = "recommended"
    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str = "warning"
    dialect: str | None = None
    caffe_version: str | None = None
    deploy: str | None = None
    baseline: str | None = None
    exclude: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    docs_url: str | None = None
    options: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - never changed, only replaced
    severities: dict[str, str] = {}  # noqa: RUF012
    input_shapes: dict[str, tuple[int, ...]] = {}  # noqa: RUF012
    layers: dict[str, Description] = {}  # noqa: RUF012
    facts: dict[str, SourceFacts] = {}  # noqa: RUF012
    known: Baseline | None = None
    elsewhere: SettingsOfPaths | None = None

    def of(self, path: str) -> Settings:
        """The settings for another file of the same run: its own configuration may say otherwise."""
        return self if self.elsewhere is None else self.elsewhere.of(path)

    def codes_of_files(self) -> frozenset[str]:
        """The codes of the rules that are on and look at solvers and nets, or at the facts about their data."""
        rules = rules_of_files(with_data=bool(self.facts))
        if self.select or self.extend_select or self.ignore:
            return self.codes() & frozenset(rules)
        default = frozenset(code for code, rule in rules.items() if rule.default)
        return default - plugins.codes_of_others(self.plugins)

    def codes(self) -> frozenset[str]:
        """The codes of the rules that are on."""
        chosen = {code for selector in (*self.select, *self.extend_select) for code in matching(selector)}
        if not self.select:
            chosen |= {code for code, rule in all_rules().items() if rule.default}
        ignored = {code for selector in self.ignore for code in matching(selector)}
        return frozenset(chosen - ignored - plugins.codes_of_others(self.plugins))

    def codes_of_subject(self, subject: str) -> frozenset[str]:
        """The codes of the rules that are on and look at one thing: a log, or data.

        A `select` that names none of them, as that of a preset for nets, is not about them: then their defaults hold.
        """
        mine = frozenset(code for code, rule in all_rules().items() if rule.subject == subject)
        if all(mine.isdisjoint(matching(selector)) for selector in self.select):
            return mine & self._replace(select=()).codes()
        return mine & self.codes()

    def codes_by_name(self) -> frozenset[str]:
        """The codes of the rules that are selected by their code or name, not by ALL or the beginning of codes."""
        chosen = {*self.select, *self.extend_select}
        return frozenset(
            code
            for selector in chosen
            for code in matching(selector)
            if selector.upper() == code or selector.lower() == all_rules()[code].name
        )

    def layer_types(self) -> frozenset[str]:
        """The names of the layer types that the configuration describes or a plugin brings."""
        return plugins.types_of(self.plugins).union(self.layers)

    def check(self, schema: Schema) -> None:
        """Raises ConfigError for a dialect or a version of Caffe that there is not."""
        dialects = [dialect.name for dialect in schema.dialects]
        if self.dialect is not None and self.dialect not in dialects:
            known = did_you_mean(self.dialect, dialects) or "; known are " + ", ".join(dialects)
            raise ConfigError(f"no dialect is called '{self.dialect}'{known}")
        if self.caffe_version is not None and not re.fullmatch(r"(\d+(\.\d+)*)?(-?rc\d*)?", self.caffe_version):
            raise ConfigError(f"'{self.caffe_version}' is no version of Caffe, which look like 1.0, 1.0-rc5 or rc3")

    def options_of(self, code: str) -> dict[str, Any]:
        """Every option of a rule, set or default."""
        options = RULES[code].options
        if not options:
            return {}
        return {**{name: option.default for name, option in options.items()}, **self.options.get(code, {})}


def find_config(start: str) -> str | None:
    """The configuration file that holds for a file or folder: the nearest upwards."""
    for folder in _upwards(start):
        for name in FILE_NAMES:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and (name != "pyproject.toml" or _is_ours(path)):
                return path
    return None


def _is_ours(pyproject: str) -> bool:
    """Whether a pyproject.toml has a table for us. Most have nothing like it, and are not read as TOML."""
    try:
        with open(pyproject, "rb") as file:
            may_be_ours = re.search(rb"tool.*caffe-lint|\[\s*.?tool.?\s*\]", file.read())
    except OSError as error:
        raise ConfigError(f"{pyproject}: {error}") from None
    if not may_be_ours:
        return False
    from .config_file import has_table

    return has_table(pyproject)


def find_facts(start: str) -> str | None:
    """The file of facts about the data (see `data_facts`) that holds for a file or folder: the nearest upwards."""
    paths = (os.path.join(folder, FACTS_NAME) for folder in _upwards(start))
    return next((path for path in paths if os.path.isfile(path)), None)


def _upwards(start: str) -> Iterator[str]:
    """The folder of a file, or a folder itself, and all above it."""
    folder = os.path.abspath(start if os.path.isdir(start) else os.path.dirname(start) or ".")
    while True:
        yield folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent


def check_selectors(where: str, selectors: tuple[str, ...]) -> tuple[str, ...]:
    """The selectors as they are. Raises ConfigError for one that means no rule."""
    for selector in selectors:
        if not matching(selector):
            names = [name for code, rule in all_rules().items() for name in (code, rule.name)]
            raise ConfigError(f"{where}: no rule is called '{selector}'{did_you_mean(selector, names)}")
    return selectors


def input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """What `TOP=N,C,H,W` says: a top and its dimensions. Raises ConfigError for anything else."""
    top, equals, dims = text.rpartition("=")
    sizes = [size.strip() for size in dims.split(",")]
    if not top or not equals or not all(size.isascii() and size.isdigit() and len(size) < 11 for size in sizes):
        raise ConfigError(f"an input shape looks like data=64,3,224,224 (0: as the file says), not '{text}'")
    return top.strip(), tuple(map(int, sizes))


def did_you_mean(word: str, known: list[str]) -> str:
    """The end of a sentence about an unknown word: the nearest that is known, or all where they are few."""
    nearest = nearest_name(word, known)
    if nearest:
        return f"; did you mean '{nearest}'?"
    return f"; known are {', '.join(known)}" if len(known) < 20 else ""
