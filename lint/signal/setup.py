"""What the signal is computed for: a solver with its training net, its data's facts and the shapes they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..data_facts import SourceFacts, tops_facts
from ..graph import Net
from ..job import Job, Nets, SolverFile
from ..proto.binder import Message
from ..sources import SourceFile
from .sources import Surroundings

PHOTOGRAPH = (0, 3, 224, 224)  # what images are taken for where nothing tells their shape


class Setup(NamedTuple):
    """A training that is to be judged."""

    solver: Message
    net: Net
    around: Surroundings


def shapes_from(net: Net, facts: Mapping[str, SourceFacts], assumed: list[str]) -> dict[str, tuple[int, ...]]:
    """The shapes of data tops that the net leaves open: by the facts, else those of photographs."""
    found: dict[str, tuple[int, ...]] = {}
    for layer in net.layers:
        if layer.kind is None or not layer.kind.is_data or layer.bottoms:
            continue
        for i, (top, known) in enumerate(zip(layer.tops, tops_facts(layer, dict(facts)), strict=True)):
            if known is not None and known.shape:
                batch = layer.message["hdf5_data_param"]["batch_size"] if layer.type == "HDF5Data" else 0
                found[top.name] = (batch, *known.shape)
            elif i == 0 and (top.shape is None or None in top.shape[1:]) and layer.type != "HDF5Data":
                found[top.name] = PHOTOGRAPH
                assumed.append(f"'{top.name}': images of 3 x 224 x 224, or as large as they are cropped")
    return found


def set_up(
    file: SourceFile,
    open_file: Callable[[str], SourceFile],
    facts: Mapping[str, SourceFacts],
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    caffe_version: str | None = None,
) -> Setup | None:
    """The training of a solver; None if it has no training net that can be read."""
    assumed: list[str] = []

    def job_with(shapes: Mapping[str, Sequence[int]]) -> Job:
        given = {name: tuple(shape) for name, shape in shapes.items()}
        return Nets(open_file, caffe_version, input_shapes=given).job(SolverFile(file, caffe_version), None)

    told = dict(input_shapes or {})
    job = job_with(told)
    if job.train is None:
        return None
    shapes = shapes_from(job.train.net, facts, assumed)
    missing = {name: shape for name, shape in shapes.items() if name not in told and "*" not in told}
    if missing:
        job = job_with({**missing, **told})
    if job.train is None:
        return None
    return Setup(job.solver.message, job.train.net, Surroundings(facts, assumed))
