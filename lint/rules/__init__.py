"""The rules, one folder for a family, one file for a rule or a few that belong together.

They are imported by groups, when the registry (`rule.registry`) is asked for rules that look at something.
"""

from collections.abc import Iterable
from importlib import import_module

from ..rule.registry import loaded_by

OF_FILES: dict[str, tuple[str, ...]] = {
    "files": ("text_format", "field_values", "unknown_names", "failed_upgrades", "net_paths"),
    "refusals": ("refused_blobs", "layer_shapes", "refused_settings", "refused_params", "refused_nets"),
    "net": (
        "in_place", "counted_losses", "loss_inputs", "initial_weights", "layer_numbers", "names_and_phases",
        "unused_parts", "nets_of_a_job", "loaded_weights", "train_test_inputs", "stored_statistics", "misspelled_stage", "batch_norm",
        "class_numbers", "frozen_layers", "half_shared", "wasted", "empty_windows", "label_readers", "label_images",
        "overridden_phase",
    ),
    "data": ("data_layers", "data_sources", "listed_labels"),
    "solver": (
        "solver_nets", "iteration_counts", "display", "snapshots", "unknown_policy", "schedule_fields",
        "schedule_values", "rate_values", "solver_method", "momentum_values", "weight_decay",
    ),
    "stability": (
        "clipping", "learning_rate", "dominant_loss", "vanishing_activations", "unscaled_input", "stalled_training",
        "saturated_units", "summed_loss", "valid_labels", "domains", "widening_block", "infogain_input",
    ),
    "portability": ("legacy", "parser_differences", "paths_and_whitespace", "suppressing"),
}  # fmt: skip
OF_DATA: dict[str, tuple[str, ...]] = {
    "data": (
        "unreadable_data", "data_values", "class_labels", "target_values", "infogain_matrix", "data_shapes",
        "train_and_test_data",
    )
}  # fmt: skip
OF_LOGS: dict[str, tuple[str, ...]] = {
    "logs": (
        "non_finite_inputs", "non_finite_layers", "non_finite_updates", "exploding_updates", "exploding_losses",
        "exploding_activations", "missing_updates", "vanishing_signals", "stagnant_losses", "generalisation",
        "constant_clipping", "logged_labels", "missing_debug_info", "fatal_lines", "first_iteration", "blank_statistics",
        "saturated_losses", "vanished_losses", "data_order", "impossible_accuracy", "logged_shapes",
    )
}  # fmt: skip


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
