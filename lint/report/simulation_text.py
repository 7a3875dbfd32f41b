"""The outcome of a simulation as JSON, or as text: the verdict, the layer that goes first, and a small plot of the loss."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..source.visible import visible
from ..source.wording import counted

if TYPE_CHECKING:
    from ..simulation.outcome import Outcome
    from ..simulation.simulating import Plan

VERSION = 1  # of the layout of JSON
_BARS = "▁▂▃▄▅▆▇█"
_NOT_FINITE = "!"
_SENTENCES = {
    "diverges": "The simulated training diverges",
    "stalls": "The simulated training stalls",
    "learns": "The simulated training learns",
    "depends on the seed": "Whether the training diverges depends on the seed",
}
_NOT_YET = "The simulated training does not diverge, and is expected to learn, but its loss has not fallen yet"
# A word that outweighs what the simulated courses alone say, and what they say.
_EXPECTED = {"diverges": "diverge", "stalls": "stall", "learns": "learn"}
_ALONE = {
    **{word: f"what was simulated {word}" for word in _EXPECTED},
    "depends on the seed": "what was simulated diverges with some seeds",
}
_MORE = 4  # times as many steps, for such a training


def as_json(found: Outcome, plan: Plan) -> str:
    """Return the outcome as JSON; what is unknown, infinite or not a number becomes null. `losses` are those of the first seed."""
    losses = found.courses[0].losses if found.courses else []
    content = {
        "verdict": found.word,
        "version": VERSION,
        "cannot_tell": found.cannot_tell._asdict() if found.cannot_tell is not None else None,
        "assumed": list(found.assumed),
        "cut": list(found.cut),
        "data": plan.data,
        "p_diverges": _rounded(found.p_diverges),
        "p_stalls": _rounded(found.p_stalls),
        "alone": found.alone if found.is_outweighed else None,
        "losses": [_rounded(loss) for loss in losses],
        "first_layer": found.first_layer,
        "first_iteration": found.first_iteration,
        "seeds": len(found.courses),
        "diverging_seeds": found.diverging,
        "stalling_seeds": found.stalling,
        "multiply_adds": found.multiply_adds,
    }
    return json.dumps(content, indent=1) + "\n"


def _rounded(value: float | None) -> Any:
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def as_text(found: Outcome, plan: Plan) -> str:
    """Return the outcome for people."""
    return "".join(f"{visible(line)}\n" for line in _lines(found, plan))


def _lines(found: Outcome, plan: Plan) -> Iterator[str]:
    if found.cannot_tell is not None:
        yield f"Cannot tell whether training diverges or stalls: {found.cannot_tell.reason}."
        yield f"  To settle it, {found.cannot_tell.remedy}."
    else:
        steps = counted(max(len(course.iterations) for course in found.courses), "step")
        data = "made-up data" if plan.data == "made" else "its own data"
        learns_later = found.word == "learns" and sum(course.after - course.before for course in found.courses) >= 0
        if found.is_outweighed:
            sentence = f"The training is expected to {_EXPECTED[found.word]}, though {_ALONE[found.alone]}"
        else:
            sentence = _NOT_YET if learns_later else _SENTENCES[found.word]
        yield f"{sentence} ({steps} on {data}{_of_seeds(found)})."
        if found.is_outweighed:
            yield "  That is weighed with the signal of the whole net, and over all data that it may have."
        if found.first_layer is not None:
            yield f"  The first layer to go is '{found.first_layer}', in iteration {found.first_iteration}."
        losses = found.courses[0].losses
        yield f"  loss {sparkline(losses)} {losses[0]:.5g} to {losses[-1]:.5g}"
        if learns_later:
            yield f"  Simulate more with --steps {_MORE * plan.steps}."
    yield from (f"Cut: {text}" for text in found.cut)
    yield from (f"Assumed: {text}" for text in found.assumed)


def _of_seeds(found: Outcome) -> str:
    number = len(found.courses)
    if found.word == "depends on the seed":
        return f"; with {found.diverging} of {number} seeds it does"
    return f", {counted(number, 'seed')}" if number > 1 else ""


def sparkline(values: Sequence[float]) -> str:
    """Return a plot of one character for each value, on a logarithmic scale if all are positive and far apart."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return _NOT_FINITE * len(values)
    logarithmic = min(finite) > 0 and max(finite) > 10 * min(finite)
    scaled = [math.log(value) if logarithmic else value for value in finite]
    low, span = min(scaled), max(scaled) - min(scaled)
    drawn = []
    for value in values:
        if not math.isfinite(value):
            drawn.append(_NOT_FINITE)
            continue
        height = ((math.log(value) if logarithmic else value) - low) / span if span else 0.0
        drawn.append(_BARS[min(len(_BARS) - 1, int(height * len(_BARS)))])
    return "".join(drawn)
