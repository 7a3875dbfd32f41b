"""Values that are invalid in a schedule, or make its steps ineffective."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import number_text, set_values
from ...net.job import SolverFile
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.rate_course import where_to_see
from ...solver.schedule import fired_steps, learning_rate


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
