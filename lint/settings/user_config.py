"""The user's own configuration, outside of every checkout: which plugins the configurations found in trees may load."""

from __future__ import annotations

import os
from typing import Any

from .settings import ConfigError


def user_config_path() -> str | None:
    """Return where the user's own configuration is, whether it exists or not; None if the user has no such folder."""
    base = os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):  # a relative one would lie in the checkout
        base = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "caffe-lint", "caffe-lint.toml") if os.path.isabs(base) else None


def trusted_plugins(table: dict[str, Any], path: str) -> frozenset[str]:
    """Return the plugins that the user's own configuration names. Raises ConfigError for anything else in it."""
    plugins = table.get("plugins", [])
    if set(table) - {"plugins"} or not isinstance(plugins, list) or not all(isinstance(name, str) for name in plugins):
        raise ConfigError(f"{path}: only a list of 'plugins' may stand in it")
    return frozenset(plugins)
