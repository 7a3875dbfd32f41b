"""Schedule values that are invalid, or make steps ineffective."""

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
    """Flags schedule values that Caffe rejects.

    ## What it does

    - Flags a `stepsize` of zero or less with step and sigmoid.
    - Flags a `gamma` below zero with step, exp, inv, sigmoid and multistep.
    - With multifixed, flags a number of `stagelr` that differs from the number of `stageiter`.
    - With the poly of NVIDIA's Caffe, flags a `base_lr` below `min_lr`.

    ## Why is this bad?

    Caffe stops at the end of iteration 0: `Check failed: this->param_.stepsize() > 0`. Before December 2017, a
    `stepsize` of 0 was a division by zero, which ends the program without a message. Multistep accepts a negative
    `gamma` and changes the sign of the rate at every step.

    ## When it is reported

    - **warning** for a `gamma` below zero with multistep;
    - **error** otherwise.

    There is no fix, because only you know the intended value or policy.

    ## Example

    A sigmoid with falling rates needs a negative `gamma`, which Caffe rejects since December 2017: use another
    policy.

    ## References

    `SGDSolver::GetLearningRate` in sgd_solver.cpp. Verified with the real Caffe, except the forks' policies.
    """
    message = solver.message
    policy = message["lr_policy"]
    if policy in ("step", "sigmoid") and "stepsize" in message and message["stepsize"] <= 0:
        value = message["stepsize"]
        reason = f"Caffe stops at the end of iteration 0: Check failed: stepsize() > 0 ({value} vs. 0)."
        yield Hit(
            solver.file,
            message.span("stepsize"),
            f"stepsize is {value}, but policy '{policy}' requires a positive one",
            reason,
        )
    if policy in ("step", "exp", "inv", "sigmoid", "multistep") and message["gamma"] < 0:
        value = number_text(message["gamma"])
        reason = f"Caffe stops at the end of iteration 0: Check failed: gamma() >= 0 ({value} vs. 0)."
        severity = ""
        if policy == "multistep":
            reason = "The rate changes sign at every step, and a negative rate increases the loss."
            severity = "warning"
        yield Hit(solver.file, message.span("gamma"), f"gamma is {value}, but must not be negative", reason, severity)
    rates, ends = message.get("stagelr", []), message.get("stageiter", [])
    if policy == "multifixed" and len(rates) != len(ends):
        span = message.span("stagelr" if rates else "lr_policy")
        yield Hit(
            solver.file,
            span,
            f"number of stagelr ({len(rates)}) differs from number of stageiter ({len(ends)})",
            "Caffe stops: policy multifixed needs one stageiter for each stagelr.",
        )
    lowest = message.get("min_lr", 0)
    if policy == "poly" and solver.file.bound.dialect.startswith("nvcaffe") and message["base_lr"] < lowest:
        shown = f"base_lr {number_text(message['base_lr'])} is below min_lr {number_text(lowest)}"
        yield Hit(
            solver.file,
            message.span("min_lr"),
            shown,
            "NVIDIA's Caffe stops: policy 'poly' requires base_lr to be at least min_lr.",
        )


@rule("S126", "unsorted-stepvalues", subject="solver", severity="warning", fixes="unsafe")
def unsorted_stepvalues(solver: SolverFile) -> Iterator[Hit]:
    """Flags `stepvalue` lists that are not in ascending order.

    ## What it does

    With policy multistep, flags a `stepvalue` that is not greater than the one before it.

    ## Why is this bad?

    Caffe waits for one value at a time, in the order written. A smaller value after a larger one takes effect one
    iteration after the larger one: with 4 and then 2, the rate falls at iterations 4 and 5. Equal values cause two
    drops in two consecutive iterations.

    ## When it is reported

    Reported as a **warning**.

    ## Fix

    Sorts the values. It is unsafe, since one of them may be a typing error. Equal values are not fixed.

    ## References

    `SGDSolver::GetLearningRate` in sgd_solver.cpp. Verified with the real Caffe.
    """
    message = solver.message
    values = message["stepvalue"]
    if message["lr_policy"] != "multistep" or values == sorted(set(values)):
        return
    index = next(index for index in range(1, len(values)) if values[index] <= values[index - 1])
    fires = fired_steps(message)
    if values[index] == values[index - 1]:
        shown = f"stepvalue {values[index]} appears twice in a row"
    else:
        shown = f"stepvalue {values[index]} comes after {values[index - 1]}"
    reason = (
        f"Caffe takes the steps in the order written, at iterations {', '.join(map(str, fires))}."
        f" {where_to_see(solver.file.path)}"
    )
    fix = None
    if len(set(values)) == len(values):
        fix = set_values(message, "stepvalue", sorted(values)).fix(solver.file.path, "sort the stepvalues", safe=False)
    yield Hit(solver.file, message.span("stepvalue", index), shown, reason, fix=fix)


@rule("S127", "step-after-max-iter", subject="solver", severity="advice")
def step_after_max_iter(solver: SolverFile) -> Iterator[Hit]:
    """Flags steps of the learning rate after the end of the training.

    ## What it does

    With policy step, flags a `stepsize` of `max_iter` or more: the rate never falls. With multistep, flags a
    `stepvalue` after `max_iter`, and one that equals it if no step comes before.

    ## Why is this bad?

    Usually `max_iter` was lowered without adjusting the schedule, so the training ends at the rate it started with.
    In some solvers this is intended.

    ## When it is reported

    Reported as **advice**. A last `stepvalue` that equals `max_iter` is common after other steps and is not reported,
    and neither is a `gamma` of 1. There is no fix, because only you know the value. Ignore it if the training will be
    resumed with a larger `max_iter`.

    ## References

    `SGDSolver::GetLearningRate` in sgd_solver.cpp.
    """
    message = solver.message
    length = message["max_iter"]
    if length <= 0 or "gamma" not in message or message["gamma"] == 1:  # 1 keeps the rate constant on purpose
        return
    where = where_to_see(solver.file.path)
    if message["lr_policy"] == "step" and message["stepsize"] >= length:
        rate = number_text(learning_rate(message, length - 1) or 0)
        shown = f"stepsize {message['stepsize']} is not reached: max_iter is {length}"
        yield Hit(solver.file, message.span("stepsize"), shown, f"The rate is {rate} until the end. {where}")
    if message["lr_policy"] == "multistep":
        values = message["stepvalue"]
        fires = fired_steps(message)
        for index, value in enumerate(values):
            if value > length or (value == length and fires[0] >= length):
                rate = number_text(learning_rate(message, length - 1) or 0)
                shown = f"stepvalue {value} is not reached: max_iter is {length}"
                yield Hit(solver.file, message.span("stepvalue", index), shown, f"The final rate is {rate}. {where}")
                return
