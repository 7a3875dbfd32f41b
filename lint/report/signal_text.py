"""The predicted signal as JSON or as text: the verdict, then, if asked for, lines in the order and units of debug_info."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..source.visible import visible
from ..stability.verdict.verdict import outlook

if TYPE_CHECKING:
    from ..stability.advice.prediction import Prediction, Row, Size

VERSION = 1  # of the layout of JSON
GROWS, VANISHES = 10.0, 0.1  # ratios to the line before beyond which a value is marked
_ALIKE = 1.01  # the ratio of the largest to the least number from which both are shown


def as_json(found: Prediction) -> str:
    """Return the signal as JSON; what is unknown, infinite or not a number becomes null."""
    basis, verdict = found.basis, found.verdict
    content = {
        "verdict": found.word,
        "version": VERSION,
        "cannot_tell": found.cannot_tell._asdict() if found.cannot_tell is not None else None,
        "basis": {"data": basis.data, "weights": basis.weights} if basis is not None else None,
        "assumed": list(basis.assumed) if basis is not None else [],
        "p_diverges": round(verdict.p_diverges, 4) if verdict is not None else None,
        "p_stalls": round(verdict.p_stalls, 4) if verdict is not None else None,
        "reasons": [each._asdict() for each in found.reasons],
        "limits": found.limits._asdict(),
        "loss": _finite(found.loss),
        "loss_range": _range(found.loss),
        "gradient_l2": _finite(found.gradient_norm),
        "gradient_l2_range": _range(found.gradient_norm),
        "forward": [_row(row) for row in found.forward],
        "backward": [_row(row) for row in found.backward],
        "updates": [{"layer": row.layer, "param": row.param, "ratio": _finite(row.size)} for row in found.updates],
        "simulation": [_rounded(loss) for loss in found.simulation],
    }
    return json.dumps(content, indent=1) + "\n"


def _row(row: Row) -> dict[str, Any]:
    return {
        "layer": row.layer,
        "blob": row.blob,
        "param": row.param,
        "mean_abs": _finite(row.size),
        "range": _range(row.size),
    }


def _finite(size: Size | None) -> float | None:
    return _rounded(size.usual) if size is not None else None


def _range(size: Size | None) -> list[float | None] | None:
    return [_rounded(size.least), _rounded(size.most)] if size is not None else None


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def as_text(found: Prediction, *, trace: bool) -> str:
    """Return the verdict; with `trace` also the signal as lines of debug_info, with marks where it grows or vanishes."""
    blocks = [list(_verdict(found)), list(_first_iteration(found))]
    if trace:
        blocks.append(list(_debug_info(found)))
    elif found.forward:
        blocks.append(["--trace prints all activations, gradients and updates of iteration 0."])
    return "\n\n".join("\n".join(map(visible, lines)) for lines in blocks if lines) + "\n"


def _verdict(found: Prediction) -> Iterator[str]:
    if found.cannot_tell is not None:
        yield f"Cannot tell whether training diverges or stalls: {found.cannot_tell.reason}."
        yield f"  To settle it, {found.cannot_tell.remedy}."
    if found.verdict is not None:
        fates = outlook(found.verdict.p_diverges), outlook(found.verdict.p_stalls, "stall")
        yield f"Training {' and '.join(fates)}."
    yield from (f"  {f'{each.layer}: ' if each.layer else ''}{each.message}" for each in found.reasons)
    if found.limits.base_lr is not None:
        yield f"  base_lr: at most {found.limits.base_lr:g}, if nothing else is changed"
    if found.limits.clip_gradients is not None:
        yield f"  clip_gradients: {found.limits.clip_gradients:g}, if nothing else is changed"
    yield from (f"  loss_weight of {name}: at most {weight:g}" for name, weight in found.limits.loss_weight.items())
    if found.basis is not None:
        yield from (f"Assumed: {text}" for text in found.basis.assumed)


def _first_iteration(found: Prediction) -> Iterator[str]:
    if found.forward:
        yield f"Initial loss: {_shown(found.loss)}"
        yield f"Initial gradient norm: {_shown(found.gradient_norm)}"


def _debug_info(found: Prediction) -> Iterator[str]:
    for title, rows, what in (("Forward", found.forward, "top"), ("Backward", found.backward, "bottom")):
        yield from _lines(title, rows, what)
    if found.backward:
        yield f"[Backward] All net params diff: L2 norm = {_shown(found.gradient_norm)}"
    for row in found.updates:
        if row.size is not None and math.isfinite(row.size.usual):
            yield f"[Update] Layer {row.layer}, param {row.param}: first update / value = {_shown(row.size)}"


def _lines(title: str, rows: Sequence[Row], what: str) -> Iterator[str]:
    before: float | None = None
    kind = "data" if title == "Forward" else "diff"
    for row in rows:
        mark = ""
        if row.param is None:
            size = row.size.usual if row.size is not None else 0.0
            if before and row.size is not None:
                ratio = size / before
                mark = "  << grows" if ratio > GROWS else "  << vanishes" if ratio < VANISHES else ""
            before = size if size > 0 else None
            name = f"{what} blob {row.blob}"
        else:
            name = f"param blob {row.param}"
        yield f"[{title}] Layer {row.layer}, {name} {kind}: {_shown(row.size)}{mark}"


def _shown(size: Size | None) -> str:
    """A number, with the range that it lies in if it is not known; `unknown` if nothing is known of it."""
    if size is None:
        return "unknown"
    if size.most <= size.least * _ALIKE or not math.isfinite(size.most):
        return f"{size.usual:.5g}"
    return f"{size.usual:.3g} ({size.least:.3g} to {size.most:.3g})"
