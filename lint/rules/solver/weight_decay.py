"""Weight decay and its type."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...fixes.fields import number_text, set_field
from ...net.job import SolverFile
from ...rule.finding import Hit
from ...rule.registry import Option, rule
from ...solver.rate_course import fault_of
from ...solver.schedule import largest_rate


@rule("S137", "unknown-regularization-type", subject="solver", severity="error", fixes="safe")
def unknown_regularization_type(solver: SolverFile) -> Iterator[Hit]:
    """A `regularization_type` that is neither L1 nor L2.

    ## What it does

    Other words and the lower case. An error if there is a `weight_decay`, else an advice: then Caffe does
    not look.

    ## Why is this bad?

    Caffe stops at the first update, after a whole iteration: `Unknown regularization type: l2`.

    ## When it is reported

    Never: Caffe does not start.

    ## Fix

    The fix is safe: it writes the upper case. Nothing else is fixed.

    ## References

    sgd_solver.cpp, SGDSolver::Regularize. Tried with the real Caffe.
    """
    message = solver.message
    name = message["regularization_type"]
    if name in ("L1", "L2"):
        return
    fix = None
    if name.upper() in ("L1", "L2"):
        patch = set_field(solver.file.tree, solver.file.message, "regularization_type", name.upper())
        fix = patch.fix(solver.file.path, f'write "{name.upper()}"')
    shown = f"there is no regularization type '{name}', only L1 and L2"
    if message["weight_decay"] != 0:
        reason, severity = "Caffe stops at the end of iteration 0: Unknown regularization type.", "error"
    else:
        reason, severity = "Without weight_decay Caffe does not look at it.", "advice"
    yield Hit(solver.file, message.span("regularization_type"), shown, reason, severity, fix=fix)


@rule("S138", "invalid-weight-decay", subject="solver", severity="error")
def invalid_weight_decay(solver: SolverFile) -> Iterator[Hit]:
    """A `weight_decay` that makes the weights grow.

    ## What it does

    A negative `weight_decay` (a warning), and one that overshoots: with SGD, L2 and momentum m, the largest
    rate times `weight_decay` is at least 2 (1 + m); with Nesterov, at least 2 (1 + m) / (1 + 2m).

    ## Why is this bad?

    Decay alone multiplies every weight by 1 - rate * weight_decay in each iteration. A negative one makes
    weights grow for no reason of the data. Above the limit the decay throws each weight past zero and
    further out on the other side, so that all grow without end, whatever the gradients: a rate of 0.01 with
    a decay of 1000 was NaN in iteration 4. `clip_gradients` does not help: Caffe clips before it adds the
    decay.

    ## When it is reported

    Never: the weights grow without end.

    ## Example

    There is no fix: only you know the value.

    ## References

    sgd_solver.cpp, SGDSolver::Regularize and ComputeUpdateValue. The limit is that of the linear recurrence
    w' = w - h, h' = m h + rate * weight_decay * w. The case above was tried with the real Caffe.
    """
    message = solver.message
    decay = message["weight_decay"]
    if decay < 0:
        reason = "Every weight grows in every iteration, by the more the larger it is."
        yield Hit(
            solver.file,
            message.span("weight_decay"),
            f"weight_decay is {number_text(decay)}",
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
            f"weight_decay {number_text(decay)} is too much for a rate of {number_text(rate.value)}",
            f"Their product, {number_text(rate.value * decay)}, is over {number_text(limit)}: every weight"
            " overshoots zero and grows without end.",
        )


@rule(
    "S144",
    "high-weight-decay",
    subject="solver",
    severity="warning",
    options={"most": Option(0.1, "the largest weight_decay that is not reported")},
)
def high_weight_decay(solver: SolverFile, most: float) -> Iterator[Hit]:
    """A `weight_decay` that shrinks the weights faster than most nets learn.

    ## What it does

    With SGD or Nesterov and L2, a `weight_decay` of 0.1 or more (`most`). Where it makes the weights grow instead, that
    is S138.

    ## Why is this bad?

    Each iteration takes the share rate * weight_decay / (1 - momentum) from every weight, whatever the gradients. With
    0.0005, the usual value, and a rate of 0.01 a weight that nothing holds is halved in some 14,000 iterations; with 0.5
    in 14. What the data teach in between is soon forgotten, and the loss stays where guessing is.

    ## When it is reported

    Every layer scales it by a small `decay_mult`.

    ## Example

    There is no fix: only you know the value.

    ## Options

    `most` is 0.1: of some 600 public solvers, 4 of two repositories have more, two of them to try what it does.

    ## References

    sgd_solver.cpp, SGDSolver::Regularize and ComputeUpdateValue.
    """
    message = solver.message
    decay, momentum = message["weight_decay"], message["momentum"]
    rate = largest_rate(message)
    if decay < most or message["regularization_type"] != "L2" or message["type"] not in ("SGD", "Nesterov"):
        return
    if rate is None or not 0 < rate.value < math.inf or not 0 <= momentum < 1:
        return
    share = rate.value * decay / (1 - momentum)
    if rate.value * decay >= 1:
        return  # it overshoots: S138
    half = max(1, round(math.log(2) / share))
    iterations = "one iteration" if half == 1 else f"{half:,} iterations"
    yield Hit(
        solver.file,
        message.span("weight_decay"),
        f"weight_decay {number_text(decay)} halves the weights in {iterations}",
        f"At a rate of {number_text(rate.value)} and momentum {number_text(momentum)} it takes {share:.2g} of each weight"
        " in every iteration; 0.0005 is usual.",
    )
