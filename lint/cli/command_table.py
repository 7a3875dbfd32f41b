"""The commands: the name of each, and the module of this folder that holds a click command of that name.

Without click, which is loaded only when a command is. `check` need not be named.
"""

from __future__ import annotations

COMMANDS = {
    "check": "check_command",
    "config": "config_command",
    "explain": "explain_command",
    "inputs": "inputs_command",
    "log": "log_command",
    "net": "net_command",
    "probe": "probe_command",
    "rules": "rules_command",
    "schedule": "schedule_command",
    "signal": "signal_command",
    "simulate": "simulate_command",
}
