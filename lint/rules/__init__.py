"""The rules, one file for a family or, where a rule needs room, for a rule. `rule.all_rules` brings them in."""

from importlib import import_module
from importlib.util import find_spec

MODULES = (
    "reading", "solver", "clipping", "learning_rate", "loss_weight", "widening", "infogain",
    "legacy", "structure", "layer_settings",
)


def load() -> None:
    """Imports every file of rules, which registers them."""
    for name in MODULES:
        if find_spec(f"{__name__}.{name}"):
            import_module(f"{__name__}.{name}")
