"""Settings from the configuration file and the command line.

The nearest `caffe-lint.toml`, or `pyproject.toml` with a table `[tool.caffe-lint]`, upwards from a file applies to it
(`config_file` reads it). The command line takes precedence (`in_force`).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from ..proto.binder import nearest_name
from ..proto.named_tuple import NamedTuple
from ..proto.schema import dialects_table
from ..source.errors import InputError
from ..source.wording import as_written

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..proto.schema import Schema

SEVERITIES = ("advice", "warning", "error")
_LISTED = 8  # of the known dialects
CONFIDENCES = ("low", "medium", "high")

# Fields of Settings that a preset sets; other keys of the configuration override them.
PRESETS: dict[str, dict[str, Any]] = {
    "recommended": {"select": (), "fail_on": "warning"},
    "strict": {"select": ("ALL",), "fail_on": "advice"},  # including rules that are off by default
    "stability": {"select": ("G",), "fail_on": "warning"},
}

CHOICES = {"preset": tuple(PRESETS), "fail_on": SEVERITIES, "min_confidence": CONFIDENCES}  # by field of Settings


class ConfigError(InputError):
    """An invalid configuration. The message names the file and key, the value and what was expected."""


class Settings(NamedTuple):
    """All settings for a file.

    An empty `select` means the rules that are on by default. `options` and `severities` are those set for single
    rules, by code; `input_shapes` are passed to `net.build`; `layers` are the layer types that the configuration
    describes, by name; `facts` are known facts about the data, and `known` is the baseline: settings pass them on as
    they are read (`lookups`). `preset` is only the name that was asked for: its effect is in the other fields.
    `from_scratch` and `weights`, a file, say where initial weights come from; at most one is set. `simulate` says whether
    trainings are simulated.
    `elsewhere` returns the settings of other files of the same run by their paths, and `excludes` whether the configuration
    excludes one of them.
    """

    preset: str = "recommended"
    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str = "warning"
    min_confidence: str = "low"
    dialect: str | None = None
    caffe_version: str | None = None
    deploy: str | None = None
    from_scratch: bool = False
    weights: str | None = None
    gpus: int | None = None
    simulate: bool = False
    no_repository_proto: bool = False
    baseline: str | None = None
    exclude: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    docs_url: str | None = None
    options: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - never changed, only replaced
    severities: dict[str, str] = {}  # noqa: RUF012
    input_shapes: dict[str, tuple[int, ...]] = {}  # noqa: RUF012
    layers: dict[str, Any] = {}  # noqa: RUF012 - layers.custom.Description
    facts: dict[str, Any] = {}  # noqa: RUF012 - net.data_facts.SourceFacts
    known: Any = None  # engine.baseline.Baseline
    elsewhere: Callable[[str], Settings] | None = None
    excludes: Callable[[str], bool] | None = None

    def of(self, path: str) -> Settings:
        """Return the settings for another file of the same run, which may have its own configuration."""
        return self if self.elsewhere is None else self.elsewhere(path)

    def excluded(self, path: str) -> bool:
        """Return whether the configuration excludes another file of the same run when folders are searched."""
        return self.excludes is not None and self.excludes(path)

    def check(self, schema: Schema, place_of: Callable[[str], str]) -> None:
        """Raise ConfigError for an unknown dialect, an invalid version of Caffe, or weights that do not exist.

        `place_of` returns what the message on a field begins with: where in a configuration file it is set, or nothing.
        """
        dialects = [dialect.name for dialect in schema.dialects]
        if self.dialect is not None and self.dialect not in dialects:
            known = _dialects_like(self.dialect, dialects)
            raise ConfigError(f"{place_of('dialect')}unknown dialect {as_written(self.dialect)}{known}")
        if self.caffe_version is not None and not re.fullmatch(r"(\d+(\.\d+)*)?(-?rc\d*)?", self.caffe_version):
            version = as_written(self.caffe_version)
            wanted = "a version such as 1.0, 1.0-rc5 or rc3"
            raise ConfigError(f"{place_of('caffe_version')}invalid Caffe version {version}; expected {wanted}")
        for path in self.weights.split(",") if self.weights is not None else ():
            if not os.path.isfile(path):
                why = "not a file" if os.path.exists(path) else "no such file"
                raise ConfigError(f"{place_of('weights') or 'weights: '}{path}: {why}")


def _dialects_like(word: str, dialects: list[str]) -> str:
    """Return a hint on an unknown dialect, to append: the known ones that are like it, or else those that are used most."""
    if nearest := nearest_name(word, dialects):
        return f"; did you mean '{nearest}'?"
    like = [name for name in dialects if len(word) > 2 and word.lower() in name] or dialects
    rest = f"; all {len(dialects)} are in {dialects_table()}" if len(dialects) > _LISTED else ""
    return f"; known: {', '.join(like[:_LISTED] + ['…'] * (len(like) > _LISTED))}{rest}"


def input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Return the top and the dimensions of `TOP=N,C,H,W`. Raises ConfigError for anything else."""
    top, equals, dims = text.rpartition("=")
    sizes = [size.strip() for size in dims.split(",")]
    if not top or not equals or not all(size.isascii() and size.isdigit() and len(size) < 11 for size in sizes):
        raise ConfigError(f"invalid input shape '{text}'; expected one such as data=64,3,224,224 (0: as in the file)")
    return top.strip(), tuple(map(int, sizes))


def check_choice(where: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ConfigError, which begins with `where`, for a value that is none of the choices."""
    if value not in choices:
        hint = did_you_mean(value, list(choices)) if isinstance(value, str) else ""
        listed = ", ".join(choices)
        raise ConfigError(f"{where} must be one of {listed}, not {as_written(value)}" + hint.partition("; known")[0])


def did_you_mean(word: str, known: list[str]) -> str:
    """Return a hint on an unknown word, to append: the nearest known word, or all of them if they are few."""
    nearest = nearest_name(word, known)
    if nearest:
        return f"; did you mean '{nearest}'?"
    return f"; known: {', '.join(known)}" if len(known) < 20 else ""
