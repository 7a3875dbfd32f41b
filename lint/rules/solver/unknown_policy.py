"""The name of the learning-rate policy."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import set_field
from ...net.job import SolverFile
from ...proto.binder import Message, nearest_name
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.schedule import POLICIES, Policy
from ...source.written import is_absent, place_beside


@rule("S121", "unknown-lr-policy", subject="solver", severity="error", fixes="safe, unsafe")
def unknown_lr_policy(solver: SolverFile) -> Iterator[Hit]:
    """The `lr_policy` is missing, or none that Caffe knows.

    ## What it does

    A policy that no known Caffe has, in this case or spelling (`Step`, `steps`, `multi_step`); one that
    only forks have, when another Caffe is asked for by `--dialect` or by what else the file uses; and no
    policy at all.

    ## Why is this bad?

    Caffe stops: `Unknown learning rate policy: steps`. It looks at the policy only when it first needs a
    rate: after the nets are built, the data is opened and a whole iteration has been computed.

    ## When it is reported

    Never: Caffe stops.

    ## Fix

    The fix is safe where one known policy is near. A missing policy is inserted by an unsafe fix, as the
    fields of the solver suggest it: `stepvalue` multistep, `stepsize` step, `gamma` and `power` inv,
    `power` poly, else fixed.

    ## References

    sgd_solver.cpp, SGDSolver::GetLearningRate. Tried with the real Caffe. The forks' policies:
    `lint/solver/schedule.py`.
    """
    message = solver.message
    if is_absent(message, "lr_policy"):
        guess = _likely_policy(message)
        yield Hit(
            solver.file,
            place_beside(message, "base_lr"),
            "the solver has no lr_policy",
            "Caffe stops at the end of iteration 0: Unknown learning rate policy.",
            fix=set_field(solver.file.tree, message, "lr_policy", guess, beside=("base_lr",)).fix(
                solver.file.path, f'insert lr_policy: "{guess}"', safe=False
            ),
        )
    elif "lr_policy" in message:
        policy = POLICIES.get(message["lr_policy"])
        if policy is None:
            yield _misspelt_policy(solver)
        elif policy.dialects:
            yield from _foreign_policy(solver, policy)


def _misspelt_policy(solver: SolverFile) -> Hit:
    message = solver.message
    name = message["lr_policy"]
    nearest = _nearest_policy(name)
    known = ", ".join(policy.name for policy in POLICIES.values() if not policy.dialects)
    hint = f"did you mean '{nearest}'?" if nearest else f"it has {known}"
    fix = None
    if nearest:
        patch = set_field(solver.file.tree, message, "lr_policy", nearest)
        fix = patch.fix(solver.file.path, f'write "{nearest}"')
    return Hit(
        solver.file,
        message.span("lr_policy"),
        f"no known Caffe has a learning-rate policy '{name}'; {hint}",
        "Caffe stops at the end of iteration 0: Unknown learning rate policy.",
        severity="warning" if solver.file.schema.layer_types is None else "",  # a Caffe of the user's own
        fix=fix,
    )


def _nearest_policy(name: str) -> str | None:
    folded = name.strip().lower().replace("_", "").replace("-", "").replace(" ", "")
    if folded in POLICIES:
        return folded
    own = [policy.name for policy in POLICIES.values() if not policy.dialects]
    return nearest_name(folded, own) or nearest_name(folded, list(POLICIES))


def _foreign_policy(solver: SolverFile, policy: Policy) -> Iterator[Hit]:
    asked = solver.file.asked_dialect
    uses = solver.file.bound.uses
    if asked is not None:
        fits = asked in policy.dialects
        other = asked
    else:
        fits = any(all(dialect in use.dialects for use in uses) for dialect in policy.dialects)
        other = "the Caffe that has the other fields of this solver"
    if not fits:
        shown = ", ".join(policy.dialects[:6]) + (" and others" if len(policy.dialects) > 6 else "")
        yield Hit(
            solver.file,
            solver.message.span("lr_policy"),
            f"{other} has no learning-rate policy '{policy.name}': it is known in {shown}",
            "Caffe stops at the end of iteration 0: Unknown learning rate policy.",
            severity="error" if asked is not None else "warning",
        )


def _likely_policy(message: Message) -> str:
    """The policy that the fields of a schedule were written for."""
    if "stepvalue" in message:
        return "multistep"
    if "stepsize" in message:
        return "step"
    if "power" in message:
        return "inv" if "gamma" in message else "poly"
    return "fixed"
