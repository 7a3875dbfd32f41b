"""The settings in force for a file and where each one comes from, as TOML or JSON.

JSON: {"version": 1, "path", "config": path or null, "settings": {key: {"value", "from": [places]}}, "rules": {code:
{"name", "on", "severity": {"value", "from"}, "options": {name: {"value", "from", "meaning"}}}}}. The keys are those of
the configuration file; a setting that is not set is null and comes from "default".
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ..engine.selection import codes, options_of
from ..rule.registry import Rule, all_rules
from ..settings.config_file import KEYS
from ..settings.in_force import Combined
from ..source.visible import visible
from .wrapping import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
WIDTH = 110
DEFAULT = ("default",)
_SINGLE = [key for key in KEYS.values() if key.kind != "table"]


def as_json(path: str, config: str | None, explained: Combined) -> dict[str, Any]:
    """Return the settings as plain values."""
    settings, origins = explained
    on = codes(settings)
    shapes = {
        top: _with_origin(list(shape), origins, f"input_shapes.{top}") for top, shape in settings.input_shapes.items()
    }
    layers = {name: _with_origin(True, origins, f"layers.{name}") for name in settings.layers}
    return {
        "version": VERSION,
        "path": path,
        "config": config,
        "settings": {
            **{key.name: _with_origin(_value(settings, key.name), origins, _field(key.name)) for key in _SINGLE},
            "input-shapes": shapes,
            "layers": layers,
        },
        "rules": {
            code: {
                "name": rule.name,
                "on": code in on,
                "severity": _with_origin(settings.severities.get(code, rule.severity), origins, f"severities.{code}"),
                "options": {
                    name: {
                        **_with_origin(_plain(value), origins, f"options.{code}.{name}"),
                        "meaning": rule.options[name].meaning,
                    }
                    for name, value in options_of(settings, code).items()
                },
            }
            for code, rule in all_rules().items()
        },
    }


def as_toml(path: str, config: str | None, explained: Combined, *, width: int | None = None) -> str:
    """Return the settings as an equivalent configuration file, with a comment after each on where it comes from.

    Comments of several lines fit a terminal of that width.
    """
    settings, origins = explained
    shown = os.path.relpath(config) if config else "no configuration file"
    blocks = [[(_comment(visible(f"The settings in force for {path} ({shown})."), width), "")]]
    blocks.append([_line(key.name, _value(settings, key.name), origins, _field(key.name)) for key in _SINGLE])
    for rule in all_rules().values():
        lines = list(_rule(rule, explained))
        if lines:
            blocks.append([(f"[rules.{rule.name}]  # {rule.code}", ""), *lines])
    if settings.input_shapes:
        shapes = settings.input_shapes.items()
        lines = [_line(json.dumps(top), list(shape), origins, f"input_shapes.{top}") for top, shape in shapes]
        blocks.append([("[input-shapes]", ""), *lines])
    if settings.layers:  # these may be long, so only their place is shown
        blocks.append(
            [(f"# layers.{visible(name)} is defined", ", ".join(origins[f"layers.{name}"])) for name in settings.layers]
        )
    column = min(50, max(len(text) for block in blocks for text, origin in block if origin))
    text = "\n\n".join("\n".join(_beside(line, column) for line in block) for block in blocks)
    return f"{text}\n\n{_rules_on(explained, width)}\n"


def _rule(rule: Rule, explained: Combined) -> Iterator[tuple[str, str]]:
    settings, origins = explained
    if rule.code in settings.severities:
        yield _line("severity", settings.severities[rule.code], origins, f"severities.{rule.code}")
    for name, value in options_of(settings, rule.code).items():
        yield _line(name, _plain(value), origins, f"options.{rule.code}.{name}")


def _rules_on(explained: Combined, width: int | None) -> str:
    on = codes(explained.settings)
    text = f"Enabled rules, {len(on)} of {len(all_rules())}: {' '.join(sorted(on))}"
    return _comment(text, min(width or WIDTH, WIDTH))


def _comment(text: str, width: int | None) -> str:
    """Return a comment of whole words in lines that fit; in one line without a width."""
    return "\n".join(wrapped(text, width, first="# ", others="# ")) if width else f"# {text}"


def _line(name: str, value: Any, origins: dict[str, tuple[str, ...]], key: str) -> tuple[str, str]:
    """Return the text of a setting, a comment if it is not set, and where it comes from."""
    if value is None:
        return f"# {name} is not set", ""
    return f"{name} = {json.dumps(value, ensure_ascii=False)}", ", ".join(origins.get(key, DEFAULT))


def _beside(line: tuple[str, str], width: int) -> str:
    text, origin = line
    return f"{text:{width}}  # {visible(origin)}" if origin else text


def _with_origin(value: Any, origins: dict[str, tuple[str, ...]], key: str) -> dict[str, Any]:
    return {"value": value, "from": list(origins.get(key, DEFAULT))}


def _value(settings: Any, key: str) -> Any:
    return _plain(getattr(settings, _field(key)))


def _field(key: str) -> str:
    return key.replace("-", "_")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
