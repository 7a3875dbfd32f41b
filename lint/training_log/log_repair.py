"""Fixes for the most likely cause that a log shows, in the solver or net that it names."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from ..fixes.apply import edited, select, verify
from ..fixes.changes import FixRejected, PathChanges
from ..fixes.edit import Change, Fix
from ..fixes.fields import number_text, set_field
from ..fixes.readings import compare
from ..net.rounding import one_digit
from ..proto.named_tuple import NamedTuple
from ..solver.step_limit import largest_norm, relative_step
from ..source.files import SourceFile
from ..source.wording import counted
from ..stability.advice.patches import loss_weight_fix
from .causes import Diagnosed
from .course import clips_always, find_explosion
from .evidence import Evidence, median

if TYPE_CHECKING:
    from ..net.job import Job
    from ..proto.binder import Message

PERCENTILE = 0.9
ENOUGH_NORMS = 5
# The largest step that a clip threshold allows, relative to the norm of the weights, which the log gives exactly and
# `step_limit` estimates. Source: benchmarks/log_judge.py: in 25 of 26 logs of runs that exploded from the first iteration on,
# the fix with 0.04 is at least as strong as one with which the run learned; with 0.05, in 21.
LARGEST_STEP = 0.04
FAST = 10  # iterations; if a run explodes sooner, a tenth of the learning rate is not low enough
_BESIDE = ("momentum", "weight_decay", "regularization_type")
_EXPLOSIONS = frozenset({"T201", "T202", "T203", "T204"})
_NORM_BOUNDED = frozenset({"SGD", "Nesterov"})


class Patched(NamedTuple):
    """The new bytes of a file, and the fields that changed."""

    source: bytes
    changes: PathChanges


def healthy_norms(log: Evidence) -> list[float]:
    """The gradient's L2 norms before the explosion, sorted."""
    explosion = find_explosion(log)
    limit = explosion.begin.iteration if explosion is not None else log.first_bad_iteration
    norms = [
        norm
        for step, norm in log.norms
        if math.isfinite(norm) and norm > 0 and (limit is None or step.iteration < limit or step is log.steps[0])
    ]
    return sorted(norms)


def clip_value(log: Evidence, rate: float, scale: float = 1.0) -> float | None:
    """A value for `clip_gradients`: the 90th percentile of the norms in the healthy part of the log, with two digits.

    With fewer than 5 norms, the second may have grown already: the value is then the smallest norm. It is never higher than
    `norm_limit` at a learning rate of `rate`: if a run is unstable from the start, its logged norms are useless. None if the log
    has no norms. `scale` is the factor by which a lower loss weight scales the gradients.
    """
    norms = healthy_norms(log)
    if not norms:
        return None
    index = min(len(norms) - 1, int(PERCENTILE * len(norms))) if len(norms) >= ENOUGH_NORMS else 0
    return float(f"{min(norms[index] * scale, norm_limit(log, rate)):.1e}")


def norm_limit(log: Evidence, rate: float) -> float:
    """The gradient norm that moves the weights by `LARGEST_STEP`; infinite if the log does not show it."""
    first = next((step.norms for step in log.steps if step.norms is not None), None)
    momentum = log.setting("momentum")
    if first is None or not math.isfinite(first.l2_data) or rate <= 0 or not 0 <= momentum < 1:
        return math.inf
    return largest_norm(relative_step(first.l2_data, rate, momentum, max(1, int(log.setting("iter_size")))), LARGEST_STEP)


def fixes_for(log: Evidence, found: list[Diagnosed], job: Job) -> list[Fix]:
    """The fixes for the most likely cause; none if a human has to decide."""
    if not found:
        return []
    first = found[0]
    cause = first.cause.cause
    patches: list[Fix] = []
    scale = 1.0  # the factor by which a new loss weight scales the gradients
    solver = job.solver.file

    def write(field: str, value: object, why: str) -> None:
        current = solver.message[field] if field in solver.message else None  # noqa: SIM401  (get gives defaults)
        if current != value:
            patch = set_field(solver.tree, solver.message, field, value, beside=_BESIDE)
            change = f"insert {field}: {_text(value)}" if current is None else f"{_verb(current, value)} {field} to {_text(value)}"
            patches.append(patch.fix(solver.path, f"{change} ({why})"))

    base = float(solver.message["base_lr"]) if "base_lr" in solver.message else 0.0
    if cause == "learning-rate-too-high" and base > 0:
        divisor = _divisor(log)
        write("base_lr", float(f"{base / divisor:.4g}"), f"a {'tenth' if divisor == 10 else 'hundredth'} of {number_text(base)}")
    elif cause == "learning-rate-negative" and base < 0:
        write("base_lr", -base, "it must not be negative")
    elif cause == "learning-rate-step" and "gamma" in solver.message and solver.message["gamma"] > 1:
        write("gamma", float(f"{1 / solver.message['gamma']:.3g}"), "so that the learning rate falls")
    elif cause == "zero-learning-rate":
        if base == 0:
            write("base_lr", 0.01, "with 0, nothing is learned")
        elif "gamma" not in solver.message or solver.message["gamma"] == 0:
            write("gamma", 0.1, "with 0, the learning rate falls to 0")
    elif cause == "momentum-too-high":
        write("momentum", 0.9, "it must be at least 0 and below 1")
    elif cause == "weight-decay-too-high":
        write("weight_decay", 0.0005, "the usual value")
    elif cause in (
        "loss-weight-too-high",
        "loss-weight-negative",
        "loss-not-normalised",
        "infogain-matrix-scale",
    ):
        weights, scale = _loss_weight(log, first, job)
        patches += weights
    if _needs_debug_info(first):
        write("debug_info", True, "to show which layer fails first")
        write("display", 1, "to show every iteration")
    elif first.code in _EXPLOSIONS:
        rate = base / (_divisor(log) if cause == "learning-rate-too-high" else 1)
        clip = _clipping(log, solver.message, base, rate, scale)
        if clip is not None and clip.is_rate:  # a lower learning rate would do the same once more
            patches = [patch for patch in patches if not _changes(patch, "base_lr")]
        if clip is not None:
            write("clip_gradients", clip.value, clip.why)
    return patches


class _Clipping(NamedTuple):
    """A value for `clip_gradients`, and where it comes from. `is_rate` says that the present one sets the length of steps."""

    value: float
    why: str
    is_rate: bool = False


def _clipping(log: Evidence, solver: Message, base: float, rate: float, scale: float) -> _Clipping | None:
    """The clip threshold for a run that exploded, from the norms in its log; None if there is nothing to change it to.

    `base` is the learning rate of the run, `rate` the one that it will have. A present threshold is only ever lowered. If it
    was exceeded in every iteration, it decided the length of steps with the learning rate, and is lowered in its place.
    """
    if log.solver_type not in _NORM_BOUNDED:
        return None
    bound = float(solver["clip_gradients"])
    exploded = find_explosion(log) is not None
    if bound <= 0 and "clip_gradients" in solver and not exploded:
        return None  # switched off on purpose
    norms = healthy_norms(log)
    value = clip_value(log, rate, scale)
    source = f"the 90th percentile of {len(norms)}" if len(norms) >= ENOUGH_NORMS else "from the"
    if value is not None and (bound <= 0 or value < bound):
        return _Clipping(value, f"{source} healthy gradient norms")
    if bound <= 0 or not exploded:
        return None
    if clips_always(log):
        divisor = _divisor(log)
        value = float(f"{min(bound / divisor, norm_limit(log, base)):.1e}")
        part = "a tenth" if divisor == 10 else "a hundredth"
        return _Clipping(value, f"exceeded in every iteration, so it is the learning rate: {part} of it", True)
    if norms and (middle := float(f"{median(norms) * scale:.1e}")) < bound:
        return _Clipping(middle, f"the median of {len(norms)} healthy gradient norms")
    return None


def _changes(fix: Fix, field: str) -> bool:
    return any(isinstance(change, Change) and change.field == field for change in fix.changes)


def _needs_debug_info(first: Diagnosed) -> bool:
    """Whether the log lacks what decides between causes."""
    is_guess = first.code == "T101" and first.cause.confidence < 0.9
    return is_guess or first.cause.cause in ("missing-debug-info", "non-finite-start")


def next_step(found: list[Diagnosed]) -> str:
    """What to run next after a fix that only adds debug_info to the log; empty otherwise."""
    if found and _needs_debug_info(found[0]):
        iteration = found[0].cause.iteration or 0
        return f"run the training again for {counted(iteration + 1, 'iteration')}, and run `caffe-lint log` on the new log"
    return ""


def bound_without_norms(log: Evidence, found: list[Diagnosed], fixes: list[Fix]) -> str:
    """The sentence on a clip threshold with which a run exploded and that cannot be lowered to anything; empty otherwise."""
    bound = log.setting("clip_gradients")
    if bound <= 0 or not found or found[0].code not in _EXPLOSIONS or log.solver_type not in _NORM_BOUNDED:
        return ""
    if any(_changes(fix, "clip_gradients") for fix in fixes) or find_explosion(log) is None:
        return ""
    return (
        f"clip_gradients {bound:g} did not prevent this; the log has no gradient norm to lower it to: "
        "run with debug_info: true and pass the new log"
    )


def _verb(current: object, value: object) -> str:
    if isinstance(value, bool):
        return "set"
    return "lower" if float(str(value)) < float(str(current)) else "raise"


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else number_text(float(str(value)))


def _divisor(log: Evidence) -> int:
    explosion = find_explosion(log)
    begin = explosion.begin.iteration - log.steps[0].iteration if explosion is not None else FAST
    return 10 if begin >= FAST else 100


def _loss_weight(log: Evidence, first: Diagnosed, job: Job) -> tuple[list[Fix], float]:
    """The fix that makes the loss at fault as large as the largest of the others, or as a mean would be.

    Also the factor by which this scales the gradients, which are proportional to the weighted losses.
    """
    if job.train is None:
        return [], 1.0
    at_fault = next((out for out in log.outputs if out.layer == first.cause.layer), None)
    loss = next(
        (loss for loss in job.train.net.losses if at_fault is not None and loss.layer.name == at_fault.layer),
        None,
    )
    if at_fault is None or loss is None or not at_fault.first:
        return [], 1.0
    others = [abs(out.weighted) for out in log.outputs if out is not at_fault and math.isfinite(out.weighted)]
    if first.cause.cause == "loss-weight-negative":
        weight = -at_fault.weight
    elif first.cause.cause == "loss-weight-too-high":
        weight = one_digit(max(others) / abs(at_fault.first)) if others else 1.0
    else:
        expected = log.chance if log.chance and at_fault.traits.log_likelihood else 1.0
        weight = one_digit(at_fault.weight * expected / abs(at_fault.first))
    fix = loss_weight_fix(job.train, loss, weight, safe=True)
    before = abs(at_fault.weighted) + sum(others)
    return ([fix], (abs(weight * at_fault.first) + sum(others)) / before) if fix is not None else ([], 1.0)


def apply_fixes(fixes: list[Fix], files: dict[str, SourceFile]) -> tuple[dict[str, Patched], list[str]]:
    """The patched files, checked by our binder, and an error message for each file that could not be fixed."""
    patched: dict[str, Patched] = {}
    errors: list[str] = []
    for path in dict.fromkeys(fix.path for fix in fixes):
        old = files[path]
        chosen = select_all([fix for fix in fixes if fix.path == path])
        try:
            source = edited(old.source, (edit for fix in chosen for edit in fix.edits))
            new = SourceFile(path, source, old.schema, old.asked_dialect)
            changes = compare(old.reading, new.reading, partial(verify, fixes=chosen))
        except FixRejected as error:
            errors.append(f"{path}: not fixed: {error}")
            continue
        patched[path] = Patched(source, changes)
    return patched, errors


def select_all(fixes: list[Fix]) -> list[Fix]:
    """The fixes of one file that can be applied together, including several that insert lines after the same field."""
    chosen = select(fixes)
    return chosen + [fix for fix in fixes if fix not in chosen and all(edit.start == edit.end for edit in fix.edits)]
