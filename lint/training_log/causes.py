"""The causes that a diagnosis names, with their evidence, confidence and places in the files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from ..settings.settings import CONFIDENCES
from .runs import Pass, Step, Value

if TYPE_CHECKING:
    from ..rule.finding import Related

EVIDENCE_LINES = 6
UNEXPLAINED = "not-finite"  # the cause if no rule knows more
HIGH = 0.9  # from this confidence on, a cause replaces those that it explains
MEDIUM = 0.5  # from this confidence on, missing debug_info beside a cause is only advice


class Shown(NamedTuple):
    """A line of the log, without its prefix and what does not matter."""

    line: int
    text: str


class Cause(NamedTuple):
    """A cause of what went wrong; `cause` is its name within its rule.

    `layer`, `blob`, `iteration` and `line` (of the log) say where it shows; those that do not apply are None.
    `confidence` lies between 0 and 1 and orders the causes. `places` are in the prototxts. `help` says what to do.
    """

    cause: str
    message: str
    reason: str
    confidence: float
    layer: str | None = None
    blob: str | None = None
    iteration: int | None = None
    line: int | None = None
    evidence: tuple[Shown, ...] = ()
    severity: str = ""
    places: tuple[Related, ...] = ()
    help: str = ""


class Diagnosed(NamedTuple):
    """A cause, the rule that found it, and the number of the run it was found in."""

    code: str
    name: str
    severity: str
    run: int
    cause: Cause

    @property
    def confidence(self) -> str:
        """The confidence as a word, as findings have it: high, medium or low."""
        return "high" if self.cause.confidence >= HIGH else "medium" if self.cause.confidence >= MEDIUM else "low"

    def is_sure(self, confidence: str) -> bool:
        """Whether its confidence is at least `confidence`."""
        return CONFIDENCES.index(self.confidence) >= CONFIDENCES.index(confidence)


def shown(*parts: Shown | Iterable[Shown | None] | None) -> tuple[Shown, ...]:
    """Lines of evidence without duplicates, in the order of the log, at most `EVIDENCE_LINES`."""
    lines: dict[int, Shown] = {}
    for part in parts:
        if part is None:
            continue
        for each in (part,) if isinstance(part, Shown) else part:
            if each is not None and len(lines) < EVIDENCE_LINES:
                lines.setdefault(each.line, each)
    return tuple(lines[line] for line in sorted(lines))


def value_line(value: Value) -> Shown:
    """A value of debug_info as evidence."""
    key = value.key
    role = {"top": "top blob", "bottom": "bottom blob", "param": "param blob"}[key.role]
    return Shown(value.line, f"[{key.direction}] Layer {key.layer}, {role} {key.blob} {key.what}: {value.value:g}")


def step_line(step: Step) -> Shown:
    """A displayed iteration as evidence."""
    return Shown(step.line, f"Iteration {step.iteration}, loss = {step.loss:g}")


def rate_line(step: Step) -> Shown | None:
    """The learning rate of a displayed iteration as evidence."""
    return Shown(step.rate_line, f"Iteration {step.iteration}, lr = {step.rate:g}") if step.rate is not None else None


def norms_line(passed: Pass | Step) -> Shown | None:
    """The norms at the end of a pass as evidence."""
    if passed.norms is None:
        return None
    norms = passed.norms
    text = f"All net params (data, diff): L2 norm = ({norms.l2_data:g}, {norms.l2_diff:g})"
    return Shown(passed.norms_line, text if passed.iteration is None else f"iteration {passed.iteration}: {text}")
