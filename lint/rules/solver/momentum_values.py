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
    """Flags `momentum` with solver types that do not support it, and an invalid `rms_decay`.

    ## What it does

    Flags any `momentum` other than 0 with type AdaGrad or RMSProp, and an `rms_decay` outside 0 <= `rms_decay` < 1
    with RMSProp.

    ## Why is this bad?

    Caffe stops before it builds a net: `Momentum cannot be used with AdaGrad.`

    ## When it is reported

    Reported as an **error**.

    ## Fix

    Removes `momentum`. The fix is safe, since the solver does not start with it. An invalid `rms_decay` is not fixed.

    ## References

    `constructor_sanity_check` of AdaGradSolver and RMSPropSolver in sgd_solvers.hpp. Verified with the real Caffe.
    """
    message = solver.message
    name = message["type"]
    if name in ("AdaGrad", "RMSProp") and message["momentum"] != 0:
        fix = None
        if is_whole(message, "momentum"):
            patch = remove_field(solver.file.tree, solver.file.message, "momentum")
            fix = patch.fix(solver.file.path, "remove momentum")
        yield Hit(
            solver.file,
            message.span("momentum"),
            f"type {name} does not support momentum ({number_text(message['momentum'])})",
            f"Caffe stops: Momentum cannot be used with {name}.",
            fix=fix,
        )
    if name == "RMSProp" and not 0 <= message["rms_decay"] < 1:
        shown = f"rms_decay is {number_text(message['rms_decay'])}; RMSProp requires 0 <= rms_decay < 1"
        yield Hit(
            solver.file,
            message.span("rms_decay"),
            shown,
            "Caffe stops: its check of rms_decay fails.",
        )


@rule("S135", "invalid-update-parameter", subject="solver", severity="error")
def invalid_update_parameter(solver: SolverFile) -> Iterator[Hit]:
    """Flags values of `momentum`, `momentum2` and `delta` that break the update.

    ## What it does

    Flags a `momentum` of 1 or more, or below 0; with Adam, a `momentum2` of 1 or more, or below 0; and a `delta` of 0
    or less with the types that divide by it (Adam, AdaDelta, AdaGrad, RMSProp).

    ## Why is this bad?

    Caffe checks none of these values.

    - SGD and Nesterov: each step is `momentum` times the previous one, plus the new gradient. With 1 no step ever
      decays: a loss of 2.3 became NaN in iteration 143. Above 1 the steps grow without bound. Below 0 each step takes
      back part of the previous one.
    - Adam divides by `1 - momentum^t`, which is 0 if `momentum` is 1: NaN in iteration 1. If `momentum2` is 1, the
      factor `sqrt(1 - momentum2^t)` is 0 and nothing is learned; above 1 it is NaN.
    - AdaDelta averages with `momentum`. With 1 it averages nothing, and its steps are plain gradients times
      `base_lr`, which is 1 in most of its solvers. Above 1 it takes the square root of a negative number.
    - `delta` prevents a division of 0 by 0. If it is 0, Adam produces NaN, AdaDelta never starts to learn, and
      AdaGrad and RMSProp produce NaN for every weight whose gradient is exactly 0, as after a dead ReLU.

    ## When it is reported

    - **warning** for a `momentum` or `momentum2` below 0 (with SGD and Nesterov, a `momentum` of -1 or more), a `momentum`
      of 1 with AdaDelta, a `delta` below 0, and a `delta` of 0 with AdaGrad and RMSProp;
    - **error** otherwise.

    There is no fix, because only you know the value.

    ## References

    `ComputeUpdateValue` in solvers/*.cpp. A momentum of 1 with SGD and with Adam and a delta of 0 with Adam were
    tried with the real Caffe; the rest follows from the formulas.
    """
    message = solver.message
    known = SOLVER_TYPES.get(message["type"])
    if known is None:
        return
    for name, judge in (
        ("momentum", _judge_momentum),
        ("momentum2", _judge_momentum2),
        ("delta", _judge_delta),
    ):
        if name in known.reads and name in message:
            value = message[name]
            verdict = judge(message["type"], value) if value == value else ("error", "Every weight becomes NaN.")
            if verdict:
                severity, reason = verdict
                expected = "delta > 0" if name == "delta" else f"0 <= {name} < 1"
                shown = f"{name} is {number_text(value)}; expected {expected}"
                yield Hit(solver.file, message.span(name), shown, reason, severity)


def _judge_momentum(type_name: str, value: float) -> tuple[str, str] | None:
    """Return the severity and the reason for a momentum, None if it is valid."""
    if 0 <= value < 1:
        return None
    if type_name == "Adam":
        if value == 1:
            return (
                "error",
                "Adam divides by 1 - momentum^t, which is 0: every weight is NaN after the first iteration.",
            )
        if value > 1:
            return (
                "error",
                "Adam divides by 1 - momentum^t, which is negative: every step increases the loss.",
            )
    elif type_name == "AdaDelta":
        if value == 1:
            return (
                "warning",
                "AdaDelta averages nothing: its steps are plain gradients times base_lr.",
            )
        if value > 1:
            return "error", "AdaDelta's average of squared gradients becomes negative, and its square root is NaN."
    elif value == 1:
        return "error", "Steps never decay: the weights oscillate with growing amplitude until they are NaN."
    elif abs(value) > 1:
        grown = number_text(float(f"{abs(value) ** 100:.2g}")) if abs(value) < 1000 else "inf"
        return (
            "error",
            f"Each step is multiplied by {number_text(value)} in every iteration: {grown} times as large after 100.",
        )
    return "warning", "Each step takes back part of the previous one: learning is slower than without momentum."


def _judge_momentum2(type_name: str, value: float) -> tuple[str, str] | None:
    """Return the severity and the reason for a momentum2, None if it is valid."""
    if 0 <= value < 1:
        return None
    if value == 1:
        return "error", "Adam multiplies its steps by sqrt(1 - momentum2^t), which is 0: nothing is learned."
    if value > 1:
        return "error", "Adam takes the square root of 1 - momentum2^t, which is negative: every weight becomes NaN."
    return "warning", "Adam's average of squared gradients may become negative, and its square root is NaN."


def _judge_delta(type_name: str, value: float) -> tuple[str, str] | None:
    """Return the severity and the reason for a delta, None if it is valid."""
    if value > 0:
        return None
    if value == 0 and type_name == "Adam":
        return (
            "error",
            "For a weight with gradient 0, Adam divides 0 by 0: the weight becomes NaN, and soon every other.",
        )
    if value == 0 and type_name == "AdaDelta":
        return (
            "error",
            "AdaDelta's first step is proportional to sqrt(delta), which is 0, and so is every later step.",
        )
    return "warning", "For a weight with gradient 0, as after a dead ReLU, the update divides by 0 or less."


# The fields that set how much of its running average of squared gradients a type keeps in each iteration, below which
# share they look like the share that is replaced. All 32 values in 124 public repositories are 0.9 or more.
_KEPT = {"RMSProp": "rms_decay", "Adam": "momentum2"}
_LOWEST_KEPT = 0.3


@rule("S139", "complemented-decay", subject="solver", severity="warning", fixes="unsafe")
def complemented_decay(solver: SolverFile) -> Iterator[Hit]:
    """Flags an `rms_decay` or `momentum2` that looks like 1 minus the intended value.

    ## What it does

    Flags an `rms_decay` (RMSProp) or `momentum2` (Adam) above 0 and below 0.3, such as 0.02 for 0.98.

    ## Why is this bad?

    Both set the share of the running average of squared gradients that is *kept* in each iteration. With 0.02, the
    average is almost the last squared gradient alone. Each step is then about `base_lr` times the sign of the gradient,
    however small the gradient is, and the training is noisy or does not converge. Other programs and papers write
    the share that is *replaced*.

    ## When it is reported

    Reported as a **warning**. Ignore it if you want so short an average; the defaults are 0.99 and 0.999.

    ## Fix

    Replaces the value with 1 minus the value. The fix is unsafe, since it changes the training.

    ## References

    `RMSPropSolver::ComputeUpdateValue` in rmsprop_solver.cpp, `AdamSolver::ComputeUpdateValue` in adam_solver.cpp.
    """
    message = solver.message
    name = _KEPT.get(message["type"])
    if name is None or name not in message or not 0 < message[name] < _LOWEST_KEPT:
        return
    value, meant = number_text(message[name]), number_text(float(f"{1 - message[name]:.6g}"))
    patch = set_field(solver.file.tree, solver.file.message, name, float(meant))
    yield Hit(
        solver.file,
        message.span(name),
        f"{name} {value} looks like 1 - {meant}",
        f"{name} is the share of the average of squared gradients that is kept: with {value}, each step follows the"
        " last gradient alone.",
        fix=patch.fix(solver.file.path, f"set {name} to {meant}", safe=False) if is_whole(message, name) else None,
    )


# The decay of the running average that each type's paper recommends.
_MOMENTUM_OF_PAPER = {"Adam": 0.9, "AdaDelta": 0.95}


@rule("S136", "missing-momentum", subject="solver", severity="warning", fixes="unsafe")
def missing_momentum(solver: SolverFile) -> Iterator[Hit]:
    """Flags Adam and AdaDelta solvers without `momentum`.

    ## What it does

    Flags solvers of type Adam or AdaDelta that do not set `momentum`.

    ## Why is this bad?

    Both types use `momentum` as the decay of a running average. It has no default and reads as 0. AdaDelta then
    averages nothing. Adam loses its first moment and becomes RMSProp with a bias correction at the start.

    ## When it is reported

    - **warning** with AdaDelta;
    - **advice** with Adam.

    Ignore it if a momentum of 0 is intended.

    ## Fix

    Inserts the value from the method's paper: 0.9 for Adam, 0.95 for AdaDelta. It is unsafe, since it changes the
    training.

    ## References

    `ComputeUpdateValue` in adam_solver.cpp and adadelta_solver.cpp. Kingma and Ba: Adam, 2015. Zeiler: ADADELTA,
    2012.
    """
    message = solver.message
    name = message["type"]
    value = _MOMENTUM_OF_PAPER.get(name)
    if value is None or not is_absent(message, "momentum"):
        return
    patch = set_field(solver.file.tree, solver.file.message, "momentum", value, beside=("base_lr", "type"))
    reason = "momentum reads as 0: AdaDelta does not average squared gradients."
    if name == "Adam":
        reason = "momentum reads as 0: Adam has no first moment."
    yield Hit(
        solver.file,
        place_beside(message, "type", "solver_type"),
        f"type {name} has no momentum",
        reason,
        "advice" if name == "Adam" else "warning",
        fix=patch.fix(solver.file.path, f"insert momentum: {number_text(value)}", safe=False),
    )
