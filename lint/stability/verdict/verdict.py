"""The verdict on a training: whether it diverges, stalls or learns, and how likely that is.

How to use it:

    training = training_of(job)             # or training_of_file(file, open_file, facts); None if there is nothing to judge
    signal, verdict = judge(training)
    signal, verdict = judge_trial(signal, Trial(rate=0.1, clip=10.0))        # the same training with other settings
    limits(signal)                                                           # see `limits`
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...proto.named_tuple import NamedTuple
from ..signal.features import Signal, Trial, signal_of, signal_with
from ..signal.training import Training
from .verdict_table import DIVERGES, STALLS

# The sign that the coefficient of each number must have in the probability that a training diverges, or that one that
# does not diverge stalls.
DIVERGES_SIGNS = {"sharpness": 1, "gradient_growth": 1, "loss_growth": 1}
STALLS_SIGNS = {"progress": -1, "excess_loss": -1, "peak_loss_growth": 1}

# Probabilities from which a training is said to diverge. At EVEN the fit (benchmarks/verdict.py) considers both outcomes
# equally likely. SURE applies where data had to be assumed; it was raised by hand until hardly any public solver was said to
# diverge (benchmarks/verdict.py --corpus). NEVER applies where the shape of a parameter is unknown.
EVEN, SURE, NEVER = 0.5, 0.7, math.inf
# The probability of divergence from which a training is repaired. Set by hand while looking at benchmarks/repair_judge.py
# ("repaired" of those that diverged and of those that learned); no script searches for it.
RISKY = 0.25
# What people are told instead of the probability, which is not calibrated: from these values on a training is likely to
# diverge or stall, up to `RISKY` it is unlikely to. `python benchmarks/verdict.py --confidence` chose them: at least 90 % of
# such statements are right, on families that the verdict was not fitted to.
LIKELY = {"diverge": 0.75, "stall": 0.6}
CERTAIN = 0.9  # the probability from which a finding has high confidence; confirmed by the same command


class Verdict(NamedTuple):
    """`diverges`, `stalls` or `learns`, with the probabilities of the first two."""

    word: str
    p_diverges: float
    p_stalls: float


def verdict_of(signal: Signal) -> Verdict:
    """The verdict that follows from the numbers of a training."""
    diverges = logistic(DIVERGES, signal.features)
    stalls = logistic(STALLS, signal.features) * (1 - diverges)
    certainty = SURE if signal.training.context.assumed else EVEN
    return Verdict(word_for(diverges, stalls, NEVER if signal.training.has_open_shapes else certainty), diverges, stalls)


def judge(training: Training) -> tuple[Signal, Verdict]:
    """The signal of a training and its verdict.

    If the data are unknown, a training is said to diverge only if it also would with data of magnitude 1, and at a higher
    probability: many people scale their data when they create them, and nothing in the files shows it.
    """
    signal = signal_of(training)
    verdict = verdict_of(signal)
    if verdict.p_diverges >= SURE and training.context.assumed:
        small = signal_of(training.with_small_data())
        other = verdict_of(small)
        if other.p_diverges < verdict.p_diverges:
            return small, other
    return signal, verdict


def judge_trial(signal: Signal, trial: Trial) -> tuple[Signal, Verdict]:
    """The signal and the verdict of a training with the changes of a trial."""
    found = signal_with(signal, trial)
    return found, verdict_of(found)


def word_for(diverges: float, stalls: float, certainty: float = EVEN) -> str:
    """The verdict for two probabilities; `certainty` is the one from which a training is said to diverge."""
    if diverges >= certainty and diverges >= stalls:
        return "diverges"
    return "stalls" if stalls >= 0.5 else "learns"


def outlook(probability: float, fate: str = "diverge") -> str:
    """What people are told of a training that will `diverge` or `stall` with that probability."""
    if probability >= LIKELY[fate]:
        return f"is likely to {fate}"
    return f"may {fate}" if probability >= RISKY else f"is unlikely to {fate}"


def confidence_in(probability: float, signal: Signal) -> str:
    """The confidence of a finding that rests on a probability of divergence or stalling."""
    return "high" if probability >= CERTAIN and not signal.training.context.assumed else "medium"


def logistic(coefficients: Mapping[str, float], features: Mapping[str, float]) -> float:
    """The probability of a logistic regression; the coefficient named '' is its constant."""
    x = sum(value * (features[name] if name else 1.0) for name, value in coefficients.items())
    return 1 / (1 + math.exp(-x)) if x > -500 else 0.0
