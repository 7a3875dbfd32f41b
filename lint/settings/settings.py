"""Settings: what the configuration file and the command line ask for.

The nearest `caffe-lint.toml`, or `pyproject.toml` with a table `[tool.caffe-lint]`, upwards from a file holds
for it (`config_file` reads it). The command line wins over it (`in_force`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..proto.binder import nearest_name
from ..proto.named_tuple import NamedTuple
from ..source.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..proto.schema import Schema

SEVERITIES = ("advice", "warning", "error")
CONFIDENCES = ("low", "medium", "high")

# What a preset stands for: fields of Settings, under whatever the configuration says beside it.
PRESETS: dict[str, dict[str, Any]] = {
    "recommended": {"select": (), "fail_on": "warning"},
    "strict": {"select": ("ALL",), "fail_on": "advice"},  # also the rules that are off by default
    "stability": {"select": ("G",), "fail_on": "warning"},
}


class ConfigError(InputError):
    """The configuration cannot be used; says which file and key, what stands there and what was expected."""


class Settings(NamedTuple):
    """All that a run can be told about a file.

    An empty `select` means the rules that are on by default. `options` and `severities` are what is set for single
    rules, by code; `input_shapes` are those that `net.build` takes; `layers` are the layer types that the
    configuration describes, by name; `facts` are what is known of the data, `known` the findings that the baseline
    knows: settings hand them on as they are read (`lookups`). `preset` is only what was asked for: what it means stands
    in the other fields. `elsewhere` gives the settings of other files of the same run by their paths.
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

    def of(self, path: str) -> Settings:
        """The settings for another file of the same run: its own configuration may say otherwise."""
        return self if self.elsewhere is None else self.elsewhere(path)

    def check(self, schema: Schema) -> None:
        """Raises ConfigError for a dialect or a version of Caffe that there is not."""
        dialects = [dialect.name for dialect in schema.dialects]
        if self.dialect is not None and self.dialect not in dialects:
            known = did_you_mean(self.dialect, dialects) or "; known are " + ", ".join(dialects)
            raise ConfigError(f"no dialect is called '{self.dialect}'{known}")
        if self.caffe_version is not None and not re.fullmatch(r"(\d+(\.\d+)*)?(-?rc\d*)?", self.caffe_version):
            raise ConfigError(f"'{self.caffe_version}' is no version of Caffe, which look like 1.0, 1.0-rc5 or rc3")


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
