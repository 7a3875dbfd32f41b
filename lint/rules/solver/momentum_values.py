"""Momentum and the other parameters of an update."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import number_text, remove_field, set_field
from ...net.job import SolverFile
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.solver_types import SOLVER_TYPES
from ...source.written import is_absent, is_whole, place_beside


@rule("S134", "unsupported-momentum", subject="solver", severity="error", fixes="safe")
def unsupported_momentum(solver: SolverFile) -> Iterator[Hit]:
    """Momentum with AdaGrad or RMSProp, or an `rms_decay` that RMSProp does not take.

    ## What it does

    Any `momentum` but 0 with type AdaGrad or RMSProp; `rms_decay` below 0, or of 1 and more, with RMSProp.

    ## Why is this bad?

    Caffe stops before it builds anything: `Momentum cannot be used with AdaGrad.`

    ## When it is reported

    Never: Caffe does not start.

    ## Fix

    The fix is safe: it takes out the momentum, which this type cannot have. `rms_decay` is not fixed.

    ## References

    sgd_solvers.hpp, AdaGradSolver::constructor_sanity_check and RMSPropSolver::constructor_sanity_check.
    Tried with the real Caffe.
    """
    message = solver.message
    name = message["type"]
    if name in ("AdaGrad", "RMSProp") and message["momentum"] != 0:
        fix = None
        if is_whole(message, "momentum"):
            patch = remove_field(solver.file.tree, solver.file.message, "momentum")
            fix = patch.fix(solver.file.path, f"remove momentum, which {name} cannot have")
        yield Hit(
            solver.file,
            message.span("momentum"),
            f"type {name} takes no momentum, this is {number_text(message['momentum'])}",
            f"Caffe stops: Momentum cannot be used with {name}.",
            fix=fix,
        )
    if name == "RMSProp" and not 0 <= message["rms_decay"] < 1:
        shown = f"rms_decay is {number_text(message['rms_decay'])}, RMSProp takes 0 up to, but not, 1"
        yield Hit(
            solver.file,
            message.span("rms_decay"),
            shown,
            "Caffe stops: Check failed: rms_decay() < 1 and >= 0.",
        )


@rule("S135", "invalid-update-parameter", subject="solver", severity="error")
def invalid_update_parameter(solver: SolverFile) -> Iterator[Hit]:
    """A momentum, `momentum2` or `delta` with which the update cannot work.

    ## What it does

    `momentum` of 1 and more, or below 0; with Adam, `momentum2` of 1 and more, or below 0; `delta` of 0 and
    less with the types that divide by it.

    ## Why is this bad?

    Caffe checks none of them.

    - SGD and Nesterov: each step is the last one times `momentum`, and more. With 1 nothing ever fades: 2.3
      became NaN in iteration 143. Above 1 the steps grow without end. Below 0 each step takes back part of
      the last one (a warning).
    - Adam divides by `1 - momentum^t`, which is 0 with momentum 1: NaN in iteration 1. With momentum2 1 the
      factor `sqrt(1 - momentum2^t)` is 0 and nothing is learnt, above 1 it is NaN.
    - AdaDelta averages with `momentum`: with 1 it averages nothing, and its steps are plain gradients times
      `base_lr`, which is 1 in most of its solvers (a warning); above 1 it takes the root of a negative
      number.
    - `delta` keeps the division from 0 / 0. With delta 0 Adam gives NaN, and AdaDelta never starts. AdaGrad
      and RMSProp give NaN for every weight whose gradient is exactly 0, as behind a dead ReLU (a warning).

    ## When it is reported

    Never: the update divides by 0, or grows without end.

    ## Example

    There is no fix: only you know the value.

    ## References

    solvers/*.cpp, ComputeUpdateValue. Momentum 1 with SGD and with Adam and delta 0 with Adam were tried
    with the real Caffe; the rest follows from the formulas.
    """
    message = solver.message
    known = SOLVER_TYPES.get(message["type"])
    if known is None:
        return
    for name, judge in (
        ("momentum", _judged_momentum),
        ("momentum2", _judged_momentum2),
        ("delta", _judged_delta),
    ):
        if name in known.reads and name in message:
            value = message[name]
            verdict = (
                judge(message["type"], value) if value == value else ("error", "Every weight becomes NaN.")
            )
            if verdict:
                severity, reason = verdict
                shown = f"{name} is {number_text(value)}"
                yield Hit(solver.file, message.span(name), shown, reason, severity)


def _judged_momentum(type_name: str, value: float) -> tuple[str, str] | None:
    if 0 <= value < 1:
        return None
    if type_name == "Adam":
        if value == 1:
            return (
                "error",
                "Adam divides by 1 - momentum^t, which is 0: every weight is NaN after the first step.",
            )
        if value > 1:
            return (
                "error",
                "Adam divides by 1 - momentum^t, which is negative: every step makes the loss grow.",
            )
    elif type_name == "AdaDelta":
        if value == 1:
            return (
                "warning",
                "AdaDelta averages nothing then: its steps are the gradients themselves times base_lr.",
            )
        if value > 1:
            return "error", "AdaDelta's average of squares is negative then, and its root NaN."
    elif value == 1:
        return "error", "No step ever fades, so the weights swing wider and wider until they are NaN."
    elif abs(value) > 1:
        grown = number_text(float(f"{abs(value) ** 100:.2g}")) if abs(value) < 1000 else "inf"
        return "error", f"A step grows by this factor in every iteration: {grown} times in 100."
    return "warning", "Each step takes back part of the last one: learning is slower than without momentum."


def _judged_momentum2(type_name: str, value: float) -> tuple[str, str] | None:
    if 0 <= value < 1:
        return None
    if value == 1:
        return "error", "Adam's steps have the factor sqrt(1 - momentum2^t), which is 0: nothing is learnt."
    if value > 1:
        return "error", "Adam takes the root of 1 - momentum2^t, which is negative: every weight becomes NaN."
    return "warning", "Adam's average of squares may become negative, and its root NaN."


def _judged_delta(type_name: str, value: float) -> tuple[str, str] | None:
    if value > 0:
        return None
    if value == 0 and type_name == "Adam":
        return (
            "error",
            "A weight whose gradient is 0 is divided 0 / 0: it becomes NaN, and everything with it.",
        )
    if value == 0 and type_name == "AdaDelta":
        return (
            "error",
            "AdaDelta's first step is sqrt(delta) times the gradient, which is 0, and so is every other.",
        )
    return "warning", "A weight whose gradient is exactly 0, as behind a dead ReLU, is divided by 0 or less."

# What is written for a decay that a type cannot do without: the values of their papers.
_MOMENTUM_OF_PAPER = {"Adam": 0.9, "AdaDelta": 0.95}


@rule("S136", "missing-momentum", subject="solver", severity="warning", fixes="unsafe")
def missing_momentum(solver: SolverFile) -> Iterator[Hit]:
    """Adam or AdaDelta without a `momentum`.

    ## What it does

    Solvers of type AdaDelta (a warning) and Adam (an advice) in which `momentum` is not written.

    ## Why is this bad?

    In both it is the decay of a running average, and has no default: it reads as 0. AdaDelta then averages
    nothing. Adam loses its first moment and is RMSProp with a correction at the start.

    ## When it is reported

    Momentum is meant to be 0.

    ## Fix

    The fix inserts the value of the method's paper: 0.9 for Adam, 0.95 for AdaDelta. It is unsafe, as it
    changes the training.

    ## References

    adam_solver.cpp, adadelta_solver.cpp, ComputeUpdateValue. Kingma and Ba 2015; Zeiler 2012.
    """
    message = solver.message
    name = message["type"]
    value = _MOMENTUM_OF_PAPER.get(name)
    if value is None or not is_absent(message, "momentum"):
        return
    patch = set_field(solver.file.tree, solver.file.message, "momentum", value, beside=("base_lr", "type"))
    reason = "It reads as 0: squares of gradients are not averaged."
    if name == "Adam":
        reason = "It reads as 0: Adam has no first moment then."
    yield Hit(
        solver.file,
        place_beside(message, "type", "solver_type"),
        f"type {name} has no momentum",
        reason,
        "advice" if name == "Adam" else "warning",
        fix=patch.fix(solver.file.path, f"insert momentum: {number_text(value)}", safe=False),
    )
