"""The commands by the headings of the help. `NAME_command.py` in this folder holds the click command NAME.

Without click, which is loaded only when a command is. `check` need not be named.
"""

from __future__ import annotations

COMMAND_GROUPS = {
    "Check": ("check", "inputs", "init"),
    "Predict and diagnose training runs": ("signal", "simulate", "schedule", "log", "probe"),
    "Look at nets and trainings": ("view", "net"),
    "Work in an editor": ("server",),
    "Rules and settings": ("rules", "explain", "config"),
}
COMMANDS = {name: f"{name}_command" for names in COMMAND_GROUPS.values() for name in names}
