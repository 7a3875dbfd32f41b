"""When a training counts as safe: its probability of divergence, as it is and with a margin."""

from __future__ import annotations

from ..signal.features import AS_WRITTEN, Signal, Trial, signal_with
from ..verdict.verdict import RISKY, logistic
from ..verdict.verdict_table import DIVERGES

# Two probabilities of divergence and a factor, set by hand while looking at `benchmarks/repair_judge.py` ("supported" against
# "weaker" and "stronger") on the trainings that the verdict is fitted to; no script searches for them.
SAFE = 0.05  # the largest probability that counts as safe
RATE_MARGIN = 10.0  # curvature grows during training, so it must also be safe at this many times the learning rate ...
SAFE_AT_MARGIN = 0.08  # ... to this probability


def risk(signal: Signal, trial: Trial = AS_WRITTEN) -> float:
    """The probability of divergence with the changes of a trial."""
    found = signal if trial is AS_WRITTEN else signal_with(signal, trial)
    return logistic(DIVERGES, found.features)


def is_safe(signal: Signal, trial: Trial, larger: Signal | None = None) -> bool:
    """Whether a training is safe with the changes of a trial, and at ten times the learning rate as well.

    `larger` is its signal with larger data, if their size is unknown: with these it must not be risky.
    """
    return (
        risk(signal, trial) <= SAFE
        and risk(signal, trial._replace(rate=trial.rate * RATE_MARGIN)) <= SAFE_AT_MARGIN
        and (larger is None or risk(larger, trial) < RISKY)
    )
