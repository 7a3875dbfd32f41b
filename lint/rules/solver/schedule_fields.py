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

# What nearly all public solvers write: 44 of 58 repositories with step, 13 of 20 with multistep, 13 of 14 with inv, half
# of those with poly.
_USUAL = {
    ("step", "gamma"): 0.1,
    ("multistep", "gamma"): 0.1,
    ("inv", "gamma"): 0.0001,
    ("inv", "power"): 0.75,
    ("poly", "power"): 1,
}
_STEPS_OF_A_RUN = 3  # where nothing tells the stepsize


@rule("S122", "missing-schedule-field", subject="solver", severity="warning", fixes="unsafe")
def missing_schedule_field(solver: SolverFile) -> Iterator[Hit]:
    """The learning-rate policy needs a field that is not written.

    ## What it does

    `gamma`, `power`, `stepsize`, `stepvalue` and the fields of forks' policies, where the policy reads them
    and the solver lacks them. An error where Caffe stops or nothing would be learnt.

    ## Why is this bad?

    None of these fields has a default: what is not written reads as 0, mostly without a word.

    | policy | without | then |
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

    The rate is to stay, or fall to 0 at once, as the policy does without that field; `fixed` says the first more plainly.

    ## Fix

    The fix writes what most public solvers have: `gamma: 0.1` for step and multistep, 0.0001 and `power: 0.75` for inv,
    `power: 1` for poly, a `stepsize` of a third of the run. Where `stepsize` or `stepvalue` stands for the other, it
    writes the policy that reads it. It is unsafe, since only you know the value; for exp and sigmoid there is none.

    ## References

    sgd_solver.cpp, SGDSolver::GetLearningRate. Each row was tried with the real Caffe, but for sigmoid
    without gamma, which follows from its formula.
    """
    message = solver.message
    policy = POLICIES.get(message["lr_policy"])
    if policy is None:
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
        f"policy '{policy.name}' needs {' and '.join(missing)}, not written here{_sibling(message, policy)}",
        " ".join((*reasons, *([where_to_see(solver.file.path)] if severity != "error" else ()))),
        severity,
        fix=_missing_fix(solver, policy, missing),
    )


def _missing_fix(solver: SolverFile, policy: Policy, missing: list[str]) -> Fix | None:
    """The missing fields with their usual values, or the policy that reads what is written instead."""
    message, tree = solver.message, solver.file.tree
    for name in missing:
        for other in POLICIES.values():
            meant = _SIBLINGS.get(name) in message.entries and _SIBLINGS.get(name) in other.needs
            if meant and not other.dialects and all(need in message for need in other.needs):
                patch = set_field(tree, message, "lr_policy", other.name)
                return patch.fix(solver.file.path, f'write lr_policy: "{other.name}"', safe=False)
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
    return patch.fix(solver.file.path, f"write {title}", safe=False)

# What people write for each other.
_SIBLINGS = {"stepsize": "stepvalue", "stepvalue": "stepsize"}


def _sibling(message: Message, policy: Policy) -> str:
    """A word on a field that is written in the place of one that is missing."""
    for name in policy.needs:
        written = _SIBLINGS.get(name)
        if name not in message and written in message.entries and written not in policy.needs:
            readers = [
                other.name for other in POLICIES.values() if written in other.needs and not other.dialects
            ]
            return f" ({written} is not read: it belongs to {' and '.join(readers)})"
    return ""


def _without(message: Message, policy: Policy, name: str) -> tuple[str, str]:
    """How bad it is that a field is missing, and what happens."""
    base = message["base_lr"]
    length = message["max_iter"]
    if (policy.name, name) in (("step", "stepsize"), ("sigmoid", "stepsize")):
        return "error", "Caffe stops at the end of iteration 0: Check failed: stepsize() > 0 (0 vs. 0)."
    if (policy.name, name) == ("exp", "gamma"):
        return "error", f"It reads as 0: the rate is {number_text(base)} in iteration 0, and 0 in all others."
    if (policy.name, name) in (("step", "gamma"), ("multistep", "gamma")):
        steps = [message["stepsize"]] if policy.name == "step" else fired_steps(message)[:1]
        if not steps or steps[0] <= 0:
            return "warning", "It reads as 0."
        if 0 < length <= steps[0]:
            return "advice", f"It reads as 0, but no step is taken in the {length} iterations."
        return (
            "warning",
            f"It reads as 0: from iteration {steps[0]} on the rate is 0 and nothing is learnt any more.",
        )
    if (policy.name, name) == ("sigmoid", "gamma"):
        return "warning", f"It reads as 0: the rate is always {number_text(base / 2)}, half of base_lr."
    if not policy.dialects:
        return "warning", f"The rate never falls from {number_text(base)}."
    return "warning", ""


@rule("S124", "ignored-field", subject="solver", severity="advice")
def ignored_field(solver: SolverFile) -> Iterator[Hit]:
    """A field that the solver's policy or type does not read.

    ## What it does

    - `gamma`, `power`, `stepsize`, `stepvalue` and forks' fields of a schedule, beside a policy that does without them,
    - `momentum2` where the type is not Adam, `rms_decay` where it is not RMSProp, `delta` with SGD and Nesterov.

    ## Why is this bad?

    It does nothing, without a word. Either it is left over, or the policy or the type is not the one that was meant:
    `stepvalue` with policy step drops the rate nowhere.

    ## When it is reported

    The field waits there for another policy or type that is tried in turn.

    ## Example

    Or `lr_policy: "multistep"` without `stepsize`. There is no fix, as there are these two ways.

    ## References

    sgd_solver.cpp, SGDSolver::GetLearningRate; solvers/*.cpp, ComputeUpdateValue of each type. What is read by which
    is written in `lint/solver/schedule.py` and `lint/solver/solver_types.py`.
    """
    message = solver.message
    policy = POLICIES.get(message["lr_policy"])
    missing = {name for name in policy.needs if is_absent(message, name)} if policy else set()
    for found in ignored_in_solver(message):
        if _SIBLINGS.get(found.field) not in missing:  # which is told by S122
            yield Hit(solver.file, message.span(found.field), found.what, found.meaning)
