"""The predicted signal as JSON, or as a table in the order and units of debug_info."""

from __future__ import annotations

import json
import math
from typing import Any

from ..stability.advice.limits import Limits
from ..stability.signal.basis import CannotTell
from ..stability.signal.debug_lines import Line, backward_lines, forward_lines
from ..stability.signal.features import Signal
from ..stability.verdict.reasons import Reason
from ..stability.verdict.verdict import CANNOT_TELL, Verdict, outlook

GROWS, VANISHES = 10.0, 0.1  # ratios to the line before beyond which a value is marked


def as_json(signal: Signal, verdict: Verdict, why: list[Reason], limits: Limits) -> str:
    """Return the signal as JSON; infinity and NaN become null."""
    content = {
        "cannot_tell": None,
        "loss": _finite(signal.forward.loss),
        "forward": [_line(line) for line in forward_lines(signal.forward, signal.weights)],
        "backward": [_line(line) for line in backward_lines(signal.forward, signal.back)],
        "gradient_l2": _finite(signal.l2),
        "updates": [
            {"layer": param.layer.name, "param": param.index, "ratio": _finite(update.ratio)}
            for param, update in signal.updates.items()
        ],
        "verdict": verdict.word,
        "p_diverges": round(verdict.p_diverges, 4),
        "p_stalls": round(verdict.p_stalls, 4),
        "reasons": [each._asdict() for each in why],
        "limits": limits._asdict(),
        "simulation": [_finite(loss) for loss in signal.simulation.losses],
        "assumed": list(signal.training.basis.assumed),
    }
    return json.dumps(content, indent=1) + "\n"


def unknown_as_json(unknown: CannotTell) -> str:
    """Return as JSON why nothing can be told."""
    return json.dumps({"cannot_tell": unknown._asdict(), "verdict": CANNOT_TELL}, indent=1) + "\n"


def _finite(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _line(line: Line) -> dict[str, Any]:
    return {"layer": line.layer, "blob": line.blob, "param": line.param, "mean_abs": _finite(line.mean_abs)}


def as_table(signal: Signal, verdict: Verdict, why: list[Reason], limits: Limits) -> str:
    """Return the signal as lines of debug_info, with marks where it grows or vanishes, and the verdict."""
    rows = []
    for title, lines, what in (
        ("Forward", forward_lines(signal.forward, signal.weights), "top"),
        ("Backward", backward_lines(signal.forward, signal.back), "bottom"),
    ):
        before: float | None = None
        for line in lines:
            mark = ""
            if line.param is None:
                if before:
                    ratio = line.mean_abs / before
                    mark = "  << grows" if ratio > GROWS else "  << vanishes" if ratio < VANISHES else ""
                before = line.mean_abs if line.mean_abs > 0 else None
                name = f"{what} blob {line.blob}"
            else:
                name = f"param blob {line.param}"
            kind = "data" if title == "Forward" else "diff"
            rows.append(f"[{title}] Layer {line.layer}, {name} {kind}: {line.mean_abs:.5g}{mark}")
    rows.append(f"[Backward] All net params diff: L2 norm = {signal.l2:.5g}")
    rows += [
        f"[Update] Layer {param.layer.name}, param {param.index}: first update / value = {update.ratio:.3g}"
        for param, update in signal.updates.items()
        if math.isfinite(update.ratio)
    ]
    rows.append("")
    rows.append(f"Initial loss: {signal.forward.loss:.5g}")
    for text in signal.training.basis.assumed:
        rows.append(f"Assumed: {text}")
    rows.append(f"Training {outlook(verdict.p_diverges)} and {outlook(verdict.p_stalls, 'stall')}.")
    rows += [f"  {f'{each.layer}: ' if each.layer else ''}{each.message}" for each in why]
    if limits.base_lr is not None:
        rows.append(f"  base_lr: at most {limits.base_lr:g}")
    if limits.clip_gradients is not None:
        rows.append(f"  clip_gradients: {limits.clip_gradients:g}")
    rows += [f"  loss_weight of {name}: at most {weight:g}" for name, weight in limits.loss_weight.items()]
    return "\n".join(rows) + "\n"
