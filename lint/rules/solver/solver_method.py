"""The solver's type, and whether it needs a GPU."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import remove_field, set_field
from ...net.job import SolverFile
from ...proto.binder import nearest_name
from ...proto.upgrade import SOLVER_TYPES as TYPE_OF_ENUM
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.solver_types import SOLVER_TYPES
from ...source.written import is_whole

# Methods that no known Caffe has under `type`, though their names are near to one of those.
_OTHER_METHODS = frozenset(
    ("adamw", "adamax", "nadam", "radam", "amsgrad", "lamb", "lars", "larc", "lion", "sgdw")
)


@rule("S131", "unknown-solver-type", subject="solver", severity="error", fixes="safe")
def unknown_solver_type(solver: SolverFile) -> Iterator[Hit]:
    """The solver's `type` is none that Caffe knows.

    ## What it does

    Other words, and other cases: `sgd`, `ADAM`, `RMSprop`. And types that only forks have, in another Caffe.

    ## Why is this bad?

    Caffe stops before it builds anything: `Unknown solver type: sgd (known types: AdaDelta, AdaGrad, Adam,
    Nesterov, RMSProp, SGD)`.

    ## When it is reported

    Never: Caffe does not start.

    ## Fix

    The fix is safe where one known type is near. It is not offered for methods of their own that Caffe
    lacks, such as AdamW.

    ## References

    solver_factory.hpp, SolverRegistry::CreateSolver. Tried with the real Caffe.
    """
    message = solver.message
    name = message["type"]
    known = SOLVER_TYPES.get(name)
    asked = solver.file.asked_dialect
    if known is not None and (not known.dialects or asked is None or asked in known.dialects):
        return
    reason = "Caffe stops: Unknown solver type."
    if known is not None:
        shown = f"{asked} has no solver type '{name}': it is known in {', '.join(known.dialects)}"
        yield Hit(solver.file, message.span("type"), shown, reason)
        return
    nearest = _nearest_type(name)
    hint = f"did you mean '{nearest}'?" if nearest else f"it has {', '.join(_own_types())}"
    fix = None
    if nearest:
        fix = set_field(solver.file.tree, message, "type", nearest).fix(
            solver.file.path, f'write "{nearest}"'
        )
    yield Hit(
        solver.file,
        message.span("type"),
        f"no known Caffe has a solver type '{name}'; {hint}",
        reason,
        severity="warning" if solver.file.schema.layer_types is None else "",  # a Caffe of the user's own
        fix=fix,
    )


def _own_types() -> list[str]:
    return [name for name, known in SOLVER_TYPES.items() if not known.dialects]


def _nearest_type(name: str) -> str | None:
    folded = name.strip().lower().replace("_", "").replace("-", "")
    by_fold = {known.lower(): known for known in _own_types()}
    if folded in by_fold:
        return by_fold[folded]
    if folded in _OTHER_METHODS:
        return None
    nearest = nearest_name(folded, list(by_fold))
    return by_fold[nearest] if nearest else None


@rule("S132", "duplicate-solver-type", subject="solver", severity="error", fixes="safe")
def duplicate_solver_type(solver: SolverFile) -> Iterator[Hit]:
    """Both `type` and `solver_type` are written.

    ## What it does

    The text of today (`type: "Adam"`) and the enum of old (`solver_type: ADAM`) in one solver.

    ## Why is this bad?

    Caffe stops: `Failed to upgrade solver: old solver_type field (enum) and new type field (string) cannot
    be both specified in solver proto text.` Also if the two say the same.

    ## When it is reported

    Never: Caffe does not start.

    ## Fix

    The fix is safe: it takes `solver_type` out if it says the same. If not, only you know which is right.

    ## References

    upgrade_proto.cpp, UpgradeSolverType. Tried with the real Caffe.
    """
    for problem in solver.upgraded.problems:
        message = solver.file.message
        old, new = message["solver_type"], message["type"]
        fix = None
        if TYPE_OF_ENUM.get(old) == new and is_whole(message, "solver_type"):
            patch = remove_field(solver.file.tree, message, "solver_type")
            fix = patch.fix(solver.file.path, "remove solver_type, which says the same as type")
        shown = f'both type "{new}" and solver_type {old} are written'
        reason = "Caffe stops: they cannot be both specified."
        yield Hit(solver.file, (problem.start, problem.end), shown, reason, fix=fix)


@rule("S145", "gpu-solver-mode", subject="solver", severity="advice", fixes="safe", default=False, by_name=True)
def gpu_solver_mode(solver: SolverFile) -> Iterator[Hit]:
    """The solver asks for a GPU.

    ## What it does

    `solver_mode: GPU`. The rule is off unless it is selected: it is for files that are to train on a CPU.

    ## Why is this bad?

    A Caffe built with CPU_ONLY stops at that: `Cannot use GPU in CPU-only Caffe`. Only what is written counts: where no
    `solver_mode` stands, `caffe train` without `-gpu` trains on the CPU, though the field's declared default is GPU.

    ## When it is reported

    The Caffe that reads the file has a GPU, or is called with `-gpu`, which goes before the file.

    ## Fix

    The fix is safe: the training is the same but for its speed. It is applied only where this rule is selected by its
    code or name. Layers that need a GPU are E219's.

    ## References

    tools/caffe.cpp, train. Tried with the real Caffe.
    """
    message = solver.message
    if message.get("solver_mode") == "GPU":
        patch = set_field(solver.file.tree, solver.file.message, "solver_mode", "CPU", text="CPU")
        yield Hit(
            solver.file,
            message.span("solver_mode"),
            "solver_mode is GPU",
            "A Caffe built for the CPU only stops at that.",
            fix=patch.fix(solver.file.path, "write solver_mode: CPU"),
        )
