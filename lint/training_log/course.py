"""How a run went: whether its loss fell, and whether and where gradients or loss exploded."""

from __future__ import annotations

import math
from itertools import pairwise

from ..layers.loss import LARGEST_SOFTMAX_TERM
from ..proto.named_tuple import NamedTuple
from .evidence import Evidence, median
from .runs import Step, Value

FEW = 8  # displayed iterations; with fewer, the loss curve is not judged
LEARNED = 0.95  # times the first loss and chance level: a run whose loss ends below has learned
STUCK = 0.985  # times the first loss: a run whose loss ends above has not
CERTAIN_GROWTH = 1e6  # times the usual gradient norm: certain to be an explosion
LARGE_DIFF = 1e3  # mean |x| of a diff; in healthy runs it is below 1
PEAK = 3.0  # times the first loss
LARGE_START = 3.0  # times chance level
ALWAYS = 0.95  # of the iterations
SOARING = 100.0  # times the first loss, and at least 100
LEAST_RISES, RISE = 2, 2.0  # in a row, each by this factor
LEAST_SWINGS = 2  # rises above PEAK
LARGEST_SWING, LEVEL = 10.0, 1.5  # times the first loss: what a swing may reach, and the median to which the loss returns
STANDARD_ERRORS = 3.0  # of the difference of two means
GRADIENT_GROWTH = 20.0  # times the usual gradient norm


class LossCurve(NamedTuple):
    """The finite losses of a run: the first, the means of the first and last tenth, and the extremes."""

    first: float
    start: float
    end: float
    largest: float
    smallest: float
    steps: int


class Explosion(NamedTuple):
    """An explosion: the first step that stands out, and those from there to the first that is not finite.

    `finite` tells that nothing in it is NaN or infinite.
    """

    begin: Step
    path: tuple[Step, ...]
    finite: bool
    at_start: float  # the first loss as a multiple of chance level; 0 if chance level is unknown


def loss_curve(found: Evidence) -> LossCurve | None:
    """The loss curve, divided by the loss weight; None if no iteration was finite."""
    losses = [found.raw_loss(step) for step in found.healthy]
    if not losses:
        return None
    tenth = max(1, len(losses) // 10)
    start, end = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    return LossCurve(losses[0], start, end, max(losses), min(losses), len(losses))


def learned(found: Evidence) -> bool:
    """Whether the loss ended clearly below its start and below chance level."""
    curve = loss_curve(found)
    if curve is None:
        return False
    bar = curve.start if curve.start > 0 else -math.inf
    only = found.single_loss
    a_mean = curve.first < LARGEST_SOFTMAX_TERM + 1  # otherwise it is a sum, whose chance level is unknown
    if found.chance is not None and only is not None and only.traits.log_likelihood and a_mean:
        bar = min(bar, found.chance)
    return curve.end < LEARNED * bar


def growing_steps(found: Evidence) -> list[Step]:
    """The displayed iterations in which gradients or loss grew until something was not finite; empty if nothing grew."""
    steps = found.healthy
    if not steps:
        return []
    norms = {step.iteration: step.norms.l2_diff for step in steps if step.norms is not None}
    norms.update({step.iteration: step.clipping.norm for step in steps if step.clipping is not None})
    tail = steps[-6:]
    if norms:
        usual = _typical([norms[step.iteration] for step in steps if step.iteration in norms])
        last = [norms[step.iteration] for step in tail[-2:] if step.iteration in norms]
        if last and (not math.isfinite(max(last)) or max(last) > GRADIENT_GROWTH * max(usual, 1e-12)):
            return tail
    losses = [abs(found.raw_loss(step)) for step in steps]
    if max(losses[-2:]) > 5 * max(_typical(losses), 1e-6) or (_may_be_softmax(found) and max(losses[-2:]) > 30):
        return tail
    if math.isfinite(max(losses)) and found.norms and found.norms[0][1] > 1e3:
        return tail
    before = found.pass_before_bad
    if not norms and before is not None and any(v.key.what == "diff" and v.value > LARGE_DIFF for v in before):
        return tail
    return []


def _typical(values: list[float]) -> float:
    """A typical value of a series before its last values, which may be part of an explosion."""
    before = sorted(value for value in values[: max(1, len(values) * 2 // 3)] if math.isfinite(value))
    return before[len(before) // 2 if len(values) > 6 else 0] if before else 0.0


def _may_be_softmax(found: Evidence) -> bool:
    only = found.single_loss
    return only is None or not only.type or only.traits.log_likelihood


def find_explosion(found: Evidence) -> Explosion | None:
    """The explosion of a run: to NaN or infinity, or to a loss from which it did not recover; None if there is none."""
    steps = found.healthy
    curve = loss_curve(found)
    if curve is None or not steps:
        return None
    at_start = _at_start(found, curve)
    if found.first_bad_iteration is not None:
        if path := growing_steps(found):
            return Explosion(_begin(found, steps), tuple(path), False, at_start)
        return None
    if _ends_exploding(steps) or _ends_saturated(found, steps) or _soars(found, steps):
        return Explosion(_begin(found, steps), tuple(steps[-4:]), True, at_start)
    if curve.steps < FEW or learned(found):
        return None
    first = max(abs(curve.first), found.chance or 0.0)
    if swings(found) or (found.begins_late and not _stays_up(found)):
        return None
    if curve.largest > PEAK * first > 0 and curve.end > LEARNED * min(abs(curve.first), found.chance or math.inf):
        begin = _begin(found, steps)
        return Explosion(begin, tuple(step for step in steps if step.iteration >= begin.iteration)[:6], True, at_start)
    if at_start > LARGE_START:
        return Explosion(steps[0], tuple(steps[:4]), True, at_start)
    if curve.smallest < -1e3 * max(abs(curve.first), 1.0):
        return Explosion(steps[0], tuple(steps[-4:]), True, at_start)
    return None


def swings(found: Evidence) -> bool:
    """Whether the loss rose far above its start more than once, but came back each time: noise, not divergence.

    It ends below its start, or the rises are bounded and many, as with small batches or an adversarial pair of nets, or bounded and
    of a single iteration each, after which the loss goes on as before.
    """
    losses = [abs(found.raw_loss(step)) for step in found.healthy]
    if len(losses) < FEW or found.first_bad_iteration is not None:
        return False
    start = min(losses[0], found.chance or math.inf)
    high = [loss > PEAK * losses[0] for loss in losses]
    rises = sum(after and not before for before, after in pairwise(high))
    if all(high[-2:]):
        return False
    middle = median(losses[len(losses) // 2 :])
    curve = loss_curve(found)
    assert curve is not None
    are_single = sum(high) == rises > 0 and not any(high[-FEW:]) and not _at_chance(found, curve.end)
    is_bounded = max(losses) < LARGEST_SWING * losses[0] and middle < LEVEL * losses[0] and (rises > LEAST_SWINGS or are_single)
    return (rises >= LEAST_SWINGS and middle < LEARNED * start) or is_bounded


def clips_always(found: Evidence) -> bool:
    """Whether the gradients were scaled down in nearly every iteration, so that the clip threshold sets the length of steps."""
    steps = found.steps
    iterations = steps[-1].iteration - steps[0].iteration if len(steps) > 1 else 0
    return found.run.clipped.count >= max(ALWAYS * iterations, 1)


def _ends_exploding(steps: list[Step]) -> bool:
    """Whether the log ends while gradients explode, by the criterion with which `following.Watcher` may stop a run."""
    norms = [step.norms.l2_diff for step in steps if step.norms is not None]
    if len(norms) < 2:
        return bool(norms) and not math.isfinite(norms[0])
    return not norms[-1] <= CERTAIN_GROWTH * max(norms[0], _typical(norms))


def _stays_up(found: Evidence) -> bool:
    """Whether the loss ends far above all that it was in the first half: a late loss is small, and noise many times as large."""
    losses = [abs(found.raw_loss(step)) for step in found.healthy]
    quarter = max(1, len(losses) // 4)
    return median(losses[-quarter:]) > PEAK * max(losses[: max(1, len(losses) // 2)])


def is_saturated(found: Evidence, step: Step) -> bool:
    """Whether a loss is the largest that SoftmaxWithLoss can give: every probability is 0."""
    loss = found.raw_loss(step)
    return abs(loss - LARGEST_SOFTMAX_TERM) < 1e-3 and _may_be_softmax(found)


def _ends_saturated(found: Evidence, steps: list[Step]) -> bool:
    """Whether the loss was below its largest value and ends there, however few iterations are displayed."""
    return len(steps) > 2 and not is_saturated(found, steps[0]) and all(is_saturated(found, step) for step in steps[-2:])


def _soars(found: Evidence, steps: list[Step]) -> bool:
    """Whether the loss grows by a factor from each of the last displayed iterations to the next, far above the first."""
    losses = [abs(found.raw_loss(step)) for step in steps]
    last = losses[-LEAST_RISES - 1 :]
    if len(last) <= LEAST_RISES or losses[-1] < SOARING * max(losses[0], found.chance or 1.0):
        return False
    return all(after > RISE * before for before, after in pairwise(last))


def _at_start(found: Evidence, curve: LossCurve) -> float:
    if found.run.resumed or found.chance is None or not found.chance or found.steps[0].iteration > 0:
        return 0.0
    softmax = [out for out in found.outputs if out.traits.log_likelihood]
    if not softmax:
        return 0.0
    firsts = [abs(out.first) for out in softmax if abs(out.first) < LARGEST_SOFTMAX_TERM + 1]
    return max(firsts, default=0.0) / found.chance


def _begin(found: Evidence, steps: list[Step]) -> Step:
    """The first displayed iteration whose loss or gradient stands out from those before."""
    norms = [step.norms.l2_diff if step.norms else step.clipping.norm if step.clipping else None for step in steps]
    base_norm = next((norm for norm in norms if norm), None)
    base_loss = abs(found.raw_loss(steps[0]))
    lowest = base_loss
    for step, norm in zip(steps[1:], norms[1:], strict=True):
        loss = abs(found.raw_loss(step))
        if norm is not None and base_norm and norm > 10 * base_norm:
            return step
        if loss > 2 * max(base_loss, 1e-6):
            return step
        lowest = min(lowest, loss)
    return steps[0]


def stuck(log: Evidence) -> bool:
    """Whether the displayed loss did not fall, in enough iterations, all of them finite."""
    curve = loss_curve(log)
    if curve is None or curve.steps < FEW or log.first_bad_iteration is not None or learned(log) or swings(log):
        return False
    span = log.steps[-1].iteration - log.steps[0].iteration
    return span >= FEW and (curve.end > STUCK * curve.start or _at_chance(log, curve.end))


def _at_chance(log: Evidence, end: float) -> bool:
    only = log.single_loss
    return (
        log.chance is not None
        and only is not None
        and only.traits.log_likelihood
        and abs(end - log.chance) < 0.02 * log.chance
    )


def is_rising(log: Evidence) -> bool:
    """Whether the last third of the losses is above the first by more than their scatter explains."""
    losses = [log.raw_loss(step) for step in log.healthy]
    third = len(losses) // 3
    if third < 2:
        return False
    first, last = losses[:third], losses[-third:]
    before, after = sum(first) / third, sum(last) / third
    squares = sum((loss - before) ** 2 for loss in first) + sum((loss - after) ** 2 for loss in last)
    return after - before > STANDARD_ERRORS * math.sqrt(squares / (third - 1) / third)


def weights_not_finite(log: Evidence, bad: Value) -> bool:
    """Whether the weights of the layer are not finite either, so that the cause lies before this pass."""
    assert log.bad_pass is not None
    if bad.key.role == "param" and bad.key.direction == "Forward":
        return True
    return any(
        not value.finite
        for value in log.bad_pass
        if value.key.layer == bad.key.layer and value.key.direction == "Forward" and value.key.role == "param"
    )
