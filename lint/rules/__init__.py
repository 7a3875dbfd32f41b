"""The rules, one folder for a family, one file for a rule or a few that belong together.

They are imported by groups, when the registry (`rule.registry`) is asked for rules that look at something.
"""

from collections.abc import Iterable
from importlib import import_module

from ..rule.registry import loaded_by

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


_GROUPS = (
    (OF_FILES, frozenset({"file", "solver", "net", "job", "suppressions"})),
    (OF_DATA, frozenset({"inputs"})),
    (OF_LOGS, frozenset({"log"})),
)


def load(subjects: Iterable[str]) -> None:
    """Imports the files of rules that look at these subjects, which registers them."""
    for group, looked_at in _GROUPS:
        for family, names in group.items() if not looked_at.isdisjoint(subjects) else ():
            for name in names:
                import_module(f"{__name__}.{family}.{name}")


loaded_by(load)
