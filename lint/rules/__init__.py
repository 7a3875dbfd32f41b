"""The rules, one file for a family or, where rules need room, for a few of them. `rule.all_rules` brings them in."""

from importlib import import_module

OF_FILES = (
    "reading", "net_files", "structure", "layer_settings", "in_place", "silent", "loose_ends", "across",
    "batch_norm", "starting_weights", "class_numbers", "frozen", "wasted", "data_layers", "data_sources",
    "solver", "lr_policy", "rate_grows", "rate_faults", "solver_type", "never_happens",
    "clipping", "learning_rate", "loss_weight", "dying_signal", "input_scale", "stalling", "flat_units", "valid_labels",
    "domains", "widening", "infogain", "legacy",
    "portability", "suppressing",
)  # fmt: skip
OF_DATA = ("inputs",)
OF_LOGS = ("training_nonfinite", "training_explosion", "training_stuck", "training_course", "training_fatal")


def load(modules: tuple[str, ...] = OF_FILES + OF_DATA + OF_LOGS) -> None:
    """Imports files of rules, which registers them."""
    for name in modules:
        import_module(f"{__name__}.{name}")
