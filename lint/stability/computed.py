"""The stability of a job, computed once: rules ask here, and the code that computes it is loaded only if one does."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ..net.job import Job, NetInPhase

if TYPE_CHECKING:
    from .advice.stability import Stability

_KNOWN: WeakKeyDictionary[Job, Stability | None] = WeakKeyDictionary()


def stability_of(job: Job) -> Stability | None:
    """The predicted course of a job's training; None if its files do not tell enough."""
    if job not in _KNOWN:
        from .advice.stability import computed_of  # a fifth of what a check loads; not needed for nets alone

        _KNOWN[job] = computed_of(job)
    return _KNOWN[job]


def stability_of_net(net: NetInPhase) -> Stability | None:
    """The predicted course of a training of a net; None if no solver is known or the files do not tell enough."""
    return next((found for job in net.jobs if (found := stability_of(job)) is not None), None)
