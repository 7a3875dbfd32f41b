"""Settings: what the configuration file and the command line ask for.

The nearest `caffe-lint.toml`, or `pyproject.toml` with a table `[tool.caffe-lint]`, upwards from a file holds
for it. The command line wins over it.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from . import plugins
from .findings import SEVERITIES
from .proto.binder import nearest_name
from .rule import RULES, all_rules, matching, rules_of_files

if TYPE_CHECKING:
    from .data_facts import SourceFacts
    from .layers.custom import Description
    from .proto.schema import Schema

FILE_NAMES = ("caffe-lint.toml", "pyproject.toml")
FACTS_NAME = "caffe-lint.data.json"


class ConfigError(Exception):
    """The configuration cannot be used; says which file and key, what stands there and what was expected."""


class Settings(NamedTuple):
    """All that a run can be told. `options` holds what is set for single rules, by code.

    An empty `select` means the rules that are on by default. `input_shapes` are those that `net.build` takes;
    `layers` are the layer types that the configuration describes, by name; `facts` are what is known of the data.
    """

    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str = "warning"
    dialect: str | None = None
    caffe_version: str | None = None
    deploy: str | None = None
    exclude: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    options: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - never changed, only replaced
    input_shapes: dict[str, tuple[int, ...]] = {}  # noqa: RUF012
    layers: dict[str, Description] = {}  # noqa: RUF012
    facts: dict[str, SourceFacts] = {}  # noqa: RUF012

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
            known = _did_you_mean(self.dialect, dialects) or "; known are " + ", ".join(dialects)
            raise ConfigError(f"no dialect is called '{self.dialect}'{known}")
        if self.caffe_version is not None and not re.fullmatch(
            r"(\d+(\.\d+)*)?(-?rc\d*)?", self.caffe_version
        ):
            raise ConfigError(
                f"'{self.caffe_version}' is no version of Caffe, which look like 1.0, 1.0-rc5 or rc3"
            )

    def options_of(self, code: str) -> dict[str, Any]:
        """Every option of a rule, set or default."""
        defaults = {name: option.default for name, option in RULES[code].options.items()}
        return {**defaults, **self.options.get(code, {})}


_TYPES: dict[str, str] = {
    "select": "selectors", "extend-select": "selectors", "ignore": "selectors", "fail-on": "severity",
    "dialect": "text", "caffe-version": "text", "exclude": "texts", "plugins": "texts", "rules": "table",
    "input-shapes": "table", "layers": "table",
}  # fmt: skip


def find_config(start: str) -> str | None:
    """The configuration file that holds for a file or folder: the nearest upwards."""
    folder = os.path.abspath(start if os.path.isdir(start) else os.path.dirname(start) or ".")
    while True:
        for name in FILE_NAMES:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and (name != "pyproject.toml" or _table(path) is not None):
                return path
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def find_facts(start: str) -> str | None:
    """The file of facts about the data (see `data_facts`) that holds for a file or folder: the nearest upwards."""
    folder = os.path.abspath(start if os.path.isdir(start) else os.path.dirname(start) or ".")
    while True:
        path = os.path.join(folder, FACTS_NAME)
        if os.path.isfile(path):
            return path
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def load(path: str) -> Settings:
    """The settings of a configuration file. Raises ConfigError for what is not known or not of its type."""
    table = _table(path)
    if table is None:
        raise ConfigError(f"{path}: no table [tool.caffe-lint]")
    values: dict[str, Any] = {}
    if "plugins" in table:
        # First, since the other keys may speak of what plugins bring.
        try:
            plugins.load(_checked(path, "plugins", table["plugins"], "texts"))
        except plugins.PluginError as error:
            raise ConfigError(f"{path}: {error}") from None
    for key, value in table.items():
        expected = _TYPES.get(key)
        if expected is None:
            raise ConfigError(f"{path}: unknown key '{key}'{_did_you_mean(key, list(_TYPES))}")
        if key == "rules":
            values["options"] = _rule_options(path, value)
        elif key == "input-shapes":
            values["input_shapes"] = _input_shapes(path, value)
        elif key == "layers":
            values["layers"] = _layers(path, value)
        else:
            values[key.replace("-", "_")] = _checked(path, key, value, expected)
    return Settings(**values)


def check_selectors(where: str, selectors: tuple[str, ...]) -> tuple[str, ...]:
    """The selectors as they are. Raises ConfigError for one that means no rule."""
    for selector in selectors:
        if not matching(selector):
            names = [name for code, rule in all_rules().items() for name in (code, rule.name)]
            raise ConfigError(f"{where}: no rule is called '{selector}'{_did_you_mean(selector, names)}")
    return selectors


def input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """What `TOP=N,C,H,W` says: a top and its dimensions. Raises ConfigError for anything else."""
    top, equals, dims = text.rpartition("=")
    sizes = [size.strip() for size in dims.split(",")]
    if (
        not top
        or not equals
        or not all(size.isascii() and size.isdigit() and len(size) < 11 for size in sizes)
    ):
        raise ConfigError(f"an input shape looks like data=64,3,224,224 (0: as the file says), not '{text}'")
    return top.strip(), tuple(map(int, sizes))


def _did_you_mean(word: str, known: list[str]) -> str:
    nearest = nearest_name(word, known)
    return (
        f"; did you mean '{nearest}'?"
        if nearest
        else f"; known are {', '.join(known)}"
        if len(known) < 20
        else ""
    )


def _checked(path: str, key: str, value: Any, expected: str) -> Any:
    if expected == "text":
        if isinstance(value, str):
            return value
    elif expected == "severity":
        if value in SEVERITIES:
            return value
        raise ConfigError(f"{path}: '{key}' is one of {', '.join(SEVERITIES)}, not {value!r}")
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        return check_selectors(path, tuple(value)) if expected == "selectors" else tuple(value)
    raise ConfigError(
        f"{path}: '{key}' takes {'text' if expected == 'text' else 'a list of texts'}, not {value!r}"
    )


def _rule_options(path: str, tables: Any) -> dict[str, dict[str, Any]]:
    """`[rules.clip-gradients-missing] value = 10`, by code or name of the rule."""
    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: 'rules' holds tables, one for a rule")
    found: dict[str, dict[str, Any]] = {}
    for selector, table in tables.items():
        code = next(iter(matching(selector)), None)
        if code is None or (selector.upper() != code and all_rules()[code].name != selector):
            names = [rule.name for rule in all_rules().values()]
            raise ConfigError(f"{path}: no rule is called '{selector}'{_did_you_mean(selector, names)}")
        known = all_rules()[code].options
        for key, value in table.items() if isinstance(table, dict) else ():
            if key not in known:
                raise ConfigError(
                    f"{path}: rule {selector} has no option '{key}'{_did_you_mean(key, list(known))}"
                )
            default = known[key].default
            number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
            if type(value) is not type(default) and not number:
                raise ConfigError(
                    f"{path}: option '{key}' of rule {selector} takes a value like {default!r}, not {value!r}"
                )
            found.setdefault(code, {})[key] = float(value) if number else value
    return found


def _input_shapes(path: str, table: Any) -> dict[str, tuple[int, ...]]:
    """`[input-shapes] data = [64, 3, 224, 224]`, by name of the top."""
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: 'input-shapes' is a table, one line for a top")
    for top, dims in table.items():
        if not isinstance(dims, list) or not dims or not all(type(dim) is int and dim >= 0 for dim in dims):
            raise ConfigError(
                f"{path}: input shapes are lists such as [64, 3, 224, 224]; '{top}' is {dims!r}"
            )
    return {top: tuple(dims) for top, dims in table.items()}


def _layers(path: str, tables: Any) -> dict[str, Description]:
    """`[layers.MyLayer] bottoms = 1`, by layer type."""
    from .layers.custom import read_description

    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: 'layers' holds tables, one for a layer type")
    try:
        return {name: read_description(name, table) for name, table in tables.items()}
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _table(path: str) -> dict[str, Any] | None:
    """The settings' table of a TOML file, None where pyproject.toml has none. Raises ConfigError for broken TOML."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with open(path, "rb") as file:
            content: dict[str, Any] = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    if os.path.basename(path) != "pyproject.toml":
        return content
    table = content.get("tool", {}).get("caffe-lint")
    return table if isinstance(table, dict) else None
