"""The rules, one file for a family or, where rules need room, for a few of them. `rule.all_rules` brings them in."""

from importlib import import_module

MODULES = (
    "reading", "net_files", "structure", "layer_settings", "in_place", "silent", "loose_ends", "across",
    "solver", "lr_policy", "solver_type", "clipping", "learning_rate", "loss_weight", "widening", "infogain", "legacy",
    "training_nonfinite", "training_explosion", "training_stuck", "training_course", "training_fatal", "inputs",
)  # fmt: skip


def load() -> None:
    """Imports every file of rules, which registers them."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
