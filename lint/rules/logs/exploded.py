"""Causes of explosions, with a description of how the explosion went."""

from __future__ import annotations

from ...training_log.causes import Cause, Shown, norms_line, shown, step_line, value_line
from ...training_log.course import Explosion, clips_always, loss_curve
from ...training_log.evidence import Evidence


def _path(log: Evidence, explosion: Explosion) -> tuple[Shown | None, ...]:
    steps = [log.steps[0], *explosion.path[:3]]
    return tuple(line for step in steps for line in (step_line(step), norms_line(step)) if line is not None)


def _description(log: Evidence, explosion: Explosion) -> str:
    """How loss and gradients grew, and how the run ended."""
    steps = explosion.path
    words = "The loss " + _went(log.steps[0].loss, max((abs(step.loss) for step in steps), default=0.0))
    norms = [step.norms.l2_diff for step in (log.steps[0], *steps) if step.norms is not None]
    if norms:
        words += f" and the gradient norm {_went(norms[0], max(norms))}"
    if explosion.finite:
        curve = loss_curve(log)
        return words + (f"; the loss was {curve.end * log.loss_scale:.4g} at the end." if curve else ".")
    words += f"; the first NaN or infinite value is at iteration {log.first_bad_iteration}"
    if log.first_bad is None:
        return words + "."
    key = log.first_bad.key
    return (
        words + f", in '{key.layer}' ({key.role} '{key.blob}'). "
        "That layer overflowed first because its values are the largest; it is not the cause."
    )


def _went(first: float, largest: float) -> str:
    return f"started at {first:.4g} and did not grow" if largest <= first else f"rose from {first:.4g} to {largest:.4g}"


def explosion_cause(
    log: Evidence,
    explosion: Explosion,
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
    """A cause of an explosion. Its reason also describes how the explosion went and what clipping did."""
    bad = log.first_bad
    iteration = log.first_bad_iteration if log.first_bad_iteration is not None else explosion.begin.iteration
    line = bad.line if bad is not None else log.first_bad_step.line if log.first_bad_step else explosion.begin.line
    if layer is None and bad is not None:
        layer, blob = bad.key.layer, bad.key.blob
    evidence = shown(*extra, *_path(log, explosion), value_line(bad) if bad else None)
    return Cause(
        cause,
        message,
        f"{reason} {_description(log, explosion)}{_clipping(log)}",
        confidence,
        layer,
        blob,
        iteration,
        line,
        evidence,
        severity,
    )


def _clipping(log: Evidence) -> str:
    """What clipping did, if the solver has it: a threshold that is too high never acts."""
    bound = log.setting("clip_gradients")
    if bound <= 0:
        return ""
    acted = next((each for each in log.run.clipped if each.iteration is not None), None)
    if acted is None:
        return f" clip_gradients {bound:g} never acted: no norm exceeded it, and comparisons with NaN are false."
    if clips_always(log):
        return f" clip_gradients {bound:g} acted in every iteration, so it is the learning rate: lower it."
    return f" clip_gradients {bound:g} acted from iteration {acted.iteration} on, but did not prevent the explosion."
