"""Where the initial weights of a training come from, and on how many GPUs it runs: what is known, and from where."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from ..source.errors import InputError
from ..source.files import folder_with, shown
from ..source.wording import counted
from .published_nets import starting_point
from .trained_weights import TrainedWeights, copied, not_finite, refusal
from .zero_weights import frozen_zero_weights, starts_from_scratch, upsamples, weights_of, zero_weights_before_others

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..moments.graph import Param
    from ..source.caffe_commands import TrainingRun
    from ..source.files import SourceFile
    from .net import Net

FILLERS = "fillers"  # made by the fillers of the net
LOADED = "loaded"  # read from a file before training
UNKNOWN = "unknown"


class WeightsOrigin(NamedTuple):
    """Where the initial weights of a training come from: `kind`, one of the constants above.

    `evidence` is what that was taken from, as in "weights are loaded (train.sh:12)"; empty if it is only that nothing speaks
    against fillers. `is_stated` says whether somebody wrote it, in an option, the solver or a script; otherwise it was
    inferred from the net. `trained` are the loaded weights, if their file was read; `named` is the file that the solver or the
    script names, if it is there, and `named_at` the place that does. `gpus` is the number of GPUs, each of which reads a batch
    of its own, with its `gpus_evidence`.
    """

    kind: str
    evidence: str = ""
    is_stated: bool = False
    trained: TrainedWeights | None = None
    named: str = ""
    named_at: str = ""
    gpus: int = 1
    gpus_evidence: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the weights themselves are known: made by fillers, or read from a file."""
        return self.kind == FILLERS or self.trained is not None

    @property
    def assumed(self) -> list[str]:
        """What was taken as given, for the line `assumed`."""
        return [text for text in (self.evidence, self.gpus_evidence) if text]


class StatedOrigin(NamedTuple):
    """What the user said of initial weights, by an option or in the configuration.

    `weights` is the file of the weights, or several separated by commas; `read` reads such files, and `read_shapes` only their
    shapes. Both raise InputError. `reads_named` says whether a file that the solver or a script names is read as well.
    """

    from_scratch: bool = False
    weights: str | None = None
    gpus: int | None = None
    reads_named: bool = False
    read: Callable[[str], TrainedWeights] | None = None
    read_shapes: Callable[[str], TrainedWeights] | None = None


def origin_of(solver: SourceFile, net: Net | None, stated: StatedOrigin) -> WeightsOrigin:
    """Return where the weights of a training come from, by its solver and its training net; None: not known.

    What the user said comes first, then the solver, then scripts that start the training, then what the net looks like. The
    scripts of the repository are read the first time that this is asked for one of its solvers. Raises InputError if the user
    gave a file of weights that cannot be read.
    """
    from ..source.run_scripts import runs_of_solver  # keeps what reads scripts out of the start

    found = runs_of_solver(solver.path)
    origin = (
        _of_user(stated, net)
        or _of_solver(solver)
        or _of_scripts(found.runs)
        or (_of_net(net) if net is not None else WeightsOrigin(FILLERS))
    )
    if origin == WeightsOrigin(FILLERS) and not found.is_whole:
        origin = WeightsOrigin(UNKNOWN, "initial weights are unknown (too many scripts to read)")
    if origin.named and stated.reads_named:
        origin = _with_named(origin, net, stated)
    if stated.gpus is not None:
        return origin._replace(gpus=stated.gpus, gpus_evidence=f"{stated.gpus} GPUs" if stated.gpus > 1 else "")
    gpus, evidence = _gpus(found.runs)
    return origin._replace(gpus=gpus, gpus_evidence=evidence)


def _of_user(stated: StatedOrigin, net: Net | None) -> WeightsOrigin | None:
    """Return what the user said, None if nothing."""
    if stated.from_scratch:
        return WeightsOrigin(FILLERS, is_stated=True)
    if stated.weights is None or stated.read is None:
        return None
    return _from_file(net, stated.read(stated.weights))


def _from_file(net: Net | None, trained: TrainedWeights, place: str = "") -> WeightsOrigin:
    """Return what Caffe makes of the weights of a file; `place` says where that is named, and ends the evidence."""
    reason = refusal(net, trained) if net is not None else ""
    if reason:
        return WeightsOrigin(UNKNOWN, f"Caffe would not load the weights: {reason}{place}", is_stated=True)
    broken = not_finite(net, trained) if net is not None else ""
    if broken:
        return WeightsOrigin(LOADED, f"{broken}{place}", is_stated=True)
    fillers = _filled(net, trained) if net is not None else ""
    return WeightsOrigin(LOADED, f"initial weights of {trained.path}{fillers}{place}", is_stated=True, trained=trained)


def _with_named(origin: WeightsOrigin, net: Net | None, stated: StatedOrigin) -> WeightsOrigin:
    """Return an origin with the weights of the file that the solver or a script names; as it is if that cannot be read."""
    if stated.read is None:
        return origin
    try:
        trained = stated.read(origin.named)
    except InputError:
        return origin  # damaged (E223), only a pointer to the file, or without the library that reads it
    return _from_file(net, trained, f" ({origin.named_at})")._replace(named=origin.named, named_at=origin.named_at)


def _filled(net: Net, trained: TrainedWeights) -> str:
    """Return which layers the file lacks, which start from their fillers, as the end of a phrase; empty if none."""
    loaded = copied(net, trained)
    layers = [layer for layer in net.layers if not loaded.keys() >= {param.owner for param in layer.params}]
    if not layers:
        return ""
    more = f" and {counted(len(layers) - 1, 'other layer')}" if len(layers) > 1 else ""
    return f", and of the fillers of '{layers[0].name}'{more}"


def _of_solver(solver: SourceFile) -> WeightsOrigin | None:
    """Return what `weights:` of a solver says (solver.cpp, Solver::InitTrainNet)."""
    written = tuple(filter(None, solver.message.get("weights") or ()))
    if not written:
        return None
    line = solver.tree.line_of(solver.message.span("weights")[0])
    files = tuple(file for each in written for file in each.split(","))
    folder = folder_with(files, solver.path, ())
    named = ",".join(shown(os.path.join(folder, each)) for each in files) if folder is not None else ""
    return _loaded(f"{solver.path}:{line}", named)


def _of_scripts(runs: Sequence[TrainingRun]) -> WeightsOrigin | None:
    """Return what scripts say that start the training; None if there are none.

    A script that resumes it from a snapshot does not say how it began, unless there is no other.
    """
    runs = [run for run in runs if not run.resumes] or runs
    by_answer = {run.loads: run for run in reversed(runs)}  # the first of each
    if not by_answer:
        return None
    loading, perhaps, without = by_answer.get(True), by_answer.get(None), by_answer.get(False)
    if loading is not None and without is not None:
        return WeightsOrigin(
            UNKNOWN,
            f"initial weights are unknown ({_place(loading)} loads weights, {_place(without)} does not)",
            is_stated=True,
        )
    if loading is not None:
        return _loaded(_place(loading), loading.weights)
    if perhaps is not None:
        return WeightsOrigin(UNKNOWN, f"initial weights are unknown ({_place(perhaps)} may load weights)", is_stated=True)
    assert without is not None
    return WeightsOrigin(FILLERS, f"initial weights from fillers ({_place(without)})", is_stated=True)


def _loaded(place: str, files: str) -> WeightsOrigin:
    return WeightsOrigin(LOADED, f"weights are loaded ({place})", is_stated=True, named=files, named_at=place if files else "")


def _gpus(runs: Sequence[TrainingRun]) -> tuple[int, str]:
    """Return the number of GPUs that scripts train on, 1 if none says or they disagree, and the evidence."""
    numbers = {run.gpus: run for run in reversed(runs) if run.gpus}
    if not numbers or set(numbers) == {1}:
        return 1, ""
    if len(numbers) == 1:
        number, run = numbers.popitem()
        if number > 0:
            return number, f"{number} GPUs ({_place(run)})"
        return 1, f"unknown number of GPUs ({_place(run)}: all)"
    places = ", ".join(f"{number if number > 0 else 'all'}: {_place(run)}" for number, run in sorted(numbers.items()))
    return 1, f"unknown number of GPUs ({places})"


def _place(run: TrainingRun) -> str:
    return f"{shown(run.script)}:{run.line}"


def _of_net(net: Net) -> WeightsOrigin:
    """Return what the fillers of a net say: a net that none of its fillers makes able to learn must be loaded."""
    zero = [param for param in zero_weights_before_others(net) if param.filler is None]
    frozen = [param for param in frozen_zero_weights(net) if param.filler is None]
    weights = weights_of(net, idle=True)
    if (zero or frozen) and not any(map(_has_filler, net.params())):
        upsampling = any(param.filler is not None and upsamples(param.layer) for param in weights)
        fillers = "only upsampling has" if upsampling else "no layer has"
        return WeightsOrigin(LOADED, f"weights are loaded ({fillers} a weight_filler)")
    if frozen:
        name = frozen[0].layer.name
        return WeightsOrigin(UNKNOWN, f"initial weights are unknown ('{name}' is frozen and has no weight_filler)")
    if zero and not starts_from_scratch(net, zero):
        return WeightsOrigin(UNKNOWN, f"initial weights are unknown ({len(zero)} of {len(weights)} layers have no weight_filler)")
    published = starting_point(net)
    if published:
        return WeightsOrigin(UNKNOWN, f"initial weights are unknown (layers of {published}, and new ones that learn faster)")
    return WeightsOrigin(FILLERS)


def _has_filler(param: Param) -> bool:
    """Whether a filler makes a weight; that of upsampling does not count, since it is fixed in nets that are fine-tuned, too."""
    return param.filler is not None and param.role.endswith("weight") and not upsamples(param.layer)
