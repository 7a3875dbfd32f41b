"""A clip threshold as a safety net: above every gradient norm of a healthy run, yet too low for one step to wreck the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...layers.fillers import suiting_filler
from ...moments.weights import filled_as
from ...net.rounding import two_digits, two_digits_below
from ...proto.named_tuple import NamedTuple
from ...solver.step_limit import largest_norm, relative_step
from ..signal.features import Signal, output_size
from ..signal.passes import Back, Pass

# The threshold, as a multiple of the norm of a healthy run, and how large the outputs of small initial weights have become by
# then, as a part of the size that the loss wants. Source: benchmarks/bounds.py, which searches both, one family of nets left
# out at a time.
FACTOR, GROWN = 16.0, 0.07
# The least and the largest multiple that are still taken where a step or the range of the data allows no more or no less: the
# norms that Caffe prints are within 3 and 50 times, and ours are mostly within 0.7 and 1.4 of them. Not searched.
LEAST, MOST = 3.5, 40.0
# The part of the weights' norm by which a step at the threshold may move them.
LARGEST_PART = 0.5
_ROUNDS = 14  # of halving a range of factors for the weights, in logarithms


class ClipBound(NamedTuple):
    """A value for `clip_gradients`, for the sum over `iter_size` passes; None, with a clause that says why, if there is none."""

    value: float | None
    why_none: str = ""


def clip_bound(signals: Sequence[Signal], factor: float = FACTOR, grown: float = GROWN) -> ClipBound:
    """The threshold for a training: one for all its signals, the first of which is the likeliest.

    Where gradients must grow first, it is no more than `MOST` times the norm of iteration 0 if that is enough for later ones.

    For SGD and Nesterov, steps at the threshold move no group of weights by more than half its norm. For other solvers a step
    does not grow with the gradient; there the threshold keeps a single large gradient out of their running averages.
    """
    norms = [healthy_norm(signal, grown) for signal in signals]
    if not all(0 < norm < math.inf for norm in norms):
        return ClipBound(None, "the gradient norm is 0 or overflows")
    least, most = LEAST * max(norms), MOST * min(norms)
    if least > most:
        return ClipBound(
            None,
            f"depending on the data, the gradient norm of a healthy run is {two_digits(min(norms))} to {two_digits(max(norms))}",
        )
    largest = min(safe_norm(signal) for signal in signals)
    if least > largest:
        return ClipBound(
            None,
            f"a gradient norm of {two_digits(largest)} can move the weights by half their norm, and a healthy run reaches"
            f" about {two_digits(max(norms))}",
        )
    at_start = MOST * min(signal.l2 for signal in signals)
    value = min(max(min(factor * norms[0], at_start), least), most, largest)
    return ClipBound(two_digits_below(value * signals[0].update_rule.iter_size))


def healthy_norm(signal: Signal, grown: float = GROWN) -> float:
    """The gradient norm that a healthy run has for most of its iterations, for one pass.

    It is the one of iteration 0, unless the initial weights are 0 or so small that hardly anything reaches the outputs.
    Gradients then grow with the weights, and the norm is the one with all weights enlarged alike until the outputs have `grown`
    to that part of the size that the loss wants; weights of 0 have grown to the size that suits their layer.
    """
    prepared = signal.training.prepared
    if not output_size(prepared, signal.losses, signal.forward) < grown:
        return signal.l2
    learned = {param: signal.weights[param] for param in signal.back.gradients if "weight" in param.role}
    for param, weights in learned.items():
        filler = suiting_filler(param)
        if not weights.second_moment and filler is not None:
            learned[param] = filled_as(param, filler)

    def enlarged(exponent: float) -> Pass:
        factor = math.exp(exponent)
        scaled = {param: weights.scaled(factor) for param, weights in learned.items()}
        return Pass(prepared, {**signal.weights, **scaled})

    def size(exponent: float) -> float:
        return output_size(prepared, signal.losses, enlarged(exponent))

    first = size(0.0)
    if not first > 0:
        return signal.l2
    low, high = sorted((0.0, math.log(grown / first)))
    if size(high) < grown:
        return signal.l2  # outputs that do not follow the weights, such as probabilities
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        if size(middle) < grown:
            low = middle
        else:
            high = middle
    return max(signal.l2, Back(enlarged(high)).l2)


def safe_norm(signal: Signal) -> float:
    """The gradient norm of one pass with which momentum moves a group of weights by `LARGEST_PART` of their norm per iteration.

    A group is all that has one `lr_mult`, and the whole gradient may fall on it. Groups of biases only do not count, since they
    start at or near 0. Infinite for solvers whose steps do not grow with gradients.
    """
    rule = signal.update_rule
    if rule.adaptive:
        return math.inf
    squares: dict[float, float] = {}
    for param in signal.back.gradients:
        square = (param.count or 1) * signal.weights[param].second_moment
        squares[abs(param.lr_mult)] = squares.get(abs(param.lr_mult), 0.0) + square
    weighted = {abs(param.lr_mult) for param in signal.back.gradients if "weight" in param.role}
    steps = [relative_step(math.sqrt(squares[lr_mult]), rule.largest * lr_mult, rule.momentum) for lr_mult in weighted]
    return largest_norm(max(steps, default=0.0), LARGEST_PART)
