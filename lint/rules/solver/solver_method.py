"""The solver's type, and whether the solver needs a GPU."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import remove_field, set_field
from ...net.job import SolverFile
from ...proto.spelling import fold, is_certain, nearest_name
from ...proto.upgrade import SOLVER_TYPES as TYPE_OF_ENUM
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.solver_types import SOLVER_TYPES, has_in_any_case
from ...source.written import is_whole

# Methods that no known Caffe has, although their names resemble one of its types.
_OTHER_METHODS = frozenset(("adamw", "adamax", "nadam", "radam", "amsgrad", "lamb", "lars", "larc", "lion", "sgdw"))


@rule("S131", "unknown-solver-type", subject="solver", severity="error", fixes="safe, unsafe")
def unknown_solver_type(solver: SolverFile) -> Iterator[Hit]:
    """Flags a solver `type` that Caffe does not know.

    ## What it does

    Flags misspelled types and types in the wrong case (`sgd`, `ADAM`, `RMSprop`; MyCaffe reads any case), types that no
    known Caffe has, and, if `--dialect` names a Caffe, types that only other forks have.

    ## Why is this bad?

    Caffe stops before it builds a net: `Unknown solver type: sgd (known types: AdaDelta, AdaGrad, Adam, Nesterov,
    RMSProp, SGD)`.

    ## When it is reported

    - **warning** for a type that no known Caffe has if a caffe.proto of your own is used;
    - **error** otherwise.

    ## Fix

    Replaces the type with the known type that is spelled most similarly, if one is close. The fix is safe if the file
    is for BVLC's Caffe, or for the one that `--dialect` names, and the two differ in one letter, in two swapped ones, or in
    case and punctuation only; otherwise unsafe. It is not offered for methods that
    Caffe lacks, such as AdamW.

    ## References

    `SolverRegistry::CreateSolver` in solver_factory.hpp. Verified with the real Caffe.
    """
    message = solver.message
    name = message["type"]
    known = SOLVER_TYPES.get(name)
    asked = solver.file.asked_dialect
    if known is not None and (not known.dialects or asked is None or asked in known.dialects):
        return
    if has_in_any_case(solver.file.bound.dialect, name):
        return
    reason = "Caffe stops: Unknown solver type."
    if known is not None:
        shown = f"{asked} has no solver type '{name}'; it exists in {', '.join(known.dialects)}"
        yield Hit(solver.file, message.span("type"), shown, reason)
        return
    nearest = _nearest_type(name)
    hint = f"did you mean '{nearest}'?" if nearest else f"known types: {', '.join(_own_types())}"
    fix = None
    if nearest:
        patch = set_field(solver.file.tree, message, "type", nearest)
        safe = solver.file.is_for_known_caffe and is_certain(name.strip(), nearest, SOLVER_TYPES)
        fix = patch.fix(solver.file.path, f'set type to "{nearest}"', safe=safe)
    yield Hit(
        solver.file,
        message.span("type"),
        f"unknown solver type '{name}'; {hint}",
        reason,
        severity="warning" if solver.file.schema.layer_types is None else "",  # with a caffe.proto of the user's own
        fix=fix,
    )


def _own_types() -> list[str]:
    return [name for name, known in SOLVER_TYPES.items() if not known.dialects]


def _nearest_type(name: str) -> str | None:
    folded = fold(name.strip())
    by_fold = {known.lower(): known for known in _own_types()}
    if folded in by_fold:
        return by_fold[folded]
    if folded in _OTHER_METHODS:
        return None
    nearest = nearest_name(folded, list(by_fold))
    return by_fold[nearest] if nearest else None


@rule("S132", "duplicate-solver-type", subject="solver", severity="error", fixes="safe")
def duplicate_solver_type(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers that set both `type` and `solver_type`.

    ## What it does

    Flags the current text field (`type: "Adam"`) and the old enum (`solver_type: ADAM`) in one solver.

    ## Why is this bad?

    Caffe stops, even if both name the same type: `Failed to upgrade solver: old solver_type field (enum) and new type
    field (string) cannot be both specified in solver proto text.`

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Removes `solver_type` if it names the same type as `type`. That is safe. If the two differ, there is no fix,
    because only you know which is right.

    ## References

    `UpgradeSolverType` in upgrade_proto.cpp. Verified with the real Caffe.
    """
    for problem in solver.upgraded.problems:
        message = solver.file.message
        old, new = message["solver_type"], message["type"]
        fix = None
        if TYPE_OF_ENUM.get(old) == new and is_whole(message, "solver_type"):
            patch = remove_field(solver.file.tree, message, "solver_type")
            fix = patch.fix(solver.file.path, "remove solver_type")
        shown = f'both type "{new}" and solver_type {old} are set'
        reason = "Caffe stops if both are set, even to the same type."
        yield Hit(solver.file, (problem.start, problem.end), shown, reason, fix=fix)


@rule("S145", "gpu-solver-mode", subject="solver", severity="advice", fixes="safe", default=False, by_name=True)
def gpu_solver_mode(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers that ask for a GPU.

    ## What it does

    Flags `solver_mode: GPU`.

    ## Why is this bad?

    A Caffe built with CPU_ONLY stops: `Cannot use GPU in CPU-only Caffe`. If `solver_mode` is not written, `caffe
    train` without `-gpu` trains on the CPU, although the declared default of the field is GPU.

    ## When it is reported

    Reported as **advice**, only if this rule is selected: it is for files that must train on a CPU. E219 reports
    layers that need a GPU. Ignore it if your Caffe has a GPU, or if you call it with `-gpu`, which overrides the
    file.

    ## Fix

    Sets `solver_mode` to CPU. The fix is safe, since it changes only the speed of the training. It is applied only if
    this rule is selected by its code or name.

    ## References

    `train` in tools/caffe.cpp. Verified with the real Caffe.
    """
    message = solver.message
    if message.get("solver_mode") == "GPU":
        patch = set_field(solver.file.tree, solver.file.message, "solver_mode", "CPU", text="CPU")
        yield Hit(
            solver.file,
            message.span("solver_mode"),
            "solver_mode is GPU",
            "A Caffe built with CPU_ONLY stops.",
            fix=patch.fix(solver.file.path, "set solver_mode to CPU"),
        )
