"""The name of the learning-rate policy."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import set_field
from ...net.job import SolverFile
from ...proto.binder import Message
from ...proto.spelling import fold, is_certain, nearest_name
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.schedule import POLICIES, Policy
from ...source.written import is_absent, place_beside


@rule("S121", "unknown-lr-policy", subject="solver", severity="error", fixes="safe, unsafe")
def unknown_lr_policy(solver: SolverFile) -> Iterator[Hit]:
    """Flags solvers whose `lr_policy` is missing or unknown to Caffe.

    ## What it does

    Flags a missing policy, a policy that no known Caffe has in this spelling (`Step`, `steps`, `multi_step`), and a
    policy that only forks have, if `--dialect` or the solver's other fields point to a different Caffe.

    ## Why is this bad?

    Caffe stops: `Unknown learning rate policy: steps`. It reads the policy only when it first needs a rate, after the
    nets are built, the data is opened and a whole iteration has been computed.

    ## When it is reported

    - **warning** for a fork's policy if only the solver's other fields point to a different Caffe, and for an unknown
      policy if a caffe.proto of your own is used;
    - **error** otherwise.

    ## Fix

    Replaces the policy with the known policy that is spelled most similarly, if one is close. This is safe if the file
    is for BVLC's Caffe, or for the one that `--dialect` names, which has the policy, and the names differ in one letter, in
    two swapped ones, or in case and punctuation only; otherwise unsafe.

    If the policy is missing, an unsafe fix inserts the one that the solver's other fields suggest: multistep for
    `stepvalue`, step for `stepsize`, inv for `gamma` and `power`, poly for `power`, otherwise fixed.

    ## References

    `SGDSolver::GetLearningRate` in sgd_solver.cpp. Verified with the real Caffe. The forks' policies are listed in
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
            yield _misspelled_policy(solver)
        elif policy.dialects:
            yield from _foreign_policy(solver, policy)


def _misspelled_policy(solver: SolverFile) -> Hit:
    message = solver.message
    name = message["lr_policy"]
    nearest = _nearest_policy(name)
    known = ", ".join(policy.name for policy in POLICIES.values() if not policy.dialects)
    hint = f"did you mean '{nearest}'?" if nearest else f"known: {known}"
    fix = None
    if nearest:
        patch = set_field(solver.file.tree, message, "lr_policy", nearest)
        dialects = POLICIES[nearest].dialects
        is_there = not dialects or solver.file.asked_dialect in dialects
        safe = is_there and solver.file.is_for_known_caffe and is_certain(name.strip().replace(" ", ""), nearest, POLICIES)
        fix = patch.fix(solver.file.path, f'set lr_policy to "{nearest}"', safe=safe)
    return Hit(
        solver.file,
        message.span("lr_policy"),
        f"unknown lr_policy '{name}'; {hint}",
        "Caffe stops at the end of iteration 0: Unknown learning rate policy.",
        severity="warning" if solver.file.schema.layer_types is None else "",  # with a caffe.proto of the user's own
        fix=fix,
    )


def _nearest_policy(name: str) -> str | None:
    folded = fold(name).replace(" ", "")
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
        other = "the Caffe with this solver's other fields"
    if not fits:
        shown = ", ".join(policy.dialects[:6]) + (" and others" if len(policy.dialects) > 6 else "")
        yield Hit(
            solver.file,
            solver.message.span("lr_policy"),
            f"{other} has no lr_policy '{policy.name}'; it exists in {shown}",
            "Caffe stops at the end of iteration 0: Unknown learning rate policy.",
            severity="error" if asked is not None else "warning",
        )


def _likely_policy(message: Message) -> str:
    """Return the policy that the schedule's fields suggest."""
    if "stepvalue" in message:
        return "multistep"
    if "stepsize" in message:
        return "step"
    if "power" in message:
        return "inv" if "gamma" in message else "poly"
    return "fixed"
