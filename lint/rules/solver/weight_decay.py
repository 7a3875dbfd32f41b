"""Weight decay and its type."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...fixes.fields import number_text, set_field
from ...net.job import SolverFile
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import Option, rule
from ...solver.rate_course import fault_of
from ...solver.schedule import largest_rate, learning_rate

_USUAL = 0.01 * 0.0005  # learning rate times weight_decay
_TIMES_USUAL = 10  # from so many times the usual product on, set by hand
_PARTS = 100  # after so many iterations, a rate stands for the next hundredth of those before it
_MOST_ITERATIONS = 2**31 - 1  # of a training: an int32


@rule("S137", "unknown-regularization-type", subject="solver", severity="error", fixes="safe")
def unknown_regularization_type(solver: SolverFile) -> Iterator[Hit]:
    """Flags a `regularization_type` that is neither L1 nor L2.

    ## What it does

    Flags any other text, including lower-case `l1` and `l2`.

    ## Why is this bad?

    Caffe stops at the first update, after a whole iteration: `Unknown regularization type: l2`.

    ## When it is reported

    - **error** if `weight_decay` is not 0;
    - **advice** otherwise, because Caffe then does not read the field;
    - not at all in files for MyCaffe, which has types of its own.

    ## Fix

    Replaces `l1` and `l2` with `L1` and `L2`. The fix is safe where Caffe stops, and not offered where it does not read the
    field. Other values are not fixed.

    ## References

    `SGDSolver::Regularize` in sgd_solver.cpp. Verified with the real Caffe.
    """
    message = solver.message
    name = message["regularization_type"]
    if name in ("L1", "L2") or not solver.file.schema.lists_fields(solver.file.bound.dialect):
        return
    fix = None
    if name.upper() in ("L1", "L2") and message["weight_decay"] != 0:
        patch = set_field(solver.file.tree, solver.file.message, "regularization_type", name.upper())
        fix = patch.fix(solver.file.path, f'set regularization_type to "{name.upper()}"')
    shown = f"unknown regularization_type '{name}'; known types: L1, L2"
    if message["weight_decay"] != 0:
        reason, severity = "Caffe stops at the end of iteration 0: Unknown regularization type.", "error"
    else:
        reason, severity = "Caffe does not read this field if weight_decay is 0.", "advice"
    yield Hit(solver.file, message.span("regularization_type"), shown, reason, severity, fix=fix)


@rule("S138", "invalid-weight-decay", subject="solver", severity="error")
def invalid_weight_decay(solver: SolverFile) -> Iterator[Hit]:
    """Flags a `weight_decay` that makes the weights grow.

    ## What it does

    Flags a negative `weight_decay`, and one that overshoots zero. With L2 and momentum m, weights overshoot and grow
    if the largest learning rate times `weight_decay` is at least 2 (1 + m) with SGD, or 2 (1 + m) / (1 + 2m) with
    Nesterov.

    ## Why is this bad?

    Weight decay alone multiplies every weight by 1 - rate * weight_decay in each iteration. A negative value makes
    the weights grow, whatever the data. Above the limit, the decay throws each weight past zero to a larger value of
    the opposite sign, so that all weights grow without bound, whatever the gradients. A rate of 0.01 with a decay of
    1000 gave NaN in iteration 4. `clip_gradients` does not help: Caffe clips before it adds the decay.

    ## When it is reported

    - **warning** if `weight_decay` is negative;
    - **error** if it overshoots.

    There is no fix, because only you know the value.

    ## References

    `SGDSolver::Regularize` and `ComputeUpdateValue` in sgd_solver.cpp. The limit is that of the linear recurrence w'
    = w - h, h' = m h + rate * weight_decay * w. The case above was verified with the real Caffe.
    """
    message = solver.message
    decay = message["weight_decay"]
    if decay < 0:
        reason = "Every weight grows in every iteration, in proportion to its size."
        yield Hit(
            solver.file,
            message.span("weight_decay"),
            f"weight_decay is {number_text(decay)}, but must not be negative",
            reason,
            "warning",
        )
        return
    momentum = message["momentum"]
    rate = largest_rate(message)
    if rate is None or fault_of(rate.value) or not 0 <= momentum < 1 or message["regularization_type"] != "L2":
        return
    if message["type"] == "SGD":
        limit = 2 * (1 + momentum)
    elif message["type"] == "Nesterov":
        limit = 2 * (1 + momentum) / (1 + 2 * momentum)
    else:
        return
    if rate.value * decay >= limit:
        yield Hit(
            solver.file,
            message.span("weight_decay"),
            f"weight_decay {number_text(decay)} is too high for a learning rate of {number_text(rate.value)}",
            f"Their product is {number_text(rate.value * decay)}; from {number_text(limit)} on, every weight"
            " overshoots zero and grows without bound.",
        )


@rule(
    "S144",
    "high-weight-decay",
    subject="solver",
    severity="warning",
    options={"most": Option(0.1, "the smallest weight_decay that is reported", least=0)},
)
def high_weight_decay(solver: SolverFile, most: float) -> Iterator[Hit]:
    """Flags a `weight_decay` that shrinks the weights faster than most nets learn.

    ## What it does

    Flags a `weight_decay` of 0.1 or more (`most`) with SGD or Nesterov and L2, if at the largest learning rate it removes at
    least 10 times as much of every weight as the usual decay of 0.0005 at the usual rate of 0.01, and if it halves the weights
    before `max_iter`.

    ## Why is this bad?

    Each iteration removes the fraction rate * weight_decay / (1 - momentum) of every weight, whatever the gradients.
    With the usual decay of 0.0005 and a rate of 0.01, a weight without a gradient is halved in about 14,000
    iterations; with a decay of 0.5, in 14. What the net learns in between is quickly lost, and the loss stays at
    chance level.

    ## When it is reported

    Reported as a **warning**. A `weight_decay` that makes the weights grow instead is reported by S138. There is no
    fix, because only you know the value. Ignore it if every layer scales the decay with a small `decay_mult`.

    ## Options

    `most`: the smallest `weight_decay` that is reported. Of about 600 public solvers, 4 from two repositories exceed the
    default of 0.1, two of them as an experiment.

    ## References

    `SGDSolver::Regularize` and `ComputeUpdateValue` in sgd_solver.cpp.
    """
    message = solver.message
    decay, momentum = message["weight_decay"], message["momentum"]
    rate = largest_rate(message)
    if not decay >= most or message["regularization_type"] != "L2" or message["type"] not in ("SGD", "Nesterov"):
        return
    if rate is None or not 0 < rate.value < math.inf or not 0 <= momentum < 1:
        return
    product = rate.value * decay
    if product >= 1:
        return  # S138 reports it if it overshoots
    half = _iterations_to_halve(message) if product >= _TIMES_USUAL * _USUAL else None
    if half is None:
        return
    iterations = "1 iteration" if half == 1 else f"{half:,} iterations"
    yield Hit(
        solver.file,
        message.span("weight_decay"),
        f"weight_decay {number_text(decay)} halves the weights in {iterations}",
        f"With a learning rate of {number_text(rate.value)} and a momentum of {number_text(momentum)}, each iteration removes"
        f" the fraction {product / (1 - momentum):.2g} of every weight, {round(product / _USUAL):,} times as much as the usual rate of"
        " 0.01 and weight_decay of 0.0005.",
    )


def _iterations_to_halve(solver: Message) -> int | None:
    """Return in how many iterations weight decay alone halves the weights, None if the run is shorter or a rate is unknown."""
    length = solver["max_iter"] if solver["max_iter"] > 0 else _MOST_ITERATIONS
    left, iteration = math.log(2), 0
    while iteration < length:
        rate = learning_rate(solver, iteration)
        if rate is None or not math.isfinite(rate):
            return None
        share: float = rate * solver["weight_decay"] / (1 - solver["momentum"])
        part = min(max(1, iteration // _PARTS), length - iteration)
        if share * part >= left:
            return iteration + max(1, round(left / share))
        left -= share * part
        iteration += part
    return None
