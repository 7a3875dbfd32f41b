"""What the signal is computed for: a solver with its training net, its data's facts and the shapes they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..data_facts import DataFacts
from ..graph import Layer, Net
from ..job import Job, Nets, SolverFile
from ..net import rebuilt
from ..proto.binder import Message
from ..sources import SourceFile
from .passes import Circuit, circuit_of
from .sources import Surroundings

PHOTOGRAPH = (0, 3, 224, 224)  # what images are taken for where nothing tells their shape


class Setup(NamedTuple):
    """A training that is to be judged: its solver, its training net ready for passes, and what is known of its data."""

    solver: Message
    circuit: Circuit
    around: Surroundings

    @property
    def net(self) -> Net:
        """The training net."""
        return self.circuit.net

    def with_small_data(self) -> Setup:
        """The same training, where data of which nothing is known are of size 1."""
        around = self.around._replace(assumed=[], unit=True)
        return Setup(self.solver, circuit_of(self.net, around), around)


def set_up(
    file: SourceFile,
    open_file: Callable[[str], SourceFile],
    facts: DataFacts,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    caffe_version: str | None = None,
) -> Setup | None:
    """The training of a solver's file; None as for `setup_of`."""
    given = {name: tuple(shape) for name, shape in (input_shapes or {}).items()}
    nets = Nets(open_file, caffe_version, input_shapes=given, facts=facts)
    return setup_of(nets.job(SolverFile(file, caffe_version), None))


def setup_of(job: Job) -> Setup | None:
    """The training of a job; None if it has no training net, or one that Caffe would stop at or that has no loss."""
    if job.train is None:
        return None
    net = job.train.net
    if any(problem.when != "cpu" for problem in net.problems) or not net.losses:
        return None
    assumed: list[str] = []
    open_tops = [layer.tops[0].name for layer in net.layers if _is_open(layer)]
    if open_tops:
        net = rebuilt(net, dict.fromkeys(open_tops, PHOTOGRAPH))
        assumed = [f"'{name}': images of 3 x 224 x 224, or as large as they are cropped" for name in open_tops]
    around = Surroundings(net.built_with.facts, assumed)
    return Setup(job.solver.message, circuit_of(net, around), around)


def _is_open(layer: Layer) -> bool:
    """Whether a data layer's images are of a size that nothing tells."""
    if layer.kind is None or not layer.kind.is_data or layer.bottoms or layer.type == "HDF5Data" or not layer.tops:
        return False
    shape = layer.tops[0].shape
    return shape is None or None in shape[1:]
