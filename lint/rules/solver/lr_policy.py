"""Family S, the learning rate: policies, what each of them reads, and rates that are 0 or never fall."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import Patch, number_text, set_field, set_values
from ...net.job import SolverFile
from ...proto.binder import Message, nearest_name
from ...rule.finding import Hit
from ...rule.registry import rule
from ...settings.settings import SEVERITIES
from ...solver.ignored_fields import ignored_in_solver
from ...solver.rate_course import where_to_see
from ...solver.schedule import POLICIES, Policy, fired_steps, learning_rate
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


@rule("S123", "invalid-schedule-value", subject="solver", severity="error")
def invalid_schedule_value(solver: SolverFile) -> Iterator[Hit]:
    """A value of the schedule that Caffe does not take.

    ## What it does

    `stepsize` of zero or less with step and sigmoid, `gamma` below zero with step, exp, inv and sigmoid;
    with multifixed, as many `stagelr` as `stageiter` are needed; with NVIDIA's poly, `base_lr` must not be
    below `min_lr`. A warning: `gamma` below zero with multistep, which is taken, and turns the rate's sign
    at every step.

    ## Why is this bad?

    Caffe stops at the end of iteration 0: `Check failed: this->param_.stepsize() > 0`. Before 2017-12 a
    `stepsize` of 0 was a division by zero, which ends the program without a message.

    ## When it is reported

    Never: Caffe stops.

    ## Example

    A sigmoid of falling rates needs the negative `gamma` that Caffe refuses since 2017-12: take another
    policy.

    There is no fix: only you know which.

    ## References

    sgd_solver.cpp, SGDSolver::GetLearningRate. Tried with the real Caffe, but for the forks' policies.
    """
    message = solver.message
    policy = message["lr_policy"]
    if policy in ("step", "sigmoid") and "stepsize" in message and message["stepsize"] <= 0:
        value = message["stepsize"]
        reason = f"Caffe stops at the end of iteration 0: Check failed: stepsize() > 0 ({value} vs. 0)."
        yield Hit(
            solver.file, message.span("stepsize"), f"policy '{policy}' takes no stepsize of {value}", reason
        )
    if policy in ("step", "exp", "inv", "sigmoid", "multistep") and message["gamma"] < 0:
        value = number_text(message["gamma"])
        reason = f"Caffe stops at the end of iteration 0: Check failed: gamma() >= 0 ({value} vs. 0)."
        severity = ""
        if policy == "multistep":
            reason = "The rate changes its sign at every step; with a negative rate the loss is made to grow."
            severity = "warning"
        yield Hit(solver.file, message.span("gamma"), f"gamma is negative ({value})", reason, severity)
    rates, ends = message.get("stagelr", []), message.get("stageiter", [])
    if policy == "multifixed" and len(rates) != len(ends):
        span = message.span("stagelr" if rates else "lr_policy")
        yield Hit(
            solver.file,
            span,
            f"multifixed has {len(rates)} stagelr but {len(ends)} stageiter",
            "Caffe stops.",
        )
    lowest = message.get("min_lr", 0)
    if policy == "poly" and solver.file.bound.dialect.startswith("nvcaffe") and message["base_lr"] < lowest:
        shown = f"base_lr {number_text(message['base_lr'])} is below min_lr {number_text(lowest)}"
        yield Hit(
            solver.file, message.span("min_lr"), shown, "NVIDIA's Caffe stops at that with policy 'poly'."
        )


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


@rule("S125", "invalid-base-lr", subject="solver", severity="error")
def invalid_base_lr(solver: SolverFile) -> Iterator[Hit]:
    """The learning rate is zero or negative from the start.

    ## What it does

    No `base_lr`, or one of zero or less, with a policy whose rates are multiples of it.

    ## Why is this bad?

    `base_lr` has no default: without it the rate is 0. Caffe trains to the end and changes no weight,
    without a word; the loss only wanders with the data. With a negative rate the loss is made to grow: 2.3
    became NaN in iteration 13.

    ## When it is reported

    You want to see how fast the net runs, or what the loss is without training.

    ## Example

    There is no fix: only you know the value.

    ## References

    sgd_solver.cpp, SGDSolver::GetLearningRate. Tried with the real Caffe.
    """
    message = solver.message
    policy = POLICIES.get(message["lr_policy"])
    base = message["base_lr"]
    if base > 0 or (policy is not None and policy.scales_with != "base_lr") or message.get("min_lr", 0) > 0:
        return
    if is_absent(message, "base_lr"):
        reason = "It has no default: every rate is 0, and no weight ever changes."
        yield Hit(solver.file, place_beside(message, "lr_policy"), "the solver has no base_lr", reason)
    elif "base_lr" in message and not _breaks_off(solver, "base_lr"):
        shown = f"base_lr is {number_text(base)}"
        reason = "Every rate is 0, and no weight ever changes."
        if base != 0:
            reason = "With a negative rate every step makes the loss grow."
        yield Hit(
            solver.file,
            message.span("base_lr"),
            shown,
            reason if base == base else "Every weight becomes NaN.",
        )


def _breaks_off(solver: SolverFile, name: str) -> bool:
    """Whether the parser has stopped inside the value of a field, as it does at the comma in 0,01."""
    field = solver.message.field(name)
    return field is not None and any(
        0 <= problem.start - field.end <= 1 for problem in solver.file.tree.problems
    )


@rule("S126", "unsorted-stepvalues", subject="solver", severity="warning", fixes="unsafe")
def unsorted_stepvalues(solver: SolverFile) -> Iterator[Hit]:
    """The values of `stepvalue` do not rise.

    ## What it does

    With policy multistep, a `stepvalue` that is not greater than the one before it.

    ## Why is this bad?

    Caffe waits for one value at a time, in the order written. A smaller one behind a larger one has to wait
    for it and then takes effect an iteration later: with 4 and then 2 the rate falls at iterations 4 and 5.
    Equal values make two drops in two consecutive iterations.

    ## When it is reported

    Never: Caffe waits for the values in the order in which they are written.

    ## Fix

    The fix sorts the values. It is unsafe: one of them may be a slip of the pen. Equal values are not fixed.

    ## References

    sgd_solver.cpp, SGDSolver::GetLearningRate. Tried with the real Caffe.
    """
    message = solver.message
    values = message["stepvalue"]
    if message["lr_policy"] != "multistep" or values == sorted(set(values)):
        return
    index = next(index for index in range(1, len(values)) if values[index] <= values[index - 1])
    fires = fired_steps(message)
    if values[index] == values[index - 1]:
        shown = f"stepvalue {values[index]} is written twice in a row"
    else:
        shown = f"stepvalue {values[index]} stands behind {values[index - 1]}"
    reason = (
        f"Caffe takes the steps in this order: the rate falls at iterations {', '.join(map(str, fires))}."
        f" {where_to_see(solver.file.path)}"
    )
    fix = None
    if len(set(values)) == len(values):
        fix = set_values(message, "stepvalue", sorted(values)).fix(
            solver.file.path, "sort the values of stepvalue", safe=False
        )
    yield Hit(solver.file, message.span("stepvalue", index), shown, reason, fix=fix)


@rule("S127", "step-after-max-iter", subject="solver", severity="advice")
def step_after_max_iter(solver: SolverFile) -> Iterator[Hit]:
    """A step of the learning rate lies behind the end of the training.

    ## What it does

    With policy step, a `stepsize` of `max_iter` or more: the rate never falls. With multistep, values of
    `stepvalue` behind `max_iter`. A last one that equals `max_iter` is a habit and not reported.

    ## Why is this bad?

    Mostly `max_iter` was lowered and the schedule forgotten, so the training ends at the rate it began
    with. Some solvers say so on purpose.

    ## When it is reported

    The training is to be taken up again with a larger `max_iter`.

    ## Example

    There is no fix: only you know the value.

    ## References

    sgd_solver.cpp, SGDSolver::GetLearningRate.
    """
    message = solver.message
    length = message["max_iter"]
    if length <= 0 or "gamma" not in message or message["gamma"] == 1:  # 1: no step, on purpose
        return
    where = where_to_see(solver.file.path)
    if message["lr_policy"] == "step" and message["stepsize"] >= length:
        rate = number_text(learning_rate(message, length - 1) or 0)
        shown = f"stepsize {message['stepsize']} is not reached in {length} iterations"
        yield Hit(solver.file, message.span("stepsize"), shown, f"The rate is {rate} to the end. {where}")
    if message["lr_policy"] == "multistep":
        values = message["stepvalue"]
        fires = fired_steps(message)
        for index, value in enumerate(values):
            if value > length or (value == length and fires[0] >= length):
                rate = number_text(learning_rate(message, length - 1) or 0)
                shown = f"stepvalue {value} is not reached in {length} iterations"
                yield Hit(solver.file, message.span("stepvalue", index), shown, f"The last rate is {rate}. {where}")
                return
