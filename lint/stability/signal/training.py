"""What the signal is computed for: a solver with its training net, the facts about its data and their shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from ...moments.graph import Layer
from ...moments.signal_model import SignalContext
from ...net.build import rebuilt
from ...net.data_facts import DataFacts, tops_facts
from ...net.job import Job, Nets, SolverFile
from ...net.net import Net
from ...proto.binder import Message
from ...proto.named_tuple import NamedTuple
from ...source.files import SourceFile
from .passes import PreparedNet, prepare

# The shapes assumed for images of unknown shape (items, channels, height, width): the usual crop of ImageNet, and the size of
# CIFAR's images, the smallest in common use.
PHOTOGRAPH, SMALL_IMAGE = (0, 3, 224, 224), (0, 3, 32, 32)


class Training(NamedTuple):
    """A training to predict: its solver, its training net prepared for passes, and what is known about its data.

    `open_tops` are tops with images of unknown size.
    """

    solver: Message
    prepared: PreparedNet
    context: SignalContext
    open_tops: tuple[str, ...] = ()

    @property
    def has_open_shapes(self) -> bool:
        """Whether the shape of a parameter is unknown, so that everything computed from it is a guess."""
        return any(param.count is None for param in self.net.params())

    @property
    def net(self) -> Net:
        """The training net."""
        return self.prepared.net

    def with_small_data(self) -> Training:
        """The same training with unknown data of magnitude 1, and with small images if the net accepts them."""
        context = self.context._replace(assumed=[], unit=True)
        net = self.net
        if self.open_tops:
            smaller = _with_images(net, self.open_tops, SMALL_IMAGE)
            net = smaller if _runs(smaller) else net
            context.assumed.extend(_assumed(self.open_tops, SMALL_IMAGE if net is smaller else PHOTOGRAPH))
        return Training(self.solver, prepare(net, context), context, self.open_tops)


def training_of_file(
    file: SourceFile,
    open_file: Callable[[str], SourceFile],
    facts: DataFacts,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    caffe_version: str | None = None,
) -> Training | None:
    """The training of a solver's file; None as for `training_of`."""
    given = {name: tuple(shape) for name, shape in (input_shapes or {}).items()}
    nets = Nets(open_file, caffe_version, input_shapes=given, facts=facts)
    return training_of(nets.job(SolverFile(file, caffe_version), None))


def training_of(job: Job) -> Training | None:
    """The training of a job; None if it has no training net, or one that Caffe would reject or that has no loss."""
    if job.train is None:
        return None
    net = job.train.net
    if not _runs(net) or not net.losses:
        return None
    open_tops = tuple(layer.tops[0].name for layer in net.layers if _is_open(layer))
    if open_tops:
        net = _with_images(net, open_tops, PHOTOGRAPH)
    context = SignalContext(partial(tops_facts, facts=net.built_with.facts), _assumed(open_tops, PHOTOGRAPH))
    return Training(job.solver.message, prepare(net, context), context, open_tops)


def _runs(net: Net) -> bool:
    return all(problem.when == "cpu" for problem in net.problems)


def _with_images(net: Net, tops: Iterable[str], shape: tuple[int, ...]) -> Net:
    return rebuilt(net, dict.fromkeys(tops, shape))


def _assumed(tops: Iterable[str], shape: tuple[int, ...]) -> list[str]:
    size = " x ".join(map(str, shape[1:]))
    return [f"'{name}': images of {size}, or of crop_size" for name in tops]


def _is_open(layer: Layer) -> bool:
    """Whether the size of a data layer's images is unknown."""
    if not layer.traits.is_data or layer.bottoms or layer.traits.settings == "hdf5_data_param" or not layer.tops:
        return False
    shape = layer.tops[0].shape
    return shape is None or None in shape[1:]
