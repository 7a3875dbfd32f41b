"""The verdict on a training: whether it explodes, stalls or learns, and how likely that is.

How others ask for it:

    setup = training_of(job)                       # or training_of_file(file, open_file, facts); None where there is nothing to judge
    signal, verdict = judge(setup)
    signal, verdict = judge_trial(signal, Trial(rate=0.1, clip=10.0))        # and if it were so?
    limits(signal)                                                           # see `limits`
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...proto.named_tuple import NamedTuple
from ..signal.features import Signal, Trial, signal_of, signal_with
from ..signal.training import Training
from .verdict_table import EXPLODES, STALLS

# What each number must do to the chance that a training explodes, or that one that does not explode stalls: 1 raise
# it, -1 lower it.
EXPLODES_SIGNS = {"sharpness": 1, "gradients_grow": 1, "ends_higher": 1}
STALLS_SIGNS = {"learning": -1, "easy": -1, "rises": 1}

# Probabilities to explode from which a training is called so. EVEN is where the fit (benchmarks/verdict.py) holds both
# outcomes for equally likely. SURE holds where data had to be assumed; it was set by hand until hardly any public solver
# was called exploding (benchmarks/verdict.py --corpus). NEVER holds where nothing tells the shape of a parameter.
EVEN, SURE, NEVER = 0.5, 0.7, math.inf
# The probability to explode from which a training is repaired. Set by hand while looking at benchmarks/repair_judge.py
# ("repaired" of those that exploded and of those that learnt); no script searches for it.
RISKY = 0.25
# What people are told instead of a figure, which is not calibrated: from these chances on a training is likely to diverge
# or stall, up to `RISKY` it is unlikely to. `python benchmarks/verdict.py --confidence` chose them: at least 90 % of what
# is said so is right, of families that the verdict was not fitted to.
LIKELY = {"diverge": 0.75, "stall": 0.6}
CERTAIN = 0.9  # the chance from which a finding has high confidence; found right as often, by the same command


class Verdict(NamedTuple):
    """`explodes`, `stalls` or `learns`, with the chances of the first two."""

    word: str
    p_explodes: float
    p_stalls: float


def verdict_of(signal: Signal) -> Verdict:
    """The verdict that the numbers of a training amount to."""
    explodes = chance(EXPLODES, signal.features)
    stalls = chance(STALLS, signal.features) * (1 - explodes)
    certainty = SURE if signal.training.context.assumed else EVEN
    return Verdict(word_for(explodes, stalls, NEVER if signal.training.has_open_shapes else certainty), explodes, stalls)


def judge(training: Training) -> tuple[Signal, Verdict]:
    """The signal of a training and its verdict.

    Where the data are not known, a training is called exploding only if it is with data of size 1 as well,
    and with more certainty: people scale their data when they make them, and nothing in the files tells.
    """
    signal = signal_of(training)
    verdict = verdict_of(signal)
    if verdict.p_explodes >= SURE and training.context.assumed:
        gentler = signal_of(training.with_small_data())
        other = verdict_of(gentler)
        if other.p_explodes < verdict.p_explodes:
            return gentler, other
    return signal, verdict


def judge_trial(signal: Signal, trial: Trial) -> tuple[Signal, Verdict]:
    """The signal and the verdict of a training that was judged, were it as `trial` says."""
    found = signal_with(signal, trial)
    return found, verdict_of(found)


def word_for(explodes: float, stalls: float, certainty: float = EVEN) -> str:
    """The verdict for two chances; to explode takes that much certainty."""
    if explodes >= certainty and explodes >= stalls:
        return "explodes"
    return "stalls" if stalls >= 0.5 else "learns"


def outlook(probability: float, fate: str = "diverge") -> str:
    """What is said of a training whose chance to `diverge` or `stall` that is."""
    if probability >= LIKELY[fate]:
        return f"is likely to {fate}"
    return f"may {fate}" if probability >= RISKY else f"is unlikely to {fate}"


def confidence_in(probability: float, signal: Signal) -> str:
    """How sure a finding that rests on a chance to diverge or stall is."""
    return "high" if probability >= CERTAIN and not signal.training.context.assumed else "medium"


def chance(coefficients: Mapping[str, float], features: Mapping[str, float]) -> float:
    """The probability that a table of coefficients gives; the coefficient of '' stands for 1."""
    x = sum(value * (features[name] if name else 1.0) for name, value in coefficients.items())
    return 1 / (1 + math.exp(-x)) if x > -500 else 0.0
