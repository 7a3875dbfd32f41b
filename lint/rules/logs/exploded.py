"""The cause of an explosion, with its course in words."""

from __future__ import annotations

from ...training_log.causes import Cause, Shown, norms_line, shown, step_line, value_line
from ...training_log.course import Explosion, course
from ...training_log.evidence import Evidence


def _path(log: Evidence, blown: Explosion) -> tuple[Shown | None, ...]:
    steps = [log.steps[0], *blown.path[:3]]
    return tuple(line for step in steps for line in (step_line(step), norms_line(step)) if line is not None)


def _told(log: Evidence, blown: Explosion) -> str:
    """The explosion in a sentence: where it began, how far it went, how it ended."""
    steps = blown.path
    words = "The loss " + _went(log.steps[0].loss, max((abs(step.loss) for step in steps), default=0.0))
    norms = [step.norms.l2_diff for step in (log.steps[0], *steps) if step.norms is not None]
    if norms:
        words += f", the gradient's L2 norm {_went(norms[0], max(norms))}"
    if blown.finite:
        how = course(log)
        return words + (f"; it ended at {how.end * log.loss_scale:.4g}." if how else ".")
    where = (
        f" in '{log.first_bad.key.layer}' ({log.first_bad.key.role} '{log.first_bad.key.blob}')"
        if log.first_bad
        else ""
    )
    overflow = "" if not where else ", which overflowed first for being the largest, not for being to blame"
    return words + f"; the first value that is not finite is at iteration {log.first_bad_iteration}{where}{overflow}."


def _went(first: float, largest: float) -> str:
    return f"was {first:.4g}" if largest <= first else f"went from {first:.4g} to {largest:.4g}"


def exploded(
    log: Evidence,
    blown: Explosion,
    cause: str,
    message: str,
    reason: str,
    confidence: float,
    *,
    layer: str | None = None,
    blob: str | None = None,
    extra: tuple[Shown | None, ...] = (),
    severity: str = "",
) -> Cause:
    """A cause of an explosion: its reason goes on with how the explosion went and what clipping did."""
    bad = log.first_bad
    iteration = log.first_bad_iteration if log.first_bad_iteration is not None else blown.begin.iteration
    line = bad.line if bad is not None else log.first_bad_step.line if log.first_bad_step else blown.begin.line
    if layer is None and bad is not None:
        layer, blob = bad.key.layer, bad.key.blob
    evidence = shown(*extra, *_path(log, blown), value_line(bad) if bad else None)
    return Cause(
        cause,
        message,
        f"{reason} {_told(log, blown)}{_clipping(log)}",
        confidence,
        layer,
        blob,
        iteration,
        line,
        evidence,
        severity,
    )


def _clipping(log: Evidence) -> str:
    """What clipping did, where the solver has it: a bound that is too loose never acts."""
    bound = log.setting("clip_gradients")
    if bound <= 0:
        return ""
    acted = next((each for each in log.run.clipped if each.iteration is not None), None)
    if acted is None:
        return f" clip_gradients is {bound:g} and never acted: no norm was over it, and NaN is over nothing."
    return f" clip_gradients {bound:g} acted from iteration {acted.iteration} on, and was not enough."
