"""Reading a configuration file: its keys, their values, and the errors for invalid ones.

fail-on = "error"
[rules.missing-gradient-clipping]
value = 35.0
[per-file]
"models/legacy/**" = {ignore = ["N3"]}
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from ..proto.named_tuple import NamedTuple
from ..source.numerals import is_dimension, is_number, is_whole
from ..source.opener import MAX_SETTINGS, Unreadable, read_regular
from ..source.wording import as_written, within
from .lookups import Allowed, Lookups
from .settings import CONFIDENCES, PRESETS, SEVERITIES, ConfigError, check_choice, did_you_mean
from .user_config import trusted_plugins, user_config_path

_MOST = 10_000  # of a count
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/]*/?[^\s]*\Z")


class Key(NamedTuple):
    """A key of the configuration: the kind of its value, its meaning, and whether `per-file` accepts it too."""

    name: str
    kind: str  # selectors, texts, text, path, paths, address, severity, confidence, preset, flag, count or table
    meaning: str
    per_file: bool = False


KEYS = {
    key.name: key
    for key in (
        Key("preset", "preset", "the preset of rules: recommended, strict (all rules) or stability (family G)"),
        Key("select", "selectors", "the enabled rules: codes, code prefixes, names, or ALL", per_file=True),
        Key("extend-select", "selectors", "additional enabled rules", per_file=True),
        Key("ignore", "selectors", "disabled rules", per_file=True),
        Key("fail-on", "severity", "the lowest severity that makes the exit status 1", per_file=True),
        Key("min-confidence", "confidence", "the lowest confidence that is reported", per_file=True),
        Key("dialect", "text", "the Caffe that reads the files; detected if not set", per_file=True),
        Key("caffe-version", "text", "its release, such as 1.0 or 1.0-rc5", per_file=True),
        Key("from-scratch", "flag", "true: initial weights are made by fillers, none are loaded", per_file=True),
        Key("weights", "paths", "the .caffemodel with the initial weights, relative to this file's folder", per_file=True),
        Key("gpus", "count", "the number of GPUs, each of which reads batch_size items", per_file=True),
        Key("simulate", "flag", "true: trainings are simulated, which family G then rests on (needs numpy)", per_file=True),
        Key("baseline", "path", "the file of known findings (--write-baseline), relative to this file's folder"),
        Key("exclude", "texts", "paths to skip when folders are searched, as in .gitignore"),
        Key("plugins", "texts", "installed packages that provide rules and layer types"),
        Key("docs-url", "address", "the URL of the site that `make docs` builds; SARIF reports link to its rule pages"),
        Key("rules", "table", "severity and options of single rules, by code or name", per_file=True),
        Key("input-shapes", "table", "the shapes of tops that the files leave unspecified", per_file=True),
        Key("layers", "table", "custom layer types"),
        Key("per-file", "table", "other settings for some files, by patterns relative to this file's folder"),
    )
}


class PerFile(NamedTuple):
    """Settings for the files that match a pattern: fields of `Settings`."""

    pattern: str
    values: dict[str, Any]


class ConfigFile(NamedTuple):
    """The content of a configuration file: fields of `Settings`, and those for some files only, in order."""

    path: str
    values: dict[str, Any]
    per_file: tuple[PerFile, ...]


def read_config(path: str, lookups: Lookups, *, is_named: bool) -> ConfigFile:
    """Read a configuration file. Raises ConfigError for unknown keys and invalid values.

    Plugins, which are programs, are loaded only if the file `is_named` on the command line, or the user's own configuration
    names them as well: a file that was found in a tree cannot load any.
    """
    table = _table(path)
    if table is None:
        raise ConfigError(f"{path}: no table [tool.caffe-lint]")
    if "plugins" in table:
        # First, since the other keys may name rules and layer types of plugins.
        plugins = _checked(path, "plugins", table["plugins"], "texts", lookups)
        if not is_named:
            _require_trusted(path, plugins)
        try:
            lookups.load_plugins(plugins)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
    per_file = table.pop("per-file", {})
    if not isinstance(per_file, dict):
        raise ConfigError(f"{path}: 'per-file' must be a table of patterns")
    sections = []
    folder = os.path.dirname(os.path.abspath(path))
    for pattern, inner in per_file.items():
        where = f"{path}: per-file '{pattern}'"
        if not isinstance(inner, dict):
            raise ConfigError(f'{where}: expected a table such as {{ignore = ["N3"]}}, not {as_written(inner)}')
        _check_patterns(where, (pattern,))
        sections.append(
            PerFile(pattern, _values(where, folder, inner, [key.name for key in KEYS.values() if key.per_file], lookups))
        )
    return ConfigFile(path, _values(path, folder, table, list(KEYS), lookups), tuple(sections))


def _require_trusted(path: str, plugins: tuple[str, ...]) -> None:
    """Raise ConfigError for plugins that the user's own configuration does not name."""
    own = user_config_path()
    table = _table(own) if own is not None and os.path.isfile(own) else {}
    trusted = trusted_plugins(table or {}, own or "")
    if unknown := [name for name in plugins if name not in trusted]:
        raise ConfigError(
            f"{path}: plugin '{unknown[0]}' is not loaded, because this file was found, not named; name it with"
            f" --config {path}" + (f", or list the plugin in {own}" if own else "")
        )


def has_table(path: str) -> bool:
    """Return whether a pyproject.toml has our table. Raises ConfigError for invalid TOML."""
    return _table(path) is not None


def _values(where: str, folder: str, table: dict[str, Any], known: list[str], lookups: Lookups) -> dict[str, Any]:
    """Return fields of `Settings` from a table of keys; paths are relative to `folder`."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            what = "applies to all files and is not allowed in per-file" if key in KEYS else ""
            raise ConfigError(
                f"{where}: '{key}' {what}" if what else f"{where}: unknown key '{key}'{did_you_mean(key, known)}"
            )
        if key == "rules":
            values["options"], values["severities"] = _rules(where, value, lookups)
        elif key == "input-shapes":
            values["input_shapes"] = _input_shapes(where, value)
        elif key == "layers":
            values["layers"] = _layers(where, value, lookups)
        elif KEYS[key].kind in ("path", "paths"):
            text = _checked(where, key, value, "path", lookups)
            paths = text.split(",") if KEYS[key].kind == "paths" else [text]
            if not all(paths):
                raise ConfigError(f"{where}: '{key}' must be files with a comma between two, not {as_written(text)}")
            values[key] = ",".join(os.path.relpath(os.path.join(folder, path)) for path in paths)
        else:
            values[key.replace("-", "_")] = _checked(where, key, value, KEYS[key].kind, lookups)
    _check_patterns(where, values.get("exclude", ()))
    if values.get("from_scratch") and "weights" in values:
        raise ConfigError(f"{where}: 'from-scratch' and 'weights' contradict each other")
    return values


def _check_patterns(where: str, patterns: tuple[str, ...]) -> None:
    if patterns:
        from ..source.patterns import PatternError, spec_of  # keeps pathspec out of the start

        try:
            spec_of(patterns)
        except PatternError as error:
            raise ConfigError(f"{where}: {error}") from None


def _checked(where: str, key: str, value: Any, kind: str, lookups: Lookups) -> Any:
    choices = {"severity": SEVERITIES, "confidence": CONFIDENCES, "preset": tuple(PRESETS)}.get(kind)
    if choices is not None:
        check_choice(f"{where}: '{key}'", value, choices)
        return value
    if kind == "flag":
        if isinstance(value, bool):
            return value
        raise ConfigError(f"{where}: '{key}' must be true or false, not {as_written(value)}")
    if kind == "count":
        if is_whole(value, 1, _MOST):
            return value
        raise ConfigError(f"{where}: '{key}' must be a number from 1 to {_MOST}, not {as_written(value)}")
    if kind == "address":
        if isinstance(value, str) and _ADDRESS.match(value):
            return value
        raise ConfigError(f"{where}: '{key}' must be a URL such as https://example.org/docs/, not {as_written(value)}")
    if kind in ("text", "path"):
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, str):
            raise ConfigError(f"{where}: '{key}' must not be empty")
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        if kind == "selectors":
            lookups.check_selectors(where, tuple(value))
        return tuple(value)
    wanted = "a string" if kind in ("text", "path") else "a list of strings"
    raise ConfigError(f"{where}: '{key}' must be {wanted}, not {as_written(value)}")


def _rules(where: str, tables: Any, lookups: Lookups) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return options and severities by code, from `[rules.missing-gradient-clipping] value = 10`, by code or name."""
    if not isinstance(tables, dict):
        raise ConfigError(f"{where}: 'rules' must contain one table per rule")
    options: dict[str, dict[str, Any]] = {}
    severities: dict[str, str] = {}
    for selector, table in tables.items():
        rule = lookups.rule_options(selector)
        if rule is None:
            raise ConfigError(f"{where}: unknown rule '{selector}'{did_you_mean(selector, lookups.rule_names())}")
        if not isinstance(table, dict):
            raise ConfigError(f"{where}: 'rules.{selector}' must be a table of options, not {as_written(table)}")
        code, known = rule
        for key, value in table.items():
            if key == "severity":
                severities[code] = _checked(where, f"rules.{selector}.severity", value, "severity", lookups)
            elif key not in known:
                hint = did_you_mean(key, ["severity", *known])
                raise ConfigError(f"{where}: rule {selector} has no option '{key}'{hint}")
            else:
                options.setdefault(code, {})[key] = _option(where, selector, key, known[key], value)
    return options, severities


def _option(where: str, selector: str, key: str, allowed: Allowed, value: Any) -> Any:
    """Return a value, checked to be of the type of the option's default and within its limits."""
    default, least, greatest = allowed
    if is_number(default) and is_number(value) and not _is_within(value, least, greatest):
        raise ConfigError(
            f"{where}: option '{key}' of rule {selector} must be {within(least, greatest)}, not {as_written(value)}"
        )
    if isinstance(default, float) and is_number(value):
        return float(value)
    if isinstance(default, tuple) and isinstance(value, list):
        kinds = {type(item) for item in default} or {str}
        if all(type(item) in kinds and (isinstance(item, str | bool) or is_number(item)) for item in value):
            return tuple(value)
    elif type(value) is type(default) and (isinstance(value, str | bool) or is_number(value)):
        return value
    shown = list(default) if isinstance(default, tuple) else default
    raise ConfigError(f"{where}: option '{key}' of rule {selector} must be a value like {as_written(shown)}, not {as_written(value)}")


def _is_within(value: float, least: float | None, greatest: float | None) -> bool:
    return (least is None or value >= least) and (greatest is None or value <= greatest)


def _input_shapes(where: str, table: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes of `[input-shapes] data = [64, 3, 224, 224]`, by name of the top."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: 'input-shapes' must be a table with one entry per top")
    for top, dims in table.items():
        if not isinstance(dims, list) or not dims or not all(map(is_dimension, dims)):
            raise ConfigError(f"{where}: input shape of '{top}' must be a list such as [64, 3, 224, 224], not {as_written(dims)}")
    return {top: tuple(dims) for top, dims in table.items()}


def _layers(where: str, tables: Any, lookups: Lookups) -> dict[str, Any]:
    """Return the descriptions of `[layers.MyLayer] bottoms = 1`, by layer type."""
    if not isinstance(tables, dict):
        raise ConfigError(f"{where}: 'layers' must contain one table per layer type")
    try:
        return {name: lookups.read_layer(name, table) for name, table in tables.items()}
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _table(path: str) -> dict[str, Any] | None:
    """Return our table of a TOML file, None if pyproject.toml has none. Raises ConfigError for invalid TOML."""
    if sys.version_info >= (3, 11):
        import tomllib  # keeps tomllib out of the start
    else:
        import tomli as tomllib  # keeps tomli out of the start
    try:
        content: dict[str, Any] = tomllib.loads(read_regular(path, MAX_SETTINGS).decode())
    except Unreadable as error:
        raise ConfigError(str(error)) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not valid UTF-8, which TOML requires") from None
    except RecursionError:
        raise ConfigError(f"{path}: tables or lists are nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    except ValueError:  # of int()
        raise ConfigError(f"{path}: a number has too many digits") from None
    if os.path.basename(path) != "pyproject.toml":
        return content
    tool = content.get("tool", {})
    table = tool.get("caffe-lint") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None
