"""The rules, one folder for a family, one file for a rule or a few that belong together.

`rule.registry.all_rules` brings them in.
"""

from importlib import import_module

OF_FILES: dict[str, tuple[str, ...]] = {
    "files": ("unreadable", "net_files"),
    "refusals": ("wiring_refused", "layer_settings"),
    "net": (
        "in_place", "silent", "loose_ends", "across", "batch_norm", "starting_weights", "class_numbers", "frozen",
        "wasted",
    ),
    "data": ("data_layers", "data_sources"),
    "solver": ("run_control", "lr_policy", "rate_grows", "rate_faults", "solver_type", "never_happens"),
    "stability": (
        "clipping", "learning_rate", "loss_weight", "dying_signal", "input_scale", "stalling", "flat_units",
        "valid_labels", "domains", "widening_scale", "infogain",
    ),
    "portability": ("legacy", "portability", "suppressing"),
}  # fmt: skip
OF_DATA: dict[str, tuple[str, ...]] = {"data": ("seen_data",)}
OF_LOGS: dict[str, tuple[str, ...]] = {
    "logs": ("training_nonfinite", "training_explosion", "training_stuck", "training_course", "training_fatal")
}


def load(*groups: dict[str, tuple[str, ...]]) -> None:
    """Imports files of rules, which registers them; all of them where no group is named."""
    for group in groups or (OF_FILES, OF_DATA, OF_LOGS):
        for family, names in group.items():
            for name in names:
                import_module(f"{__name__}.{family}.{name}")
