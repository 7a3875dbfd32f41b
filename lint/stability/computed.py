"""The stability of a job, computed once: rules ask here, and the code that computes it is loaded only if one does."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ..net.job import Job, NetInPhase

if TYPE_CHECKING:
    from .advice.stability import Stability
    from .signal.basis import CannotTell
    from .verdict.simulated import Simulated

_KNOWN: WeakKeyDictionary[Job, Stability | CannotTell] = WeakKeyDictionary()


def stability_of(job: Job) -> Stability | None:
    """The predicted course of a job's training; None if nothing can be told of it."""
    found = _computed(job)
    return None if isinstance(found, tuple) else found


def simulated_alone(job: Job) -> Simulated | None:
    """What became of a simulated training of which the signal tells nothing; None if that was not asked for, or not told either."""
    if job.simulate is None or stability_of(job) is not None:
        return None
    from .verdict.simulated import FOR_VERDICT  # as below

    found: Simulated = job.simulate(job, FOR_VERDICT)
    return found if found.cannot_tell is None else None


def cannot_tell(job: Job) -> CannotTell | None:
    """Why there is no verdict on a job's training, or nothing can be told of it at all; None if there is a verdict."""
    found = _computed(job)
    return found if isinstance(found, tuple) else found.cannot_tell


def known_stability(job: Job) -> Stability | CannotTell | None:
    """What rules have already asked for: the predicted course of a job's training, or why there is none; None if none asked."""
    found = _KNOWN.get(job)
    return found if found is None or isinstance(found, tuple) else found.cannot_tell or found


def stability_of_net(net: NetInPhase) -> Stability | None:
    """The predicted course of a training of a net; None if no solver is known or nothing can be told of it."""
    return next((found for job in net.jobs if (found := stability_of(job)) is not None), None)


def _computed(job: Job) -> Stability | CannotTell:
    if job not in _KNOWN:
        from .advice.stability import computed_of  # a fifth of what a check loads; not needed for nets alone

        _KNOWN[job] = computed_of(job)
    return _KNOWN[job]
