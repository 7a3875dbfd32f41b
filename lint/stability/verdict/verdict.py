"""The verdict on a training: whether it diverges, stalls or learns, and how likely that is.

How to use it:

    training = training_of(job)                        # or training_of_file(file, open_file, facts); or a CannotTell
    signals = [signal_of(each) for each in training.points()]
    verdict = verdict_over(signals)                    # what holds at every point of the range of what is not known
    signal, verdict = judge_trial(signals[0], Trial(rate=0.1, clip=10.0))    # the same training with other settings
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ...proto.named_tuple import NamedTuple
from ..signal.features import SIMULATED, Signal, Trial, signal_with
from .verdict_table import CERTAIN, DIVERGES, STALLS

# The sign that the coefficient of each number must have in the probability that a training diverges, or that one that
# does not diverge stalls.
DIVERGES_SIGNS = {"sharpness": 1, "gradient_growth": 1, "loss_growth": 1}
STALLS_SIGNS = {"progress": -1, "excess_loss": -1, "peak_loss_growth": 1}

# The probability at which the fit (benchmarks/verdict.py) considers both outcomes equally likely.
EVEN = 0.5
# The probability from which an outcome is possible: a training `may` diverge or stall. By `python benchmarks/verdict.py
# --confidence`, of those below it, 98 % do not diverge and 94 % do not stall.
RISKY = 0.25

CANNOT_TELL = "cannot tell"


class Verdict(NamedTuple):
    """`diverges`, `stalls`, `learns` or `cannot tell`, with the probabilities of the first two."""

    word: str
    p_diverges: float
    p_stalls: float


def verdict_of(signal: Signal) -> Verdict:
    """The verdict that follows from the numbers of a signal."""
    diverges = logistic(DIVERGES, signal.features)
    stalls = logistic(STALLS, signal.features) * (1 - diverges)
    return Verdict(word_for(diverges, stalls), diverges, stalls)


def verdict_over(signals: Sequence[Signal]) -> Verdict:
    """The verdict that holds at every point of a range, with the least probability of it; or else `cannot tell`.

    Over a range, a training is said to diverge or to stall only if that is likely at every point. The probabilities of a
    training that learns are the largest ones, those of one of which nothing can be told the first.
    """
    verdicts = [verdict_of(signal) for signal in signals]
    if len(verdicts) == 1:
        return verdicts[0]
    diverging, stalling = [each.p_diverges for each in verdicts], [each.p_stalls for each in verdicts]
    if min(diverging) >= CERTAIN["diverge"]:
        return Verdict("diverges", min(diverging), max(stalling))
    if min(stalling) >= CERTAIN["stall"]:
        return Verdict("stalls", max(diverging), min(stalling))
    word = "learns" if all(each.word == "learns" for each in verdicts) else CANNOT_TELL
    return Verdict(word, max(diverging), max(stalling)) if word == "learns" else verdicts[0]._replace(word=word)


def may_be(word: str, signals: Sequence[Signal]) -> bool:
    """Whether the verdict over a range may be `diverges` or `stalls`. If not, that is known without a simulation."""
    if word == "diverges":
        coefficients, least = DIVERGES, CERTAIN["diverge"]
    else:
        coefficients, least = STALLS, CERTAIN["stall"]
    return all(most_likely(coefficients, signal) >= (least if len(signals) > 1 else EVEN) for signal in signals)


def most_likely(coefficients: Mapping[str, float], signal: Signal) -> float:
    """The largest probability that a simulation can lead to, whatever its result. It is not run for that."""
    worst = {name: high if coefficients.get(name, 0.0) > 0 else low for name, (low, high) in SIMULATED.items()}
    return logistic(coefficients, {**signal.unsimulated, **worst})


def judge_trial(signal: Signal, trial: Trial) -> tuple[Signal, Verdict]:
    """The signal and the verdict of a training with the changes of a trial."""
    found = signal_with(signal, trial)
    return found, verdict_of(found)


def word_for(diverges: float, stalls: float) -> str:
    """The verdict for two probabilities."""
    return "diverges" if diverges >= EVEN else "stalls" if stalls >= EVEN else "learns"


def outlook(probability: float, fate: str = "diverge") -> str:
    """What people are told of a training that will `diverge` or `stall` with that probability."""
    if probability >= CERTAIN[fate]:
        return f"is likely to {fate}"
    return f"may {fate}" if probability >= RISKY else f"is unlikely to {fate}"


def confidence_in(probability: float, signal: Signal, fate: str = "diverge") -> str:
    """The confidence of a finding that rests on the probability that a training will `diverge` or `stall`."""
    return "high" if probability >= CERTAIN[fate] and signal.training.basis.is_known else "medium"


def logistic(coefficients: Mapping[str, float], features: Mapping[str, float]) -> float:
    """The probability of a logistic regression; the coefficient named '' is its constant."""
    x = sum(value * (features[name] if name else 1.0) for name, value in coefficients.items())
    return 1 / (1 + math.exp(-x)) if x > -500 else 0.0
