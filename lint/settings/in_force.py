"""The settings in force for a file: defaults, its configuration, its `per-file` sections, and the command line.

Each of these layers overrides the one before. `ignore`, `extend-select` and tables are merged; everything else is replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..fixes.allowed import is_inside
from ..proto.named_tuple import NamedTuple
from .lookups import Lookups
from .nearest_files import find_config, find_facts
from .settings import CHOICES, PRESETS, ConfigError, Settings, check_choice

if TYPE_CHECKING:
    from ..proto.schema import Schema
    from .config_file import ConfigFile

ADDED = ("extend_select", "ignore")
MERGED = ("input_shapes", "layers")
# Of these, a setting of a higher layer replaces the other one of a lower layer.
OPPOSITES = {"from_scratch": "weights", "weights": "from_scratch"}
COMMAND_LINE = "command line: --"


class CommandLine(NamedTuple):
    """The settings of a command line; None and empty mean not set. `config` is a file, `isolated` ignores all of them.

    `output_dir` is the folder for patched copies, which are not searched for files to check.
    """

    config: str | None = None
    isolated: bool = False
    preset: str | None = None
    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str | None = None
    min_confidence: str | None = None
    dialect: str | None = None
    caffe_version: str | None = None
    deploy: str | None = None
    from_scratch: bool = False
    weights: str | None = None
    gpus: int | None = None
    simulate: bool = False
    no_repository_proto: bool = False
    data_facts: str | None = None
    baseline: str | None = None
    write_baseline: str | None = None
    output_dir: str | None = None
    input_shape: tuple[tuple[str, tuple[int, ...]], ...] = ()


class Layer(NamedTuple):
    """Fields of `Settings` and where they come from: `origin` followed by the key, or `origin` alone for a preset.

    Fields named in `resets` drop what lower layers set.
    """

    origin: str
    values: dict[str, Any]
    resets: tuple[str, ...] = ()
    is_preset: bool = False

    def place(self, key: str) -> str:
        """Return where a key of this layer is set."""
        return self.origin if self.is_preset else self.origin + key

    @staticmethod
    def of(config: ConfigFile, path: str | None = None) -> list[Layer]:
        """Return the layers of a configuration file for a path, or without a path for files in general."""
        shown = os.path.relpath(config.path)
        layers = _preset(config.values.get("preset"), f"{shown}:preset")
        layers.append(Layer(f"{shown}:", config.values))
        if path is not None and config.per_file:
            from ..source.patterns import spec_of  # keeps pathspec out of the start

            relative = os.path.relpath(path, os.path.dirname(config.path) or ".")
            layers += (
                Layer(f"{shown}:per-file.'{section.pattern}'.", section.values)
                for section in config.per_file
                if spec_of((section.pattern,)).match_file(relative)
            )
        return layers


class Combined(NamedTuple):
    """Settings, and the origins of those that are not defaults, by name (`ignore`, `options.G101.value`)."""

    settings: Settings
    origins: dict[str, tuple[str, ...]]

    def place_of(self, name: str) -> str:
        """Return the file and key that set a field, to begin a message with; nothing if no configuration file does."""
        place = self.origins.get(name, (COMMAND_LINE,))[-1]
        return "" if place.startswith(COMMAND_LINE) else f"{place}: "


def combined(layers: Iterable[Layer]) -> Combined:
    """Combine layers, from the lowest to the highest."""
    values: dict[str, Any] = {}
    origins: dict[str, tuple[str, ...]] = {}
    for layer in layers:
        for name in layer.resets:
            values.pop(name, None)
            origins.pop(name, None)
        for name, value in layer.values.items():
            if name in ADDED:
                values[name] = values.get(name, ()) + value
                origins[name] = origins.get(name, ()) + (layer.place(_key(name)),) * bool(value)
            elif name == "options":
                values[name] = {**values.get(name, {})}
                for code, options in value.items():
                    values[name][code] = {**values[name].get(code, {}), **options}
                    origins.update({f"options.{code}.{key}": (layer.place(f"rules.{code}.{key}"),) for key in options})
            elif name == "severities":
                values[name] = {**values.get(name, {}), **value}
                origins.update({f"{name}.{code}": (layer.place(f"rules.{code}.severity"),) for code in value})
            elif name in MERGED:
                values[name] = {**values.get(name, {}), **value}
                origins.update({f"{name}.{key}": (layer.place(f"{_key(name)}.{key}"),) for key in value})
            else:
                if value and name in OPPOSITES:
                    values.pop(OPPOSITES[name], None)
                    origins.pop(OPPOSITES[name], None)
                values[name] = value
                origins[name] = (layer.place(_key(name)),)
    return Combined(Settings(**values), origins)


def _key(field: str) -> str:
    return field.replace("_", "-")


def _several(selectors: str | Iterable[str]) -> tuple[str, ...]:
    """Return selectors of rules as programs give them: one, or several in any form."""
    return (selectors,) if isinstance(selectors, str) else tuple(selectors)


def _preset(name: str | None, origin: str) -> list[Layer]:
    return [Layer(f"{origin} {name}", PRESETS[name], is_preset=True)] if name is not None else []


class SettingsOfPaths:
    """The settings in force for each path of a run."""

    def __init__(self, command_line: CommandLine, schema: Schema, lookups: Lookups) -> None:
        self.schema = schema
        self._lookups = lookups
        self._command_line = command_line._replace(
            select=_several(command_line.select),
            extend_select=_several(command_line.extend_select),
            ignore=_several(command_line.ignore),
        )
        self._configs: dict[str, ConfigFile] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._baselines: dict[str, Any] = {}
        self._places: dict[str, tuple[str | None, str | None]] = {}
        self._by_path: dict[str, Settings] = {}
        self._settings: dict[tuple[str | None, str | None, tuple[str, ...]], Settings] = {}

    def of(self, path: str) -> Settings:
        """Return the settings for a path. Raises ConfigError."""
        if path not in self._by_path:
            self._by_path[path] = self._of(path)
        return self._by_path[path]

    def _of(self, path: str) -> Settings:
        config, facts = self._files(path)
        layers = Layer.of(self._read(config), path) if config else []
        key = config, facts, tuple(layer.origin for layer in layers)
        if key not in self._settings:
            found = combined([*layers, *self._of_command_line()])
            found.settings.check(self.schema, found.place_of)
            self._settings[key] = found.settings._replace(
                facts=self._read_facts(facts),
                known=self._read_baseline(found.settings.baseline, found.place_of("baseline")),
                elsewhere=self.of,
                excludes=self.excluded,
            )
        return self._settings[key]

    def explained(self, path: str) -> Combined:
        """Return the settings for a path with the origin of each."""
        config, _ = self._files(path)
        layers = Layer.of(self._read(config), path) if config else []
        return combined([*layers, *self._of_command_line()])._replace(settings=self.of(path))

    def config(self, path: str) -> str | None:
        """Return the configuration file that applies to a path."""
        return self._files(path)[0]

    def files(self) -> list[str]:
        """Return the configuration files, files of facts and baselines that were read."""
        return [*self._configs, *self._facts, *self._baselines]

    @property
    def baselines(self) -> list[Any]:
        """The baselines that were read."""
        return list(self._baselines.values())

    def excluded(self, path: str) -> bool:
        """Return whether a path is left out when folders are searched: the configuration excludes it, or it is a copy of ours."""
        copies = self._command_line.output_dir
        if copies is not None and is_inside(path, (copies,)):
            return True
        patterns = self.of(path).exclude
        if not patterns:
            return False
        from ..source.patterns import spec_of  # keeps pathspec out of the start

        folder = os.path.dirname(self.config(path) or "")
        return spec_of(patterns).match_file(os.path.relpath(path, folder or "."))

    def _files(self, path: str) -> tuple[str | None, str | None]:
        """Return the configuration file and the file of facts for a path, found once per folder."""
        asked = self._command_line
        if asked.isolated:
            return None, asked.data_facts
        folder = os.path.abspath(path if os.path.isdir(path) else os.path.dirname(path))
        if folder not in self._places:
            self._places[folder] = asked.config or find_config(folder), asked.data_facts or find_facts(folder)
        return self._places[folder]

    def _read(self, path: str) -> ConfigFile:
        if path not in self._configs:
            from .config_file import read_config  # keeps what reads TOML out of the start

            self._configs[path] = read_config(path, self._lookups, is_named=path == self._command_line.config)
        return self._configs[path]

    def _read_facts(self, path: str | None) -> dict[str, Any]:
        if path is None:
            return {}
        if path not in self._facts:
            self._facts[path] = self._lookups.read_facts(path)
        return self._facts[path]

    def _read_baseline(self, path: str | None, place: str) -> Any:
        """Return the known findings; none if all are to be written to a new baseline. Messages begin with the place of the path."""
        target = self._command_line.write_baseline
        if target:
            return self._lookups.empty_baseline(target)
        if path is None:
            return None
        if path not in self._baselines:
            try:
                self._baselines[path] = self._lookups.read_baseline(path)
            except ConfigError as error:
                raise ConfigError(f"{place}{error}") from None
        return self._baselines[path]

    def _of_command_line(self) -> list[Layer]:
        """Return the layers of the command line. Rules are looked up here, after plugins are loaded."""
        asked = self._command_line
        for name in ("select", *ADDED):
            self._lookups.check_selectors(f"--{_key(name)}", getattr(asked, name))
        for name, choices in CHOICES.items():
            if getattr(asked, name) is not None:
                check_choice(f"--{_key(name)}", getattr(asked, name), choices)
        names = [name for name in CommandLine._fields if name in Settings._fields and getattr(asked, name)]
        values = {name: getattr(asked, name) for name in names}
        if asked.input_shape:
            values["input_shapes"] = dict(asked.input_shape)
        resets = ("extend_select", "ignore") if asked.select else ()
        return [*_preset(asked.preset, f"{COMMAND_LINE}preset"), Layer(COMMAND_LINE, values, resets)]
