"""What is computed of a job, once for each: rules ask here, and what computes it is loaded only if one does."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ..net.job import Job, NetInPhase

if TYPE_CHECKING:
    from .advice.stability import Stability

_KNOWN: WeakKeyDictionary[Job, Stability | None] = WeakKeyDictionary()


def stability_of(job: Job) -> Stability | None:
    """What is computed of the course of a job's training; None where its files do not tell enough."""
    if job not in _KNOWN:
        from .advice.stability import computed_of  # a fifth of what a check loads; nets alone do without

        _KNOWN[job] = computed_of(job)
    return _KNOWN[job]


def stability_of_net(net: NetInPhase) -> Stability | None:
    """What is computed of a training of a net: None where no solver is known, or the files do not tell enough."""
    return next((found for job in net.jobs if (found := stability_of(job)) is not None), None)
