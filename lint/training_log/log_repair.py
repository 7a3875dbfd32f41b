"""Repairs by the evidence of a log: what the likeliest cause asks for, written into the solver or net it
names.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..fixes.apply import edited, select, verify
from ..fixes.changes import FixRejected, PathChanges
from ..fixes.edit import Fix
from ..fixes.fields import number_text, set_field
from ..net.rounding import one_digit
from ..proto.named_tuple import NamedTuple
from ..solver.step_limit import largest_norm, relative_step
from ..source.files import SourceFile
from ..stability.advice.loss_weights import loss_weight_fix
from .causes import Diagnosed
from .course import explosion
from .evidence import Evidence

if TYPE_CHECKING:
    from ..net.job import Job

PERCENTILE = 0.9
ENOUGH_NORMS = 5
# The largest step that a bound allows, as a part of the weights' norm, which the log gives exactly where `step_limit` has an
# estimate. Source: benchmarks/log_judge.py: with 0.04 the repair is as strong as one that learnt in 25 of 26 logs of
# trainings that blew up from the first iteration on, with 0.05 in 21.
LARGEST_STEP = 0.04
FAST = 10  # iterations; what explodes sooner is more than ten times too fast
_BESIDE = ("momentum", "weight_decay", "regularization_type")
_EXPLOSIONS = frozenset({"T201", "T202", "T203", "T204"})
_NORM_BOUNDED = frozenset({"SGD", "Nesterov"})


class Patched(NamedTuple):
    """The new bytes of a file, and what changed in its meaning."""

    source: bytes
    changes: PathChanges


def healthy_norms(log: Evidence) -> list[float]:
    """The L2 norms of the gradient before anything grew, sorted."""
    blown = explosion(log)
    limit = blown.begin.iteration if blown is not None else log.first_bad_iteration
    norms = [
        norm
        for step, norm in log.norms
        if math.isfinite(norm) and norm > 0 and (limit is None or step.iteration < limit or step is log.steps[0])
    ]
    return sorted(norms)


def clip_value(log: Evidence, rate: float, scale: float = 1.0) -> float | None:
    """A bound for `clip_gradients` by the norms of the healthy part: their 90th percentile, in two digits.

    With fewer than 5 norms there is no healthy part to go by, as the second may have grown already: then the first,
    or 1 where that is less. Never more than `norm_limit` allows at a learning rate of `rate`: in trainings that
    are far off from the start no norm that they show is of use as a bound. None where the log has no norms. `scale`
    is what the repair of a loss weight makes of the gradients.
    """
    norms = healthy_norms(log)
    if not norms:
        return None
    if len(norms) >= ENOUGH_NORMS:
        bound = norms[min(len(norms) - 1, int(PERCENTILE * len(norms)))] * scale
    else:
        bound = max(1.0, log.norms[0][1] * scale)
    return float(f"{min(bound, norm_limit(log, rate)):.1e}")


def norm_limit(log: Evidence, rate: float) -> float:
    """The gradient norm that moves the weights by `LARGEST_STEP`; infinite if the log does not tell it."""
    first = next((step.norms for step in log.steps if step.norms is not None), None)
    momentum = log.setting("momentum")
    if first is None or not math.isfinite(first.l2_data) or rate <= 0 or not 0 <= momentum < 1:
        return math.inf
    return largest_norm(relative_step(first.l2_data, rate, momentum, max(1, int(log.setting("iter_size")))), LARGEST_STEP)


def fixes_for(log: Evidence, found: list[Diagnosed], job: Job) -> list[Fix]:
    """The fixes for the likeliest cause; none where only a person can tell what is meant."""
    if not found:
        return []
    first = found[0]
    cause = first.cause.cause
    patches: list[Fix] = []
    scale = 1.0  # what the repair of a loss weight does to gradients
    solver = job.solver.file

    def write(field: str, value: object, why: str) -> None:
        current = solver.message[field] if field in solver.message else None  # noqa: SIM401  (get gives defaults)
        if current != value:
            patch = set_field(solver.tree, solver.message, field, value, beside=_BESIDE)
            patches.append(patch.fix(solver.path, f"write {field}: {_text(value)} ({why})"))

    base = float(solver.message["base_lr"]) if "base_lr" in solver.message else 0.0
    if cause == "learning-rate-too-high" and base > 0:
        divisor = _divisor(log)
        write("base_lr", float(f"{base / divisor:.4g}"), f"a {'tenth' if divisor == 10 else 'hundredth'}")
    elif cause == "learning-rate-negative" and base < 0:
        write("base_lr", -base, "it must not be negative")
    elif cause == "learning-rate-step" and "gamma" in solver.message and solver.message["gamma"] > 1:
        write("gamma", float(f"{1 / solver.message['gamma']:.3g}"), "so that the rate falls")
    elif cause == "zero-learning-rate":
        if base == 0:
            write("base_lr", 0.01, "it was 0")
        elif "gamma" not in solver.message or solver.message["gamma"] == 0:
            write("gamma", 0.1, "it was 0")
    elif cause == "momentum-too-high":
        write("momentum", 0.9, "it must be below 1")
    elif cause == "weight-decay-too-high":
        write("weight_decay", 0.0005, "what most nets use")
    elif cause in (
        "loss-weight-too-high",
        "loss-weight-negative",
        "loss-not-normalised",
        "infogain-matrix-scale",
    ):
        weights, scale = _loss_weight(log, first, job)
        patches += weights
    if cause in ("missing-debug-info", "nan-from-the-start") or (first.code == "T101" and first.cause.confidence < 0.9):
        write("debug_info", True, "to see which layer goes first")
        write("display", 1, "every iteration")
    elif first.code in _EXPLOSIONS or cause == "constant-clipping":
        rate = float(solver.message["base_lr"]) / (_divisor(log) if cause == "learning-rate-too-high" else 1)
        value = clip_value(log, rate, scale) if cause != "constant-clipping" else _usual_clip(log)
        bound = float(solver.message["clip_gradients"])
        if (
            value is not None
            and log.solver_type in _NORM_BOUNDED
            and (bound <= 0 or bound > value or cause == "constant-clipping")
        ):
            count = len(healthy_norms(log))
            write(
                "clip_gradients",
                value,
                f"the 90th percentile of {count} healthy norms" if count >= ENOUGH_NORMS else "by the healthy norms",
            )
    return patches


def next_step(found: list[Diagnosed]) -> str:
    """What to run next, after a repair that only makes the log tell more; empty otherwise."""
    if found and (
        found[0].cause.cause in ("missing-debug-info", "nan-from-the-start")
        or (found[0].code == "T101" and found[0].cause.confidence < 0.9)
    ):
        iteration = found[0].cause.iteration or 0
        return f"run the training again, {iteration + 1} iterations at most, and give the new log to `caffe-lint log`"
    return ""


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else number_text(float(str(value)))


def _divisor(log: Evidence) -> int:
    blown = explosion(log)
    begin = blown.begin.iteration - log.steps[0].iteration if blown is not None else FAST
    return 10 if begin >= FAST else 100


def _usual_clip(log: Evidence) -> float | None:
    norms = sorted(each.norm for each in log.run.clipped if math.isfinite(each.norm))
    return float(f"{norms[min(len(norms) - 1, int(PERCENTILE * len(norms)))]:.1e}") if norms else None


def _loss_weight(log: Evidence, first: Diagnosed, job: Job) -> tuple[list[Fix], float]:
    """The weight that makes the guilty loss as large as the largest of the others, or as a mean would be.

    With what this does to the gradients, which go with the weighted losses.
    """
    if job.train is None:
        return [], 1.0
    guilty = next((out for out in log.outputs if out.layer == first.cause.layer), None)
    loss = next(
        (loss for loss in job.train.net.losses if guilty is not None and loss.layer.name == guilty.layer),
        None,
    )
    if guilty is None or loss is None or not guilty.first:
        return [], 1.0
    others = [abs(out.weighted) for out in log.outputs if out is not guilty and math.isfinite(out.weighted)]
    if first.cause.cause == "loss-weight-negative":
        weight = -guilty.weight
    elif first.cause.cause == "loss-weight-too-high":
        weight = one_digit(max(others) / abs(guilty.first)) if others else 1.0
    else:
        expected = log.chance if log.chance and guilty.traits.log_likelihood else 1.0
        weight = one_digit(guilty.weight * expected / abs(guilty.first))
    fix = loss_weight_fix(job.train, loss, weight)
    before = abs(guilty.weighted) + sum(others)
    return ([fix], (abs(weight * guilty.first) + sum(others)) / before) if fix is not None else ([], 1.0)


def apply_fixes(fixes: list[Fix], files: dict[str, SourceFile]) -> tuple[dict[str, Patched], list[str]]:
    """What each file becomes that fixes touch, checked by our binder, and a sentence for each fix that was refused."""
    patched: dict[str, Patched] = {}
    errors: list[str] = []
    for path in dict.fromkeys(fix.path for fix in fixes):
        old = files[path]
        chosen = select_all([fix for fix in fixes if fix.path == path])
        try:
            source = edited(old.source, (edit for fix in chosen for edit in fix.edits))
            changes = verify(old.message, SourceFile(path, source, old.schema, None).message, chosen)
        except (FixRejected, ValueError) as error:
            errors.append(f"{path}: not fixed: {error}")
            continue
        patched[path] = Patched(source, changes)
    return patched, errors


def select_all(fixes: list[Fix]) -> list[Fix]:
    """Fixes of one file that go together, with several insertions behind one field, each a line of its
    own.
    """
    chosen = select(fixes)
    return chosen + [fix for fix in fixes if fix not in chosen and all(edit.start == edit.end for edit in fix.edits)]
