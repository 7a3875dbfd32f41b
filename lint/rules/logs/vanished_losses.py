"""Losses that become exactly 0."""

from __future__ import annotations

from collections.abc import Iterator

from ...rule.registry import rule
from ...training_log.causes import Cause, Shown, shown, step_line
from ...training_log.evidence import Evidence
from ...training_log.runs import Test

LEAST = 3  # displayed iterations in a row
GOOD = 0.9  # a test accuracy from which on a loss of 0 is a success
_WITH_MARGIN = ("hinge", "contrast", "triplet", "margin", "rank")
_BOXES = ("box", "coverage", "mbox", "map", "rpn", "loc")
_SCORES = ("map", "precision", "recall", "acc", "iou", "detection")


@rule("T310", "loss-becomes-zero", subject="log", severity="error")
def loss_becomes_zero(log: Evidence) -> Iterator[Cause]:
    """Flags losses that are exactly 0 from some iteration on.

    ## What it does

    Flags a run in which every loss is exactly 0 in the last 3 displayed iterations or more, after it was not. Losses with a margin
    (hinge, contrastive, triplet), which are 0 once they are satisfied, and runs whose test accuracy is 0.9 or more are not
    reported. If the loss is 0 from the start, T302 reports it.

    ## Why is this bad?

    A loss of exactly 0 has a gradient of 0: nothing is learned from there on. No label, box or object is left that counts.

    ## When it is reported

    **error**, always. A loss of boxes that is 0 in some batches only is normal.

    ## Example

    There is no automatic fix. Look at the data with `caffe-lint inputs`: labels that are all ignored, boxes that are lost when
    images are cropped or resized, classes that the label file does not map.

    ## References

    loss_layer.cpp, GetNormalizer; softmax_loss_layer.cpp.
    """
    steps = log.steps
    tail = 0
    while tail < len(steps) and steps[-1 - tail].is_zero:
        tail += 1
    if tail < LEAST or tail == len(steps) or any(_has_margin(log, out.layer) for out in log.outputs):
        return
    scores = [(out.name, out.value) for test in log.tests[-1:] for out in test.outputs if _is_score(out.name)]
    if any(value >= GOOD for _, value in scores):
        return
    first = steps[-tail]
    before = steps[-tail - 1]
    names = [out.name.lower() for step in steps[:1] for out in step.outputs] + [name.lower() for name, _ in scores]
    boxes = any(word in name for name in names for word in _BOXES)
    zero = [name for name, value in scores if value == 0]
    yield Cause(
        "loss-becomes-zero",
        f"every loss is exactly 0 from iteration {first.iteration} on" + (f", and {zero[0]} is 0" if zero else ""),
        f"At iteration {before.iteration}, it was {before.loss:.4g}. A loss of 0 has no gradient, so nothing is learned. "
        + ("No box or object is left in the batches." if boxes else "All labels are ignored, or no target is left."),
        0.9,
        iteration=first.iteration,
        line=first.line,
        evidence=shown(step_line(before), step_line(first), step_line(steps[-1]), _tested(log.tests[-1]) if log.tests else None),
        help="Look at the labels with `caffe-lint inputs`"
        + (": sizes of the boxes after resizing, classes that are mapped to nothing." if boxes else ": how many "
        "differ from ignore_label."),
    )


def _has_margin(log: Evidence, layer: str) -> bool:
    words = f"{layer} {log.type_of(layer)}".lower()
    return any(word in words for word in _WITH_MARGIN)


def _is_score(name: str) -> bool:
    return any(word in name.lower() for word in _SCORES)


def _tested(test: Test) -> Shown:
    outputs = ", ".join(f"{out.name} = {out.value:g}" for out in test.outputs[:5])
    return Shown(test.line, f"{test.heading}: {outputs}")
