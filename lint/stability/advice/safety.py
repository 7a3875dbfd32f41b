"""When a training counts as safe: its chance to diverge, as it is and with a margin."""

from __future__ import annotations

from ..signal.features import AS_WRITTEN, Signal, Trial, signal_with
from ..verdict.verdict import RISKY, chance
from ..verdict.verdict_table import EXPLODES

# All three are probabilities to diverge, or a factor, set by hand while looking at `benchmarks/repair_judge.py` ("as strong
# as needed" against "weaker" and "too strong") on the trainings that also fit the verdict; no script searches for them.
SAFE = 0.05  # the largest that counts as safe
RATE_MARGIN = 10.0  # the curvature grows while a training learns, so it must also be safe at so many times the rate ...
SAFE_AT_MARGIN = 0.08  # ... to this probability


def risk(signal: Signal, trial: Trial = AS_WRITTEN) -> float:
    """The probability to diverge, were the training as `trial` says."""
    found = signal if trial is AS_WRITTEN else signal_with(signal, trial)
    return chance(EXPLODES, found.features)


def is_safe(signal: Signal, trial: Trial, larger: Signal | None = None) -> bool:
    """Whether a training is safe as it is tried, at ten times the rate as well.

    `larger` is its signal with larger data, where nothing tells how large they are: with those it must not be risky.
    """
    return (
        risk(signal, trial) <= SAFE
        and risk(signal, trial._replace(rate=trial.rate * RATE_MARGIN)) <= SAFE_AT_MARGIN
        and (larger is None or risk(larger, trial) < RISKY)
    )
