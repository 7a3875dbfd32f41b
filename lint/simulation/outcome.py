"""What simulated trainings say: whether the real one diverges, stalls or learns, and which layer goes first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..layers.loss import LARGEST_SOFTMAX_TERM
from ..proto.named_tuple import NamedTuple
from ..stability.signal.basis import CannotTell
from ..stability.verdict.simulated import DEPENDS, LAST, at_end
from .training_run import Course

# The largest probability of "diverges" that a cut net alone gives, or data that may be anything: below what counts as high. Set
# by hand.
_UNCONFIRMED = 0.85
_ROUNDING = 1e-3  # of a loss
_EXPLODED = 5.0  # times the first loss
_GROWN = 100.0  # times its first value, from which a layer counts as the one that goes first
_JUDGED_LENGTH = 150  # iterations over which stalling is judged: those of the trainings that the curves below are fitted on

# The probabilities: logistic curves of one number each, by benchmarks/simulate_judge.py --fit.
DIVERGES = (-2.231, 1.751)
STALLS = (-1.922, 1.599)
_CERTAIN_SCORE = 3.0  # of a loss that is not finite
_ALL_WRONG = 1.5  # the least score if all but one of the last batches are all wrong, at the floor of SoftmaxWithLoss. Set by hand
_LEAST_SCORE = -math.log(_EXPLODED)  # of a loss that does not rise: how far it falls says no more about explosions
# What the growth of the norm of all weights, in decades, adds: a net of which nothing is left may have a small loss for a while.
_OF_WEIGHTS, _MOST_DECADES = 0.3, 4.0
_LEAST_DROP, _MOST_DROP = 1e-3, 1.0  # smaller ones are lost among the differences of batches
_RISES = 0.4  # what a loss that rises adds to the score of one that falls by as much: it moves, and may yet fall. Set by hand
_OF_LEVEL, _MOST_LEVEL = 1.5, 1.5  # what the logarithm of the loss after the last step over that before the first adds


class Outcome(NamedTuple):
    """All that a simulation says of a training.

    `word` is `diverges`, `stalls`, `learns`, `depends on the seed` or `cannot tell`, as `cannot_tell` then explains. `diverging`
    and `stalling` are the numbers of the `courses`, one for each seed, that do. `cut` says what was made smaller, and `assumed`
    what was taken for granted, as noun phrases. `part` is the part of each batch that was simulated.
    What only a net with smaller images or layers says, and not the static signal of the whole one, is not `is_confirmed`, nor is
    what is said of data that may be anything. `alone` is the word of the `courses`, which that signal, and those with other data,
    may outweigh.
    """

    word: str
    cannot_tell: CannotTell | None = None
    p_diverges: float | None = None
    p_stalls: float | None = None
    courses: Sequence[Course] = ()
    diverging: int = 0
    stalling: int = 0
    first_layer: str | None = None
    first_iteration: int | None = None
    cut: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    multiply_adds: int = 0
    part: float = 1.0
    is_confirmed: bool = True
    alone: str = ""

    @property
    def is_outweighed(self) -> bool:
        """Whether the courses alone say another word."""
        return self.alone not in ("", self.word)

    def unconfirmed(self) -> Outcome:
        """The same without high confidence in a divergence, which neither a much smaller net alone nor unknown data give."""
        p = min(self.p_diverges, _UNCONFIRMED) if self.p_diverges is not None else None
        return self._replace(p_diverges=p, is_confirmed=False)


class Judgement(NamedTuple):
    """A word with both probabilities, and how many of the courses diverge and stall."""

    word: str
    p_diverges: float
    p_stalls: float
    exploded: int = 0
    stalled: int = 0


def unknown(reason: CannotTell, *, cut: tuple[str, ...] = (), assumed: tuple[str, ...] = (), multiply_adds: int = 0) -> Outcome:
    """The outcome of a training that cannot be simulated."""
    return Outcome("cannot tell", reason, cut=cut, assumed=assumed, multiply_adds=multiply_adds)


def diverging_score(course: Course) -> float:
    """How far a training has exploded, by the size of the loss that all but one of the last exceed, and by its weights.

    A loss that runs to minus infinity explodes, too.
    """
    grown = _OF_WEIGHTS * _growth_of_weights(course)
    if not course.is_finite:
        finite = sum(1 for each in course.iterations if math.isfinite(each.loss))
        return _CERTAIN_SCORE + 1 / (1 + finite) + grown
    last = [abs(loss) for loss in course.losses[-LAST:]]
    score = math.log(max(at_end(last), 1e-6) / (_EXPLODED * max(abs(course.before), 1e-6)))
    at_floor = sum(abs(loss - LARGEST_SOFTMAX_TERM) < _ROUNDING for loss in last)
    least = _ALL_WRONG if at_floor >= LAST - 1 else _LEAST_SCORE
    return min(max(score, least), _CERTAIN_SCORE) + grown


def _growth_of_weights(course: Course) -> float:
    """By how many decades the norm of all weights grows."""
    norms = [each.passes[-1][2].l2_data for each in course.iterations if each.passes]
    if not norms or not norms[0] > 0:
        return 0.0
    largest = max(norm if math.isfinite(norm) else math.inf for norm in norms)
    return min(math.log10(largest / norms[0]), _MOST_DECADES) if largest < math.inf else _MOST_DECADES


def stalling_score(course: Course, length: int) -> float:
    """How little a training learns: minus the decimal logarithm of the share of its loss that it loses, and how high that stays.

    `length` is the number of iterations of the training; what the simulated ones lose is continued at the same pace.
    """
    if not course.is_finite or not math.isfinite(course.after):
        return 0.0
    drop = (course.before - course.after) / max(abs(course.before), 1e-6)
    steps = max(1, len(course.iterations))
    drop *= max(1.0, min(length, _JUDGED_LENGTH) / steps)
    score = -math.log10(min(max(abs(drop), _LEAST_DROP), _MOST_DROP))
    score = score if drop > 0 else min(score + _RISES, -math.log10(_LEAST_DROP))
    level = math.log(max(course.after, 1e-6) / max(abs(course.before), 1e-6))
    return score + _OF_LEVEL * min(max(level, -_MOST_LEVEL), _MOST_LEVEL)


def logistic(curve: tuple[float, float], score: float) -> float:
    """The probability of a score."""
    exponent = -(curve[0] + curve[1] * score)
    return 1 / (1 + math.exp(exponent)) if exponent < 500 else 0.0


def judged(courses: Sequence[Course], length: int) -> Judgement:
    """What courses with several seeds come to."""
    diverges = [logistic(DIVERGES, diverging_score(course)) for course in courses]
    stalls = [
        (1.0 if course.is_dead else logistic(STALLS, stalling_score(course, length))) * (1 - other)
        for course, other in zip(courses, diverges, strict=True)
    ]
    exploded, stalled = sum(p >= 0.5 for p in diverges), sum(p >= 0.5 for p in stalls)
    if 0 < exploded < len(courses):
        word = DEPENDS
    elif exploded:
        word = "diverges"
    else:
        word = "stalls" if 2 * stalled > len(courses) else "learns"
    return Judgement(word, sum(diverges) / len(diverges), sum(stalls) / len(stalls), exploded, stalled)


def first_to_go(course: Course) -> tuple[str, int] | None:
    """The first layer with a value of debug_info that is not finite or has grown a hundredfold, and the iteration."""
    usual: dict[tuple[str, str, str, str], float] = {}
    for number, iteration in enumerate(course.iterations):
        for forward, backward, _ in iteration.passes:
            for line in (*forward, *backward):
                key = line.direction, line.layer, line.role, line.blob
                before = usual.setdefault(key, line.mean_abs) if number == 0 else usual.get(key, 0.0)
                if not math.isfinite(line.mean_abs) or (before > 0 and line.mean_abs > _GROWN * before):
                    return line.layer.partition("_split")[0], number
    return None
