"""Simulated trainings for rules: numpy is loaded when the first is run, and results are kept by what they rest on.

A result is kept in memory, since every round of fixes asks again, and in the folder of results, so that a hook pays once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..data.libraries import library
from ..source.questions import digest_of
from ..stability.signal.basis import CannotTell
from ..stability.verdict.simulated import Effort, Simulated, SimulatedCourse
from .cache_folder import is_trusted, read_store, write_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..net.job import Job, Simulate
    from ..settings.settings import Settings

_KNOWN: dict[str, Simulated] = {}
_MOST_KNOWN = 1000  # results in memory


def simulation_of(settings: Settings, folder: str | None, told: Callable[[], None] = lambda: None) -> Simulate:
    """Return what simulates the trainings of jobs with some settings, keeping results in a folder. Raises MissingLibrary.

    `told` is called after each simulation that was run.
    """
    rest = (settings.input_shapes, settings.layers, settings.caffe_version)

    def simulate(job: Job, effort: Effort) -> Simulated:
        train = job.train
        origin = job.origin
        net = None if train is None else (train.file.source, train.file.bound.dialect, train.net.built_with.facts)
        # Weights of the user's may change without another name: the sums over each of their blobs tell.
        trained = None if origin.trained is None else tuple(origin.trained.layers.items())
        key = digest_of((job.solver.file.source, net, effort, rest, origin._replace(trained=None), trained))
        kept = folder if folder is not None and is_trusted(folder) else None
        found = _KNOWN.get(key)
        if found is None and kept is not None:
            found = _read(os.path.join(kept, f"{key}.results"), key)
        if found is None:
            from .. import simulation  # noqa: F401  # says how many threads numpy may use, before it is loaded

            library("numpy", "simulating a training")
            from ..simulation.for_rules import simulated  # loads numpy

            found = simulated(job, effort)
            told()
            if kept is not None:
                _write(os.path.join(kept, f"{key}.results"), key, found)
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = found
        return found

    return simulate


def _read(path: str, key: str) -> Simulated | None:
    import json  # only for simulations

    try:
        found = Simulated(*json.loads(read_store(path)[key]))
        why = found.cannot_tell
        return found._replace(
            cannot_tell=None if why is None else CannotTell(*why),
            courses=tuple(SimulatedCourse(tuple(losses), before, tuple(norms)) for losses, before, norms in found.courses),
            cut=tuple(found.cut),
        )
    except (LookupError, ValueError, TypeError):
        return None  # not kept, or damaged


def _write(path: str, key: str, found: Simulated) -> None:
    import json  # as above

    def plain(value: Any) -> Any:
        return [plain(each) for each in value] if isinstance(value, tuple) else value

    write_store(path, {key: json.dumps(plain(found))})
