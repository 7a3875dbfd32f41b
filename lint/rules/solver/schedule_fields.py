"""Fields that the learning-rate policy needs or ignores."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, number_text, set_field
from ...net.job import SolverFile
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule
from ...settings.settings import SEVERITIES
from ...solver.ignored_fields import ignored_in_solver
from ...solver.rate_course import where_to_see
from ...solver.schedule import POLICIES, Policy, fired_steps
from ...source.written import is_absent

# The values that most public solvers use: 44 of 58 repositories with step, 13 of 20 with multistep, 13 of 14 with inv,
# half of those with poly.
_USUAL = {
    ("step", "gamma"): 0.1,
    ("multistep", "gamma"): 0.1,
    ("inv", "gamma"): 0.0001,
    ("inv", "power"): 0.75,
    ("poly", "power"): 1,
}
_STEPS_OF_A_RUN = 3  # if the stepsize is missing
_GAMMA_OF_INV = 0.001  # a gamma this small, with a power, is one of policy inv: a step would end the training


@rule("S122", "missing-schedule-field", subject="solver", severity="warning", fixes="unsafe")
def missing_schedule_field(solver: SolverFile) -> Iterator[Hit]:
    """Flags learning-rate policies without a field that they require.

    ## What it does

    Flags missing `gamma`, `power`, `stepsize` and `stepvalue`, and missing fields of forks' policies, if the policy
    reads them.

    ## Why is this bad?

    None of these fields has a default. A missing field reads as 0, usually without a message.

    | policy | missing | effect |
    |---|---|---|
    | step | stepsize | Caffe stops at the end of iteration 0 |
    | step | gamma | the rate is 0 from iteration `stepsize` on |
    | exp | gamma | the rate is 0 from iteration 1 on |
    | inv | gamma or power | the rate never falls |
    | multistep | stepvalue | the rate never falls |
    | multistep | gamma | the rate is 0 from the first `stepvalue` on |
    | poly | power | the rate never falls |
    | sigmoid | stepsize | Caffe stops at the end of iteration 0 |
    | sigmoid | gamma | the rate is always half of `base_lr` |

    ## When it is reported

    - **error** if Caffe stops, or (exp without `gamma`) nothing would be learned;
    - **advice** for step and multistep without `gamma` if no step is taken before `max_iter`;
    - **warning** otherwise;
    - not at all in files for MyCaffe, whose defaults are its own.

    Ignore it if the rate is meant to stay constant (policy `fixed` says so more clearly) or to drop to 0 at once.

    ## Fix

    Inserts the values that most public solvers use: `gamma: 0.1` for step and multistep, `gamma: 0.0001` and `power:
    0.75` for inv, `power: 1` for poly, a `stepsize` of a third of the run. If the solver has `stepvalue` instead of
    `stepsize`, or the reverse, the fix changes the policy to the one that reads it; with a `power` and a `gamma` of at
    most 0.001, which are constants of inv, it changes step and multistep to inv. It is unsafe, since only you know the
    value. There is no fix for exp and sigmoid.

    ## References

    `SGDSolver::GetLearningRate` in sgd_solver.cpp. Each row was verified with the real Caffe, except sigmoid without
    gamma, which follows from its formula.
    """
    message = solver.message
    policy = POLICIES.get(message["lr_policy"])
    if policy is None or not solver.file.schema.lists_fields(solver.file.bound.dialect):
        return
    missing = [name for name in policy.needs if is_absent(message, name)]
    if not missing:
        return
    verdicts = [_without(message, policy, name) for name in missing]
    severity = max((verdict[0] for verdict in verdicts), key=SEVERITIES.index)
    reasons = dict.fromkeys(reason for level, reason in verdicts if level == severity and reason)
    yield Hit(
        solver.file,
        message.span("lr_policy"),
        f"policy '{policy.name}' lacks {' and '.join(missing)}{_sibling(message, policy)}",
        " ".join((*reasons, *([where_to_see(solver.file.path)] if severity != "error" else ()))),
        severity,
        fix=_missing_fix(solver, policy, missing),
    )


def _missing_fix(solver: SolverFile, policy: Policy, missing: list[str]) -> Fix | None:
    """Return a fix that inserts the usual values, or changes to the policy that reads what is written instead."""
    message, tree = solver.message, solver.file.tree
    for name in missing:
        for other in POLICIES.values():
            meant = _SIBLINGS.get(name) in message.entries and _SIBLINGS.get(name) in other.needs
            if meant and not other.dialects and all(need in message for need in other.needs):
                patch = set_field(tree, message, "lr_policy", other.name)
                return patch.fix(solver.file.path, f'set lr_policy to "{other.name}"', safe=False)
    if _is_inv(message, policy):
        patch = set_field(tree, message, "lr_policy", "inv")
        return patch.fix(solver.file.path, 'set lr_policy to "inv"', safe=False)
    values: dict[str, float] = {}
    for name in missing:
        value = _USUAL.get((policy.name, name))
        if (policy.name, name) == ("step", "stepsize") and message["max_iter"] >= _STEPS_OF_A_RUN:
            value = message["max_iter"] // _STEPS_OF_A_RUN
        if value is None:
            return None
        values[name] = value
    patch = Patch()
    for name, value in values.items():
        patch += set_field(tree, message, name, value, beside=("lr_policy",))
    title = ", ".join(f"{name}: {number_text(value)}" for name, value in values.items())
    return patch.fix(solver.file.path, f"insert {title}", safe=False)


# Fields that are easily confused with each other.
_SIBLINGS = {"stepsize": "stepvalue", "stepvalue": "stepsize"}


def _sibling(message: Message, policy: Policy) -> str:
    """Return a note on a field that is written instead of a missing one, empty if there is none."""
    for name in policy.needs:
        written = _SIBLINGS.get(name)
        if name not in message and written in message.entries and written not in policy.needs:
            readers = [other.name for other in POLICIES.values() if written in other.needs and not other.dialects]
            return f"; {written} belongs to {' and '.join(readers)}"
    return "; gamma and power belong to inv" if _is_inv(message, policy) else ""


def _is_inv(message: Message, policy: Policy) -> bool:
    """Whether step or multistep has the constants of policy inv, and none of its own steps."""
    lacks_steps = policy.name in ("step", "multistep") and all(is_absent(message, name) for name in _SIBLINGS)
    return lacks_steps and "power" in message and "gamma" in message and 0 < message["gamma"] <= _GAMMA_OF_INV


def _without(message: Message, policy: Policy, name: str) -> tuple[str, str]:
    """Return the severity of a missing field and its effect."""
    base = message["base_lr"]
    length = message["max_iter"]
    if (policy.name, name) in (("step", "stepsize"), ("sigmoid", "stepsize")):
        return "error", "Caffe stops at the end of iteration 0: Check failed: stepsize() > 0 (0 vs. 0)."
    if (policy.name, name) == ("exp", "gamma"):
        return "error", f"gamma reads as 0: the rate is {number_text(base)} in iteration 0, and 0 from iteration 1 on."
    if (policy.name, name) in (("step", "gamma"), ("multistep", "gamma")):
        steps = [message["stepsize"]] if policy.name == "step" else fired_steps(message)[:1]
        if not steps or steps[0] <= 0:
            return "warning", "gamma reads as 0."
        if 0 < length <= steps[0]:
            return "advice", f"gamma reads as 0, but no step is taken before max_iter {length}."
        return (
            "warning",
            f"gamma reads as 0: from iteration {steps[0]} on, the rate is 0 and nothing is learned.",
        )
    if (policy.name, name) == ("sigmoid", "gamma"):
        return "warning", f"gamma reads as 0: the rate is always {number_text(base / 2)}, half of base_lr."
    if not policy.dialects:
        return "warning", f"The rate stays at {number_text(base)}."
    return "warning", ""


@rule("S124", "ignored-field", subject="solver", severity="advice")
def ignored_field(solver: SolverFile) -> Iterator[Hit]:
    """Flags fields that the solver's policy or type does not read.

    ## What it does

    - Flags `gamma`, `power`, `stepsize`, `stepvalue` and forks' schedule fields if the policy does not read them.
    - Flags `momentum2` if the type is not Adam, `rms_decay` if it is not RMSProp, and `delta` with SGD and Nesterov.

    ## Why is this bad?

    The field has no effect, and Caffe prints no message. Either it is a leftover, or the policy or type is not the
    intended one: `stepvalue` with policy step never lowers the rate.

    ## When it is reported

    Reported as **advice**. A field that S122 names as written instead of a missing one is not reported again. There
    is no fix, since either the field or the policy may be wrong. Ignore it if you keep the field for another policy
    or type that you switch to.

    ## Example

    The other way to correct it is `lr_policy: "multistep"` without `stepsize`.

    ## References

    `SGDSolver::GetLearningRate` in sgd_solver.cpp; `ComputeUpdateValue` of each type in solvers/*.cpp.
    `lint/solver/schedule.py` and `lint/solver/solver_types.py` list the fields that each policy and type reads.
    """
    message = solver.message
    policy = POLICIES.get(message["lr_policy"])
    missing = {name for name in policy.needs if is_absent(message, name)} if policy else set()
    is_inv = policy is not None and _is_inv(message, policy)
    for found in ignored_in_solver(message):
        if _SIBLINGS.get(found.field) not in missing and not (is_inv and found.field == "power"):  # S122 reports these
            yield Hit(solver.file, message.span(found.field), found.what, found.meaning)
